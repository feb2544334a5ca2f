"""What the command line looks up in the database. Every function is part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from bot.database.tables import audit, job_events, jobs, ledger_entries
from bot.jobs import store
from bot.jobs.job import Job, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which jobs are looked for; None, or no state: any."""

    states: frozenset[State] = frozenset()
    guild_id: int | None = None
    user_id: int | None = None
    #: accepted before
    before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A step of a job."""

    at: datetime
    transition: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of the ledger, and who explained it why."""

    id: int
    at: datetime
    kind: str
    available: int
    held: int
    allowance: int
    job_id: str | None
    #: None: nobody, it came by itself
    actor_id: int | None
    reason: str | None


def found(connection: Connection, chosen: Filter, *, most: int) -> Sequence[Job]:
    """The newest jobs that fit."""
    query = select(jobs.c.id).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(most)
    if chosen.states:
        query = query.where(jobs.c.state.in_(chosen.states))
    if chosen.guild_id is not None:
        query = query.where(jobs.c.guild_id == chosen.guild_id)
    if chosen.user_id is not None:
        query = query.where(jobs.c.user_id == chosen.user_id)
    if chosen.before is not None:
        query = query.where(jobs.c.created_at < chosen.before)
    loaded = [store.load(connection, job_id) for job_id in connection.execute(query).scalars().all()]
    return [job for job in loaded if job is not None]


def events(connection: Connection, job_id: str) -> Sequence[Event]:
    """Every step of a job, in order."""
    query = select(job_events).where(job_events.c.job_id == job_id).order_by(job_events.c.id)
    return [
        Event(at=row["created_at"], transition=row["transition"], detail=row["detail"])
        for row in connection.execute(query).mappings()
    ]


def entries_of_job(connection: Connection, job_id: str) -> Sequence[Entry]:
    """Everything that was booked for a job, in order."""
    query = _ENTRIES.where(ledger_entries.c.job_id == job_id).order_by(ledger_entries.c.id)
    return [Entry(**row) for row in connection.execute(query).mappings()]


def entries_of_account(connection: Connection, account_id: int, *, most: int) -> Sequence[Entry]:
    """The last entries of an account, the newest first."""
    query = _ENTRIES.where(ledger_entries.c.account_id == account_id).order_by(ledger_entries.c.id.desc())
    return [Entry(**row) for row in connection.execute(query.limit(most)).mappings()]


def lock_job(connection: Connection, job_id: str) -> Job | None:
    """A job as it stands, locked until the transaction ends. Its account is locked before."""
    connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
    return store.load(connection, job_id)


_ENTRIES = select(
    ledger_entries.c.id,
    ledger_entries.c.created_at.label("at"),
    ledger_entries.c.kind,
    ledger_entries.c.available_change.label("available"),
    ledger_entries.c.held_change.label("held"),
    ledger_entries.c.allowance_change.label("allowance"),
    ledger_entries.c.job_id,
    audit.c.actor_id,
    audit.c.reason,
).outerjoin(audit, audit.c.entry_id == ledger_entries.c.id)
