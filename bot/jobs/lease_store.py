"""Leases in PostgreSQL, by its own clock. Every function is part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, case, delete, exists, func, insert, or_, select, update

from bot.database.server_clock import NOW, from_now
from bot.database.tables import jobs, processes
from bot.jobs import store
from bot.jobs.job import Job

_IS_LIVING = processes.c.until > NOW
_IS_ITS_OWNER = processes.c.id == jobs.c.owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How it stands with a lease that was just renewed, and with the others."""

    #: it had run out before: others may have taken jobs of this process
    was_over: bool
    #: the processes that there are, by name
    living: Sequence[str]
    #: processes that don't renew theirs any more left jobs behind
    is_work_left: bool
    #: the open jobs of this process, and of all
    own_jobs: int
    open_jobs: int


def renew(connection: Connection, *, name: str, shards: str, length: timedelta) -> Standing:
    """Take or prolong a lease."""
    is_own, until = processes.c.id == name, from_now(length)
    was_held = connection.execute(update(processes).where(is_own, _IS_LIVING).values(until=until)).rowcount == 1
    if not was_held:
        connection.execute(delete(processes).where(is_own))
        connection.execute(insert(processes).values(id=name, shards=shards, started_at=NOW, until=until))
    gone = select(processes.c.id).where(~_IS_LIVING, ~exists().where(_IS_ITS_OWNER, jobs.c.ended_at.is_(None)))
    # whoever else clears away waits for nobody
    connection.execute(delete(processes).where(processes.c.id.in_(gone.with_for_update(skip_locked=True))))
    is_ours = case((jobs.c.owner == name, 1), else_=0)
    counts = select(func.coalesce(func.sum(is_ours), 0), func.count()).where(jobs.c.ended_at.is_(None))
    own_jobs, open_jobs = connection.execute(counts).one()
    living = select(processes.c.id).where(_IS_LIVING).order_by(processes.c.id)
    return Standing(
        was_over=not was_held,
        living=connection.execute(living).scalars().all(),
        is_work_left=connection.execute(select(exists().where(~_IS_LIVING))).scalar_one(),
        own_jobs=int(own_jobs),
        open_jobs=open_jobs,
    )


def end(connection: Connection, *, name: str) -> None:
    """Let a lease be over now."""
    connection.execute(update(processes).where(processes.c.id == name).values(until=NOW))


def claim(connection: Connection, *, name: str, now: datetime, recent: datetime, most: int) -> Sequence[Job]:
    """Take up to ``most`` jobs that no living process has, the oldest first, past those that others are taking."""
    is_nobodys = ~exists().where(_IS_ITS_OWNER, _IS_LIVING)
    orphans = select(jobs.c.id).where(_wants_work(now, recent), is_nobodys).order_by(jobs.c.created_at, jobs.c.id)
    found = connection.execute(orphans.limit(most).with_for_update(skip_locked=True, of=jobs)).scalars().all()
    # asked again, since the locks are ours only now: the rows may have got another owner after they were looked at
    own = update(jobs).where(jobs.c.id.in_(found), is_nobodys).values(owner=name).returning(jobs.c.id)
    return store.some(connection, connection.execute(own).scalars().all())


def taken(connection: Connection, *, name: str | None, job_ids: Collection[str]) -> Collection[str]:
    """Which of these jobs are another process's."""
    query = select(jobs.c.id).where(jobs.c.id.in_(job_ids), jobs.c.owner.is_distinct_from(name))
    return connection.execute(query).scalars().all()


def _wants_work(now: datetime, recent: datetime) -> ColumnElement[bool]:
    """Open, or its video may come late, or its card doesn't show its end yet. Each has an index of its own."""
    return or_(jobs.c.ended_at.is_(None), jobs.c.late_until > now, store.has_stale_card(recent))
