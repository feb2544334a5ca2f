"""Row family 6: from the start of the process until it is connected, and the memory of one that has nothing to do."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.machine import MB, pss
from bench.process import WANBOT, Program, until
from bench.table import Reading, Target
from tests.recovery.processes import Stage

BARE: Final = ("-m", "bench.baselines.bare_bot")
#: seconds after which a program that is connected has nothing left to do: discord.py itself waits two for guilds
_SETTLED: Final = 4.0


async def measure(folder: Path, *, is_tiny: bool) -> list[Reading]:
    """Start each program some times, in turn, and look at its memory."""
    async with Stage.open(folder) as stage:
        libraries = {"BARE_LIBRARIES": "yes"}
        first, _ = await _start(stage, WANBOT, settles=False)
        starts: list[Sequence[tuple[float, float]]] = []
        for turn in range(1 if is_tiny else 3):
            # its memory is the same each time
            settles = not turn
            starts.append(
                [
                    await _start(stage, WANBOT, settles=settles),
                    await _start(stage, BARE, settles=settles),
                    await _start(stage, BARE, settles=settles, **libraries),
                ]
            )
    ours, bare, with_libraries = ([statistics.median(each[n][0] for each in starts), starts[0][n][1]] for n in range(3))
    return [
        Reading(
            row="start: until it is connected",
            unit="ms",
            value=ours[0],
            baselines={"bare bot": bare[0], "bare bot with our libraries": with_libraries[0]},
            target=Target(most=2.5, over="bare bot"),
        ),
        Reading(row="start: the very first, with migrations", unit="ms", value=first, baselines={"bare bot": bare[0]}),
        Reading(
            row="idle memory (PSS)",
            unit="MB",
            value=ours[1],
            baselines={"bare bot": bare[1], "bare bot with our libraries": with_libraries[1]},
            target=Target(most=2.2, over="bare bot"),
        ),
        Reading(
            row="idle memory, libraries apart (PSS)",
            unit="MB",
            value=ours[1],
            baselines={"bare bot with our libraries": with_libraries[1]},
            target=Target(most=1.3, over="bare bot with our libraries"),
        ),
    ]


async def _start(stage: Stage, program: tuple[str, ...], *, settles: bool, **more: str) -> tuple[float, float]:
    """Milliseconds until it was connected, and its memory in MB once it has settled (0.0: it wasn't waited for)."""
    settings: Mapping[str, str] = {**stage.settings, **more}
    async with Program(*program, folder=stage.folder, settings=settings) as running:
        await until(lambda: any(each.ready for each in stage.discord.gateway.connected), what="connected", pace=0.002)
        milliseconds = 1000 * (time.monotonic() - running.started_at)
        if settles:
            await asyncio.sleep(_SETTLED)
        memory = pss(running.pid) / MB if settles else 0.0
    await stage.discord.wait_gone(timeout=20)
    return milliseconds, memory
