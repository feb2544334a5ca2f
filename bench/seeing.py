"""Row family 1, with real processes in real time: how soon a video is posted once the vendor has finished it."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bench.baselines import INTERVALS
from bench.clips import clip
from bench.delivery import LOOP
from bench.machine import MB
from bench.process import WANBOT, Program, until
from bench.seeding import give_to, task_id
from bench.table import Reading, Target, percentile
from tests.imitations.discord_server import Channel, Guild
from tests.imitations.discord_server.ids import time_of
from tests.imitations.pixeldojo import Route
from tests.recovery.processes import Stage

_GUILDS: Final = 10
_MODEL: Final = "pixeldojo/wan-2.2-standard"
#: enough for a job that is looked at too late by far
_PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """Jobs that take from ``shortest`` to ``longest`` seconds, evenly spread."""

    taught: int
    jobs: int
    shortest: float
    longest: float

    def seconds(self, number: int, of: int) -> float:
        """How long a job takes; neighbours differ as much as any two."""
        part = (number * 0.618034) % 1.0
        return self.shortest + (self.longest - self.shortest) * (part if of > 1 else 0.5)


_FULL: Final = _Load(taught=50, jobs=100, shortest=20, longest=60)
_TINY: Final = _Load(taught=4, jobs=10, shortest=2, longest=6)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Seconds from finished to posted, and the status requests per job."""

    lags: Sequence[float]
    looks: float


async def measure(folder: Path, *, is_tiny: bool) -> list[Reading]:
    """Let the bot learn, then give it the load; then the loops, which mostly sleep, all at the same time."""
    load = _TINY if is_tiny else _FULL
    video = await asyncio.to_thread(clip, 2 * MB)
    ours = await _ours(folder / "ours", load, video)
    # there is nothing to learn where looks cost nothing
    unlimited = await _ours(
        folder / "unlimited", replace(load, taught=0), video, PIXELDOJO_REQUESTS_PER_MINUTE="unlimited"
    )
    found = await asyncio.gather(
        *(_theirs(folder / f"every{every:g}", load, every, video) for every in INTERVALS.values())
    )
    theirs = dict(zip(INTERVALS, found, strict=True))
    return [
        Reading(
            row="from finished to posted, mean",
            unit="s",
            value=statistics.fmean(ours.lags),
            baselines={name: statistics.fmean(each.lags) for name, each in theirs.items()},
            target=Target(most=2.8),
        ),
        Reading(
            row="from finished to posted, 95th percentile",
            unit="s",
            value=percentile(ours.lags, 0.95),
            baselines={name: percentile(each.lags, 0.95) for name, each in theirs.items()},
            target=Target(most=5.5),
        ),
        Reading(
            row="status requests per job",
            unit="",
            value=ours.looks,
            baselines={name: each.looks for name, each in theirs.items()},
            target=Target(most=4.4),
        ),
        Reading(
            row="from finished to posted without a limit on requests, mean",
            unit="s",
            value=statistics.fmean(unlimited.lags),
            baselines={name: statistics.fmean(each.lags) for name, each in theirs.items()},
            target=Target(most=0.7),
        ),
    ]


async def _ours(folder: Path, load: _Load, video: bytes, **settings: str) -> _Seen:
    folder.mkdir()
    async with Stage.open(folder, upload_limit=20 << 20) as stage:
        stage.vendor.credits = 1_000_000
        guilds = [stage.discord.add_guild() for _ in range(_GUILDS)]
        async with Program(*WANBOT, folder=folder, settings={**stage.settings, **settings}) as bot:
            await bot.says('"ready"')
            await _round(stage, guilds, load.taught, load, video)
            before = stage.vendor.count(Route.STATUS)
            lags = await _round(stage, guilds, load.jobs, load, video)
            return _Seen(lags, (stage.vendor.count(Route.STATUS) - before) / load.jobs)


async def _round(stage: Stage, guilds: Sequence[Guild], jobs: int, load: _Load, video: bytes) -> Sequence[float]:
    """Ask for so many videos, each in a channel of its own; seconds from finished to posted."""
    first = len(stage.vendor.submissions)
    channels: dict[str, Channel] = {}
    for number in range(jobs):
        guild = guilds[number % len(guilds)]
        prompt, channel = f"cat {first + number}", guild.add_channel()
        await asyncio.sleep(0.02)  # until the bot has heard of the channel
        await guild.add_member(f"member{first + number}").slash(channel, "wan video", prompt=prompt, model=_MODEL)
        channels[prompt] = channel
    finishing: list[asyncio.Task[float]] = []
    for number in range(jobs):
        await until(lambda n=first + number: len(stage.vendor.submissions) > n, what="a submission", pace=0.02)
        job_id = stage.vendor.submissions[first + number].job_id
        finishing.append(asyncio.create_task(_finish(stage, job_id, load.seconds(number, jobs), video)))
    finished = await asyncio.gather(*finishing)
    prompts = [str(each.body["prompt"]) for each in stage.vendor.submissions[first : first + jobs]]
    return [await _lag(channels[prompt], at) for prompt, at in zip(prompts, finished, strict=True)]


async def _theirs(folder: Path, load: _Load, every: float, video: bytes) -> _Seen:
    folder.mkdir()
    async with Stage.open(folder, upload_limit=20 << 20) as stage:
        guild = stage.discord.add_guild()
        channels = [guild.add_channel() for _ in range(load.jobs)]
        give_to(stage.vendor, load.jobs)
        links = [f"{stage.vendor.base_url}/jobs/{task_id(number)}" for number in range(load.jobs)]
        jobs = folder / "jobs.json"
        jobs.write_text(json.dumps([(link, each.id) for link, each in zip(links, channels, strict=True)]), "utf-8")
        settings: Mapping[str, str] = {**stage.settings, "VENDOR_KEY": stage.vendor.key}
        arguments = (*LOOP, "--every", str(every), "--jobs", str(jobs))
        async with Program(*arguments, folder=folder, settings=settings) as bot:
            await bot.says("begun")
            numbers = range(load.jobs)
            finishing = (_finish(stage, task_id(each), load.seconds(each, load.jobs), video) for each in numbers)
            finished = await asyncio.gather(*finishing)
            lags = [await _lag(channel, at) for channel, at in zip(channels, finished, strict=True)]
        return _Seen(lags, stage.vendor.count(Route.STATUS) / load.jobs)


async def _finish(stage: Stage, job_id: str, seconds: float, video: bytes) -> float:
    """Let a job take so long; gives the time of its end."""
    created = stage.vendor.jobs[job_id].created_at
    await asyncio.sleep((created + timedelta(seconds=seconds) - datetime.now(UTC)).total_seconds())
    stage.vendor.finish(job_id, video=video)
    return time.time()


async def _lag(channel: Channel, finished_at: float) -> float:
    """Seconds until the video stood in its channel."""
    posted = await until(
        lambda: next((message for message in channel.messages if message.attachments), None),
        what="a video",
        within=_PATIENCE,
        pace=0.05,
    )
    return time_of(posted.id).timestamp() - finished_at
