"""What the looks learn, in simulated time: as good as the best schedule, and better than a round-robin where few fit.

Every number here is reproduced by its seed. The figures of more seeds stand in docs/decisions/0022-learned-looks.md.
"""

from __future__ import annotations

from random import Random
from statistics import fmean

import pytest

from bench.simulation import (
    SHAPES,
    Figures,
    crowd,
    drawn,
    evenly,
    known,
    least_lag,
    least_shared_lag,
    rush,
    taught,
    watched,
)
from bot.jobs.durations import Durations

SEEDS = range(3)
#: finished jobs that have taught
LESSONS = 50
#: a hundred jobs that take 20 to 60 s, spread evenly
EVEN = [20 + 40 * (number + 0.5) / 100 for number in range(100)]


def mean_of(figures: list[Figures]) -> Figures:
    return Figures(*(fmean(getattr(each, name) for each in figures) for name in ("looks", "lag", "late")))


@pytest.mark.parametrize("shape", SHAPES)
def test_after_fifty_jobs_a_video_waits_hardly_longer_than_under_the_best_schedule(shape: str) -> None:
    """The best for who knows the distribution, with as many looks."""
    seconds, figures = known(SHAPES[shape], Random(99), points=400), list[Figures]()
    for seed in SEEDS:
        dice = Random(seed)
        durations = taught(SHAPES[shape], dice, LESSONS)
        figures.append(Figures.of([watched(each, durations, dice) for each in seconds]))
    found = mean_of(figures)
    assert found.lag <= 1.15 * least_lag(seconds, found.looks)
    assert found.looks <= 5


def test_what_is_looked_at_rarely_stays_as_well_known_as_it_was() -> None:
    """Its own looks, few and far between, are all that the later jobs teach."""
    dice, shape = Random(1), SHAPES["two humps"]
    seconds, durations = known(shape, Random(99), points=400), taught(shape, dice, LESSONS)
    drawn(shape, durations, dice, 250)
    found = Figures.of([watched(each, durations, dice) for each in seconds])
    assert found.lag <= 1.2 * least_lag(seconds, found.looks)


def test_a_hundred_even_jobs_are_seen_finished_soon_with_few_looks() -> None:
    """Of 2.8 s and 5.5 s from the end to the post, this leaves a third of a second to fetch and to post."""
    figures = list[Figures]()
    for seed in SEEDS:
        dice = Random(seed)
        durations = taught(evenly(20, 60, dice, block=LESSONS), dice, LESSONS)
        figures.append(Figures.of([watched(each, durations, dice) for each in EVEN]))
    assert max(each.looks for each in figures) <= 4.4
    found = mean_of(figures)
    assert found.lag <= 2.6
    assert found.late <= 5.2


def test_jobs_that_run_together_need_no_more_looks_than_one_after_the_other() -> None:
    """Of these the short ones end first, and what they teach mustn't move the looks at the long ones."""
    figures = list[Figures]()
    for seed in SEEDS:
        dice, durations = Random(seed), Durations()
        crowd(dice.sample(EVEN[::2], k=LESSONS), durations, dice)
        figures.append(Figures.of(crowd(dice.sample(EVEN, k=len(EVEN)), durations, dice)))
    found = mean_of(figures)
    assert found.looks <= 4.4
    assert found.lag <= 2.6
    assert found.late <= 5.3


def test_without_a_limit_a_video_waits_a_quarter_of_a_second() -> None:
    dice = Random(1)
    durations = taught(SHAPES["even"], dice, LESSONS, requests_per_minute=None)
    found = Figures.of([watched(each, durations, dice, requests_per_minute=None) for each in EVEN])
    assert found.lag <= 0.3
    assert found.late <= 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_with_nothing_learned_looks_are_as_close_as_a_stranger_would_make_them(shape: str) -> None:
    dice, seconds = Random(1), known(SHAPES[shape], Random(99), points=200)
    found = Figures.of([watched(each, Durations(), dice) for each in seconds])
    assert found.lag <= 4
    assert found.looks <= 10


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_a_vendor_that_becomes_quicker_or_slower_is_known_again_soon(factor: float) -> None:
    dice = Random(1)
    durations = taught(SHAPES["narrow"], dice, 200)

    def changed(dice: Random) -> float:
        return factor * SHAPES["narrow"](dice)

    drawn(changed, durations, dice, 120)
    found = Figures.of(drawn(changed, durations, dice, 60))
    assert found.lag <= 3 * max(1, factor)
    assert found.looks <= 7


@pytest.mark.parametrize(
    "minutes", [(3.5, 7), (4, 8), (5, 15)], ids=["3.5 to 7 minutes", "4 to 8 minutes", "5 to 15 minutes"]
)
def test_thirty_jobs_share_ten_requests_a_minute_better_than_by_turns(minutes: tuple[float, float]) -> None:
    def draw(dice: Random) -> float:
        return dice.uniform(60 * minutes[0], 60 * minutes[1])

    durations = taught(draw, Random(4), LESSONS)
    by_turns, found = (
        rush(draw, Random(3), durations=each, in_flight=30, per_minute=10, seconds=2 * 3600)
        for each in (None, durations)
    )
    assert found.lag <= 0.6 * by_turns.lag
    assert found.lag <= 1.2 * least_shared_lag(known(draw, Random(99), points=300), in_flight=30, per_minute=10)
    assert found.busiest <= 10
    # a slot comes free every six seconds: two submissions at once wait for two
    assert found.submission <= 13
    # four turns of all, at the pace of looks: nobody is forgotten
    assert found.unseen <= 4 * 30 / 8.5 * 60 + 60


def test_where_every_request_is_needed_nobody_could_do_better_than_by_turns() -> None:
    """Each job needs two, so that only five end in a minute, whoever is looked at first."""

    def draw(dice: Random) -> float:
        return dice.uniform(20, 60)

    durations = taught(draw, Random(4), LESSONS)
    by_turns, found = (
        rush(draw, Random(3), durations=each, in_flight=30, per_minute=10, seconds=3600) for each in (None, durations)
    )
    least = least_shared_lag(known(draw, Random(99), points=300), in_flight=30, per_minute=10)
    assert least == pytest.approx(30 * 2 / 10 * 60 - 40, rel=0.01)
    assert found.lag == pytest.approx(least, rel=0.03)
    assert by_turns.lag == pytest.approx(least, rel=0.03)


def test_thirty_jobs_of_which_nothing_is_known_are_all_looked_at() -> None:
    def draw(dice: Random) -> float:
        return dice.uniform(240, 480)

    found = rush(draw, Random(3), durations=Durations(), in_flight=30, per_minute=10, seconds=3600)
    assert found.busiest <= 10
    assert found.submission <= 13
    assert found.unseen <= 4 * 30 / 8.5 * 60 + 60
    assert found.finished >= 100
