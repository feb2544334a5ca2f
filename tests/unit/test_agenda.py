from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bot.jobs.agenda import Agenda
from tests.clocks import NOON


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_an_empty_agenda_has_nothing_due_and_no_next_instant() -> None:
    agenda = Agenda()
    assert agenda.pop_due(at(0)) == []
    assert agenda.next_at() is None
    assert len(agenda) == 0


def test_jobs_come_out_when_their_instant_has_come_the_earliest_first() -> None:
    agenda = Agenda()
    agenda.put("b", at(2))
    agenda.put("a", at(1))
    agenda.put("c", at(3))
    assert agenda.next_at() == at(1)
    assert agenda.pop_due(at(0.999)) == []
    assert agenda.pop_due(at(2)) == ["a", "b"]
    assert agenda.next_at() == at(3)
    assert len(agenda) == 1


def test_a_job_comes_out_once() -> None:
    agenda = Agenda()
    agenda.put("a", at(1))
    agenda.put("a", at(1))
    assert agenda.pop_due(at(1)) == ["a"]
    assert agenda.pop_due(at(9)) == []


def test_a_later_instant_replaces_an_earlier_one() -> None:
    agenda = Agenda()
    agenda.put("a", at(1))
    agenda.put("a", at(5))
    assert agenda.pop_due(at(1)) == []
    assert agenda.next_at() == at(5)
    assert agenda.pop_due(at(5)) == ["a"]


def test_an_earlier_instant_replaces_a_later_one() -> None:
    agenda = Agenda()
    agenda.put("a", at(5))
    agenda.put("a", at(1))
    assert agenda.pop_due(at(1)) == ["a"]
    assert agenda.pop_due(at(9)) == []


def test_a_job_that_is_forgotten_does_not_come_out_until_it_is_put_again() -> None:
    agenda = Agenda()
    agenda.put("a", at(1))
    agenda.discard("a")
    agenda.discard("never there")
    assert agenda.next_at() is None
    assert agenda.pop_due(at(9)) == []
    agenda.put("a", at(1))
    assert agenda.pop_due(at(9)) == ["a"]


_jobs = st.sampled_from("abcdef")
_seconds = st.integers(0, 30)


class Agendas(RuleBasedStateMachine):
    """An agenda beside a plain dictionary that is searched from end to end."""

    def __init__(self) -> None:
        super().__init__()
        self.agenda = Agenda()
        self.plain: dict[str, datetime] = {}

    @rule(job=_jobs, seconds=_seconds)
    def put(self, job: str, seconds: int) -> None:
        self.agenda.put(job, at(seconds))
        self.plain[job] = at(seconds)

    @rule(job=_jobs)
    def discard(self, job: str) -> None:
        self.agenda.discard(job)
        self.plain.pop(job, None)

    @rule(seconds=_seconds)
    def pop_due(self, seconds: int) -> None:
        due = {job for job, when in self.plain.items() if when <= at(seconds)}
        popped = self.agenda.pop_due(at(seconds))
        assert len(popped) == len(set(popped))
        assert set(popped) == due
        assert [self.plain[job] for job in popped] == sorted(self.plain[job] for job in due)
        for job in due:
            del self.plain[job]

    @rule()
    def next_at(self) -> None:
        assert self.agenda.next_at() == min(self.plain.values(), default=None)

    @invariant()
    def as_many_stand_in_it(self) -> None:
        assert len(self.agenda) == len(self.plain)


Agendas.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestAgendas = Agendas.TestCase


def test_instants_that_were_replaced_are_not_kept_until_they_come() -> None:
    agenda = Agenda()
    for number in range(10_000):
        agenda.put("job", NOON + timedelta(days=1, seconds=number))
    assert len(agenda._heap) < 200  # pyright: ignore[reportPrivateUsage]
    assert agenda.next_at() == NOON + timedelta(days=1, seconds=9_999)
