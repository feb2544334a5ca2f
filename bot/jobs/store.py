"""Jobs in the database. Every function is part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    String,
    and_,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from bot.credits import ledger
from bot.database.tables import Instant, job_events, jobs, ledger_entries
from bot.database.upsert import insert_if_absent
from bot.jobs.job import ACTIVE, Job, Reason, Request, State, fingerprint
from bot.jobs.lifecycle import ALLOWED, Money, Step
from bot.jobs.policy import Use

# The statements of every command: putting one together takes longer than carrying it out.
_BY_ID = select(jobs).where(jobs.c.id == bindparam("job"))
_BY_INTERACTION = select(jobs).where(jobs.c.interaction_id == bindparam("interaction"))
_WAITING = select(func.count()).where(
    jobs.c.guild_id == bindparam("guild"),
    jobs.c.user_id == bindparam("user"),
    jobs.c.ended_at.is_(None),
    jobs.c.state == State.QUEUED,
)
_EVENT = insert(job_events)
_MOVED = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("job"),
        jobs.c.state == bindparam("left_state"),
        jobs.c.version == bindparam("left_version"),
        # who has slept through its lease moves nothing that another process has taken up meanwhile
        jobs.c.owner.is_not_distinct_from(bindparam("left_owner", type_=String)),
    )
    .returning(*jobs.c)
)
_CARD = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(
        channel_id=bindparam("channel"),
        card_message_id=bindparam("message"),
        card_version=func.coalesce(jobs.c.card_version, 0),
    )
    .returning(*jobs.c)
)
_SHOWN = update(jobs).where(jobs.c.id == bindparam("job")).values(card_version=bindparam("shown"))
_ATTEMPT = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("job"),
        # an expired job's video may come late
        or_(jobs.c.state == State.DELIVERING, jobs.c.late_until.is_not(None)),
        jobs.c.owner.is_not_distinct_from(bindparam("doer", type_=String)),
        jobs.c.purged_at.is_(None),
    )
    .values(
        attempted_at=func.coalesce(jobs.c.attempted_at, bindparam("begun_at", type_=Instant)),
        video_path=bindparam("path"),
        result_channel_id=bindparam("place"),
    )
    .returning(*jobs.c)
)
_QUEUED = (
    select(jobs).where(jobs.c.ended_at.is_(None), jobs.c.state == State.QUEUED).order_by(jobs.c.created_at, jobs.c.id)
)
_SUBMITTING = (
    select(jobs).where(jobs.c.ended_at.is_(None), jobs.c.state == State.SUBMITTING).order_by(jobs.c.created_at)
)
_ACTIVE = (
    select(jobs.c.guild_id, jobs.c.user_id, func.count())
    .where(jobs.c.ended_at.is_(None), jobs.c.state.in_(ACTIVE))
    .group_by(jobs.c.guild_id, jobs.c.user_id)
)


class JobMoved(Exception):  # noqa: N818 - it names what happened
    """The job isn't in the state that the transition leaves: somebody else was faster."""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """How long a vendor took, as far as it was watched."""

    model: str
    request: Request
    #: until a look found it done
    seconds: float
    #: what was noted then
    note: str


def add(connection: Connection, job: Job) -> bool:
    """Store a new job; false when its interaction was claimed before."""
    values = {
        "id": job.id,
        "interaction_id": job.interaction_id,
        "guild_id": job.guild_id,
        "channel_id": job.channel_id,
        "user_id": job.user_id,
        "account_id": job.account_id,
        "state": job.state,
        "version": job.version,
        "model": job.model,
        "request": job.request.model_dump_json(exclude_defaults=True),
        "quote": job.quote,
        "upload_limit": job.upload_limit,
        "created_at": job.created_at,
        "replaces": job.replaces,
        "owner": job.owner,
    }
    if not insert_if_absent(connection, jobs, **values):
        return False
    _record(connection, job, f"-> {job.state}", "", job.created_at)
    return True


def load(connection: Connection, job_id: str) -> Job | None:
    """A job as it stands now."""
    row = connection.execute(_BY_ID, {"job": job_id}).mappings().one_or_none()
    return None if row is None else _job(row)


def some(connection: Connection, job_ids: Collection[str]) -> Sequence[Job]:
    """These jobs, the oldest first."""
    return _jobs(connection, select(jobs).where(jobs.c.id.in_(job_ids)).order_by(jobs.c.created_at, jobs.c.id))


def by_interaction(connection: Connection, interaction_id: int) -> Job | None:
    """The job that an interaction has started."""
    row = connection.execute(_BY_INTERACTION, {"interaction": interaction_id}).mappings().one_or_none()
    return None if row is None else _job(row)


