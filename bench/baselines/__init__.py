"""What wanbot is measured against: the shortest programs that do the same, each run as a process of its own."""

from __future__ import annotations

from typing import Final

#: seconds between two looks of each naive loop; that of the vendors' samples is the seed's
INTERVALS: Final = {"seed's loop": 2.0, "every 5 s": 5.0, "every 10 s": 10.0}
