"""Which job is looked at next, without a provider, a database or a clock."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.jobs.durations import Durations, kind_of
from bot.jobs.job import Job, Request, State, new_id
from bot.jobs.presenting import Sight
from bot.jobs.watches import LAST_LOOK, Watch, Watches
from providers.types import Mode
from tests.clocks import NOON

REQUEST = Request(prompt="a fox in the snow", mode=Mode.TEXT, resolution="480p", duration=5)
JOB = Job(
    id="job",
    interaction_id=1,
    guild_id=2,
    channel_id=3,
    user_id=4,
    account_id=5,
    state=State.RUNNING,
    version=2,
    model="vendor/model",
    request=REQUEST,
    quote=15,
    upload_limit=1,
    created_at=NOON,
    submitted_at=NOON,
    task_id="task",
    deadline=NOON + timedelta(minutes=20),
)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def watches(
    *, per_minute: int | None = 600, durations: Durations | None = None, chance: Callable[[], float] = lambda: 0.0
) -> Watches:
    return Watches(durations=durations or Durations(), limits=lambda _: per_minute, chance=chance)


def running(job_id: str, *, taken_at: datetime = NOON) -> Watch:
    return Watch(replace(JOB, id=job_id), taken_at=taken_at)


def planned(seen: Watches, *ids: str, now: datetime = NOON) -> list[Watch]:
    """Jobs that the vendor took just now."""
    found = [running(job_id, taken_at=now) for job_id in ids]
    for watch in found:
        seen.keep(watch)
    for watch in found:
        seen.plan_look(watch, now)
    return found


def due(seen: Watches, now: datetime) -> list[str]:
    return [watch.job.id for watch in seen.take_due(now, busy=())]


def known(seconds: float, *, count: int = 60) -> Durations:
    """Jobs take about so long."""
    durations = Durations()
    for number in range(count):
        end = seconds * (0.9 + 0.2 * number / count)
        durations.learn(kind_of(JOB.model, REQUEST), (end - 0.5, end + 0.5))
    return durations


def test_a_job_is_looked_at_when_it_is_planned_and_once() -> None:
    seen = watches()
    planned(seen, "a")
    assert seen.next_at(NOON) == at(5)
    assert due(seen, at(4)) == []
    assert due(seen, at(5)) == ["a"]
    assert due(seen, at(6)) == []


def test_a_job_of_a_known_kind_is_left_alone_until_it_may_be_done() -> None:
    seen = watches(durations=known(40))
    planned(seen, "a")
    first = seen.next_at(NOON)
    assert first is not None
    assert 30 < (first - NOON).total_seconds() < 42


def test_a_job_that_is_forgotten_is_due_no_more() -> None:
    seen = watches()
    planned(seen, "a", "b")
    seen.forget("a")
    seen.forget("nobody")
    assert due(seen, at(60)) == ["b"]
    assert seen.find("a") is None


def test_a_busy_job_is_asked_for_again_a_little_later() -> None:
    seen = watches()
    planned(seen, "a")
    assert seen.take_due(at(5), busy={"a"}) == []
    assert due(seen, at(10)) == ["a"]


def test_where_requests_are_few_looks_go_one_by_one_and_who_waits_longest_done_goes_first() -> None:
    seen = watches(per_minute=10, durations=known(40))
    for job_id, age in (("young", 41), ("oldest", 90), ("older", 60)):
        seen.attend(running(job_id, taken_at=at(-age)), NOON)
    assert due(seen, NOON) == ["oldest"]
    seen.leave("oldest")
    assert due(seen, at(1)) == []
    opens_at = seen.next_at(at(1))
    assert opens_at is not None
    assert (opens_at - NOON).total_seconds() == pytest.approx(6)
    assert due(seen, opens_at) == ["older"]
    assert due(seen, at(20)) == ["young"]


def test_a_limit_that_has_changed_is_kept_to_at_once() -> None:
    limits = [60]
    seen = Watches(durations=Durations(), limits=lambda _: limits[-1], chance=lambda: 0.0)
    for number in range(40):
        seen.attend(running(str(number)), NOON)
    looked_at = list[int]()
    for second in range(30):
        if second == 12:
            limits.append(10)
        for job_id in due(seen, at(second)):
            seen.leave(job_id)
            looked_at.append(second)
    assert looked_at == [*range(12), 12, 18, 24]


def test_a_submission_takes_the_place_of_a_look() -> None:
    seen = watches(per_minute=60)
    seen.attend(running("due"), NOON)
    planned(seen, "new", "newer")
    assert due(seen, NOON) == due(seen, at(1)) == []
    assert due(seen, at(2)) == ["due"]


def test_looks_that_have_no_answer_yet_keep_others_from_being_asked_for() -> None:
    """What has been asked for can't be overtaken by a job that is likelier to be done."""
    seen = watches(per_minute=10)
    for number in range(5):
        seen.attend(running(str(number)), NOON)
    asked = [*due(seen, NOON), *due(seen, at(60)), *due(seen, at(120))]
    assert len(asked) == 2
    seen.leave(asked[0])
    assert len(due(seen, at(121))) == 1