def replacement_of(connection: Connection, job_id: str) -> str | None:
    """The job that goes on in place of another."""
    return connection.execute(select(jobs.c.id).where(jobs.c.replaces == job_id)).scalar()


def move(connection: Connection, job: Job, step: Step, *, now: datetime) -> Job:
    """Carry out a transition, with its event and what it does to the hold.

    Raises ``JobMoved`` when the job has left the state that the step starts from.
    """
    if not step.state.is_open and step.money is Money.KEEP:
        raise ValueError(f"{job.id} can't end and leave its hold behind")
    if step.state not in ALLOWED.get(job.state, frozenset()):
        raise JobMoved(f"{job.id} can't go from {job.state} to {step.state}")
    if step.money is not Money.KEEP:
        # the account before the job, as everywhere: two that lock them crosswise would wait for each other
        ledger.locked(connection, job.account_id)
    moved = _change(connection, job, step, ended_at=None if step.state.is_open else now)
    _record(connection, job, f"{job.state} -> {step.state}", step.detail, now)
    match step.money:
        case Money.SETTLE:
            ledger.settle(connection, job_id=job.id, now=now)
        case Money.RELEASE:
            ledger.release(connection, job_id=job.id, now=now)
        case Money.KEEP:
            pass
    return moved


def put_off(connection: Connection, job: Job, step: Step) -> Job:
    """Let a waiting job wait on: before anything was sent, it turned out that there is no room. Raises ``JobMoved``."""
    if (job.state, step.state, step.money) != (State.QUEUED, State.QUEUED, Money.KEEP):
        raise ValueError(f"{job.id} doesn't just wait on")
    return _change(connection, job, step, ended_at=None)


def store_card(connection: Connection, job_id: str, *, channel_id: int, message_id: int) -> Job:
    """Remember where a job's card stands; it shows the job's first version."""
    place = {"job": job_id, "channel": channel_id, "message": message_id}
    row = connection.execute(_CARD, place).mappings().one_or_none()
    if row is None:
        raise LookupError(f"there is no job {job_id}")
    return _job(row)


def withdraw_offer(connection: Connection, job_id: str) -> None:
    """Offer no other model for a job any more."""
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(offer_model=None, offer_price=None))


def card_shows(connection: Connection, job_id: str, version: int) -> None:
    """Remember which version of the job its card shows."""
    connection.execute(_SHOWN, {"job": job_id, "shown": version})


def open_attempt(connection: Connection, job: Job, *, video_path: str, now: datetime) -> Job:
    """Remember that the video is about to be posted. An older open attempt keeps its time."""
    place = {"path": video_path, "place": job.result_channel_id}
    attempt = {"job": job.id, "doer": job.owner, "begun_at": now, **place}
    row = connection.execute(_ATTEMPT, attempt).mappings().one_or_none()
    if row is None:
        raise JobMoved(f"{job.id} is not being delivered")
    return _job(row)


def close_attempt(connection: Connection, job_id: str) -> Job:
    """Discord said that nothing was posted."""
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(attempted_at=None))
    return _existing(connection, job_id)


def renew_result(connection: Connection, job_id: str, *, url: str, expires_at: datetime | None) -> Job:
    """Remember a fresh link to the same result."""
    # what was purged meanwhile stays so
    kept = (jobs.c.id == job_id, jobs.c.purged_at.is_(None))
    connection.execute(update(jobs).where(*kept).values(result_url=url, result_expires_at=expires_at))
    return _existing(connection, job_id)


def remove_result(connection: Connection, job_id: str, *, now: datetime) -> Job:
    """Remember that a posted video was deleted, and that no copy is kept."""
    # nor is it posted once more
    gone = {"removed_at": now, "video_path": None, "late_until": None}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(gone))
    return _existing(connection, job_id)


def posted_in(connection: Connection, guild_id: int, channel_id: int, *, most: int) -> Sequence[Job]:
    """The videos that stand in a channel, the newest first."""
    place = (jobs.c.guild_id == guild_id, or_(jobs.c.channel_id == channel_id, jobs.c.result_channel_id == channel_id))
    query = select(jobs).where(*place, jobs.c.result_message_id.is_not(None), jobs.c.removed_at.is_(None))
    return _jobs(connection, query.order_by(jobs.c.created_at.desc()).limit(most))


def deliver_again(connection: Connection, job: Job, *, until: datetime, now: datetime) -> Job:
    """Let the kept video of a job that has ended be posted once more, as a late one is: free. Raises ``JobMoved``."""
    is_ended = (jobs.c.ended_at.is_not(None), jobs.c.purged_at.is_(None), jobs.c.removed_at.is_(None))
    changed = connection.execute(
        update(jobs).where(jobs.c.id == job.id, jobs.c.version == job.version, *is_ended).values(late_until=until)
    )
    if changed.rowcount != 1:
        raise JobMoved(f"{job.id} is kept no more")
    _record(connection, job, f"{job.state} -> {job.state}", "to be posted again, free", now)
    return _existing(connection, job.id)


