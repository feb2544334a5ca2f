"""At which ages a job is best looked at, when it is known how long such jobs take. Pure.

A look costs a request, and not looking costs a member's waiting. Which ages are best for a given worth of a request,
dynamic programming tells: from the last point backwards, the best next look after each. The worth follows from how
many looks a job may have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from bot.jobs.distribution import Distribution

#: shares of the jobs at whose ages a look may be, and as many steps over the range
_POINTS: Final = 100
#: seconds; what is waited beyond them counts so many times more
_LONG: Final = 4.5
_LONG_COUNTS: Final = 2.0
#: seconds of waiting that a request is worth at most: where jobs take minutes, members wait longer for a rare look
_DEAREST: Final = 1.0
_CHEAPEST: Final = 1e-3
#: halvings of the range in which the worth is sought
_HALVINGS: Final = 12
#: with fewer left, jobs are slower than what was learned; the part of the age between their looks
_FEW: Final = 0.04
_TAIL_PART: Final = 0.08
#: seconds; between two looks at a job that takes longer than the others
_TAIL_GAPS: Final = (1.0, 10.0)
#: seconds; the most between two looks, whatever was learned
_WIDEST: Final = 60.0
#: of those left when a plan ends
_NOBODY: Final = 1e-3


def best_looks(distribution: Distribution, *, most: float) -> tuple[float, ...]:
    """The ages of the looks, in seconds, ascending: the first, and on until nearly every job has finished.

    They are expected to be at most ``most``, or as many as are worth a second of waiting each.
    """
    table = _Table(distribution)
    looks = table.looks(_DEAREST)
    if expected_looks(distribution, looks) < most:
        cheap, dear = math.log(_CHEAPEST), math.log(_DEAREST)
        for _ in range(_HALVINGS):
            worth = (cheap + dear) / 2
            tried = table.looks(math.exp(worth))
            if expected_looks(distribution, tried) > most:
                cheap = worth
            else:
                dear, looks = worth, tried
    return tuple(_without_wide_gaps(distribution, looks))


def expected_looks(distribution: Distribution, looks: Sequence[float]) -> float:
    """How many of the looks a job gets on average; the one that finds it done counts."""
    before = (0.0, *looks)
    return sum(1 - distribution.share_by(age) for age in before[: len(looks)])


class _Table:
    """The best next look after each point, for any worth of a request."""

    def __init__(self, distribution: Distribution) -> None:
        self._ages = _points(distribution)
        self._shares = [distribution.share_by(age) for age in self._ages]
        #: for how long those that have finished by each point have waited, together; and some time before it
        self._waits = [distribution.area_to(age) for age in self._ages]
        self._long_waits = [distribution.area_to(age - _LONG) for age in self._ages]

    def looks(self, worth: float) -> list[float]:
        """The ages at which to look, when a request is worth so many seconds of waiting."""
        last = len(self._ages) - 1
        costs, following = [0.0] * (last + 1), [last] * (last + 1)
        for number in range(last - 1, -1, -1):
            cost, following[number] = self._best_after(number, costs)
            costs[number] = cost + worth * (1 - self._shares[number])
        looks: list[float] = []
        number = 0
        while number < last:
            number = following[number]
            looks.append(self._ages[number])
        return looks

    def _best_after(self, number: int, costs: Sequence[float]) -> tuple[float, int]:
        """The cost of the best next look, and which it is."""
        since, share, before = self._ages[number], self._shares[number], self._waits[number]
        best, chosen = math.inf, len(self._ages) - 1
        for other in range(number + 1, len(self._ages)):
            # of those that finish in between
            passed = self._ages[other] - since
            waiting = self._waits[other] - before - share * passed
            if passed > _LONG:
                waiting += _LONG_COUNTS * (self._long_waits[other] - before - share * (passed - _LONG))
            if waiting > best:
                break  # later looks make them wait longer still
            if waiting + costs[other] < best:
                best, chosen = waiting + costs[other], other
        return best, chosen


def _points(distribution: Distribution) -> list[float]:
    """The ages at which a look may be: where jobs finish they stand close, and some in between."""
    inner = [number / _POINTS for number in range(1, _POINTS)]
    outer = [0.5**number / _POINTS for number in range(1, 6)]
    low, high = (distribution.age_by(share) for share in (0.5 / _POINTS, 1 - 0.5 / _POINTS))
    ages = {distribution.age_by(share) for share in (*inner, *outer, *(1 - share for share in outer))}
    ages |= {low + (high - low) * 2 * number / _POINTS for number in range(_POINTS // 2 + 1)}
    ages.add(distribution.ages[-1])
    kept = [0.0]
    for age in sorted(ages):
        if age - kept[-1] > (high - low) / 600:
            kept.append(age)
    return kept


def _without_wide_gaps(distribution: Distribution, looks: Sequence[float]) -> list[float]:
    """With more looks at those that take longer than what was learned, and never none for long."""
    kept: list[float] = []
    for look in looks:
        while kept and look - kept[-1] > (gap := _most_after(distribution, kept[-1])):
            kept.append(kept[-1] + gap)
            if 1 - distribution.share_by(kept[-1]) < _NOBODY:
                return kept
        kept.append(look)
    return kept


def _most_after(distribution: Distribution, age: float) -> float:
    """Seconds from a look at this age to the next, at most."""
    if 1 - distribution.share_by(age) > _FEW:
        return _WIDEST
    least, most = _TAIL_GAPS
    return min(max(least, _TAIL_PART * age), most)
