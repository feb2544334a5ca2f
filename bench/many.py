"""Row family 3: ten thousand jobs in flight in one process."""

from __future__ import annotations

import asyncio
import json
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast

from bench.baselines import INTERVALS
from bench.delivery import LOOP
from bench.machine import pss
from bench.process import WATCHED, Program, until
from bench.seeding import give_to, seed_running, task_id
from bench.table import Reading, Target, percentile
from tests.imitations.pixeldojo import Call, Route
from tests.recovery.processes import Stage

_GUILDS: Final = 20
#: a limit that leaves a look at each of 10,000 jobs every 30 s, which is what wanbot wants at their age
_REQUESTS_PER_MINUTE: Final = 30_000
#: a job that is looked at a moment before its time isn't late
_SLACK: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """How much, and (seconds) for how long."""

    jobs: int
    #: since they were submitted
    age: float
    #: after a start everything is looked at once, and only then the plans count
    first_round: float
    window: float
    #: what each baseline gets, the second half of which counts
    baseline: float


_FULL: Final = _Load(jobs=10_000, age=660, first_round=45, window=20, baseline=12)
_TINY: Final = _Load(jobs=200, age=30, first_round=1, window=8, baseline=4)


async def measure(folder: Path, *, is_tiny: bool) -> list[Reading]:
    """Watch the same jobs with the bot and with a loop for each, in turn."""
    load = _TINY if is_tiny else _FULL
    count = load.jobs
    empty = await _idle_memory(folder / "empty")
    first_poll, memory, late, writes = await _ours(folder / "ours", load)
    theirs = {name: await _theirs(folder / f"every{every:g}", load, every) for name, every in INTERVALS.items()}
    return [
        Reading(
            row="10,000 jobs: looks this late, 99th percentile",
            unit="ms",
            value=1000 * percentile(late, 0.99),
            baselines={name: 1000 * percentile(each, 0.99) for name, (each, _) in theirs.items()},
            target=Target(most=500),
        ),
        Reading(row="looks per second meanwhile", unit="/s", value=len(late) / load.window),
        Reading(
            row="memory per waiting job (PSS)",
            unit="kB",
            value=(memory - empty) / count / 1000,
            baselines={name: each / 1000 for name, (_, each) in theirs.items()},
            target=Target(most=6),
        ),
        Reading(
            row="database writes per look that changed nothing",
            unit="",
            value=writes / len(late),
            target=Target(most=0),
        ),
        Reading(
            row="restart with 10,000 open jobs until the first look", unit="s", value=first_poll, target=Target(most=3)
        ),
    ]


async def _idle_memory(folder: Path) -> int:
    async with _stage(folder) as stage, _bot(stage) as bot:
        await bot.says('"ready"')
        await asyncio.sleep(2)
        return pss(bot.pid)


async def _ours(folder: Path, load: _Load) -> tuple[float, int, Sequence[float], int]:
    """Seconds until the first look, bytes of the process, how late looks were (seconds), writes meanwhile."""
    async with _stage(folder, load) as stage:
        async with _bot(stage) as bot:
            await until(lambda: stage.vendor.count(Route.STATUS) or bot.is_over, what="a look", pace=0.01)
            begun = _looks(stage)[0].at
            first_poll = begun - bot.started_at
            await asyncio.sleep(load.first_round + load.window + 1.2)
            memory = pss(bot.pid)
        since = begun + load.first_round
        past = since + load.window
        lines = _lines(folder / "watch.jsonl")
        looks = [call for call in _looks(stage) if since <= call.at < past]
        counts = [line["writes"] for line in lines if since <= line["at"] < past]
        return first_poll, memory, _lateness(looks, _plans(lines)), counts[-1] - counts[0]


async def _theirs(folder: Path, load: _Load, every: float) -> tuple[Sequence[float], float]:
    """How late looks were, by the distance that they should have, and the memory per job."""
    count = load.jobs
    async with _stage(folder) as stage:
        give_to(stage.vendor, count)
        link = f"{stage.vendor.base_url}/jobs/"
        memory: list[int] = []
        for number in (1, count):
            jobs = folder / f"{number}.json"
            jobs.write_text(json.dumps([(link + task_id(each), 1) for each in range(number)]), encoding="utf-8")
            settings = {**stage.settings, "VENDOR_KEY": stage.vendor.key}
            arguments = (*LOOP, "--every", str(every), "--jobs", str(jobs))
            async with Program(*arguments, folder=folder, settings=settings) as bot:
                await bot.says("begun")
                begun = time.monotonic()
                await asyncio.sleep(3 if number == 1 else load.baseline + every)
                memory.append(pss(bot.pid))
        before: dict[str, float] = {}
        late: list[float] = []
        for call in _looks(stage):
            if call.path in before and call.at > begun + load.baseline / 2:
                late.append(call.at - before[call.path] - every)
            before[call.path] = call.at
        # those that weren't looked at again are as late as the end
        end = begun + load.baseline + every
        late += [end - at - every for at in before.values() if end - at > 2 * every]
        return late, (memory[1] - memory[0]) / count


@asynccontextmanager
async def _stage(folder: Path, load: _Load | None = None) -> AsyncGenerator[Stage]:
    folder.mkdir()
    async with Stage.open(folder) as stage:
        if load is not None:
            channels = [stage.discord.add_guild().add_channel() for _ in range(_GUILDS)]
            await asyncio.to_thread(
                seed_running, stage.books.path, channels, load.jobs, age=timedelta(seconds=load.age)
            )
            give_to(stage.vendor, load.jobs)
        yield stage


def _bot(stage: Stage) -> Program:
    settings = {
        **stage.settings,
        "PIXELDOJO_REQUESTS_PER_MINUTE": str(_REQUESTS_PER_MINUTE),
        "WATCH": str(stage.folder / "watch.jsonl"),
    }
    return Program(*WATCHED, folder=stage.folder, settings=settings)


def _looks(stage: Stage) -> list[Call]:
    return [call for call in stage.vendor.calls if call.route is Route.STATUS]


def _lines(watch: Path) -> list[dict[str, Any]]:
    return [cast("dict[str, Any]", json.loads(line)) for line in watch.read_text(encoding="utf-8").splitlines()]


def _plans(lines: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[float]]:
    """The instants at which each job was to be looked at, in order."""
    found = defaultdict[str, list[float]](list)
    for line in lines:
        for job_id, at in line["plans"]:
            found[job_id].append(at)
    return {job_id: sorted(instants) for job_id, instants in found.items()}


def _lateness(looks: Sequence[Call], plans: Mapping[str, Sequence[float]]) -> list[float]:
    """Seconds from the latest plan before each look."""
    late: list[float] = []
    for call in looks:
        # ids of the seeded jobs and of their tasks hold the same number
        number = int(call.path.rpartition("_")[2], 16)
        instants = plans[f"b{number:x}"]
        late.append(max(0.0, call.at - instants[bisect_right(instants, call.at + _SLACK) - 1]))
    return late
