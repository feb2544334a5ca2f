from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs.durations import Outlook, outlook_of
from bot.jobs.schedule import Situation, next_look, worth_of_look


def seconds_to_next_look(situation: Situation, *, chance: float) -> float:
    return next_look(situation, chance=chance).wait


CHANCES = (0.0, 0.25, 0.5, 1.0)
#: a job of a vendor with a wide budget
YOUNG = Situation(age=60.0, looks=5, requests_per_minute=600)
OLD = replace(YOUNG, age=3600.0, looks=200)

_chances = st.floats(0.0, 1.0)
_situations = st.builds(
    Situation,
    age=st.floats(0.0, 100_000.0),
    looks=st.integers(0, 10_000),
    estimate=st.none() | st.floats(0.0, 3600.0),
    failures=st.integers(0, 10_000),
    retry_after=st.none() | st.floats(0.0, 600.0),
    requests_per_minute=st.none() | st.integers(1, 100_000),
    running=st.integers(1, 1000),
)


@pytest.mark.parametrize("chance", CHANCES)
@pytest.mark.parametrize("requests_per_minute", [None, 10, 60, 600])
def test_the_first_look_comes_within_five_seconds_when_nothing_was_learned(
    chance: float, requests_per_minute: int | None
) -> None:
    first = Situation(age=0.0, looks=0, requests_per_minute=requests_per_minute)
    assert 0 < seconds_to_next_look(first, chance=chance) <= 5


@pytest.mark.parametrize("chance", CHANCES)
@pytest.mark.parametrize("requests_per_minute", [None, 10, 60, 600])
@pytest.mark.parametrize("age", [5.0, 60.0, 599.0])
def test_looks_at_a_young_job_are_at_most_ten_seconds_apart(
    chance: float, requests_per_minute: int | None, age: float
) -> None:
    situation = replace(YOUNG, age=age, requests_per_minute=requests_per_minute)
    assert 0 < seconds_to_next_look(situation, chance=chance) <= 10


def test_around_the_vendors_estimate_looks_are_closer_until_something_was_learned() -> None:
    guessed = replace(YOUNG, estimate=150.0)
    waits = [seconds_to_next_look(replace(guessed, age=age), chance=0.0) for age in (30.0, 100.0, 150.0, 220.0, 300.0)]
    assert waits == [10, 5, 5, 5, 10]
    assert seconds_to_next_look(replace(guessed, age=0.0, looks=0), chance=0.0) == 5
    assert next_look(replace(KNOWN, estimate=500.0), chance=0.5) == next_look(KNOWN, chance=0.5)


@pytest.mark.parametrize("chance", CHANCES)
def test_looks_at_an_old_job_are_about_thirty_seconds_apart(chance: float) -> None:
    assert 25 <= seconds_to_next_look(OLD, chance=chance) <= 30


@pytest.mark.parametrize("chance", CHANCES)
def test_errors_in_a_row_make_looks_rarer_up_to_thirty_seconds(chance: float) -> None:
    waits = [seconds_to_next_look(replace(YOUNG, failures=failures), chance=chance) for failures in range(1, 12)]
    assert waits == sorted(waits)
    assert seconds_to_next_look(replace(YOUNG, failures=0), chance=chance) <= waits[0]
    assert 25 <= waits[-1] <= 30


def test_a_night_full_of_errors_is_still_thirty_seconds() -> None:
    assert seconds_to_next_look(replace(OLD, failures=5000), chance=0.0) == 30


def test_without_a_limit_of_the_vendor_looks_come_at_once() -> None:
    for situation in (Situation(age=0, looks=0), Situation(age=5, looks=9), Situation(age=5000, looks=900)):
        assert seconds_to_next_look(situation, chance=0.5) <= 1


@pytest.mark.parametrize("chance", CHANCES)
def test_what_the_vendor_asked_for_is_honoured_whatever_else_is_known(chance: float) -> None:
    for situation in (Situation(age=0, looks=0), YOUNG, OLD, replace(YOUNG, failures=3)):
        wait = seconds_to_next_look(replace(situation, retry_after=120.0), chance=chance)
        assert 120 <= wait <= 132


def test_being_asked_to_wait_shortly_makes_no_look_earlier() -> None:
    assert seconds_to_next_look(replace(OLD, retry_after=1.0), chance=0.0) == 30


@pytest.mark.parametrize("running", [1, 2, 5, 40])
@pytest.mark.parametrize("requests_per_minute", [6, 10, 60])
def test_the_looks_of_all_jobs_together_leave_room_for_submissions(running: int, requests_per_minute: int) -> None:
    situation = replace(YOUNG, requests_per_minute=requests_per_minute, running=running)
    soonest = seconds_to_next_look(situation, chance=1.0)
    looks_per_minute = running * 60 / soonest
    assert looks_per_minute <= 0.9 * requests_per_minute + 1e-9


def test_first_looks_at_many_jobs_wait_for_their_turn_too() -> None:
    crowd = Situation(age=0.0, looks=0, requests_per_minute=10, running=20)
    assert seconds_to_next_look(crowd, chance=1.0) > 100


def test_jobs_that_were_submitted_together_do_not_march_in_step() -> None:
    dice = random.Random(1)
    waits = {round(seconds_to_next_look(YOUNG, chance=dice.random()), 3) for _ in range(100)}
    assert len(waits) > 90


@given(situation=_situations, first=_chances, second=_chances)
def test_jitter_spreads_by_a_tenth_and_no_more(situation: Situation, first: float, second: float) -> None:
    one, other = (seconds_to_next_look(situation, chance=chance) for chance in (first, second))
    assert max(one, other) <= min(one, other) / 0.9 + 1e-9


