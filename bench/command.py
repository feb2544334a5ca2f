"""Row family 5: a hundred commands in the same instant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

from bench.process import WANBOT, WATCHED, Program, until
from bench.start import BARE
from bench.table import Reading, Target, percentile
from tests.imitations.discord_server import Channel, Interaction, Member
from tests.recovery.processes import Stage

_GUILDS: Final = 10
_ROUNDS: Final = 4
_MODEL: Final = "pixeldojo/wan-2.2-standard"


async def measure(folder: Path, *, is_tiny: bool) -> list[Reading]:
    """Send the same commands to the bot and to a bare one, in turn; then to the bot under watch, which slows it."""
    members = 2 if is_tiny else 10
    watch = folder / "watch.jsonl"
    ours = await _ours(folder / "ours", members, *WANBOT)
    async with Stage.open(folder / "bare") as stage:
        settings = {**stage.settings, "BARE_DATABASE": str(folder / "bare.db")}
        async with Program(*BARE, folder=folder, settings=settings) as bare:
            await _served(stage, bare)
            theirs = await _rounds(stage, members)
    await _ours(folder / "watched", members, *WATCHED, WATCH=str(watch))
    blocks = _blocks(watch)
    return [
        Reading(
            row=f"{name} of 100 commands at once until acknowledged",
            unit="ms",
            value=1000 * percentile(ours, part),
            baselines={"bare bot": 1000 * percentile(theirs, part)},
            target=target,
        )
        for name, part, target in (
            ("median", 0.5, None),
            ("99th percentile", 0.99, Target(most=1.5, over="bare bot")),
        )
    ] + [
        Reading(
            row="longest block of the event loop meanwhile", unit="ms", value=1000 * max(blocks), target=Target(most=50)
        )
    ]


async def _ours(folder: Path, members: int, *program: str, **settings: str) -> Sequence[float]:
    folder.mkdir()
    async with Stage.open(folder) as stage:
        stage.vendor.credits = 1_000_000
        async with Program(*program, folder=folder, settings={**stage.settings, **settings}) as bot:
            await _served(stage, bot)
            return await _rounds(stage, members, model=_MODEL)


async def _served(stage: Stage, program: Program) -> None:
    await until(lambda: program.is_over or stage.discord.syncs, what="no commands were registered")
    await until(lambda: program.is_over or stage.discord.gateway.connected, what="not connected")
    await stage.discord.wait_ready()
    # discord.py waits two seconds for guilds before it calls itself ready
    await asyncio.sleep(3)


async def _rounds(stage: Stage, members: int, **options: Any) -> Sequence[float]:
    """Seconds until each command was acknowledged; the first round, which finds everything cold, isn't counted."""
    places = [(guild, guild.add_channel()) for guild in (stage.discord.add_guild() for _ in range(_GUILDS))]
    await asyncio.sleep(0.5)
    askers = [(channel, guild.add_member(f"member{number}")) for guild, channel in places for number in range(members)]
    seconds: list[float] = []
    for turn in range(_ROUNDS):
        runs = [await _ask(*asker, **options) for asker in askers]
        await until(lambda runs=runs: all(run.acked_after is not None for run in runs), what="not all acknowledged")
        if turn:
            seconds += [run.acked_after or 0.0 for run in runs]
        await asyncio.sleep(2)
    return seconds


async def _ask(channel: Channel, member: Member, **options: Any) -> Interaction:
    return await member.slash(channel, "wan video", prompt="a cat by the sea", **options)


def _blocks(watch: Path) -> list[float]:
    lines = [cast("dict[str, Any]", json.loads(line)) for line in watch.read_text(encoding="utf-8").splitlines()]
    return [float(each[0]) for line in lines for each in line["longest"]]
