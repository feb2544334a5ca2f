"""The shape that explains best what was seen, in cells of equal width. Pure.

What is known of each job is an interval of cells. A shape is either what the jobs themselves draw, spread over their
intervals as the others suggest (expectation and maximisation) and smoothed a little, or one or two bells. Which of
them, and how much is a little, the jobs tell: the one that best foretells those that were left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from statistics import fmean
from typing import Final

#: from this cell up to before that one
Interval = tuple[int, int]

CELLS: Final = 200
#: cells; the smoothings to choose from
_RADII: Final = (1, 2, 3, 5, 8, 12, 18)
_BELLS: Final = (1, 2)
_FOLDS: Final = 5
_ROUNDS: Final = 6
_ROUNDS_OF_BELLS: Final = 12
#: nothing is less likely: it could not be divided by
_NOTHING: Final = 1e-12

_Fit = Callable[[Sequence[Interval]], list[float]]


def best_shape(intervals: Sequence[Interval]) -> list[float]:
    """The mass of each cell; together they are 1."""
    fits: list[_Fit] = [partial(_drawn, radius=radius) for radius in _RADII]
    fits += [partial(_bells, count=count) for count in _BELLS]
    return max(fits, key=lambda fit: _foretold(fit, intervals))(intervals)


def _foretold(fit: _Fit, intervals: Sequence[Interval]) -> float:
    """How well a fit foretells each fifth from the other four, as the logarithm of its likelihood."""
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
    smooth = list(masses)
    for _ in range(3):
        until = [0.0, *accumulate(smooth)]
        smooth = [
            (until[min(CELLS, number + radius + 1)] - until[max(0, number - radius)]) / (2 * radius + 1)
            for number in range(CELLS)
        ]
    return smooth


def _bells(intervals: Sequence[Interval], count: int) -> list[float]:
    """One bell, or two."""
    middles = [(start + end) / 2 for start, end in intervals]
    # a value that is spread evenly over an interval adds this to the variance, which isn't the jobs'
    widths = [(end - start) ** 2 / 12 for start, end in intervals]
    parts = _parts(middles) if count > 1 else [[1.0] * len(middles)]
    bells = [_Bell(middles, widths, part) for part in parts]
    for _ in range(_ROUNDS_OF_BELLS if count > 1 else 0):
        heights = [[bell.height(middle) for middle in middles] for bell in bells]
        totals = [max(_NOTHING, sum(each)) for each in zip(*heights, strict=True)]
        bells = [
            _Bell(middles, widths, [height / total for height, total in zip(each, totals, strict=True)])
            for each in heights
        ]
    return _normalised([sum(bell.height(number + 0.5) for bell in bells) + _NOTHING for number in range(CELLS)])


class _Bell:
    """A normal distribution through a part of each value."""

    def __init__(self, values: Sequence[float], widths: Sequence[float], parts: Sequence[float]) -> None:
        self._weight = max(_NOTHING, sum(parts))
        self._mean = sum(part * value for part, value in zip(parts, values, strict=True)) / self._weight
        spreads = ((value - self._mean) ** 2 - width for value, width in zip(values, widths, strict=True))
        # never narrower than a cell
        self._variance = max(1.0, sum(part * each for part, each in zip(parts, spreads, strict=True)) / self._weight)

    def height(self, value: float) -> float:
        """Its density, times what it weighs."""
        exponent = (value - self._mean) ** 2 / (2 * self._variance)
        return self._weight * math.exp(-exponent) / math.sqrt(self._variance)


def _parts(values: Sequence[float]) -> list[list[float]]:
    """The values in two groups, which differ from each other as much, and within as little, as can be."""
    ordered = sorted(values)
    cuts = range(1, len(ordered))
    cut = max(cuts, key=lambda number: _apart(ordered, number), default=0)
    border = ordered[cut] if cut else math.inf
    low = [1.0 if value < border else 0.0 for value in values]
    return [low, [1.0 - part for part in low]]


def _apart(ordered: Sequence[float], cut: int) -> float:
    low, high = ordered[:cut], ordered[cut:]
    return len(low) * len(high) * (fmean(high) - fmean(low)) ** 2


def _normalised(masses: Sequence[float]) -> list[float]:
    total = sum(masses)
    return [mass / total for mass in masses]
