"""How long jobs take, learned from those that finished. Pure.

Nobody sees a job finish: a look finds it running, a later one finds it done. So what is known of each is an interval.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import Final

from bot.jobs.shapes import CELLS, best_shape

#: (seconds at which a job was last seen running, seconds at which it was seen done)
Observation = tuple[float, float]

#: the part of the observed range by which the cells reach beyond each end
_BEYOND: Final = 0.25
#: intervals count for no more than so many times their usual width, as a part of their end
_WIDE: Final = 2.0
#: seconds; nothing takes less
_SHORTEST: Final = 0.2
#: the next of n jobs is the shortest or longest so far with a chance of 1/(n+1) each; this part of it lies far off
_FAR: Final = 0.2
_FAR_BELOW: Final = (0.0, 0.25, 0.5)
_FAR_ABOVE: Final = (1.25, 1.5, 2.0, 4.0, 8.0)
#: below this share nothing is known of those that are left
_NOBODY: Final = 1e-6
#: seconds; of jobs of which nothing is known half take longer
_UNKNOWN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Distribution:
    """The share of jobs that have finished by an age, in seconds: straight lines between points."""

    #: ascending
    ages: tuple[float, ...]
    #: from 0.0 to 1.0
    shares: tuple[float, ...]
    #: seconds; the area below ``shares`` up to each age
    areas: tuple[float, ...]

    @classmethod
    def through(cls, ages: Sequence[float], shares: Sequence[float]) -> Distribution:
        """The distribution through these points."""
        steps = (
            (ages[i] - ages[i - 1]) * (shares[i] + shares[i - 1]) / 2 if i else 0.0  # trapeziums
            for i in range(len(ages))
        )
        return cls(tuple(ages), tuple(shares), tuple(accumulate(steps)))

    def share_by(self, age: float) -> float:
        """The share that has finished by an age."""
        number = self._before(age)
        if number is None:
            return 0.0 if age <= self.ages[0] else 1.0
        return self.shares[number] + self._slope(number) * (age - self.ages[number])

    def age_by(self, share: float, *, running_at: float = 0.0) -> float:
        """The age by which a share (0.0 to 1.0) has finished, of those that still ran at another age."""
        done = self.share_by(running_at)
        sought = done + share * (1 - done)
        number = bisect_left(self.shares, sought)
        if number == 0:
            return self.ages[0]
        if number == len(self.shares):
            return self.ages[-1]
        slope = self._slope(number - 1)
        return self.ages[number] if slope == 0 else self.ages[number - 1] + (sought - self.shares[number - 1]) / slope

    def expected_wait(self, running_at: float, age: float) -> float:
        """For how many seconds a job has been done at an age, on average, if it still ran at an earlier one."""
        done = self.share_by(running_at)
        if 1 - done < _NOBODY:
            return expected_wait_of_unknown(running_at, age)
        waited = self.area_to(age) - self.area_to(running_at) - done * (age - running_at)
        return max(0.0, waited) / (1 - done)

    def share_since(self, running_at: float, age: float) -> float:
        """The share that has finished by an age, of those that still ran at an earlier one."""
        done = self.share_by(running_at)
        if 1 - done < _NOBODY:
            return share_of_unknown_since(running_at, age)
        return (self.share_by(age) - done) / (1 - done)

    def _before(self, age: float) -> int | None:
        """The number of the last point up to an age; None: it lies outside."""
        if age <= self.ages[0] or age >= self.ages[-1]:
            return None
        return bisect_right(self.ages, age) - 1

    def _slope(self, number: int) -> float:
        return (self.shares[number + 1] - self.shares[number]) / (self.ages[number + 1] - self.ages[number])

    def area_to(self, age: float) -> float:
        """For how many seconds a job has been done at an age, on average over all; 0.0 where it still runs."""
        number = self._before(age)
        if number is None:
            return 0.0 if age <= self.ages[0] else self.areas[-1] + age - self.ages[-1]
        since = age - self.ages[number]
        return self.areas[number] + since * (self.shares[number] + self._slope(number) * since / 2)


def expected_wait_of_unknown(running_at: float, age: float) -> float:
    """The same where nothing was learned: what has taken long is thought to take as long again."""
    before = running_at + _UNKNOWN
    return age - running_at - before * math.log((age + _UNKNOWN) / before)


def share_of_unknown_since(running_at: float, age: float) -> float:
    """The share that has finished by an age, likewise."""
    return (age - running_at) / (age + _UNKNOWN)


def learned(observations: Sequence[Observation]) -> Distribution:
    """The distribution that explains what was seen of at least two jobs. Takes some 10 ms for a hundred."""
    seen = _without_wide_ones(observations)
    edges = _edges(seen)
    intervals = [_cells_of(observation, edges) for observation in seen]
    return _with_the_unseen(edges, best_shape(intervals), len(observations))


def _without_wide_ones(observations: Sequence[Observation]) -> list[Observation]:
    """What was seen, as if nobody had waited very long for a look.

    Looks are planned for when jobs begin to finish. So who is found done at the first look, or at the first after a
    long wait, has most likely just finished; where all are found so, all is taken as it is.
    """
    usual = median((by - after) / by for after, by in observations)
    return [(max(after, by * (1 - _WIDE * usual)), by) for after, by in observations]


def _edges(observations: Sequence[Observation]) -> list[float]:
    """The bounds of the cells, over all that was seen and a little more.

    They are equal steps of the logarithm, for what takes long varies more.
    """
    # of one that was done at the first look little is known, and its beginning would stretch the cells
    low = math.log(max(_SHORTEST, min(max(after, (after + by) / 4) for after, by in observations)))
    high = math.log(max(2 * _SHORTEST, *(by for _, by in observations)))
    margin = _BEYOND * max(high - low, 0.05)
    low, high = low - margin, high + margin
    return [math.exp(low + (high - low) * number / CELLS) for number in range(CELLS + 1)]


def _cells_of(observation: Observation, edges: Sequence[float]) -> tuple[int, int]:
    """The cells that an interval touches: from the first, up to before the second."""
    after, by = observation
    first = min(max(bisect_right(edges, after) - 1, 0), CELLS - 1)
    return first, min(max(bisect_left(edges, by), first + 1), CELLS)


def _with_the_unseen(edges: Sequence[float], masses: Sequence[float], count: int) -> Distribution:
    """Add what nobody has seen yet: jobs that are far quicker or slower than all others."""
    far = _FAR / (count + 1)
    below = [edges[0] * part for part in _FAR_BELOW]
    above = [edges[-1] * times for times in _FAR_ABOVE]
    steps = [
        *[far / 2 / len(below)] * len(below),
        *((1 - far) * mass for mass in masses),
        *[far / 2 / len(above)] * len(above),
    ]
    shares = [0.0, *accumulate(steps)]
    return Distribution.through([*below, *edges, *above], [share / shares[-1] for share in shares])
