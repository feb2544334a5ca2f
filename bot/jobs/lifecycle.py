r"""What happens next to a job. Pure: the worker tells what came out, this says what to store.

queued -> submitting -> running -> delivering -> succeeded
   \          \            \            \-> failed (undeliverable: the video is kept)
    \          \            \-> failed | expired | cancelled
     \          \-> failed | lost (outcome of the POST unknown) | queued (429)
      \-> cancelled | failed (its provider is paused, or the guild is gone)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final, TypedDict, assert_never

from bot.jobs.job import Job, Reason, State
from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, ProviderError, Refused, Unavailable
from providers.types import Cost, Finished, KnownTask, ModelSpec, Pending, Rejected, Submission, TaskStatus

ALLOWED: Final[Mapping[State, frozenset[State]]] = {
    State.QUEUED: frozenset({State.SUBMITTING, State.CANCELLED, State.FAILED}),
    State.SUBMITTING: frozenset({State.RUNNING, State.QUEUED, State.FAILED, State.LOST}),
    State.RUNNING: frozenset({State.DELIVERING, State.FAILED, State.EXPIRED, State.CANCELLED}),
    State.DELIVERING: frozenset({State.SUCCEEDED, State.FAILED}),
}

#: a queued job whose provider can't be reached, or says 429 without a time, waits this long
RETRY_SUBMIT: Final = timedelta(seconds=30)
#: a job that no vendor has taken for so long may go elsewhere
HELD_UP_AFTER: Final = timedelta(minutes=2)
#: a result link that is dead, or gives no video, is tried for this long
LINK_PATIENCE: Final = timedelta(minutes=2)
#: a result that a network, or a server out of breath, keeps from us is tried for this long
FETCH_PATIENCE: Final = timedelta(minutes=10)
#: posting is tried for this long
POST_PATIENCE: Final = timedelta(minutes=10)
#: after this time an attempt to post is looked for in the channel before another is made
ATTEMPT_AGE: Final = timedelta(minutes=2)
#: a job that no vendor took is given up after this long
QUEUE_PATIENCE: Final = timedelta(hours=24)
#: so many times a step that fails for a reason of our own is tried, about every half minute
MOST_FAULTS: Final = 20
#: a job without a stored card is left alone for this long
CARD_PATIENCE: Final = timedelta(seconds=10)
#: the answer to a submission comes within this time, or never: 10 s for its turn, 110 s for the whole of it
ANSWER_PATIENCE: Final = timedelta(seconds=130)
#: a vendor keeps a result for at most so long: undocumented, and what their own pages suggest
RESULT_LIFE: Final = timedelta(hours=24)
#: how far behind ours a vendor's clock may be
CLOCK_SLACK: Final = timedelta(seconds=5)
_VENDOR_WORDS: Final = 200


class Money(Enum):
    """What a transition does to the job's hold."""

    KEEP = auto()
    SETTLE = auto()
    RELEASE = auto()


