"""The shape that explains best what was seen, in cells of equal width. Pure.

What is known of each job is an interval of cells. A shape is either what the jobs themselves draw, spread over their
intervals as the others suggest (expectation and maximisation) and smoothed a little, or one or two bells. Which of
them, and how much is a little, the jobs tell: the one that best foretells those that were left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import accumulate
from operator import mul
from typing import Final

#: from this cell up to before that one
Interval = tuple[int, int]

CELLS: Final = 200
#: cells; the smoothings to choose from
_RADII: Final = (1, 2, 4, 8, 16)
_BELLS: Final = (1, 2)
_FOLDS: Final = 4
_ROUNDS: Final = 6
_ROUNDS_OF_BELLS: Final = 8
#: nothing is less likely: it could not be divided by
_NOTHING: Final = 1e-12

_Fit = Callable[[Sequence[Interval]], list[float]]


def best_shape(intervals: Sequence[Interval]) -> list[float]:
    """The mass of each cell; together they are 1."""
    fits: list[_Fit] = [partial(_drawn, radius=radius) for radius in _RADII]
    fits += [partial(_bells, count=count) for count in _BELLS]
    return max(fits, key=lambda fit: _foretold(fit, intervals))(intervals)


def _foretold(fit: _Fit, intervals: Sequence[Interval]) -> float:
    """How well a fit foretells each quarter from the other three, as the logarithm of its likelihood."""
    score = 0.0
    for fold in range(_FOLDS):
        told = [interval for number, interval in enumerate(intervals) if number % _FOLDS != fold]
        if told:
            score += _likelihood(fit(told), intervals[fold::_FOLDS], len(intervals))
    return score


def _likelihood(masses: Sequence[float], intervals: Sequence[Interval], count: int) -> float:
    """The logarithm; a little is left to chance, so that one odd job rules nothing out."""
    until, chance = [0.0, *accumulate(masses)], 1 / (count + 1)
    return sum(
        math.log((1 - chance) * (until[end] - until[start]) + chance * (end - start) / CELLS)
        for start, end in intervals
    )


def _drawn(intervals: Sequence[Interval], radius: int) -> list[float]:
    """What the jobs draw."""
    masses = [1 / CELLS] * CELLS
    for _ in range(_ROUNDS):
        until = [0.0, *accumulate(masses)]
        weights = [0.0] * (CELLS + 1)
        for start, end in intervals:
            weight = 1 / max(_NOTHING, until[end] - until[start])
            weights[start] += weight
            weights[end] -= weight
        spread = [mass * weight for mass, weight in zip(masses, accumulate(weights), strict=False)]
        masses = _normalised(_smoothed(spread, radius))
    return masses


def _smoothed(masses: Sequence[float], radius: int) -> list[float]:
    """The running mean, three times, which is nearly a bell."""
    smooth, width = list(masses), 2 * radius + 1
    for _ in range(3):
        until = list(accumulate(smooth, initial=0.0))
        # nothing lies beyond the ends
        until = [0.0] * radius + until + until[-1:] * radius
        smooth = [(after - before) / width for before, after in zip(until, until[width:], strict=False)]
    return smooth


def _bells(intervals: Sequence[Interval], count: int) -> list[float]:
    """One bell, or two."""
    middles = [(start + end) / 2 for start, end in intervals]
    # a value that is spread evenly over an interval adds this to the variance, which isn't the jobs'
    widths = [(end - start) ** 2 / 12 for start, end in intervals]
    parts = _parts(middles) if count > 1 else [[1.0] * len(middles)]
    bells = [_Bell(middles, widths, part) for part in parts]
    for _ in range(_ROUNDS_OF_BELLS if count > 1 else 0):
        heights = [bell.heights(middles) for bell in bells]
        totals = [sum(each) + _NOTHING for each in zip(*heights, strict=True)]
        parts = [[height / total for height, total in zip(each, totals, strict=True)] for each in heights]
        bells = [_Bell(middles, widths, part) for part in parts]
    heights = [bell.heights(number + 0.5 for number in range(CELLS)) for bell in bells]
    return _normalised([sum(each) + _NOTHING for each in zip(*heights, strict=True)])


class _Bell:
    """A normal distribution through a part of each value."""

    def __init__(self, values: Sequence[float], widths: Sequence[float], parts: Sequence[float]) -> None:
        weight = max(_NOTHING, sum(parts))
        mean = sum(map(mul, parts, values)) / weight
        spreads = ((value - mean) ** 2 - width for value, width in zip(values, widths, strict=True))
        # never narrower than a cell
        variance = max(1.0, sum(map(mul, parts, spreads)) / weight)
        self._mean, self._top, self._fall = mean, weight / math.sqrt(variance), -0.5 / variance

    def heights(self, values: Iterable[float]) -> list[float]:
        """Its density at each value, times what it weighs."""
        mean, top, fall = self._mean, self._top, self._fall
        return [top * math.exp(fall * (value - mean) ** 2) for value in values]


def _parts(values: Sequence[float]) -> list[list[float]]:
    """The values in two groups, which differ from each other as much, and within as little, as can be."""
    ordered = sorted(values)
    sums, count = list(accumulate(ordered)), len(ordered)

    def apart(cut: int) -> float:
        low, high = sums[cut - 1] / cut, (sums[-1] - sums[cut - 1]) / (count - cut)
        return cut * (count - cut) * (high - low) ** 2

    cut = max(range(1, count), key=apart, default=0)
    border = ordered[cut] if cut else math.inf
    low = [1.0 if value < border else 0.0 for value in values]
    return [low, [1.0 - part for part in low]]


def _normalised(masses: Sequence[float]) -> list[float]:
    total = sum(masses)
    return [mass / total for mass in masses]
