from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.credits.allowance import AllowanceRule, Period, PeriodLength, Refill, period_at, refill

DAY, WEEK, MONTH = PeriodLength.DAY, PeriodLength.WEEK, PeriodLength.MONTH
INSTANT = timedelta(microseconds=1)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def rule(amount: int, *, cap: int | None = None) -> AllowanceRule:
    return AllowanceRule(amount=amount, length=WEEK, cap=cap)


# --- periods ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "now", "start", "end"),
    [
        (DAY, utc(2026, 11, 20, 7, 3), utc(2026, 11, 20), utc(2026, 11, 21)),
        (DAY, utc(2026, 12, 31, 23, 59), utc(2026, 12, 31), utc(2027, 1, 1)),
        (DAY, utc(2028, 2, 29), utc(2028, 2, 29), utc(2028, 3, 1)),
        # 2026-11-16 is a Monday
        (WEEK, utc(2026, 11, 16), utc(2026, 11, 16), utc(2026, 11, 23)),
        (WEEK, utc(2026, 11, 22, 23, 59), utc(2026, 11, 16), utc(2026, 11, 23)),
        (WEEK, utc(2027, 1, 1), utc(2026, 12, 28), utc(2027, 1, 4)),
        (MONTH, utc(2026, 11, 1), utc(2026, 11, 1), utc(2026, 12, 1)),
        (MONTH, utc(2026, 12, 31, 23, 59), utc(2026, 12, 1), utc(2027, 1, 1)),
        (MONTH, utc(2028, 2, 29), utc(2028, 2, 1), utc(2028, 3, 1)),
    ],
)
def test_days_begin_at_midnight_weeks_on_monday_and_months_on_the_first(
    length: PeriodLength, now: datetime, start: datetime, end: datetime
) -> None:
    assert period_at(now, length) == Period(length, start, end)


@pytest.mark.parametrize("length", PeriodLength)
def test_the_end_of_a_period_belongs_to_the_next(length: PeriodLength) -> None:
    period = period_at(utc(2026, 11, 20), length)
    assert period_at(period.end - INSTANT, length) == period
    assert period_at(period.end, length).start == period.end
    assert period_at(period.start - INSTANT, length).end == period.start


def test_periods_are_those_of_utc_wherever_the_clock_stands() -> None:
    in_tokyo = datetime(2026, 12, 1, 8, 0, tzinfo=timezone(timedelta(hours=9)))
    assert period_at(in_tokyo, DAY).start == utc(2026, 11, 30)
    assert period_at(in_tokyo, MONTH).start == utc(2026, 11, 1)
    assert period_at(in_tokyo, DAY).start.tzinfo is UTC


def test_a_key_tells_the_length_and_the_first_day() -> None:
    assert period_at(utc(2026, 11, 20), WEEK).key == "week 2026-11-16"


def test_changing_the_length_starts_a_new_period() -> None:
    # a Monday that is the first of a month begins all three
    now = utc(2027, 2, 1)
    assert len({period_at(now, length).key for length in PeriodLength}) == 3


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.timezones()),  # noqa: DTZ001 - bounds
    st.sampled_from(PeriodLength),
)
def test_every_instant_lies_in_one_period_and_periods_leave_no_gap(now: datetime, length: PeriodLength) -> None:
    period = period_at(now, length)
    assert period.start <= now < period.end
    assert period_at(period.start, length) == period
    assert period_at(period.end - INSTANT, length) == period
    following, before = period_at(period.end, length), period_at(period.start - INSTANT, length)
    assert following.start == period.end
    assert before.end == period.start
    assert len({before.key, period.key, following.key}) == 3
    assert len(period.key) <= 20, "the database's column"


# --- refills ----------------------------------------------------------------------------------------


def test_the_first_look_in_a_period_grants_the_whole_amount() -> None:
    assert refill(rule(100), granted=0, available_allowance=0) == Refill(grant=100, expire=0)


def test_a_second_look_grants_nothing() -> None:
    again = refill(rule(100), granted=100, available_allowance=0)
    assert again == Refill(grant=0, expire=0)
    assert not again.is_due


def test_what_was_left_expires_down_to_one_amount() -> None:
    assert refill(rule(100), granted=0, available_allowance=30) == Refill(grant=100, expire=30)


def test_with_a_cap_so_much_may_pile_up() -> None:
    assert refill(rule(100, cap=250), granted=0, available_allowance=120) == Refill(grant=100, expire=0)
    assert refill(rule(100, cap=250), granted=0, available_allowance=200) == Refill(grant=100, expire=50)


def test_a_cap_below_the_amount_lets_only_so_much_stand() -> None:
    assert refill(rule(100, cap=40), granted=0, available_allowance=0) == Refill(grant=100, expire=60)


def test_a_cap_of_nothing_leaves_nothing() -> None:
    assert refill(rule(100, cap=0), granted=0, available_allowance=0) == Refill(grant=100, expire=100)


def test_a_better_role_in_the_same_period_gives_only_the_difference() -> None:
    assert refill(rule(150), granted=100, available_allowance=100) == Refill(grant=50, expire=0)


def test_a_worse_role_in_the_same_period_takes_nothing_back() -> None:
    assert refill(rule(50), granted=100, available_allowance=100) == Refill(grant=0, expire=0)


def test_losing_a_role_and_gaining_it_again_gives_nothing_twice() -> None:
    best = refill(rule(150), granted=0, available_allowance=0).grant
    worse = refill(rule(100), granted=best, available_allowance=0).grant
    assert (best, worse, refill(rule(150), granted=best + worse, available_allowance=0).grant) == (150, 0, 0)


def test_without_an_allowance_nothing_is_due() -> None:
    assert not refill(rule(0), granted=0, available_allowance=0).is_due


@given(
    amounts=st.lists(st.integers(0, 300), min_size=1, max_size=8),
    cap=st.none() | st.integers(0, 500),
    left=st.integers(0, 500),
    spending=st.lists(st.integers(0, 300), min_size=8, max_size=8),
)
def test_over_a_period_the_grants_are_the_best_amount_seen_and_a_refill_ends_within_the_cap(
    amounts: list[int], cap: int | None, left: int, spending: list[int]
) -> None:
    granted, allowance = 0, left
    for amount, spent in zip(amounts, spending, strict=False):
        due = refill(rule(amount, cap=cap), granted=granted, available_allowance=allowance)
        assert due.grant >= 0
        assert 0 <= due.expire <= allowance + due.grant
        granted += due.grant
        allowance += due.grant - due.expire
        if due.is_due:
            assert allowance <= rule(amount, cap=cap).limit
            assert due.expire == 0 or allowance == rule(amount, cap=cap).limit, "no more expires than must"
        assert not refill(rule(amount, cap=cap), granted=granted, available_allowance=allowance).is_due
        allowance -= min(allowance, spent)
    assert granted == max(amounts)
