from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import discord
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.jobs import lifecycle
from bot.jobs.job import Job, Reason, Request, State
from bot.jobs.lifecycle import (
    ALLOWED,
    ANSWER_PATIENCE,
    CLOCK_SLACK,
    LINK_PATIENCE,
    MOST_FAULTS,
    POST_PATIENCE,
    Changes,
    Money,
    Posted,
    PostTrouble,
    Step,
    after_faults,
    after_fetch_trouble,
    after_late_look,
    after_listing,
    after_look,
    after_post,
    after_submit,
    before_listing,
    cancelled,
    ended,
    is_ahead,
    start_submitting,
)
from providers import http as layer
from providers.catalogue import DEMO
from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, ProviderError, Refused, Unavailable
from providers.types import Cost, CostUnit, Finished, KnownTask, Mode, Pending, Rejected, Submission, TaskStatus

NOW = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SHORT = timedelta(microseconds=1)

JOB = Job(
    id="0123456789ab",
    interaction_id=1,
    guild_id=2,
    channel_id=3,
    user_id=4,
    account_id=5,
    state=State.QUEUED,
    version=0,
    model="demo",
    request=Request(prompt="a fox", mode=Mode.TEXT, resolution="480p", duration=5),
    quote=7,
    upload_limit=1,
    created_at=NOW,
)
RUNNING = replace(JOB, state=State.RUNNING, task_id="t1", submitted_at=NOW, deadline=NOW + 20 * MINUTE)
SUBMITTING = replace(JOB, state=State.SUBMITTING, submitted_at=NOW, deadline=NOW + 20 * MINUTE)


def the_step(step: Step | None) -> Step:
    assert step is not None
    return step


# --- the picture ------------------------------------------------------------------------------------

PICTURE = {
    (State.QUEUED, State.SUBMITTING),
    (State.QUEUED, State.CANCELLED),
    (State.QUEUED, State.FAILED),
    (State.SUBMITTING, State.RUNNING),
    (State.SUBMITTING, State.FAILED),
    (State.SUBMITTING, State.LOST),
    (State.SUBMITTING, State.QUEUED),
    (State.RUNNING, State.DELIVERING),
    (State.RUNNING, State.FAILED),
    (State.RUNNING, State.EXPIRED),
    (State.RUNNING, State.CANCELLED),
    (State.DELIVERING, State.SUCCEEDED),
    (State.DELIVERING, State.FAILED),
}


@pytest.mark.parametrize("start", State)
@pytest.mark.parametrize("end", State)
def test_the_transitions_are_those_of_the_picture_and_no_other(start: State, end: State) -> None:
    assert (end in ALLOWED.get(start, ())) == ((start, end) in PICTURE)


def test_every_state_is_reached_and_every_job_can_end() -> None:
    reached = {State.QUEUED}
    for _ in State:
        reached |= {end for start in reached for end in ALLOWED.get(start, ())}
    assert reached == set(State)
    assert all(any(not end.is_open for end in ALLOWED[state]) for state in State if state.is_open)


# --- submitting -------------------------------------------------------------------------------------


def test_the_intent_is_stored_with_its_time_and_the_models_deadline() -> None:
    spec = replace(DEMO, deadline=7 * MINUTE)
    assert start_submitting(spec=spec, now=NOW) == Step(
        state=State.SUBMITTING,
        money=Money.KEEP,
        changes=Changes(submitted_at=NOW, deadline=NOW + 7 * MINUTE, not_before=None),
    )


@pytest.mark.parametrize("can_list", [True, False])
def test_an_accepted_submission_runs_with_its_task_and_the_vendors_cost(*, can_list: bool) -> None:
    outcome = Submission(task_id="t1", cost=Cost(Decimal("2.50"), CostUnit.CREDITS))
    step = the_step(after_submit(outcome, can_list=can_list, now=NOW))
    assert (step.state, step.money) == (State.RUNNING, Money.KEEP)
    assert step.changes == Changes(task_id="t1", cost_amount="2.50", cost_unit="credits")