class Changes(TypedDict, total=False):
    """Columns of the job that change with a transition."""

    not_before: datetime | None
    held_up_since: datetime | None
    submitted_at: datetime | None
    task_id: str | None
    deadline: datetime | None
    cost_amount: str | None
    cost_unit: str | None
    result_url: str | None
    result_expires_at: datetime | None
    delivering_since: datetime | None
    video_path: str | None
    attempted_at: datetime | None
    result_message_id: int | None
    reason: Reason | None
    vendor_message: str | None
    advice: str | None
    alternatives: str | None
    offer_model: str | None
    offer_price: int | None
    late_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A transition to store, in one transaction with what it does to the hold."""

    state: State
    money: Money = Money.KEEP
    changes: Changes = field(default_factory=Changes)
    #: for the row in ``job_events``
    detail: str = ""


class PostTrouble(Enum):
    """How Discord can refuse a video."""

    #: it may work later: 5xx, a cut connection
    FOR_NOW = auto()
    #: it never will: channel gone, permission taken away, bot removed
    FOR_GOOD = auto()
    #: more than this guild takes; nothing was posted
    TOO_LARGE = auto()
    #: an attempt of ours is open, and the channel can't be read to look for it
    UNKNOWABLE = auto()


@dataclass(frozen=True, slots=True)
class Posted:
    """The video stands in the channel."""

    message_id: int


def is_ahead(job: Job, shown: State | None) -> bool:
    """Whether the card of a waiting job tells of more than the database knows: it is an old copy.

    A card may lag behind, so one that was submitted before, and waits again, may still say so.
    """
    if shown is None or shown is State.QUEUED:
        return False
    return shown is not State.SUBMITTING or job.version == 0


def start_submitting(*, spec: ModelSpec, now: datetime) -> Step:
    """The intent, stored before the POST."""
    return Step(
        state=State.SUBMITTING, changes=Changes(submitted_at=now, deadline=now + spec.deadline, not_before=None)
    )


def after_submit(outcome: Submission | ProviderError, *, can_list: bool, now: datetime) -> Step | None:
    """What a submission came to; None: nobody knows, look for it in the vendor's list."""
    match outcome:
        case Submission():
            changes = Changes(task_id=outcome.task_id)
            return Step(state=State.RUNNING, changes=_with_cost(changes, outcome.cost), detail=outcome.task_id)
        case Unavailable():
            wait = RETRY_SUBMIT if outcome.retry_after is None else timedelta(seconds=max(1.0, outcome.retry_after))
            changes = Changes(not_before=now + wait, submitted_at=None, deadline=None)
            return Step(state=State.QUEUED, changes=changes, detail=str(outcome))
        case Refused():
            vendor, advice = outcome.vendor_message, outcome.advice
            return ended(State.FAILED, Reason.REFUSED, vendor=vendor, advice=advice, detail=str(outcome))
        case AuthFailed():
            return ended(State.FAILED, Reason.PROVIDER_PAUSED, detail=str(outcome))
        case OutcomeUnknown() | ContractBroken() | ProviderError():
            if can_list:
                return None
            return ended(State.LOST, Reason.NO_ANSWER, detail=str(outcome))
        case _:
            assert_never(outcome)


def before_listing(job: Job, submitting: Sequence[Job], *, now: datetime) -> Step | bool:
    """Whether the vendor's list can tell what became of a submission, since no other one asked for the same.

    False: wait, for the other's answer may still come; a step: it came to nothing, so the task could be either's.
    """
    rivals = [each for each in submitting if each.id != job.id and each.request.prompt == job.request.prompt]
    if not rivals:
        return True
    if any(now - (rival.submitted_at or now) < ANSWER_PATIENCE for rival in rivals):
        return False
    return ended(State.LOST, Reason.NO_ANSWER, detail="another submission of the same prompt has no answer either")


def after_listing(job: Job, tasks: Sequence[KnownTask], known: Collection[str]) -> Step:
    """What the vendor's own list tells of a submission without an answer.

    The job goes on only with exactly one task that fits and that no job of ours knows.
    """
    since = (job.submitted_at or job.created_at) - job.clock_error - CLOCK_SLACK
    fitting = [
        task
        for task in tasks
        if task.model == job.model
        and task.prompt == job.request.prompt
        and task.created_at >= since
        and task.task_id not in known
    ]
    if len(fitting) != 1:
        return ended(State.LOST, Reason.NO_ANSWER, detail=f"{len(fitting)} tasks of the vendor's fit")
    return Step(state=State.RUNNING, changes=Changes(task_id=fitting[0].task_id), detail="found in the vendor's list")


