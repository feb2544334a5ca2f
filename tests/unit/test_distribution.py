from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.jobs.distribution import Distribution, expected_wait_of_unknown, learned, share_of_unknown_since
from bot.jobs.planning import best_looks, expected_looks

#: half of the jobs finish evenly from 10 to 20 s, half from 20 to 40 s
BENT = Distribution.through((0.0, 10.0, 20.0, 40.0), (0.0, 0.0, 0.5, 1.0))

_intervals = st.tuples(st.floats(0.0, 2000.0), st.floats(0.05, 600.0)).map(lambda each: (each[0], each[0] + each[1]))
_observations = st.lists(_intervals, min_size=2, max_size=40)


def seen(low: float, high: float, *, count: int = 100, width: float = 2.0, seed: int = 1) -> list[tuple[float, float]]:
    """What looks, ``width`` seconds apart, see of jobs that are spread evenly."""
    dice = Random(seed)
    ends = [low + (high - low) * (number + 0.5) / count for number in range(count)]
    return [(end - part * width, end + (1 - part) * width) for end, part in ((end, dice.random()) for end in ends)]


@pytest.mark.parametrize(
    ("age", "share"), [(-1.0, 0.0), (0.0, 0.0), (10.0, 0.0), (15.0, 0.25), (20.0, 0.5), (30.0, 0.75), (99.0, 1.0)]
)
def test_between_its_points_a_distribution_is_straight(age: float, share: float) -> None:
    assert BENT.share_by(age) == pytest.approx(share)


@pytest.mark.parametrize(("share", "age"), [(0.0, 0.0), (0.25, 15.0), (0.5, 20.0), (0.75, 30.0), (1.0, 40.0)])
def test_an_age_is_found_by_the_share_that_has_finished(share: float, age: float) -> None:
    assert BENT.age_by(share) == pytest.approx(age)


def test_of_those_that_still_run_the_rest_counts_as_all() -> None:
    assert BENT.age_by(0.5, running_at=20.0) == pytest.approx(30.0)
    assert BENT.age_by(0.9, running_at=0.0) == pytest.approx(36.0)
    assert BENT.share_since(20.0, 30.0) == pytest.approx(0.5)
    assert BENT.share_since(0.0, 36.0) == pytest.approx(0.9)


def test_the_expected_wait_is_the_time_since_the_end_times_its_likelihood() -> None:
    # half have finished, 5 s ago on average
    assert BENT.expected_wait(0.0, 20.0) == pytest.approx(2.5)
    # of those that ran at 20 s half have finished by 30 s, 5 s ago on average
    assert BENT.expected_wait(20.0, 30.0) == pytest.approx(2.5)
    assert BENT.expected_wait(0.0, 10.0) == 0
    # everybody has finished: each second of waiting counts
    assert BENT.expected_wait(0.0, 60.0) - BENT.expected_wait(0.0, 50.0) == pytest.approx(10.0)


def test_past_everything_that_was_learned_a_job_is_a_stranger() -> None:
    assert BENT.expected_wait(50.0, 80.0) == expected_wait_of_unknown(50.0, 80.0) > 0
    assert BENT.share_since(50.0, 80.0) == share_of_unknown_since(50.0, 80.0) > 0


@given(running_at=st.floats(0.0, 5000.0), passed=st.floats(0.0, 5000.0), more=st.floats(0.0, 1000.0))
def test_of_unknown_jobs_the_wait_grows_with_the_time_but_never_faster(
    running_at: float, passed: float, more: float
) -> None:
    first = expected_wait_of_unknown(running_at, running_at + passed)
    second = expected_wait_of_unknown(running_at, running_at + passed + more)
    assert -1e-6 <= first <= second + 1e-6
    assert second <= first + more + 1e-6


def test_even_jobs_are_learned_as_even() -> None:
    found = learned(seen(20, 60))
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert found.age_by(share) == pytest.approx(20 + 40 * share, abs=2.0)