def test_a_cost_that_was_not_told_changes_nothing() -> None:
    step = the_step(after_submit(Submission(task_id="t1"), can_list=False, now=NOW))
    assert step.changes == Changes(task_id="t1")


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, 30), (90.0, 90), (1.5, 1.5), (0.0, 1), (600.0, 600)])
def test_where_nothing_was_started_the_job_waits_as_long_as_the_vendor_said(
    retry_after: float | None, seconds: float
) -> None:
    outcome = Unavailable("busy", retry_after=retry_after)
    step = the_step(after_submit(outcome, can_list=True, now=NOW))
    assert (step.state, step.money) == (State.QUEUED, Money.KEEP)
    not_before = NOW + timedelta(seconds=seconds)
    assert step.changes == Changes(not_before=not_before, submitted_at=None, deadline=None)


def test_a_refusal_ends_the_job_with_the_vendors_words() -> None:
    outcome = Refused("no", vendor_message="too sad", advice="Cheer up.")
    step = the_step(after_submit(outcome, can_list=True, now=NOW))
    assert (step.state, step.money, step.detail) == (State.FAILED, Money.RELEASE, "no: too sad")
    assert step.changes == Changes(reason=Reason.REFUSED, vendor_message="too sad", advice="Cheer up.")


def test_trouble_with_the_key_ends_the_job_and_its_words_are_not_for_the_member() -> None:
    step = the_step(after_submit(AuthFailed("no key", vendor_message="bad key"), can_list=True, now=NOW))
    assert (step.state, step.money) == (State.FAILED, Money.RELEASE)
    assert step.changes == Changes(reason=Reason.PROVIDER_PAUSED, vendor_message=None, advice=None)


@pytest.mark.parametrize("error", [OutcomeUnknown("cut"), ContractBroken("no id"), ProviderError("?")])
def test_a_submission_without_an_answer_is_looked_for_and_where_that_can_not_be_lost(error: ProviderError) -> None:
    assert after_submit(error, can_list=True, now=NOW) is None
    step = the_step(after_submit(error, can_list=False, now=NOW))
    assert (step.state, step.money) == (State.LOST, Money.RELEASE)
    assert step.changes.get("reason") is Reason.NO_ANSWER


# --- the vendor's list ------------------------------------------------------------------------------


def task(
    task_id: str = "t1", *, model: str = "demo", prompt: str = "a fox", created_at: datetime = NOW + SHORT
) -> KnownTask:
    return KnownTask(task_id=task_id, model=model, prompt=prompt, created_at=created_at)


@pytest.mark.parametrize("created_at", [NOW - CLOCK_SLACK, NOW, NOW + MINUTE])
def test_the_one_task_that_fits_is_ours(created_at: datetime) -> None:
    others = [task("t2", model="other"), task("t3", prompt="a dog"), task("t4", created_at=NOW - MINUTE), task("t5")]
    step = after_listing(SUBMITTING, [*others, task(created_at=created_at)], {"t5"})
    assert (step.state, step.money) == (State.RUNNING, Money.KEEP)
    assert step.changes == Changes(task_id="t1")


@pytest.mark.parametrize(
    ("tasks", "known"),
    [
        ([], set[str]()),
        ([task("t1"), task("t2")], set[str]()),
        ([task("t1")], {"t1"}),
        ([task(model="other")], set[str]()),
        ([task(prompt="a fox ")], set[str]()),
        ([task(created_at=NOW - CLOCK_SLACK - SHORT)], set[str]()),
    ],
)
def test_without_exactly_one_task_that_fits_the_job_is_lost(tasks: Sequence[KnownTask], known: set[str]) -> None:
    step = after_listing(SUBMITTING, tasks, known)
    assert (step.state, step.money) == (State.LOST, Money.RELEASE)
    assert step.changes.get("reason") is Reason.NO_ANSWER


def test_an_answer_has_time_for_its_turn_and_for_all_of_its_parts() -> None:
    assert timedelta(seconds=layer.SUBMIT_PATIENCE + layer.SUBMIT_TOTAL) < ANSWER_PATIENCE


