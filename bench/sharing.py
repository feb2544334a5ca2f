"""Row family 2, with real processes in real time: thirty jobs in flight that share a budget of requests.

Ten requests a minute and jobs of four to eight minutes would take hours; here both are six times as quick.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

from bench.process import WANBOT, Program
from bench.table import Reading, Target
from tests.imitations.pixeldojo import PixelDojoImitation, Route
from tests.recovery.processes import Stage

_ROUND_ROBIN: Final = ("-m", "bench.baselines.round_robin")
_GUILDS: Final = 10
_MODEL: Final = "pixeldojo/wan-2.2-standard"
_TOO_MANY: Final = 429

_Ask = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """Jobs that take from ``shortest`` to ``longest`` seconds; the first ``taught`` don't count."""

    in_flight: int
    per_minute: int
    shortest: float
    longest: float
    taught: int
    counted: int

    def seconds(self, number: int) -> float:
        """How long a job takes; neighbours differ as much as any two."""
        return self.shortest + (self.longest - self.shortest) * ((number * 0.618034) % 1.0)


_FULL: Final = _Load(in_flight=30, per_minute=60, shortest=40, longest=80, taught=80, counted=60)
_TINY: Final = _Load(in_flight=5, per_minute=60, shortest=2, longest=4, taught=10, counted=10)


@dataclass(frozen=True, slots=True)
class _Shared:
    """Seconds from finished to seen, on average; of the asks for a job, the longest until it was submitted."""

    lag: float
    submission: float
    busiest: int
    refused: int


async def measure(folder: Path, *, is_tiny: bool) -> list[Reading]:
    """Keep both busy at the same time: they mostly wait."""
    load = _TINY if is_tiny else _FULL
    ours, fair = await asyncio.gather(_ours(folder / "ours", load), _round_robin(folder / "fair", load))
    return [
        Reading(
            row=f"{load.per_minute} requests a minute, {load.in_flight} jobs in flight, mean lag",
            unit="s",
            value=ours.lag,
            baselines={"fair round-robin": fair.lag},
            target=Target(most=0.6, over="fair round-robin"),
        ),
        Reading(row="refused for too many requests", unit="", value=ours.refused, target=Target(most=0)),
        Reading(
            row="most requests that a minute of it saw",
            unit="",
            value=ours.busiest,
            baselines={"fair round-robin": fair.busiest},
            target=Target(most=load.per_minute),
        ),
        Reading(
            row="longest wait of a submission in it",
            unit="s",
            value=ours.submission,
            baselines={"fair round-robin": fair.submission},
        ),
    ]


async def _ours(folder: Path, load: _Load) -> _Shared:
    folder.mkdir()
    async with Stage.open(folder, vendor=PixelDojoImitation(requests_per_minute=load.per_minute)) as stage:
        stage.vendor.credits = 1_000_000
        guilds = [stage.discord.add_guild() for _ in range(_GUILDS)]
        settings = {**stage.settings, "PIXELDOJO_REQUESTS_PER_MINUTE": str(load.per_minute)}
        async with Program(*WANBOT, folder=folder, settings=settings) as bot:
            await bot.says('"ready"')

            async def ask(number: int) -> None:
                guild = guilds[number % len(guilds)]
                channel = guild.add_channel()
                await asyncio.sleep(0.02)  # until the bot has heard of the channel
                await guild.add_member(f"member{number}").slash(channel, "wan video", prompt="a cat", model=_MODEL)

            return await _kept_busy(stage.vendor, load, ask)


async def _round_robin(folder: Path, load: _Load) -> _Shared:
    folder.mkdir()
    async with PixelDojoImitation(requests_per_minute=load.per_minute) as vendor:
        vendor.credits = 1_000_000
        arguments = ("--url", vendor.base_url, "--in-flight", load.in_flight, "--per-minute", load.per_minute)
        settings = {"VENDOR_KEY": vendor.key}

        async def ask(_: int) -> None:
            """It submits on its own."""

        async with Program(*_ROUND_ROBIN, *map(str, arguments), folder=folder, settings=settings):
            return await _kept_busy(vendor, load, ask)


async def _kept_busy(vendor: PixelDojoImitation, load: _Load, ask: _Ask) -> _Shared:
    """Ask for another job whenever one is seen finished, until all that count are."""
    course = _Course(vendor, load)
    for number in range(load.in_flight):
        await ask(number)
    # the first ones are all asked for at once
    number = load.in_flight
    while not course.is_over:
        await asyncio.sleep(0.01)
        course.go_on()
        for _ in range(course.take_seen()):
            course.asked.append(time.monotonic())
            await ask(number)
            number += 1
    waits = [taken - asked for asked, taken in zip(course.asked, course.taken[load.in_flight :], strict=False)]
    refused = sum(call.status == _TOO_MANY for call in vendor.calls)
    return _Shared(lag=course.lag, submission=max(waits), busiest=vendor.busiest_minute(), refused=refused)


class _Course:
    """What becomes of the jobs at the vendor, in the order of their submission. Times are monotonic seconds."""

    def __init__(self, vendor: PixelDojoImitation, load: _Load) -> None:
        self._vendor = vendor
        self._load = load
        #: when each was asked for, after the first ones, and when each was submitted
        self.asked: list[float] = []
        self.taken: list[float] = []
        self._running: dict[str, int] = {}
        #: when they finished
        self._finished: dict[str, tuple[int, float]] = {}
        self._lags: dict[int, float] = {}
        self._calls = 0

    @property
    def is_over(self) -> bool:
        """Whether all that count were seen."""
        return all(number in self._lags for number in self._counted)

    @property
    def lag(self) -> float:
        """From finished to seen, on average."""
        return fmean(self._lags[number] for number in self._counted)

    @property
    def _counted(self) -> range:
        return range(self._load.taught, self._load.taught + self._load.counted)

    def go_on(self) -> None:
        """Take up new jobs, and finish those whose time has come."""
        now = time.monotonic()
        for submission in self._vendor.submissions[len(self.taken) :]:
            self._running[submission.job_id] = len(self.taken)
            self.taken.append(now)
        for job_id, number in list(self._running.items()):
            if self.taken[number] + self._load.seconds(number) <= now:
                self._vendor.finish(job_id)
                self._finished[job_id] = self._running.pop(job_id), now

    def take_seen(self) -> int:
        """How many have been seen finished since the last time."""
        before = len(self._lags)
        calls = self._vendor.calls
        while self._calls < len(calls) and (call := calls[self._calls]).status is not None:
            self._calls += 1
            number, at = self._finished.get(call.path.rpartition("/")[2], (0, math.inf))
            if call.route is Route.STATUS and at <= call.at and number not in self._lags:
                self._lags[number] = call.at - at
        return len(self._lags) - before
