from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs.durations import ENOUGH, KEPT, Durations, Kind, Outlook, kind_of, note_of, observation_of, outlook_of
from bot.jobs.expecting import Expectation, expectation_of
from bot.jobs.job import Request
from bot.jobs.planning import expected_looks
from bot.jobs.presenting import Sight
from providers.types import Mode
from tests.clocks import NOON

REQUEST = Request(prompt="a fox", mode=Mode.TEXT, resolution="480p", duration=5)
KIND = kind_of("vendor/model", REQUEST)


def lessons(low: float, high: float, count: int) -> list[tuple[float, float]]:
    dice = Random(1)
    return [(end - 1, end + 1) for end in (dice.uniform(low, high) for _ in range(count))]


def taught(kind: Kind, observations: list[tuple[float, float]], durations: Durations | None = None) -> Durations:
    durations = durations or Durations()
    for observation in observations:
        durations.learn(kind, observation)
    return durations


def outlook(durations: Durations, kind: Kind = KIND) -> Outlook:
    found = durations.outlook(kind)
    assert found is not None
    return found


# --- learning ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{"mode": Mode.IMAGE}, {"resolution": "720p"}, {"duration": 10}], ids=["mode", "resolution", "seconds"]
)
def test_what_a_job_is_made_from_and_into_makes_its_kind(changes: dict[str, object]) -> None:
    assert kind_of("vendor/model", REQUEST.model_copy(update=changes)) != KIND
    assert kind_of("vendor/other", REQUEST) != KIND
    assert kind_of("vendor/model", REQUEST.model_copy(update={"prompt": "a bear", "seed": 3})) == KIND


def test_a_few_jobs_teach_nothing_and_one_more_does() -> None:
    durations = taught(KIND, lessons(40, 44, ENOUGH - 1))
    assert durations.outlook(KIND) is None
    durations.learn(KIND, (41.0, 43.0))
    assert 39 < outlook(durations).distribution.age_by(0.5) < 45


def test_a_kind_of_which_little_is_known_is_taken_for_its_model() -> None:
    durations = taught(KIND, lessons(40, 44, 20))
    other = kind_of("vendor/model", REQUEST.model_copy(update={"resolution": "720p"}))
    assert outlook(durations, other).distribution.age_by(0.5) == pytest.approx(42, abs=2)
    taught(other, lessons(90, 94, ENOUGH), durations)
    assert outlook(durations, other).distribution.age_by(0.5) == pytest.approx(92, abs=2)
    assert outlook(durations, KIND).distribution.age_by(0.5) == pytest.approx(42, abs=2)
    assert durations.outlook(kind_of("vendor/third", REQUEST)) is None


def test_a_kind_that_is_known_well_needs_fewer_looks() -> None:
    learning, settled = (outlook(taught(KIND, lessons(20, 60, count))) for count in (20, 50))
    assert (learning.is_settled, settled.is_settled) == (False, True)
    assert expected_looks(settled.distribution, settled.looks) < 4.6
    assert expected_looks(learning.distribution, learning.looks) > 8


def test_old_lessons_are_forgotten() -> None:
    durations = taught(KIND, lessons(40, 44, KEPT))
    taught(KIND, lessons(10, 12, KEPT), durations)
    assert outlook(durations).distribution.age_by(0.95) < 15


def test_news_are_taken_up_in_bunches() -> None:
    durations = taught(KIND, lessons(40, 44, 100))
    first = outlook(durations)
    durations.learn(KIND, (80.0, 81.0))
    assert outlook(durations) is first
    taught(KIND, [(80.0, 81.0)] * 30, durations)
    assert outlook(durations) is not first


def test_the_usual_time_of_a_model_is_that_of_all_its_kinds() -> None:
    durations = taught(KIND, lessons(40, 44, ENOUGH - 1))
    assert durations.usual_seconds("vendor/model") is None
    durations.learn(kind_of("vendor/model", REQUEST.model_copy(update={"duration": 10})), (41.0, 43.0))
    assert durations.usual_seconds("vendor/model") == pytest.approx(42, abs=2)
    assert durations.usual_seconds("vendor/other") is None


@given(running_at=st.floats(0.0, 5000.0), more=st.floats(0.2, 600.0))
def test_a_later_run_learns_what_this_one_has_seen(running_at: float, more: float) -> None:
    after, by = observation_of(running_at + more, note_of(running_at))
    assert (after, by) == (pytest.approx(running_at, abs=0.06), running_at + more)


@pytest.mark.parametrize(
    ("seconds", "note", "after"), [(50.0, "", 40.0), (4.0, "found", 0.0), (3.0, note_of(9.0), 3.0)]
)
def test_where_nothing_was_noted_the_look_before_was_a_usual_time_ago(seconds: float, note: str, after: float) -> None:
    assert observation_of(seconds, note) == (after, seconds)
    assert note_of(None) == ""


# --- expecting --------------------------------------------------------------------------------------


def sight(expectation: Expectation | None, age: float) -> Sight:
    assert expectation is not None
    return expectation.sight(started_at=NOON, age=age, progress=None)


def test_what_was_learned_is_a_range_then_its_end_then_slow() -> None:
    expectation = expectation_of(outlook_of(lessons(20, 60, 80)), estimate=500.0)
    assert expectation is not None
    first = sight(expectation, 0.0)
    assert first.expected_at is not None
    assert first.expected_by is not None
    assert (first.expected_at - NOON).total_seconds() == pytest.approx(28, abs=3)
    assert (first.expected_by - NOON).total_seconds() == pytest.approx(56, abs=3)
    second = sight(expectation, expectation.early)
    assert (second.expected_at, second.expected_by) == (first.expected_by, None)
    assert not sight(expectation, expectation.late).is_slow
    assert sight(expectation, expectation.slow) == Sight(is_slow=True)


def test_a_narrow_range_is_one_time() -> None:
    expectation = expectation_of(outlook_of(lessons(40, 42, 80)), None)
    first = sight(expectation, 0.0)
    assert first.expected_by is None
    assert first.expected_at is not None
    assert (first.expected_at - NOON).total_seconds() == pytest.approx(42, abs=2)


def test_a_vendors_guess_counts_until_something_was_learned_and_may_be_exceeded_a_little() -> None:
    expectation = expectation_of(None, 150.0)
    assert sight(expectation, 0.0) == Sight(expected_at=NOON + timedelta(seconds=150))
    assert sight(expectation, 151.0) == Sight(expected_at=NOON + timedelta(seconds=225))
    assert sight(expectation, 225.0) == Sight(is_slow=True)
    assert expectation_of(None, None) is None


@given(estimate=st.floats(0.0, 3600.0), age=st.floats(0.0, 10_000.0))
def test_no_time_on_a_card_is_past_and_the_next_change_is_to_come(estimate: float, age: float) -> None:
    expectation = expectation_of(None, estimate)
    assert expectation is not None
    shown, change = sight(expectation, age), expectation.change_after(age)
    assert shown.is_slow is (change is None)
    if change is not None:
        assert change > age
        assert shown.expected_at == NOON + timedelta(seconds=change)
        assert sight(expectation, change) != shown