def test_without_a_rival_the_list_can_tell_at_once() -> None:
    other = replace(SUBMITTING, id="other", request=JOB.request.model_copy(update={"prompt": "a dog"}))
    assert before_listing(SUBMITTING, [SUBMITTING, other], now=NOW) is True


def test_while_another_answer_may_come_nobody_looks_and_then_the_job_is_lost() -> None:
    rival = replace(SUBMITTING, id="rival", submitted_at=NOW + MINUTE)
    both = [SUBMITTING, rival]
    assert before_listing(SUBMITTING, both, now=NOW + MINUTE + ANSWER_PATIENCE - SHORT) is False
    step = before_listing(SUBMITTING, both, now=NOW + MINUTE + ANSWER_PATIENCE)
    assert isinstance(step, Step)
    assert (step.state, step.money, step.changes.get("reason")) == (State.LOST, Money.RELEASE, Reason.NO_ANSWER)


@pytest.mark.parametrize("hours", [-6, -1, 0, 1, 6])
def test_a_clock_that_is_off_by_hours_finds_its_task_all_the_same_and_no_older_one(hours: int) -> None:
    # the vendor's clock is right, and so is Discord's, which the interaction's id tells
    told = discord.utils.time_snowflake(NOW)
    ours = NOW + timedelta(hours=hours)
    job = replace(SUBMITTING, interaction_id=told, created_at=ours, submitted_at=ours + 2 * SHORT)
    older = task("older", created_at=NOW - 10 * MINUTE)
    step = after_listing(job, [older, task(created_at=NOW + timedelta(seconds=1))], set())
    assert step.changes == Changes(task_id="t1")


# --- a card that knows more ---------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [None, State.QUEUED])
@pytest.mark.parametrize("version", [0, 2])
def test_a_card_that_says_less_or_is_gone_holds_up_nothing(shown: State | None, version: int) -> None:
    assert not is_ahead(replace(JOB, version=version), shown)


@pytest.mark.parametrize("shown", [state for state in State if state not in {State.QUEUED, State.SUBMITTING}])
@pytest.mark.parametrize("version", [0, 2])
def test_a_card_that_tells_of_more_shows_an_old_copy(shown: State, version: int) -> None:
    assert is_ahead(replace(JOB, version=version), shown)


def test_a_card_may_lag_behind_when_a_vendor_had_no_time() -> None:
    assert is_ahead(JOB, State.SUBMITTING)
    assert not is_ahead(replace(JOB, version=2), State.SUBMITTING)


# --- faults of our own --------------------------------------------------------------------------------


@pytest.mark.parametrize("job", [JOB, SUBMITTING, RUNNING, replace(RUNNING, state=State.DELIVERING)])
def test_a_fault_that_may_pass_ends_nothing(job: Job) -> None:
    assert after_faults(job, MOST_FAULTS - 1, now=NOW + 999 * MINUTE) is None


@pytest.mark.parametrize(
    ("job", "state"),
    [
        (JOB, State.FAILED),
        (SUBMITTING, State.LOST),
        (replace(RUNNING, state=State.DELIVERING), State.FAILED),
    ],
)
def test_a_fault_that_never_passes_gives_the_credits_back(job: Job, state: State) -> None:
    step = the_step(after_faults(job, MOST_FAULTS, now=NOW))
    assert (step.state, step.money, step.changes.get("reason")) == (state, Money.RELEASE, Reason.OUR_FAULT)


def test_a_task_under_way_is_watched_until_its_deadline_whatever_fails_and_no_longer() -> None:
    assert after_faults(RUNNING, 10 * MOST_FAULTS, now=NOW + 20 * MINUTE - SHORT) is None
    step = the_step(after_faults(RUNNING, MOST_FAULTS, now=NOW + 20 * MINUTE))
    assert (step.state, step.money) == (State.EXPIRED, Money.RELEASE)
    assert step.changes.get("reason") is Reason.OUR_FAULT
    assert step.changes.get("late_until") == NOW + timedelta(hours=24)


