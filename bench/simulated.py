"""Row families 1 and 2 in simulated time, where chance alone makes the difference: see ``bench.simulation``."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Final

from bench.baselines import INTERVALS
from bench.simulation import AMPLE, Figures, Rush, Seen, crowd, known, least_shared_lag, rush, taught
from bench.table import Reading, Target
from bot.jobs.durations import Durations

_TAUGHT: Final = 50
_PER_MINUTE, _IN_FLIGHT = 10, 30
_RUSH_SECONDS: Final = 2 * 3600.0
#: seconds that jobs take, spread evenly: those that teach, and those that count
_LESSONS, _JOBS = ([20 + 40 * (number + 0.5) / count for number in range(count)] for count in (_TAUGHT, 100))
#: and those of the rush, which a round-robin sees a few times each
_SHORTEST, _LONGEST = 240.0, 480.0


async def measure(folder: Path, *, is_tiny: bool) -> list[Reading]:
    """Simulate both, with the same dice in every run."""
    del folder
    return await asyncio.to_thread(_measured, seeds=1 if is_tiny else 12)


def _measured(*, seeds: int) -> list[Reading]:
    ours, unlimited = _figures(seeds, per_minute=AMPLE), _figures(seeds, per_minute=None)
    fixed = {name: _fixed(every) for name, every in INTERVALS.items()}
    rushes, fair = _rushes(range(min(3, seeds)), is_fair=False), _rushes(range(min(3, seeds)), is_fair=True)
    return [
        Reading(
            row="simulated: from finished to seen, mean",
            unit="s",
            value=ours.lag,
            baselines=_of(fixed, "lag"),
            target=Target(most=2.8),
        ),
        Reading(
            row="simulated: from finished to seen, 95th percentile",
            unit="s",
            value=ours.late,
            baselines=_of(fixed, "late"),
            target=Target(most=5.5),
        ),
        Reading(
            row="simulated: looks per job",
            unit="",
            value=ours.looks,
            baselines=_of(fixed, "looks"),
            target=Target(most=4.4),
        ),
        Reading(
            row="simulated: the same without a limit, mean",
            unit="s",
            value=unlimited.lag,
            baselines=_of(fixed, "lag"),
            target=Target(most=0.7),
        ),
        Reading(
            row="simulated: 10 requests a minute, 30 jobs in flight, mean lag",
            unit="s",
            value=fmean(each.lag for each in rushes),
            baselines={"fair round-robin": fmean(each.lag for each in fair), "the least there is": _least()},
            target=Target(most=0.6, over="fair round-robin"),
        ),
        Reading(
            row="simulated: most requests that a minute of it saw",
            unit="",
            value=max(each.busiest for each in rushes),
            target=Target(most=_PER_MINUTE),
        ),
        Reading(
            row="simulated: longest wait of a submission in it",
            unit="s",
            value=max(each.submission for each in rushes),
            baselines={"fair round-robin": max(each.submission for each in fair)},
        ),
    ]


def _figures(seeds: int, *, per_minute: int | None) -> Figures:
    seen: list[Seen] = []
    for seed in range(seeds):
        dice, durations = Random(seed), Durations()  # noqa: S311 - they draw durations
        crowd(dice.sample(_LESSONS, k=len(_LESSONS)), durations, dice, requests_per_minute=per_minute)
        seen += crowd(dice.sample(_JOBS, k=len(_JOBS)), durations, dice, requests_per_minute=per_minute)
    return Figures.of(seen)


def _fixed(every: float) -> Figures:
    """A loop that sleeps so long before each look."""
    looks = [math.ceil(seconds / every) for seconds in _JOBS]
    return Figures.of([Seen(n, n * every - seconds, (0.0, seconds)) for n, seconds in zip(looks, _JOBS, strict=True)])


def _rushes(seeds: Sequence[int], *, is_fair: bool) -> list[Rush]:
    durations = None if is_fair else taught(_draw, Random(4), _TAUGHT)  # noqa: S311 - as above
    return [
        rush(
            _draw,
            Random(seed),  # noqa: S311 - as above
            durations=durations,
            in_flight=_IN_FLIGHT,
            per_minute=_PER_MINUTE,
            seconds=_RUSH_SECONDS,
        )
        for seed in seeds
    ]


def _least() -> float:
    seconds = known(_draw, Random(0), points=300)  # noqa: S311 - as above
    return least_shared_lag(seconds, in_flight=_IN_FLIGHT, per_minute=_PER_MINUTE)


def _draw(dice: Random) -> float:
    return dice.uniform(_SHORTEST, _LONGEST)


def _of(fixed: Mapping[str, Figures], name: str) -> dict[str, float]:
    return {each: getattr(figures, name) for each, figures in fixed.items()}