@given(situation=_situations, chance=_chances)
def test_whatever_is_known_a_look_is_planned_that_keeps_every_promise(situation: Situation, chance: float) -> None:
    wait = seconds_to_next_look(situation, chance=chance)
    asked = situation.retry_after or 0.0
    assert wait > 0
    assert wait >= asked
    limit = situation.requests_per_minute
    turn = 0.0 if limit is None else situation.running * 60 / (limit * 0.8)
    assert wait <= max(30.0, turn, asked * 1.1) + 1e-9


@given(situation=_situations, more=st.integers(1, 100), chance=_chances)
def test_more_jobs_never_make_a_look_earlier(situation: Situation, more: int, chance: float) -> None:
    crowded = replace(situation, running=situation.running + more)
    assert seconds_to_next_look(situation, chance=chance) <= seconds_to_next_look(crowded, chance=chance)


# --- with something learned --------------------------------------------------------------------------

EVEN = outlook_of([(20 + 0.8 * number, 21 + 0.8 * number) for number in range(50)])
LEARNING = outlook_of([(20 + 4.0 * number, 24 + 4.0 * number) for number in range(10)])
KNOWN = Situation(age=0.0, looks=0, outlook=EVEN, requests_per_minute=60)


def followed(situation: Situation, dice: random.Random, *, until: float) -> list[float]:
    """The ages at which such a job is looked at."""
    ages: list[float] = []
    while situation.age < until:
        look = next_look(situation, chance=dice.random())
        situation = replace(situation, age=situation.age + look.wait, aim=look.aim, looks=situation.looks + 1)
        ages.append(situation.age)
    return ages


@pytest.mark.parametrize("outlook", [EVEN, LEARNING])
def test_a_plan_is_followed_look_by_look_and_none_is_made_twice(outlook: Outlook) -> None:
    for seed in range(20):
        ages = followed(replace(KNOWN, outlook=outlook), random.Random(seed), until=58)
        planned = [look for look in outlook.looks if look < 64]
        assert abs(len(ages) - sum(look < 58 for look in planned)) <= 2
        assert all(min(abs(age - look) for look in planned) <= 10 for age in ages)


@pytest.mark.parametrize("chance", CHANCES)
def test_a_planned_look_comes_about_when_it_is_planned(chance: float) -> None:
    look = next_look(KNOWN, chance=chance)
    assert look.aim == EVEN.looks[0]
    assert look.wait == pytest.approx(EVEN.looks[0], abs=0.5)


def test_a_look_that_came_early_is_not_made_again() -> None:
    early = replace(KNOWN, age=EVEN.looks[0] - 0.4, aim=EVEN.looks[0], looks=1)
    assert next_look(early, chance=0.5).aim == EVEN.looks[1]


def test_a_look_that_came_late_has_made_those_before_it_needless() -> None:
    late = replace(KNOWN, age=EVEN.looks[3] + 0.1, aim=EVEN.looks[1], looks=2)
    assert next_look(late, chance=0.5).aim == EVEN.looks[4]


def test_a_look_is_not_made_again_for_a_plan_that_was_made_anew_and_is_a_little_other() -> None:
    second, third = EVEN.looks[1:3]
    for moved in (0.1, 0.3, 1.0):
        made = replace(KNOWN, age=second - moved, aim=second - moved, looks=2)
        look = next_look(made, chance=0.5)
        assert look.aim == third
        assert look.wait == pytest.approx(third - second + moved)
    # but a look that was made long before is no look at all at this one
    assert next_look(replace(KNOWN, age=second - 3.0, aim=second - 3.0, looks=2), chance=0.5).aim == second


def test_past_its_plan_a_job_is_looked_at_as_if_nothing_was_known() -> None:
    past = replace(KNOWN, age=EVEN.looks[-1] + 1, aim=EVEN.looks[-1], looks=30)
    assert next_look(past, chance=0.0).wait == pytest.approx(10.0)
    old = replace(past, age=3000.0)
    assert next_look(old, chance=0.0).wait == 30.0


def test_failures_and_wishes_of_the_vendor_come_before_any_plan() -> None:
    assert next_look(replace(KNOWN, failures=1), chance=0.0).wait == 10.0
    assert next_look(replace(KNOWN, age=21.0, retry_after=120.0), chance=0.0).wait == 120.0


@given(age=st.floats(0.0, 5000.0), aim=st.floats(0.0, 5000.0), chance=_chances, asked=st.none() | st.floats(0.0, 600.0))
def test_a_plan_never_makes_a_look_at_once_and_always_one_within_a_minute(
    age: float, aim: float, chance: float, asked: float | None
) -> None:
    situation = replace(KNOWN, age=age, aim=min(aim, age + 5), looks=1, retry_after=asked)
    wait = next_look(situation, chance=chance).wait
    assert max(0.5, asked or 0.0) <= wait <= max(66.0, (asked or 0.0) * 1.1)


# --- what a look is worth ----------------------------------------------------------------------------


def test_who_is_likelier_to_have_finished_and_to_wait_is_looked_at_first() -> None:
    early, due, overdue = (worth_of_look(EVEN, running_at=0.0, age=age) for age in (15.0, 40.0, 70.0))
    assert early < due < overdue
    assert worth_of_look(EVEN, running_at=39.0, age=40.0) < due
    assert worth_of_look(None, running_at=0.0, age=40.0) < worth_of_look(None, running_at=0.0, age=80.0)
