from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bot.jobs.lines import Lines

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
