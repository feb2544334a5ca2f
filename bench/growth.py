"""How what a bot needs grows with the guilds that it is in."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench.machine import pss
from bench.process import WANBOT, Program
from bench.start import BARE
from bench.table import Reading
from tests.recovery.processes import Stage

_CHANNELS = 5


async def measure(folder: Path, *, is_tiny: bool) -> list[Reading]:
    """Look at the memory of idle bots in one guild, and in many."""
    guilds = 50 if is_tiny else 2000
    folder.mkdir(exist_ok=True)
    memory = {
        (name, count): await _idle(folder / f"{name}{count}", program, count)
        for name, program in (("ours", WANBOT), ("bare", BARE))
        for count in (1, guilds)
    }
    return [
        Reading(
            row="idle memory per guild with five channels (PSS)",
            unit="kB",
            value=(memory["ours", guilds] - memory["ours", 1]) / guilds / 1000,
            baselines={"bare bot": (memory["bare", guilds] - memory["bare", 1]) / guilds / 1000},
        )
    ]


async def _idle(folder: Path, program: tuple[str, ...], guilds: int) -> int:
    folder.mkdir()
    async with Stage.open(folder) as stage:
        for _number in range(guilds - 1):
            guild = stage.discord.add_guild()
            for _channel in range(_CHANNELS):
                guild.add_channel()
        async with Program(*program, folder=folder, settings=stage.settings) as bot:
            await stage.discord.wait_ready(timeout=60)
            await asyncio.sleep(6)
            return pss(bot.pid)
