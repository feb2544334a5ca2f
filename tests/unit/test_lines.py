from __future__ import annotations

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bot.jobs.lines import Lines, Pace
from tests.clocks import NOON

AT_ONCE = 3


def test_the_first_go_and_the_others_wait_until_one_leaves() -> None:
    lines = Lines(at_once=2)
    for job in "abcd":
        lines.join(job, "vendor")
    assert lines.let_go() == ["a", "b"]
    assert lines.let_go() == []
    assert [job for job in "abcd" if lines.is_waiting(job)] == ["c", "d"]
    lines.leave("b")
    assert lines.let_go() == ["c"]


def test_lines_do_not_wait_for_each_other() -> None:
    lines = Lines(at_once=1)
    for job, line in (("a", "one"), ("b", "one"), ("c", "other")):
        lines.join(job, line)
    assert lines.let_go() == ["a", "c"]


def test_who_waits_or_goes_already_keeps_its_place() -> None:
    lines = Lines(at_once=1)
    for job in "abab":
        lines.join(job, "vendor")
    assert lines.let_go() == ["a"]
    lines.leave("a")
    lines.join("a", "vendor")
    assert lines.let_go() == ["b"]


def test_who_waits_may_leave_and_nothing_happens_to_who_does_not() -> None:
    lines = Lines(at_once=1)
    for job in "abc":
        lines.join(job, "vendor")
    lines.leave("b")
    lines.leave("b")
    lines.leave("nobody")
    assert lines.let_go() == ["a"]
    lines.leave("a")
    assert lines.let_go() == ["c"]


class LinesMachine(RuleBasedStateMachine):
    """Against a list in which everybody stands."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = Lines(at_once=AT_ONCE)
        self.waiting: list[tuple[str, str]] = []
        self.going: list[tuple[str, str]] = []

    @rule(job=st.sampled_from("abcdefghij"), line=st.sampled_from(("one", "other")))
    def join(self, job: str, line: str) -> None:
        self.lines.join(job, line)
        if job not in dict([*self.waiting, *self.going]):
            self.waiting.append((job, line))

    @rule(job=st.sampled_from("abcdefghij"))
    def leave(self, job: str) -> None:
        self.lines.leave(job)
        self.waiting = [each for each in self.waiting if each[0] != job]
        self.going = [each for each in self.going if each[0] != job]

    @rule()
    def let_go(self) -> None:
        expected: list[tuple[str, str]] = []
        for each in self.waiting:
            if sum(line == each[1] for _, line in [*self.going, *expected]) < AT_ONCE:
                expected.append(each)
        gone = self.lines.let_go()
        assert sorted(gone) == sorted(job for job, _ in expected)
        self.waiting = [each for each in self.waiting if each not in expected]
        self.going += expected

    @invariant()
    def knows_who_waits(self) -> None:
        assert [job for job in "abcdefghij" if self.lines.is_waiting(job)] == sorted(job for job, _ in self.waiting)


LinesMachine.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
test_any_order_of_coming_and_going_lets_the_first_of_each_line_go = LinesMachine.TestCase


# --- pace -------------------------------------------------------------------------------------------


def let_through(pace: Pace, *, seconds: int) -> list[float]:
    """When somebody goes, if somebody always waits."""
    gone = list[float]()
    for tenth in range(seconds * 10):
        now = NOON + timedelta(seconds=tenth / 10)
        while pace.room(now):
            pace.take()
            gone.append(tenth / 10)
    return gone


def test_a_pace_lets_a_few_go_at_once_and_then_one_after_the_other() -> None:
    gone = let_through(Pace(per_second=0.5, at_once=3), seconds=20)
    assert gone[:3] == [0.0, 0.0, 0.0]
    assert gone[3:6] == [2.0, 4.0, 6.0]


def test_a_pace_tells_when_the_next_may_go() -> None:
    pace = Pace(per_second=0.5, at_once=1)
    assert pace.next_at(NOON) == NOON
    pace.take()
    assert pace.next_at(NOON) == NOON + timedelta(seconds=2)
    assert pace.room(pace.next_at(NOON)) == 1


def test_a_clock_that_is_set_back_stops_no_pace() -> None:
    pace = Pace(per_second=1, at_once=1)
    assert pace.room(NOON) == 1
    pace.take()
    assert pace.room(NOON - timedelta(hours=1)) == 0
    assert pace.room(NOON - timedelta(hours=1) + timedelta(seconds=1)) == 1


def test_a_line_lets_go_as_many_as_there_is_room_for_and_those_that_are_chosen() -> None:
    lines = Lines(at_once=5)
    for job in "abcd":
        lines.join(job, "vendor")
    backwards = lines.let_go(room=lambda _: 2, choice=lambda _, waiting, count: sorted(waiting)[::-1][:count])
    assert backwards == ["d", "c"]
    assert (lines.going("vendor"), list(lines.busy())) == (2, ["vendor"])
    assert lines.let_go(room=lambda _: 0) == []
    assert lines.let_go() == ["a", "b"]