def test_without_a_limit_many_go_at_once() -> None:
    seen = watches(per_minute=None)
    for number in range(40):
        seen.attend(running(str(number)), NOON)
    assert len(due(seen, NOON)) == 16


def test_nobody_in_a_long_line_is_forgotten_for_those_that_are_worth_more() -> None:
    """A job that nobody expects to be done yet, among a crowd that is always due."""
    seen = watches(per_minute=60, durations=known(40))
    crowd = [f"crowd{number}" for number in range(300)]
    for job_id in crowd:
        seen.attend(running(job_id, taken_at=at(-100)), NOON)
    late = Watch(replace(JOB, id="late", model="vendor/other", deadline=None), taken_at=NOON)
    seen.attend(late, NOON)
    asked = list[str]()
    for second in range(4000):
        for watch in seen.take_due(at(second), busy=()):
            asked.append(watch.job.id)
            watch.looked_at = watch.age(at(second))
            seen.leave(watch.job.id)
            seen.attend(watch, at(second))
    assert "late" in asked
    assert set(crowd) <= set(asked)


def test_past_its_deadline_a_job_in_line_is_heard_of() -> None:
    seen = watches(per_minute=1)
    first, second = (running(job_id) for job_id in "ab")
    seen.attend(first, NOON)
    seen.attend(second, NOON)
    (went,) = due(seen, NOON)
    assert JOB.deadline is not None
    (late,) = (watch for watch in seen.take_due(JOB.deadline + LAST_LOOK, busy=()) if watch.job.id != went)
    assert late.is_too_late


def test_a_look_is_never_planned_behind_the_deadline() -> None:
    seen = watches(durations=known(4000))
    seen.plan_look(Watch(replace(JOB, deadline=at(60)), taken_at=NOON), NOON)
    assert seen.next_at(NOON) == at(60)


def test_when_the_clock_was_set_back_everybody_is_due() -> None:
    seen = watches()
    planned(seen, "a", "b")
    seen.all_due(at(-3600))
    assert due(seen, at(-3600)) == ["a", "b"]


# --- what a look teaches -----------------------------------------------------------------------------


def test_a_look_that_finds_a_job_done_teaches_between_which_looks_it_ended() -> None:
    durations = Durations()
    seen = watches(durations=durations)
    for _ in range(20):
        (watch,) = planned(seen, "a")
        watch.running_at = 39.0
        seen.learn(watch, at(41))
        seen.forget("a")
    assert durations.usual_seconds(JOB.model) == 40.0


def test_a_job_of_an_earlier_run_teaches_only_what_this_one_has_seen() -> None:
    durations = Durations()
    seen = watches(durations=durations)
    inherited = Watch(JOB)
    for _ in range(20):
        seen.learn(inherited, at(7200))
    assert durations.usual_seconds(JOB.model) is None
    inherited.running_at = 7190.0
    for _ in range(20):
        seen.learn(inherited, at(7200))
    assert durations.usual_seconds(JOB.model) == 7195.0


