from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bot.delivery.cards import Card
from bot.delivery.edits import Edit, Edits
from bot.jobs.job import Job, Request, State
from providers.types import Mode
from tests.clocks import NOON, Clock

RETRY = timedelta(seconds=10)

JOB = Job(
    id="a",
    interaction_id=1,
    guild_id=2,
    channel_id=3,
    user_id=4,
    account_id=5,
    state=State.RUNNING,
    version=2,
    model="demo",
    request=Request(prompt="a fox", mode=Mode.TEXT, resolution="480p", duration=5),
    quote=1,
    upload_limit=1,
    created_at=NOON,
    card_message_id=6,
)
OTHER = replace(JOB, id="b")
ELSEWHERE = replace(JOB, id="c", channel_id=33)


def saying(text: str) -> Card:
    return Card(title=text, description="", fields=(), footer="", colour=0, is_open=True, can_cancel=False)


def ended(job: Job) -> Job:
    return replace(job, state=State.SUCCEEDED, version=job.version + 2)


def texts(edits: list[Edit]) -> list[str]:
    return [edit.card.title for edit in edits]


def opened(clock: Clock) -> Edits:
    return Edits(clock=clock)


def sent(edits: Edits) -> list[str]:
    """Send everything that is due now."""
    due = edits.take_due()
    for edit in due:
        edits.sent(edit)
    return texts(due)


def test_nothing_is_due_at_first(clock: Clock) -> None:
    edits = opened(clock)
    assert edits.take_due() == []
    assert edits.seconds_to_next() is None


