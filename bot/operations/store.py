"""What operators want to know of all communities together. Every function is part of the caller's transaction.

Each is asked again and again, so each reads few rows by an index: open jobs, the latest transitions, the jobs of a
week (ids sort by time), or a slice of the accounts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, case, func, select

from bot.communities.usage import Asked, SaidCost, UnsaidCost
from bot.database.server_clock import NOW
from bot.database.tables import accounts, job_events, jobs, processes
from bot.jobs.job import State, new_id
from providers.types import Cost, CostUnit

#: posted jobs without a cost of the vendor's that are looked at, the newest first: each is read by itself
MOST_UNSAID: Final = 20_000
_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class OpenJobs:
    """The open jobs of one state and model together."""

    state: State
    model: str
    jobs: int
    #: credits held for them
    quotes: int
    #: when the oldest was accepted
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Transition:
    """A row of ``job_events`` with what is counted of its job."""

    id: int
    #: None: the job was accepted
    before: State | None
    after: State
    model: str
    reason: str | None
    #: from the vendor's finished video to the posted one; None: this isn't the post
    lag: timedelta | None


@dataclass(frozen=True, slots=True)
class LiveProcess:
    """A process that shares the database with others."""

    id: str
    #: as it says itself: ``0, 1 of 4``
    shards: str
    started_at: datetime
    open_jobs: int


@dataclass(frozen=True, slots=True)
class LiveJob:
    """A job that goes on; nothing that its member wrote."""

    id: str
    guild_id: int
    model: str
    state: State
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that ended without a video, and not because somebody wanted it to."""

    id: str
    guild_id: int
    model: str
    state: State
    reason: str | None
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class CommunityUse:
    """What a community has asked for since some instant."""

    guild_id: int
    jobs: int
    members: int
    videos: int
    #: credits spent on them
    credits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What models have cost upstream since some instant, as far as it was said."""

    said: Sequence[SaidCost]
    #: posted jobs of whose cost the vendor said nothing, ``MOST_UNSAID`` at most
    unsaid: Sequence[UnsaidCost]


def ping(connection: Connection) -> None:
    """Raise unless the database answers, and with a table of ours."""
    connection.execute(select(jobs.c.id).limit(1)).all()


def open_jobs(connection: Connection) -> Sequence[OpenJobs]:
    """Every open job, added up by state and model."""
    kind = (jobs.c.state, jobs.c.model)
    query = select(*kind, func.count(), func.sum(jobs.c.quote), func.min(jobs.c.created_at))
    rows = connection.execute(query.where(jobs.c.ended_at.is_(None)).group_by(*kind))
    return [OpenJobs(State(state), model, count, int(quotes), oldest) for state, model, count, quotes, oldest in rows]


def latest_transition(connection: Connection) -> int:
    """The id of the last row of ``job_events``; 0: there is none."""
    return connection.execute(select(func.max(job_events.c.id))).scalar() or 0


def transitions_after(connection: Connection, event_id: int, *, owner: str | None, most: int) -> Sequence[Transition]:
    """The transitions with a higher id, in order: while one process had the job, or (None) all."""
    columns = (
        job_events.c.id,
        job_events.c.transition,
        job_events.c.created_at,
        jobs.c.model,
        jobs.c.reason,
        jobs.c.delivering_since,
    )
    query = select(*columns).join(jobs, jobs.c.id == job_events.c.job_id).where(job_events.c.id > event_id)
    if owner is not None:
        query = query.where(job_events.c.owner == owner)
    rows = connection.execute(query.order_by(job_events.c.id).limit(most))
    return [
        _transition(number, words, at, model=model, reason=reason, finished_at=finished_at)
        for number, words, at, model, reason, finished_at in rows
    ]


def live_processes(connection: Connection) -> Sequence[LiveProcess]:
    """The processes whose lease goes on, the longest running first; a SQLite file has one, which needs none."""
    if connection.dialect.name == "sqlite":
        return ()
    own = select(func.count()).where(jobs.c.owner == processes.c.id, jobs.c.ended_at.is_(None)).scalar_subquery()
    query = select(processes.c.id, processes.c.shards, processes.c.started_at, own).where(processes.c.until > NOW)
    rows = connection.execute(query.order_by(processes.c.started_at, processes.c.id))
    return [LiveProcess(*row) for row in rows]


def live_jobs(connection: Connection, *, most: int) -> Sequence[LiveJob]:
    """The open jobs, the oldest first."""
    query = select(jobs.c.id, jobs.c.guild_id, jobs.c.model, jobs.c.state, jobs.c.created_at)
    query = query.where(jobs.c.ended_at.is_(None)).order_by(jobs.c.created_at, jobs.c.id).limit(most)
    return [
        LiveJob(job_id, guild_id, model, State(state), created_at)
        for job_id, guild_id, model, state, created_at in connection.execute(query)
    ]


def failed_jobs(connection: Connection, *, since: datetime, most: int) -> Sequence[FailedJob]:
    """The jobs accepted since then that failed, the newest first."""
    query = select(jobs.c.id, jobs.c.guild_id, jobs.c.model, jobs.c.state, jobs.c.reason, jobs.c.ended_at)
    ends = (State.FAILED, State.EXPIRED, State.LOST)
    query = query.where(jobs.c.id >= _first_id(since), jobs.c.state.in_(ends)).order_by(jobs.c.id.desc()).limit(most)
    return [
        FailedJob(job_id, guild_id, model, State(state), reason, ended_at)
        for job_id, guild_id, model, state, reason, ended_at in connection.execute(query)
    ]


def communities(connection: Connection, *, since: datetime, most: int) -> Sequence[CommunityUse]:
    """The communities that asked for most since then."""
    posted = jobs.c.state == State.SUCCEEDED
    count = func.count()
    query = (
        select(
            jobs.c.guild_id,
            count,
            func.count(jobs.c.user_id.distinct()),
            func.sum(case((posted, 1), else_=0)),
            func.sum(case((posted, jobs.c.quote), else_=0)),
        )
        .where(jobs.c.id >= _first_id(since))
        .group_by(jobs.c.guild_id)
        .order_by(count.desc(), jobs.c.guild_id)
        .limit(most)
    )
    return [
        CommunityUse(guild_id, total, members, int(videos), int(spent))
        for guild_id, total, members, videos, spent in connection.execute(query)
    ]


def spending(connection: Connection, *, since: datetime) -> Spending:
    """What the jobs accepted since then have cost."""
    period = jobs.c.id >= _first_id(since)
    cost = (jobs.c.model, jobs.c.cost_amount, jobs.c.cost_unit)
    said = select(*cost, func.count()).where(period, jobs.c.cost_amount.is_not(None)).group_by(*cost)
    unsaid = select(jobs.c.model, jobs.c.request).where(
        period, jobs.c.cost_amount.is_(None), jobs.c.state == State.SUCCEEDED
    )
    unsaid = unsaid.order_by(jobs.c.id.desc()).limit(MOST_UNSAID)
    asked = Counter[tuple[str, str, str, int]]()
    for model, request in connection.execute(unsaid, execution_options={"yield_per": _BATCH}):
        each = Asked.model_validate_json(request)
        asked[model, each.mode, each.resolution, each.duration] += 1
    return Spending(
        said=[
            SaidCost(model, Cost(Decimal(amount), CostUnit(unit)), count)
            for model, amount, unit, count in connection.execute(said)
        ],
        unsaid=[
            UnsaidCost(model, Asked(mode=mode, resolution=resolution, duration=duration), count)
            for (model, mode, resolution, duration), count in asked.items()
        ],
    )


def last_account(connection: Connection) -> int:
    """The highest id of an account; 0: there is none."""
    return connection.execute(select(func.max(accounts.c.id))).scalar() or 0


def stray_credits(connection: Connection) -> int:
    """How many credits are held beyond what open jobs need; there must never be any, nor too few (below 0)."""
    held = connection.execute(select(func.sum(accounts.c.held))).scalar() or 0
    needed = connection.execute(select(func.sum(jobs.c.quote)).where(jobs.c.ended_at.is_(None))).scalar() or 0
    return int(held) - int(needed)


def _first_id(since: datetime) -> str:
    """Below every id of a job that was accepted since then."""
    return new_id(since, 0)


def _transition(
    number: int, words: str, at: datetime, *, model: str, reason: str | None, finished_at: datetime | None
) -> Transition:
    before, _, after = words.partition("->")
    left = State(before.strip()) if before.strip() else None
    is_post = left is State.DELIVERING and after.strip() == State.SUCCEEDED
    lag = at - finished_at if is_post and finished_at is not None else None
    return Transition(number, left, State(after.strip()), model, reason, lag)
