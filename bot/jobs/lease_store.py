"""Leases in PostgreSQL, by its own clock. Every function is part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, case, delete, exists, func, insert, or_, select, update

from bot.database.server_clock import NOW, from_now
from bot.database.tables import jobs, processes
from bot.jobs import store
from bot.jobs.job import Job

_IS_LIVING = processes.c.until > NOW
_IS_ITS_OWNER = processes.c.id == jobs.c.owner


def renew(connection: Connection, *, name: str, shards: str, length: timedelta) -> tuple[bool, Sequence[str], bool]:
    """Take or prolong a lease.

    Gives whether it was held until now, which processes there are, by name, and whether one that is gone left work.
    """
    is_own, until = processes.c.id == name, from_now(length)
    was_held = connection.execute(update(processes).where(is_own, _IS_LIVING).values(until=until)).rowcount == 1
    if not was_held:
        connection.execute(delete(processes).where(is_own))
        connection.execute(insert(processes).values(id=name, shards=shards, started_at=NOW, until=until))
    gone = select(processes.c.id).where(~_IS_LIVING, ~exists().where(_IS_ITS_OWNER, jobs.c.ended_at.is_(None)))
    # whoever else clears away waits for nobody
    connection.execute(delete(processes).where(processes.c.id.in_(gone.with_for_update(skip_locked=True))))
    is_work_left = connection.execute(select(exists().where(~_IS_LIVING))).scalar_one()
    living = connection.execute(select(processes.c.id).where(_IS_LIVING).order_by(processes.c.id)).scalars().all()
    return was_held, living, is_work_left


def open_jobs(connection: Connection, name: str) -> tuple[int, int]:
    """How many open jobs a process has, and how many there are."""
    is_own = case((jobs.c.owner == name, 1), else_=0)
    query = select(func.coalesce(func.sum(is_own), 0), func.count()).where(jobs.c.ended_at.is_(None))
    own, every = connection.execute(query).one()
    return int(own), every


def end(connection: Connection, *, name: str) -> None:
    """Let a lease be over now."""
    connection.execute(update(processes).where(processes.c.id == name).values(until=NOW))


def claim(connection: Connection, *, name: str, now: datetime, recent: datetime, most: int) -> Sequence[Job]:
    """Take up to ``most`` jobs that no living process has, the oldest first, past those that others are taking."""
    is_nobodys = ~exists().where(_IS_ITS_OWNER, _IS_LIVING)
    orphans = select(jobs.c.id).where(_wants_work(now, recent), is_nobodys).order_by(jobs.c.created_at, jobs.c.id)
    found = connection.execute(orphans.limit(most).with_for_update(skip_locked=True, of=jobs)).scalars().all()
    connection.execute(update(jobs).where(jobs.c.id.in_(found)).values(owner=name))
    return store.some(connection, found)


def taken(connection: Connection, *, name: str | None, job_ids: Collection[str]) -> Collection[str]:
    """Which of these jobs are another process's."""
    query = select(jobs.c.id).where(jobs.c.id.in_(job_ids), jobs.c.owner.is_distinct_from(name))
    return connection.execute(query).scalars().all()


def _wants_work(now: datetime, recent: datetime) -> ColumnElement[bool]:
    """Open, or its video may come late, or its card doesn't show its end yet. Each has an index of its own."""
    is_stale = and_(jobs.c.ended_at >= recent, jobs.c.purged_at.is_(None), jobs.c.card_version < jobs.c.version)
    return or_(jobs.c.ended_at.is_(None), jobs.c.late_until > now, is_stale)