# --- looking ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("now", [NOW, NOW + 20 * MINUTE, NOW + 60 * MINUTE])
def test_a_finished_video_is_delivered_even_past_the_deadline(now: datetime) -> None:
    outcome = Finished(video_url="https://v/1", cost=Cost(Decimal(3), CostUnit.USD), expires_at=now + MINUTE)
    step = the_step(after_look(RUNNING, outcome, now=now))
    assert (step.state, step.money) == (State.DELIVERING, Money.KEEP)
    assert step.changes == Changes(
        result_url="https://v/1",
        result_expires_at=now + MINUTE,
        delivering_since=now,
        cost_amount="3",
        cost_unit="usd",
    )


def test_what_the_vendor_gave_up_on_has_failed_with_the_vendors_words() -> None:
    step = the_step(after_look(RUNNING, Rejected(reason="x" * 500, advice="Wait."), now=NOW))
    assert (step.state, step.money) == (State.FAILED, Money.RELEASE)
    assert step.changes == Changes(reason=Reason.NOT_MADE, vendor_message="x" * 200, advice="Wait.")


_no_news = pytest.mark.parametrize(
    "outcome", [Pending(), Pending(0.5), Unavailable("busy"), AuthFailed("no key"), ContractBroken("what")], ids=repr
)


@_no_news
def test_without_news_the_job_runs_on_until_its_deadline(outcome: TaskStatus | ProviderError) -> None:
    assert after_look(RUNNING, outcome, now=NOW + 20 * MINUTE - SHORT) is None
    assert after_look(replace(RUNNING, deadline=None), outcome, now=NOW + 999 * MINUTE) is None


@_no_news
def test_at_its_deadline_a_job_expires_and_its_hold_is_released(outcome: TaskStatus | ProviderError) -> None:
    step = the_step(after_look(RUNNING, outcome, now=NOW + 20 * MINUTE))
    assert (step.state, step.money) == (State.EXPIRED, Money.RELEASE)
    assert step.changes.get("reason") is Reason.TOO_LATE
    assert step.changes.get("late_until") == NOW + timedelta(hours=24)


def test_a_late_video_is_hoped_for_until_the_vendor_says_no() -> None:
    finished = Finished(video_url="https://v/1")
    assert after_late_look(finished) is finished
    for outcome in (Pending(), Pending(0.5), Unavailable("busy"), AuthFailed("no key"), ContractBroken("what")):
        assert after_late_look(outcome) is True
    assert after_late_look(Rejected(reason="no")) is False


# --- delivering -------------------------------------------------------------------------------------


def test_patience_is_two_minutes_for_a_link_and_ten_for_a_post() -> None:
    assert timedelta(minutes=2) == LINK_PATIENCE == lifecycle.ATTEMPT_AGE
    assert timedelta(minutes=10) == POST_PATIENCE
    assert timedelta(seconds=10) == lifecycle.CARD_PATIENCE


@pytest.mark.parametrize("reason", [Reason.LINK_DEAD, Reason.NOT_A_VIDEO])
def test_a_result_that_can_not_be_had_is_tried_for_two_minutes(reason: Reason) -> None:
    assert after_fetch_trouble(reason, tried_for=timedelta(), detail="404") is None
    assert after_fetch_trouble(reason, tried_for=LINK_PATIENCE - SHORT, detail="404") is None
    step = the_step(after_fetch_trouble(reason, tried_for=LINK_PATIENCE, detail="404"))
    assert step == ended(State.FAILED, reason, detail="404")


@pytest.mark.parametrize("tried_for", [timedelta(), POST_PATIENCE, timedelta(days=1)])
def test_a_posted_video_is_paid_for_however_long_it_took(tried_for: timedelta) -> None:
    step = the_step(after_post(Posted(99), tried_for=tried_for))
    assert (step.state, step.money) == (State.SUCCEEDED, Money.SETTLE)
    assert step.changes == Changes(result_message_id=99, attempted_at=None)


