from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs.schedule import Situation, seconds_to_next_look

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