def test_what_is_asked_for_is_due_once(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(JOB, saying("1"))
    assert edits.seconds_to_next() == 0
    assert sent(edits) == ["1"]
    assert sent(edits) == []
    assert edits.seconds_to_next() is None


def test_the_latest_state_wins(clock: Clock) -> None:
    edits = opened(clock)
    for text in ("1", "2", "3"):
        edits.want(JOB, saying(text))
    assert sent(edits) == ["3"]


def test_a_card_that_shows_it_already_needs_no_edit(clock: Clock) -> None:
    edits = opened(clock)
    edits.shown(JOB, saying("1"))
    edits.want(JOB, saying("1"))
    assert edits.take_due() == []
    edits.want(JOB, saying("2"))
    edits.want(JOB, saying("1"))
    assert edits.take_due() == [], "back to what it shows"


@pytest.mark.parametrize("state", [State.SUBMITTING, State.DELIVERING])
def test_what_passes_in_a_moment_is_not_shown(clock: Clock, state: State) -> None:
    edits, passing = opened(clock), replace(JOB, state=state)
    edits.want(passing, saying("1"))
    assert sent(edits) == []
    edits.want(ended(passing), saying("2"))
    assert sent(edits) == ["2"]
    assert edits.seconds_to_next() is None


@pytest.mark.parametrize("state", [State.SUBMITTING, State.DELIVERING])
def test_what_takes_longer_than_a_moment_is_shown(clock: Clock, state: State) -> None:
    edits = opened(clock)
    edits.want(replace(JOB, state=state), saying("1"))
    clock.advance(edits.seconds_to_next() or 0)
    assert sent(edits) == ["1"]


def test_one_edit_of_a_channel_is_under_way_at_a_time(clock: Clock) -> None:
    edits = opened(clock)
    for job in (JOB, OTHER, ELSEWHERE):
        edits.want(job, saying(job.id))
    first = edits.take_due()
    assert texts(first) == ["a", "c"]
    assert edits.take_due() == []
    assert edits.seconds_to_next() is None, "an answer has to come first"
    edits.sent(first[0])
    assert texts(edits.take_due()) == ["b"]


def test_ends_go_first(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(JOB, saying("on its way"))
    edits.want(ended(OTHER), saying("done"))
    assert sent(edits) == ["done"]
    assert sent(edits) == ["on its way"]


def test_an_end_never_waits_however_soon_after_the_last_edit(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(JOB, saying("1"))
    assert sent(edits) == ["1"]
    edits.want(JOB, saying("2"))
    assert sent(edits) == [], "progress waits"
    assert (edits.seconds_to_next() or 0) > 0
    edits.want(ended(JOB), saying("done"))
    assert edits.seconds_to_next() == 0
    assert sent(edits) == ["done"]


def test_an_end_that_could_not_be_sent_is_tried_again_until_it_is(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(ended(JOB), saying("done"))
    for _ in range(5):
        (edit,) = edits.take_due()
        edits.failed(edit, retry_in=RETRY)
        assert edits.take_due() == []
        assert edits.seconds_to_next() == 10
        clock.advance(10)
    assert sent(edits) == ["done"]
    assert edits.seconds_to_next() is None


def test_a_failed_edit_gives_way_to_a_newer_one(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(JOB, saying("1"))
    (edit,) = edits.take_due()
    edits.want(ended(JOB), saying("done"))
    edits.failed(edit, retry_in=RETRY)
    assert sent(edits) == ["done"]
    assert edits.seconds_to_next() is None


def test_a_failed_edit_lets_the_other_cards_of_its_channel_go_on(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(JOB, saying("1"))
    (edit,) = edits.take_due()
    edits.want(OTHER, saying("2"))
    edits.failed(edit, retry_in=RETRY)
    assert sent(edits) == ["2"]


def test_going_back_while_an_edit_is_under_way_is_not_lost(clock: Clock) -> None:
    edits = opened(clock)
    queued = replace(JOB, state=State.QUEUED, version=0)
    edits.shown(queued, saying("queued"))
    edits.want(replace(JOB, state=State.RUNNING, version=1), saying("running"))
    (edit,) = edits.take_due()
    # the vendor wants to be left alone: the very same card as before
    edits.want(replace(queued, version=2), saying("queued"))
    edits.sent(edit)
    clock.advance(60)
    assert sent(edits) == ["queued"]


def test_what_the_edit_under_way_says_already_is_not_sent_twice(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(JOB, saying("1"))
    (edit,) = edits.take_due()
    edits.want(JOB, saying("1"))
    edits.sent(edit)
    clock.advance(60)
    assert edits.take_due() == []


def test_if_the_edit_under_way_fails_it_still_says_what_was_asked_for_last(clock: Clock) -> None:
    edits = opened(clock)
    edits.shown(JOB, saying("0"))
    edits.want(JOB, saying("1"))
    (edit,) = edits.take_due()
    edits.want(JOB, saying("2"))
    edits.want(JOB, saying("1"))
    edits.failed(edit, retry_in=RETRY)
    clock.advance(60)
    assert sent(edits) == ["1"]


def test_news_that_come_late_do_not_undo_what_is_newer(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(ended(JOB), saying("done"))
    edits.want(JOB, saying("old news"))
    (edit,) = edits.take_due()
    edits.want(JOB, saying("old news"))
    edits.sent(edit)
    assert edit.card == saying("done")
    edits.want(JOB, saying("very old news"))
    clock.advance(60)
    assert edits.take_due() == []


def test_a_newer_state_that_looks_the_same_is_newer_all_the_same(clock: Clock) -> None:
    edits = opened(clock)
    edits.shown(JOB, saying("1"))
    edits.want(replace(JOB, version=4), saying("1"))
    edits.want(replace(JOB, version=3), saying("old news"))
    clock.advance(60)
    assert edits.take_due() == []


def test_an_edit_tells_whether_the_job_has_moved_on_since_the_card_was_last_edited(clock: Clock) -> None:
    edits = opened(clock)
    edits.shown(JOB, saying("0"))
    edits.want(JOB, saying("1"))
    (progress,) = edits.take_due()
    assert not progress.is_transition
    edits.sent(progress)
    edits.want(replace(JOB, version=3), saying("2"))
    edits.want(replace(JOB, version=3), saying("3"))
    clock.advance(60)
    (transition,) = edits.take_due()
    assert transition.is_transition, "also when progress was made since"
    edits.want(replace(JOB, version=3), saying("4"))
    edits.failed(transition, retry_in=RETRY)
    clock.advance(60)
    (again,) = edits.take_due()
    assert again.card == saying("4")
    assert again.is_transition, "the card hasn't shown it yet"


def test_after_a_restart_the_first_edit_of_a_card_is_a_transition(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(JOB, saying("1"))
    assert [edit.is_transition for edit in edits.take_due()] == [True]


def test_a_card_that_is_gone_holds_nobody_up(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(JOB, saying("1"))
    (edit,) = edits.take_due()
    edits.want(JOB, saying("2"))
    edits.want(OTHER, saying("3"))
    edits.give_up(edit.job)
    assert sent(edits) == ["3"]
    assert edits.seconds_to_next() is None


def test_nothing_more_is_asked_of_discord_for_a_card_that_is_gone(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(JOB, saying("1"))
    (edit,) = edits.take_due()
    edits.give_up(edit.job)
    edits.want(JOB, saying("2"))
    edits.want(ended(JOB), saying("done"))
    clock.advance(60)
    assert edits.take_due() == []


def test_a_card_that_shows_its_end_no_longer_slows_its_channel_down(clock: Clock) -> None:
    edits = opened(clock)
    crowd = [replace(JOB, id=f"crowd {number}") for number in range(20)]
    for job in [JOB, *crowd]:
        edits.shown(job, saying("0"))
    for job in crowd:
        edits.want(ended(job), saying("done"))
        assert sent(edits) == ["done"]
    edits.want(JOB, saying("1"))
    assert sent(edits) == ["1"]
    edits.want(JOB, saying("2"))
    assert edits.seconds_to_next() == 8


class Channels(RuleBasedStateMachine):
    """Cards in two channels, whose edits are answered late, in any order, and not always well."""

    jobs = ("a", "b", "c", "d")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.edits = Edits(clock=self.clock)
        self.current = {
            name: replace(JOB, id=name, channel_id=number % 2, version=0, state=State.QUEUED)
            for number, name in enumerate(self.jobs)
        }
        #: what was asked for last, and what stands in the channel
        self.asked: dict[str, Card] = {}
        self.standing: dict[str, Card] = {}
        self.under_way: list[Edit] = []
        self.ends_shown: set[str] = set()

    def open_jobs(self) -> list[str]:
        return [name for name, job in self.current.items() if job.state.is_open]

    def ask(self, name: str, text: str) -> None:
        self.asked[name] = saying(text)
        self.edits.want(self.current[name], saying(text))

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.open_jobs())
    @rule(data=st.data())
    def answer_with_a_card(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.open_jobs()))
        if self.current[name].version == 0 and name not in self.asked:
            self.asked[name] = self.standing[name] = saying("queued")
            self.edits.shown(self.current[name], saying("queued"))

    @precondition(lambda self: self.open_jobs())
    @rule(data=st.data(), text=st.sampled_from(["10 %", "20 %", "queued"]))
    def make_progress(self, data: st.DataObject, text: str) -> None:
        self.ask(data.draw(st.sampled_from(self.open_jobs())), text)

    @precondition(lambda self: self.open_jobs())
    @rule(data=st.data(), state=st.sampled_from(State))
    def move_on(self, data: st.DataObject, state: State) -> None:
        name = data.draw(st.sampled_from(self.open_jobs()))
        self.current[name] = replace(self.current[name], state=state, version=self.current[name].version + 1)
        self.ask(name, str(state))

    @rule(data=st.data(), name=st.sampled_from(jobs))
    def hear_old_news(self, data: st.DataObject, name: str) -> None:
        job = self.current[name]
        if job.version:
            old = replace(job, version=data.draw(st.integers(0, job.version - 1)), state=State.RUNNING)
            self.edits.want(old, saying("old news"))

    @rule()
    def send_what_is_due(self) -> None:
        self.under_way += self.edits.take_due()

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), is_well=st.booleans())
    def get_an_answer(self, *, data: st.DataObject, is_well: bool) -> None:
        edit = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        if is_well:
            self.arrive(edit)
        else:
            self.edits.failed(edit, retry_in=RETRY)

    def arrive(self, edit: Edit) -> None:
        assert edit.card != saying("old news")
        assert edit.job.version <= self.current[edit.job.id].version
        self.standing[edit.job.id] = edit.card
        if not edit.job.state.is_open:
            self.ends_shown.add(edit.job.id)
        self.edits.sent(edit)

    @invariant()
    def at_most_one_edit_of_a_channel_is_under_way(self) -> None:
        channels = [edit.job.channel_id for edit in self.under_way]
        assert len(channels) == len(set(channels))

    @invariant()
    def an_end_is_due_at_once_unless_it_is_shown_under_way_or_has_just_failed(self) -> None:
        wait = self.edits.seconds_to_next()
        busy = {edit.job.channel_id for edit in self.under_way}
        for name, job in self.current.items():
            if not job.state.is_open and name not in self.ends_shown and job.channel_id not in busy:
                assert wait is not None
                assert wait <= RETRY.total_seconds()

    def teardown(self) -> None:
        """In the end every card shows what was asked for last."""
        for edit in self.under_way:
            self.arrive(edit)
        while (wait := self.edits.seconds_to_next()) is not None:
            self.clock.advance(wait)
            due = self.edits.take_due()
            assert due
            for edit in due:
                self.arrive(edit)
        assert self.standing == self.asked


Channels.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestChannels = Channels.TestCase


def test_after_a_failed_edit_newer_news_wait_as_well(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(JOB, saying("1"))
    (edit,) = edits.take_due()
    edits.failed(edit, retry_in=RETRY)
    edits.want(JOB, saying("2"))
    assert edits.take_due() == []
    clock.advance(10)
    assert sent(edits) == ["2"]


def test_what_open_jobs_were_to_show_can_be_dropped_but_no_end(clock: Clock) -> None:
    edits = opened(clock)
    edits.want(JOB, saying("running"))
    edits.want(replace(ended(JOB), id="b", channel_id=33), saying("done"))
    edits.drop_open()
    assert sent(edits) == ["done"]
    # what it shows now may be asked for again
    edits.want(JOB, saying("running"))
    assert sent(edits) == ["running"]