def test_a_post_that_may_work_later_is_tried_for_ten_minutes() -> None:
    assert after_post(PostTrouble.FOR_NOW, tried_for=POST_PATIENCE - SHORT) is None
    step = the_step(after_post(PostTrouble.FOR_NOW, tried_for=POST_PATIENCE))
    assert (step.state, step.money) == (State.FAILED, Money.RELEASE)
    assert step.changes.get("reason") is Reason.UNDELIVERABLE


@pytest.mark.parametrize("trouble", [PostTrouble.FOR_GOOD, PostTrouble.TOO_LARGE, PostTrouble.UNKNOWABLE])
def test_a_post_that_never_will_work_is_final_at_once_and_free(trouble: PostTrouble) -> None:
    step = the_step(after_post(trouble, tried_for=timedelta()))
    assert (step.state, step.money) == (State.FAILED, Money.RELEASE)
    assert "video_path" not in step.changes, "the video is kept"


@pytest.mark.parametrize("reason", [Reason.BY_MEMBER, Reason.UNANSWERED])
def test_cancelling_gives_the_credits_back(reason: Reason) -> None:
    step = cancelled(reason)
    assert (step.state, step.money) == (State.CANCELLED, Money.RELEASE)
    assert step.changes.get("reason") is reason


# --- any outcomes in any order ----------------------------------------------------------------------

_costs = st.none() | st.builds(Cost, st.decimals(0, 100, places=2), st.sampled_from(CostUnit))
_errors = st.one_of(
    st.builds(Unavailable, st.just("busy"), retry_after=st.none() | st.floats(0, 600)),
    st.builds(Refused, st.just("no"), vendor_message=st.none() | st.text()),
    st.sampled_from([OutcomeUnknown("cut"), AuthFailed("key"), ContractBroken("what"), ProviderError("?")]),
)
_looks = st.one_of(
    st.builds(Pending, st.none() | st.floats(0, 1)),
    st.builds(Finished, video_url=st.just("https://v/1"), cost=_costs),
    st.builds(Rejected, reason=st.text()),
    _errors,
)
_posts = st.one_of(st.builds(Posted, st.integers(1)), st.sampled_from(PostTrouble))
_tried = st.timedeltas(timedelta(), timedelta(minutes=15))