def late_jobs(connection: Connection, *, now: datetime) -> Sequence[Job]:
    """Jobs that have ended and whose video may still come, or is to be posted again, the oldest first."""
    return _jobs(connection, select(jobs).where(jobs.c.late_until > now).order_by(jobs.c.late_until))


def end_lateness(connection: Connection, job: Job, *, message_id: int | None, now: datetime) -> Job:
    """Look no more for a late video: it was posted, free, or it won't come. Raises ``JobMoved``."""
    detail, posted = "nothing came", {}
    if message_id is not None:
        detail, posted = "posted late, free", {"result_message_id": message_id, "version": job.version + 1}
    changed = connection.execute(
        update(jobs)
        .where(jobs.c.id == job.id, jobs.c.version == job.version, jobs.c.late_until.is_not(None))
        .values(late_until=None, attempted_at=None, **posted)
    )
    if changed.rowcount != 1:
        raise JobMoved(f"{job.id} is looked for no more")
    _record(connection, job, f"{job.state} -> {job.state}", detail, now)
    return _existing(connection, job.id)


def submitting(connection: Connection, model: str | None = None) -> Sequence[Job]:
    """The jobs of a model (None: of all) whose submission waits for its answer."""
    return _jobs(connection, _SUBMITTING if model is None else _SUBMITTING.where(jobs.c.model == model))


def open_jobs(connection: Connection) -> Sequence[Job]:
    """Every job that hasn't ended, the oldest first."""
    return _jobs(connection, select(jobs).where(jobs.c.ended_at.is_(None)).order_by(jobs.c.created_at, jobs.c.id))


def stale_cards(connection: Connection, *, since: datetime) -> Sequence[Job]:
    """Jobs ended since then whose card doesn't show it yet; of purged ones nothing is left to show."""
    return _jobs(connection, select(jobs).where(has_stale_card(since)).order_by(jobs.c.created_at))


def has_stale_card(since: datetime) -> ColumnElement[bool]:
    """Whether a job is one of those."""
    return and_(jobs.c.ended_at >= since, jobs.c.purged_at.is_(None), jobs.c.card_version < jobs.c.version)


def queued(connection: Connection) -> Sequence[Job]:
    """The jobs that wait, the oldest first."""
    return _jobs(connection, _QUEUED)


def active_counts(connection: Connection, guild_id: int | None = None) -> Mapping[tuple[int, int], int]:
    """How many jobs run at once, by guild and member; None: of all guilds."""
    query = _ACTIVE if guild_id is None else _ACTIVE.where(jobs.c.guild_id == guild_id)
    return {(guild_id, user_id): count for guild_id, user_id, count in connection.execute(query)}


def count_waiting(connection: Connection, guild_id: int, user_id: int) -> int:
    """How many jobs of a member wait."""
    return connection.execute(_WAITING, {"guild": guild_id, "user": user_id}).scalar_one()


def use_since(connection: Connection, guild_id: int, user_id: int, *, since: datetime) -> Use:
    """What a guild, and one member of it, has begun since then; what gave no video, or was given back, not counted."""
    given_back = select(ledger_entries.c.id).where(
        ledger_entries.c.job_id == jobs.c.id, ledger_entries.c.kind == "refund"
    )
    is_own = case((jobs.c.user_id == user_id, 1), else_=0)
    query = select(func.count(), func.coalesce(func.sum(jobs.c.quote), 0), func.coalesce(func.sum(is_own), 0)).where(
        jobs.c.guild_id == guild_id,
        jobs.c.created_at >= since,
        # what couldn't be posted is kept and given out again, so it counts
        or_(
            jobs.c.ended_at.is_(None),
            jobs.c.state == State.SUCCEEDED,
            and_(jobs.c.state == State.FAILED, jobs.c.reason == Reason.UNDELIVERABLE),
        ),
        ~given_back.exists(),
    )
    guild_jobs, guild_credits, member_jobs = connection.execute(query).one()
    return Use(guild_jobs=guild_jobs, guild_credits=int(guild_credits), member_jobs=int(member_jobs))


def open_of(connection: Connection, guild_id: int, user_id: int | None = None) -> Sequence[Job]:
    """The open jobs of a guild, or of one member in it, the oldest first."""
    query = select(jobs).where(jobs.c.ended_at.is_(None), jobs.c.guild_id == guild_id)
    if user_id is not None:
        query = query.where(jobs.c.user_id == user_id)
    return _jobs(connection, query.order_by(jobs.c.created_at, jobs.c.id))


