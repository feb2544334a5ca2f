"""How late the event loop is: what keeps it busy makes every member wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

#: seconds between two looks; often enough to meet what lasts, seldom enough to cost nothing
EVERY: Final = 0.5


async def watch_loop(observe: Callable[[float], None], *, every: float = EVERY) -> None:
    """Tell ``observe`` again and again by how many seconds the loop woke us too late. Goes on until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every
        await asyncio.sleep(every)
        observe(max(0.0, loop.time() - due))