def after_look(job: Job, outcome: TaskStatus | ProviderError, *, now: datetime) -> Step | None:
    """What a look at the vendor's task came to; None: nothing changed, look again later."""
    match outcome:
        case Finished():
            changes = Changes(result_url=outcome.video_url, result_expires_at=outcome.expires_at, delivering_since=now)
            return Step(state=State.DELIVERING, changes=_with_cost(changes, outcome.cost))
        case Rejected():
            vendor, advice = outcome.reason, outcome.advice
            return ended(State.FAILED, Reason.NOT_MADE, vendor=vendor, advice=advice, detail=vendor)
        case Pending() | ProviderError():
            if job.deadline is not None and now >= job.deadline:
                return _expired(job, Reason.TOO_LATE, detail="past the model's deadline")
            return None
        case _:
            assert_never(outcome)


def gives_way(job: Job, *, by_member: bool) -> Step:
    """Another job goes on in place of this one, with another model."""
    # what was submitted, and refused, can't be cancelled any more
    state = State.CANCELLED if by_member else State.FAILED
    return ended(state, Reason.REPLACED, detail=f"{job.model} couldn't be had")


def after_faults(job: Job, faults: int, *, now: datetime) -> Step | None:
    """What a step that fails for reasons of our own comes to; None: try again.

    A submission may have left, and a vendor's task is watched until its deadline.
    """
    if faults < MOST_FAULTS:
        return None
    detail = f"a step failed {faults} times in a row"
    if job.state is State.RUNNING:
        is_late = job.deadline is not None and now >= job.deadline
        return _expired(job, Reason.OUR_FAULT, detail=detail) if is_late else None
    state = State.LOST if job.state is State.SUBMITTING else State.FAILED
    return ended(state, Reason.OUR_FAULT, detail=detail)


def after_late_look(outcome: TaskStatus | ProviderError) -> Finished | bool:
    """What a look at an expired job's task came to: its video, or whether there is hope for one."""
    return outcome if isinstance(outcome, Finished) else not isinstance(outcome, Rejected)


def after_fetch_trouble(
    reason: Reason, *, tried_for: timedelta, detail: str, patience: timedelta = LINK_PATIENCE
) -> Step | None:
    """What a result that can't be fetched, or is no video, comes to; None: try again."""
    if tried_for < patience:
        return None
    return ended(State.FAILED, reason, detail=detail)


def after_post(outcome: Posted | PostTrouble, *, tried_for: timedelta) -> Step | None:
    """What an attempt to post came to; None: try again."""
    if isinstance(outcome, Posted):
        changes = Changes(result_message_id=outcome.message_id, attempted_at=None)
        return Step(state=State.SUCCEEDED, money=Money.SETTLE, changes=changes)
    if outcome is PostTrouble.FOR_NOW and tried_for < POST_PATIENCE:
        return None
    return ended(State.FAILED, Reason.UNDELIVERABLE, detail=outcome.name.lower())


def cancelled(reason: Reason) -> Step:
    """The job is given up before a video was made, by the member or for want of an answer."""
    return ended(State.CANCELLED, reason)


def ended(
    state: State, reason: Reason, *, vendor: str | None = None, advice: str | None = None, detail: str = ""
) -> Step:
    """An end without a posted video: the hold is released."""
    changes = Changes(
        reason=reason,
        vendor_message=vendor[:_VENDOR_WORDS] if vendor else None,
        # stored in English; the card says it in the language of its readers
        advice=None if advice is None else str(advice),
    )
    return Step(state=state, money=Money.RELEASE, changes=changes, detail=detail)


def _expired(job: Job, reason: Reason, *, detail: str) -> Step:
    """The member is told and pays nothing; should the video still come, it is theirs."""
    step = ended(State.EXPIRED, reason, detail=detail)
    step.changes["late_until"] = (job.submitted_at or job.created_at) + RESULT_LIFE
    return step


def _with_cost(changes: Changes, cost: Cost | None) -> Changes:
    if cost is not None:
        changes["cost_amount"], changes["cost_unit"] = str(cost.amount), str(cost.unit)
    return changes
