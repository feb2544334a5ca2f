"""Readings of several runs, put together as rows: a table for people and JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_COLUMNS: Final = ("row", "wanbot", "baseline", "ratio", "target", "")
#: from here on digits behind the point say nothing
_LARGE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a row has to reach: ``most`` or ``least``, of the value itself or (``over``) of its ratio to a baseline."""

    most: float | None = None
    least: float | None = None
    over: str | None = None

    def is_met(self, value: float) -> bool:
        """Whether a value, or a ratio, is good enough."""
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def __str__(self) -> str:
        bound = f"≤ {self.most:,g}" if self.most is not None else f"≥ {self.least:,g}"
        return bound if self.over is None else f"{bound} times {self.over}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one run found for one row. Every run of a row has the same baselines and the same target."""

    row: str
    unit: str
    value: float
    #: by name, measured in the same run
    baselines: Mapping[str, float] = field(default_factory=dict[str, float])
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """All runs of one row."""

    readings: Sequence[Reading]

    @property
    def name(self) -> str:
        """What was measured."""
        return self.readings[0].row

    @property
    def median(self) -> float:
        """Of all runs."""
        return statistics.median(reading.value for reading in self.readings)

    @property
    def baselines(self) -> Mapping[str, float]:
        """The median of each baseline."""
        names = self.readings[0].baselines
        return {name: statistics.median(each.baselines[name] for each in self.readings) for name in names}

    @property
    def ratios(self) -> Mapping[str, float]:
        """The median of the runs' own ratios: the noise of a run is in both of its halves."""
        return {
            name: statistics.median(each.value / each.baselines[name] for each in self.readings)
            for name, baseline in self.baselines.items()
            if baseline
        }

    @property
    def is_met(self) -> bool | None:
        """Whether the target is reached; None: there is none."""
        target = self.readings[0].target
        if target is None:
            return None
        return target.is_met(self.median if target.over is None else self.ratios[target.over])

    def as_json(self) -> dict[str, object]:
        """Everything, each run too."""
        first = self.readings[0]
        return {
            "row": first.row,
            "unit": first.unit,
            "median": self.median,
            "runs": [reading.value for reading in self.readings],
            "baselines": {name: [each.baselines[name] for each in self.readings] for name in first.baselines},
            "ratios": dict(self.ratios),
            "target": None if first.target is None else str(first.target),
            "is_met": self.is_met,
        }

    def cells(self) -> tuple[str, ...]:
        """One line of the table."""
        first = self.readings[0]
        verdict = {None: "", True: "met", False: "**missed**"}[self.is_met]
        return (
            first.row,
            f"{number(self.median)} {first.unit}{_spread(self.readings)}",
            "<br>".join(f"{name}: {number(value)} {first.unit}" for name, value in self.baselines.items()),
            "<br>".join(f"{ratio:.2f}" for ratio in self.ratios.values()),
            "" if first.target is None else str(first.target),
            verdict,
        )


def rows_of(readings: Iterable[Reading]) -> list[Row]:
    """Put the readings of all runs together, in the order in which the rows came first."""
    found: dict[str, list[Reading]] = {}
    for reading in readings:
        found.setdefault(reading.row, []).append(reading)
    return [Row(each) for each in found.values()]


def table(rows: Iterable[Row]) -> str:
    """Draw the rows as Markdown."""
    lines = [_COLUMNS, ("---",) * len(_COLUMNS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Three digits, or all of a large one."""
    return f"{value:,.0f}" if abs(value) >= _LARGE else f"{value:.3g}"


def percentile(values: Sequence[float], part: float) -> float:
    """The value that ``part`` (above 0.0, up to 1.0) of all values don't exceed."""
    ranked = sorted(values)
    return ranked[max(0, -int(-part * len(ranked) // 1) - 1)]


def _spread(readings: Sequence[Reading]) -> str:
    values = [reading.value for reading in readings]
    return "" if len(values) == 1 else f" ({number(min(values))} to {number(max(values))})"