def test_two_humps_are_learned_as_two() -> None:
    found = learned([*seen(24, 28, width=1), *seen(76, 84, width=1)])
    assert found.share_by(60) - found.share_by(35) < 0.02
    assert found.share_by(50) == pytest.approx(0.5, abs=0.03)


def test_a_first_look_that_comes_long_after_nothing_makes_nobody_early() -> None:
    """A third is done at the first look, at 40 s; the others tell that looks are three seconds apart."""
    found = learned([*[(0.0, 40.0)] * 15, *seen(40, 50, count=30, width=3)])
    assert found.share_by(30) < 0.1
    assert found.share_by(41) == pytest.approx(0.35, abs=0.1)


def test_what_nobody_has_seen_stays_possible() -> None:
    found = learned(seen(38, 42, count=50))
    assert 0 < found.share_by(20) < 0.02
    assert 0 < 1 - found.share_by(80) < 0.02


@settings(deadline=None, max_examples=60)
@given(observations=_observations)
def test_whatever_was_seen_a_distribution_grows_from_nobody_to_everybody(
    observations: list[tuple[float, float]],
) -> None:
    found = learned(observations)
    assert all(one < other for one, other in pairwise(found.ages))
    assert all(one <= other for one, other in pairwise(found.shares))
    assert (found.shares[0], found.shares[-1]) == (0.0, pytest.approx(1.0))
    for share in (0.1, 0.5, 0.9):
        assert found.share_by(found.age_by(share)) == pytest.approx(share, abs=1e-6)


# --- the best looks ---------------------------------------------------------------------------------


def lag(distribution: Distribution, looks: tuple[float, ...]) -> float:
    """The mean time from the end to the look that sees it, up to the last look."""
    return sum(
        distribution.expected_wait(before, look) * (1 - distribution.share_by(before))
        for before, look in pairwise((0.0, *looks))
    )


@pytest.mark.parametrize("most", [4.4, 9.0, 15.0])
def test_the_best_looks_keep_to_their_number(most: float) -> None:
    distribution = learned(seen(20, 60))
    looks = best_looks(distribution, most=most)
    assert list(looks) == sorted(set(looks))
    assert expected_looks(distribution, looks) <= most + 0.1


def test_the_best_looks_are_better_than_as_many_at_equal_distances() -> None:
    distribution = Distribution.through((0.0, 20.0, 60.0), (0.0, 0.0, 1.0))
    looks = best_looks(distribution, most=4.4)
    number = 2 * expected_looks(distribution, looks) - 1
    # of as many looks at equal distances the mean wait is half of the distance
    assert lag(distribution, looks) < 0.95 * 40 / number / 2


def test_more_looks_mean_less_waiting() -> None:
    distribution = learned(seen(20, 60))
    lags = [lag(distribution, best_looks(distribution, most=most)) for most in (4.0, 4.4, 7.0, 12.0)]
    assert lags == sorted(lags, reverse=True)


def test_before_anybody_has_finished_nobody_is_looked_at() -> None:
    looks = best_looks(learned(seen(200, 260)), most=4.4)
    assert 195 < looks[0] < 230


def test_with_jobs_that_take_minutes_a_look_is_worth_a_second_of_waiting_and_no_more() -> None:
    looks = best_looks(learned(seen(200, 400, width=10)), most=1.0)
    gaps = [other - one for one, other in pairwise(each for each in looks if each < 400)]
    assert 10 < max(gaps) < 30


@settings(deadline=None, max_examples=60)
@given(observations=_observations, most=st.floats(1.2, 20.0))
def test_whatever_was_seen_looks_go_on_and_are_never_far_apart(
    observations: list[tuple[float, float]], most: float
) -> None:
    looks = best_looks(learned(observations), most=most)
    assert looks
    assert looks[0] > 0
    assert all(0 < other - one <= 60 + 1e-6 for one, other in pairwise(looks))