class Lives(RuleBasedStateMachine):
    """A job, and the only account of its hold, through any outcomes in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.job = JOB
        self.now = NOW
        self.resolutions: list[Money] = []
        self.is_posted = False

    @initialize(model_deadline=st.timedeltas(MINUTE, 60 * MINUTE))
    def accept(self, model_deadline: timedelta) -> None:
        self.spec = replace(DEMO, deadline=model_deadline)

    def carry_out(self, step: Step | None) -> None:
        if step is None:
            return
        assert step.state in ALLOWED.get(self.job.state, ()), f"{self.job.state} -> {step.state}"
        if step.money is not Money.KEEP:
            self.resolutions.append(step.money)
        changes = {name: value for name, value in step.changes.items() if name != "cost_amount"}
        self.job = replace(self.job, state=step.state, **changes)  # pyright: ignore[reportArgumentType]

    @rule(passed=st.timedeltas(timedelta(), 30 * MINUTE))
    def wait(self, passed: timedelta) -> None:
        self.now += passed

    @precondition(lambda self: self.job.state is State.QUEUED)
    @rule()
    def start(self) -> None:
        self.carry_out(start_submitting(spec=self.spec, now=self.now))

    @precondition(lambda self: self.job.state is State.QUEUED)
    @rule(reason=st.sampled_from([Reason.PROVIDER_PAUSED, Reason.GUILD_GONE, Reason.MODEL_GONE]))
    def fail_before_the_start(self, reason: Reason) -> None:
        self.carry_out(ended(State.FAILED, reason))

    @precondition(lambda self: self.job.state in {State.QUEUED, State.RUNNING})
    @rule()
    def cancel(self) -> None:
        self.carry_out(cancelled(Reason.BY_MEMBER))

    @precondition(lambda self: self.job.state is State.SUBMITTING)
    @rule(outcome=st.builds(Submission, task_id=st.just("t1"), cost=_costs) | _errors, can_list=st.booleans())
    def answer(self, *, outcome: Submission | ProviderError, can_list: bool) -> None:
        self.carry_out(after_submit(outcome, can_list=can_list, now=self.now))

    @precondition(lambda self: self.job.state is State.SUBMITTING)
    @rule(
        offsets=st.lists(st.timedeltas(-MINUTE, MINUTE), max_size=3), known=st.sets(st.sampled_from(["t0", "t1", "t2"]))
    )
    def list_tasks(self, offsets: list[timedelta], known: set[str]) -> None:
        tasks = [task(f"t{number}", created_at=self.now + offset) for number, offset in enumerate(offsets)]
        self.carry_out(after_listing(self.job, tasks, known))

    @precondition(lambda self: self.job.state is State.RUNNING)
    @rule(outcome=_looks)
    def look(self, outcome: TaskStatus | ProviderError) -> None:
        self.carry_out(after_look(self.job, outcome, now=self.now))

    @precondition(lambda self: self.job.state is State.DELIVERING)
    @rule(reason=st.sampled_from([Reason.LINK_DEAD, Reason.NOT_A_VIDEO]), tried_for=_tried)
    def fail_to_fetch(self, reason: Reason, tried_for: timedelta) -> None:
        self.carry_out(after_fetch_trouble(reason, tried_for=tried_for, detail=""))

    @precondition(lambda self: self.job.state is State.DELIVERING)
    @rule(outcome=_posts, tried_for=_tried)
    def post(self, outcome: Posted | PostTrouble, tried_for: timedelta) -> None:
        self.is_posted |= isinstance(outcome, Posted)
        self.carry_out(after_post(outcome, tried_for=tried_for))

    @invariant()
    def an_open_job_keeps_its_hold_and_an_ended_one_has_resolved_it_once(self) -> None:
        assert len(self.resolutions) == (0 if self.job.state.is_open else 1)

    @invariant()
    def a_member_pays_for_a_posted_video_and_for_nothing_else(self) -> None:
        assert (self.resolutions == [Money.SETTLE]) == self.is_posted == (self.job.state is State.SUCCEEDED)

    @invariant()
    def an_end_without_a_video_has_a_reason(self) -> None:
        assert (self.job.reason is not None) == (not self.job.state.is_open and self.job.state is not State.SUCCEEDED)

    @invariant()
    def a_task_is_known_once_the_vendor_has_it_and_the_intent_before(self) -> None:
        if self.job.state in {State.RUNNING, State.DELIVERING, State.SUCCEEDED}:
            assert self.job.task_id == "t1" or self.job.task_id in {"t0", "t2"}
        if self.job.state in {State.SUBMITTING, State.RUNNING, State.DELIVERING}:
            assert self.job.submitted_at is not None
            assert self.job.deadline is not None

    @invariant()
    def the_vendors_words_are_short(self) -> None:
        assert len(self.job.vendor_message or "") <= 200


Lives.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestLives = Lives.TestCase


@given(
    look=_looks,
    post=_posts,
    tried_for=_tried,
    passed=st.timedeltas(timedelta(), timedelta(days=2)),
    can_list=st.booleans(),
)
def test_only_a_posted_video_settles_and_only_an_end_resolves(
    *,
    look: TaskStatus | ProviderError,
    post: Posted | PostTrouble,
    tried_for: timedelta,
    passed: timedelta,
    can_list: bool,
) -> None:
    steps = [after_look(RUNNING, look, now=NOW + passed), after_post(post, tried_for=tried_for)]
    if isinstance(look, ProviderError):
        steps.append(after_submit(look, can_list=can_list, now=NOW))
    for step in steps:
        if step is not None:
            assert (step.money is Money.KEEP) == step.state.is_open
            assert (step.money is Money.SETTLE) == (step.state is State.SUCCEEDED)
