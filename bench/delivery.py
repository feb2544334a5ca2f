"""Row family 4: many large videos that are finished within the same second."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench.clips import clip
from bench.machine import MB, Peaks, watched_memory
from bench.process import WANBOT, Program, until
from bench.seeding import give_to, seed_running, task_id
from bench.table import Reading, Target
from tests.imitations.discord_server import Channel
from tests.imitations.pixeldojo import HTML_502, Route
from tests.recovery.processes import Stage

LOOP: Final = ("-m", "bench.baselines.loop_bot")
_COPYING: Final = ("-m", "bench.baselines.copying")
_GUILDS: Final = 10
#: bytes
_SIZE: Final = 9 * MB
#: as many as the bot has under way
_AT_ONCE: Final = 16
#: seconds that all of it may take
_PATIENCE: Final = 180.0


async def measure(folder: Path, *, is_tiny: bool) -> list[Reading]:
    """Deliver the same videos with the bot, by bare copying, and with the loop of the vendors' samples."""
    count = 10 if is_tiny else 200
    video = await asyncio.to_thread(clip, _SIZE)
    ours, peaks = await _ours(folder / "ours", count, video)
    copied, _ = await _theirs(folder / "copying", count, video, *_COPYING, "--at-once", str(_AT_ONCE))
    looped, naive = await _theirs(folder / "loop", count, video, *LOOP, "--every", "2", link="status")
    loop = {"seed's loop": naive.own / MB}
    return [
        Reading(
            row="200 videos of 9 MB until all are posted",
            unit="s",
            value=ours,
            baselines={"bare streaming": copied, "seed's loop": looped},
            target=Target(most=1.3, over="bare streaming"),
        ),
        Reading(
            row="peak memory of the bot meanwhile (PSS)",
            unit="MB",
            value=peaks.own / MB,
            baselines=loop,
            target=Target(most=160),
        ),
        Reading(
            row="peak memory of its largest media process (PSS)",
            unit="MB",
            value=max(peaks.children, default=0) / MB,
            target=Target(most=80),
        ),
        Reading(row="media processes at once", unit="", value=len(peaks.children), target=Target(most=2)),
    ]


async def _ours(folder: Path, count: int, video: bytes) -> tuple[float, Peaks]:
    async with _stage(folder) as (stage, channels):
        seed_running(stage.books.path, channels, count, age=timedelta(seconds=30))
        give_to(stage.vendor, count)
        async with (
            Program(*WANBOT, folder=folder, settings=stage.settings) as bot,
            watched_memory(bot.pid) as peaks,
        ):
            # a fault at the first look brings all of them to the next one within the same second, ten later
            stage.vendor.fault_always(Route.STATUS, HTML_502)
            await until(lambda: stage.vendor.count(Route.STATUS) >= count or bot.is_over, what="a look at each")
            stage.vendor.fault_always(Route.STATUS, None)
            await bot.says('"ready"')
            _finish(stage, count, video)
            await until(lambda: stage.vendor.count(Route.STATUS) > count or bot.is_over, what="a second look")
            begun = time.monotonic()
            await _all_posted(bot, channels, count)
            return time.monotonic() - begun, peaks


async def _theirs(folder: Path, count: int, video: bytes, *arguments: str, link: str = "file") -> tuple[float, Peaks]:
    async with _stage(folder) as (stage, channels):
        give_to(stage.vendor, count)
        _finish(stage, count, video)
        links = [_link(stage, number, link) for number in range(count)]
        rows = [(each, channels[number % len(channels)].id) for number, each in enumerate(links)]
        jobs = folder / "jobs.json"
        jobs.write_text(json.dumps(rows), encoding="utf-8")
        settings = {**stage.settings, "VENDOR_KEY": stage.vendor.key}
        program = Program(*arguments, "--jobs", str(jobs), folder=folder, settings=settings)
        async with program as bot, watched_memory(bot.pid) as peaks:
            await bot.says("begun")
            begun = time.monotonic()
            await _all_posted(bot, channels, count)
            return time.monotonic() - begun, peaks


@asynccontextmanager
async def _stage(folder: Path) -> AsyncGenerator[tuple[Stage, Sequence[Channel]]]:
    folder.mkdir()
    async with Stage.open(folder, upload_limit=20 << 20) as stage:
        guilds = [stage.discord.add_guild() for _ in range(_GUILDS)]
        yield stage, [guild.add_channel() for guild in guilds]


def _finish(stage: Stage, count: int, video: bytes) -> None:
    for number in range(count):
        stage.vendor.finish(task_id(number), video=video)


def _link(stage: Stage, number: int, kind: str) -> str:
    if kind == "status":
        return f"{stage.vendor.base_url}/jobs/{task_id(number)}"
    return f"{stage.vendor.base_url.removesuffix('/api/v1')}/files/{task_id(number)}.mp4"


async def _all_posted(bot: Program, channels: Sequence[Channel], count: int) -> None:
    def is_over() -> bool:
        posted = sum(bool(message.attachments) for channel in channels for message in channel.messages)
        return posted >= count

    await until(lambda: is_over() or bot.is_over, what=f"{count} videos", within=_PATIENCE, pace=0.02)
    if not is_over():
        raise RuntimeError(f"it ended before everything was posted: {bot.text[-2000:]}")