# --- what a card says about time ---------------------------------------------------------------------


def test_a_card_is_stale_when_what_it_expects_has_passed_and_never_again_once_it_says_slow() -> None:
    seen = watches()
    (watch,) = planned(seen, "a")
    watch.estimate = 100.0
    assert seen.note_sight(watch, NOON) == Sight(expected_at=at(100))
    assert seen.take_stale(at(99)) == []
    assert seen.take_stale(at(100)) == [watch]
    assert seen.note_sight(watch, at(100)) == Sight(expected_at=at(150))
    assert seen.take_stale(at(150)) == [watch]
    assert seen.note_sight(watch, at(150)) == Sight(is_slow=True)
    assert seen.take_stale(at(9999)) == []


def test_a_card_of_an_earlier_run_is_stale_when_what_it_may_expect_has_passed() -> None:
    seen = watches(durations=known(40))
    seen.take_up(Watch(JOB), at(5))
    assert seen.take_stale(at(30)) == []
    assert len(seen.take_stale(at(60))) == 1


def test_the_card_of_a_job_that_runs_no_more_is_never_stale() -> None:
    seen = watches()
    (watch,) = planned(seen, "a")
    watch.estimate = 100.0
    seen.note_sight(watch, NOON)
    watch.job = replace(watch.job, state=State.DELIVERING)
    assert seen.take_stale(at(100)) == []


# --- ten thousand ------------------------------------------------------------------------------------


def test_a_waiting_job_costs_less_than_four_kilobytes() -> None:
    """Its row, its watch, its turn and what its card says about time; six kilobytes are there for all of it."""
    many, durations = 2000, known(600)
    seen = watches(per_minute=6000, durations=durations)
    seen.plan_look(running("first"), NOON)
    text = REQUEST.model_dump_json()
    tracemalloc.start()
    try:
        before, _peak = tracemalloc.get_traced_memory()
        for number in range(many):
            job_id = new_id(at(number), number)
            # as it comes from the database: nothing of it is shared
            request = Request.model_validate_json(text.replace("snow", f"snow, number {number}, " + "and more " * 20))
            instants = {name: at(number + 0.5) for name in ("created_at", "submitted_at", "deadline")}
            job = replace(JOB, id=job_id, request=request, task_id=f"task{number:032}", **instants)
            watch = Watch(job, taken_at=at(number + 0.7), estimate=60.0 + number)
            seen.keep(watch)
            seen.note_sight(watch, NOON)
            for _ in range(5):
                seen.plan_look(watch, NOON)
        after, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / many < 4000


def test_looks_that_were_planned_anew_leave_nothing_behind() -> None:
    seen = watches(per_minute=None)
    (watch,) = planned(seen, "a")
    tracemalloc.start()
    try:
        before, _peak = tracemalloc.get_traced_memory()
        for second in range(1, 3000):
            if seen.take_due(at(second), busy=()):
                seen.leave("a")
                seen.plan_look(watch, at(second))
        after, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 40_000


@pytest.mark.parametrize("per_minute", [1, 10, 60, 600])
def test_looks_and_submissions_together_keep_to_the_limit_whatever_is_due(per_minute: int) -> None:
    """A quarter of the requests are submissions, which nothing keeps back here."""
    seen = watches(per_minute=per_minute)
    asked = list[float]()
    for number in range(50):
        seen.attend(running(str(number), taken_at=at(-1000)), NOON)
    for tenth in range(3000):
        now = tenth / 10
        if tenth % (2400 // per_minute) == 0:
            asked.append(now)
            seen.plan_look(running(f"new{tenth}", taken_at=at(now)), at(now))
        for watch in seen.take_due(at(now), busy=()):
            asked.append(now)
            seen.leave(watch.job.id)
            seen.attend(watch, at(now))
    most = max(sum(start <= each < start + 60 for each in asked) for start in asked)
    assert most <= 1.02 * per_minute + 1
    assert len(asked) >= 0.9 * per_minute * 5
