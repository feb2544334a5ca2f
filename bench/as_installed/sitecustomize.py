"""Hides from every measured program, ours and the baselines, what only the development tools have installed.

httpx and structlog load these libraries where they find them; in the image, where nothing but what wanbot needs is
installed, they don't.
"""

import sys
from typing import Any

_modules: dict[str, Any] = sys.modules
_modules |= dict.fromkeys(("click", "pygments", "rich"))
