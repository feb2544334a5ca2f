"""How the readings of several runs become a table."""

from __future__ import annotations

import pytest

from bench.table import Reading, Target, number, percentile, rows_of, table


def _reading(value: float, bare: float, target: Target | None = None) -> Reading:
    return Reading(row="start", unit="ms", value=value, baselines={"bare": bare}, target=target)


def test_a_row_has_the_median_of_its_runs_and_of_their_own_ratios() -> None:
    (row,) = rows_of([_reading(10, 10), _reading(30, 10), _reading(100, 100)])
    assert row.median == 30
    assert row.baselines == {"bare": 10}
    # a slow moment of the machine is in both halves of its run
    assert row.ratios == {"bare": 1}


@pytest.mark.parametrize(
    ("target", "is_met"),
    [
        (None, None),
        (Target(most=30), True),
        (Target(most=29), False),
        (Target(least=30), True),
        (Target(least=31), False),
        (Target(most=3, over="bare"), True),
        (Target(most=2.9, over="bare"), False),
    ],
)
def test_a_target_is_of_the_value_or_of_the_ratio(target: Target | None, is_met: bool | None) -> None:  # noqa: FBT001
    (row,) = rows_of([_reading(30, 10, target)])
    assert row.is_met is is_met


def test_rows_stand_in_the_order_in_which_they_came() -> None:
    rows = rows_of([Reading(row=name, unit="s", value=1) for name in ("b", "a", "b")])
    assert [(row.name, len(row.readings)) for row in rows] == [("b", 2), ("a", 1)]


def test_a_missed_target_stands_out_in_the_table() -> None:
    lines = table(rows_of([_reading(30, 10, Target(most=2.5, over="bare"))])).splitlines()
    assert lines[2] == "| start | 30 ms | bare: 10 ms | 3.00 | ≤ 2.5 times bare | **missed** |"


@pytest.mark.parametrize(("part", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_what_so_many_values_dont_exceed(part: float, value: float) -> None:
    assert percentile(range(1, 101), part) == value


@pytest.mark.parametrize(("value", "text"), [(0.1234, "0.123"), (12.34, "12.3"), (1234.5, "1,234"), (0, "0")])
def test_a_number_is_as_long_as_it_says_something(value: float, text: str) -> None:
    assert number(value) == text