def latest_of(connection: Connection, guild_id: int, user_id: int, *, most: int, skip: int = 0) -> Sequence[Job]:
    """A member's jobs in a guild, the newest first."""
    query = select(jobs).where(jobs.c.guild_id == guild_id, jobs.c.user_id == user_id)
    return _jobs(connection, query.order_by(jobs.c.created_at.desc()).limit(most).offset(skip))


def last_model(connection: Connection, guild_id: int, user_id: int) -> str | None:
    """The model that a member used last in a guild."""
    member = (jobs.c.guild_id == guild_id, jobs.c.user_id == user_id)
    return connection.execute(select(jobs.c.model).where(*member).order_by(jobs.c.created_at.desc()).limit(1)).scalar()


def finished_lately(connection: Connection, *, most: int, among: int) -> Sequence[FinishedRun]:
    """The last ``most`` runs that gave a video, the oldest first, of the last ``among`` transitions of all jobs."""
    newest = connection.execute(select(func.max(job_events.c.id))).scalar() or 0
    began, done = job_events.alias("began"), job_events.alias("done")
    query = (
        select(jobs.c.model, jobs.c.request, began.c.created_at, done.c.created_at, done.c.detail)
        .select_from(done)
        .join(jobs, jobs.c.id == done.c.job_id)
        .join(began, began.c.job_id == done.c.job_id)
        .where(
            done.c.id > newest - among,
            done.c.transition == f"{State.RUNNING} -> {State.DELIVERING}",
            began.c.transition == f"{State.SUBMITTING} -> {State.RUNNING}",
        )
        .order_by(done.c.id.desc())
        .limit(most)
    )
    rows = connection.execute(query).all()
    return [
        FinishedRun(model, Request.model_validate_json(request), (end - start).total_seconds(), note)
        for model, request, start, end, note in reversed(rows)
    ]


def existing(connection: Connection, job_ids: Iterable[str]) -> frozenset[str]:
    """Which of these ids belong to a job."""
    return frozenset(connection.execute(select(jobs.c.id).where(jobs.c.id.in_(list(job_ids)))).scalars())


def purged(connection: Connection, job_ids: Iterable[str]) -> frozenset[str]:
    """Of which of these jobs nothing is kept any more."""
    query = select(jobs.c.id).where(jobs.c.id.in_(list(job_ids)), jobs.c.purged_at.is_not(None))
    return frozenset(connection.execute(query).scalars())


def known_tasks(connection: Connection, task_ids: Iterable[str]) -> frozenset[str]:
    """Which of these tasks of a vendor belong to a job of ours, also to one of which little is left."""
    sought = {form: each for each in map(_storable, task_ids) for form in (each, fingerprint(each))}
    found = connection.execute(select(jobs.c.task_id).where(jobs.c.task_id.in_(list(sought)))).scalars()
    return frozenset(sought[form] for form in found if form is not None)


def _change(connection: Connection, job: Job, step: Step, *, ended_at: datetime | None) -> Job:
    """Store a step's state and changes. Raises ``JobMoved`` when the job isn't as it was read any more."""
    left = {"job": job.id, "left_state": job.state, "left_version": job.version, "left_owner": job.owner}
    values = {name: _storable(value) if isinstance(value, str) else value for name, value in step.changes.items()}
    values |= {"state": step.state, "version": job.version + 1, "ended_at": ended_at}
    row = connection.execute(_MOVED, {**left, **values}).mappings().one_or_none()
    if row is None:
        raise JobMoved(f"{job.id} is no longer {job.state}")
    return _job(row)


def _record(connection: Connection, job: Job, transition: str, detail: str, now: datetime) -> None:
    words = {"transition": transition, "detail": _storable(detail), "owner": job.owner}
    connection.execute(_EVENT, {"job_id": job.id, "created_at": now, **words})


def _storable(text: str) -> str:
    """A vendor's text without what a database refuses, which would keep the job from ever ending."""
    return text.replace("\0", "").encode(errors="replace").decode()


def _existing(connection: Connection, job_id: str) -> Job:
    job = load(connection, job_id)
    if job is None:
        raise LookupError(f"there is no job {job_id}")
    return job


def _jobs(connection: Connection, query: Select[tuple[object, ...]]) -> Sequence[Job]:
    return [_job(row) for row in connection.execute(query).mappings()]


def _job(row: RowMapping) -> Job:
    values = dict(row)
    values["state"] = State(values["state"])
    values["request"] = Request.model_validate_json(values["request"])
    values["reason"] = None if values["reason"] is None else Reason(values["reason"])
    values["cost_amount"] = None if values["cost_amount"] is None else Decimal(values["cost_amount"])
    return Job(**values)
