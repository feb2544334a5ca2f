"""What is deleted of jobs, members and guilds, in the database. Every function is part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, func, or_, select, update

from bot.communities.audit import mention
from bot.database.tables import accounts, audit, blocked_members, forgotten_grants, guilds, job_events, jobs, metadata
from bot.jobs.job import Request, fingerprint, what_is_left

#: what outlives its guild: numbers, once their people are gone, and what is kept by the keys of members
_OUTLIVING: Final = frozenset({accounts.name, jobs.name, blocked_members.name, forgotten_grants.name})
_TEXTS: Final = (audit.c.target, audit.c.before, audit.c.after, audit.c.reason)

_KEPT: Final = select(jobs.c.id, jobs.c.model, jobs.c.request, jobs.c.task_id).where(jobs.c.purged_at.is_(None))
_JOB: Final = "scrubbed_job"
#: what vendors said, where a video is, and until when one may still come
_EMPTIED: Final = ("vendor_message", "advice", "result_url", "result_expires_at", "video_path", "late_until")


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A job of which numbers are left, and what its files are found by."""

    id: str
    model: str
    task_id: str | None


def keep_days_in_use(connection: Connection) -> Sequence[int | None]:
    """For how many days guilds keep what is theirs, each number once; None: as long as the operator says."""
    query = select(guilds.c.keep_days).where(guilds.c.keep_days.is_not(None)).distinct()
    return [None, *connection.execute(query).scalars()]


def scrub_old(
    connection: Connection, *, before: datetime, keep_days: int | None, most: int, now: datetime
) -> Sequence[Scrubbed]:
    """Scrub up to ``most`` jobs that ended before then, in guilds that keep for so many days; the oldest first."""
    its_choice = guilds.c.keep_days.is_(None) if keep_days is None else guilds.c.keep_days == keep_days
    query = (
        _KEPT.select_from(jobs.outerjoin(guilds, guilds.c.guild_id == jobs.c.guild_id))
        .where(jobs.c.ended_at < before, its_choice)
        .order_by(jobs.c.ended_at)
        .limit(most)
    )
    # whom somebody else deletes just now needn't be waited for, and mustn't be: he may want what we have
    return _scrub(connection, query.with_for_update(of=jobs, skip_locked=True), now=now)


def scrub_member(connection: Connection, guild_id: int, user_id: int, *, now: datetime) -> Sequence[Scrubbed]:
    """Scrub every job of a member in a guild, in whose account nothing is held."""
    query = _KEPT.where(jobs.c.guild_id == guild_id, jobs.c.user_id == user_id)
    return _scrub(connection, query.order_by(jobs.c.id).with_for_update(), now=now)


def scrub_guild(connection: Connection, guild_id: int, *, most: int, now: datetime) -> Sequence[Scrubbed]:
    """Scrub up to ``most`` jobs of a guild that have ended."""
    query = _KEPT.where(jobs.c.guild_id == guild_id, jobs.c.ended_at.is_not(None))
    return _scrub(connection, query.order_by(jobs.c.id).limit(most).with_for_update(), now=now)


def make_jobs_nobodys(connection: Connection, guild_id: int, user_id: int, nobody: int) -> int:
    """Let a member's jobs belong to nobody any more; gives how many there are."""
    own = (jobs.c.guild_id == guild_id, jobs.c.user_id == user_id)
    return connection.execute(update(jobs).where(*own).values(user_id=nobody)).rowcount


def make_audit_nobodys(connection: Connection, guild_id: int, user_id: int, nobody: int) -> int:
    """Take a member out of a guild's audit, also out of its texts; gives in how many rows something changed."""
    ours = audit.c.guild_id == guild_id
    about = connection.execute(update(audit).where(ours, audit.c.target == mention(user_id)).values(reason=""))
    by = connection.execute(update(audit).where(ours, audit.c.actor_id == user_id).values(actor_id=nobody))
    # the older form is what some clients still send
    forms = (mention(user_id), f"<@!{user_id}>")
    named = or_(*(column.contains(form) for column in _TEXTS for form in forms))
    texts = {column.name: _replaced(column, forms, mention(nobody)) for column in _TEXTS}
    connection.execute(update(audit).where(ours, named).values(texts))
    return about.rowcount + by.rowcount


def delete_guild(connection: Connection, guild_id: int) -> None:
    """Delete what a guild has decided, why it has blocked members, and who did what in it."""
    connection.execute(update(blocked_members).where(blocked_members.c.guild_id == guild_id).values(reason=""))
    for table in reversed(metadata.sorted_tables):
        if "guild_id" in table.c and table.name not in _OUTLIVING:
            connection.execute(delete(table).where(table.c.guild_id == guild_id))


def delete_ended_grants(connection: Connection, now: datetime) -> int:
    """Forget what deleted members were given in periods that have ended; gives how many rows went."""
    return connection.execute(delete(forgotten_grants).where(forgotten_grants.c.ends_at <= now)).rowcount


def _scrub(connection: Connection, query: Select[*tuple[Any, ...]], *, now: datetime) -> Sequence[Scrubbed]:
    """Keep of the chosen jobs what usage is counted by. The query locks them."""
    rows = connection.execute(query).all()
    if not rows:
        return []
    connection.execute(
        update(jobs).where(jobs.c.id == bindparam(_JOB)).values(dict.fromkeys(_EMPTIED)).values(purged_at=now),
        [
            {
                _JOB: row.id,
                "request": what_is_left(Request.model_validate_json(row.request)).model_dump_json(
                    exclude_defaults=True
                ),
                "task_id": None if row.task_id is None else fingerprint(row.task_id),
            }
            for row in rows
        ],
    )
    silence = update(job_events).where(job_events.c.job_id == bindparam(_JOB)).values(detail="")
    connection.execute(silence, [{_JOB: row.id} for row in rows])
    return [Scrubbed(row.id, row.model, row.task_id) for row in rows]


def _replaced(column: ColumnElement[str], forms: Sequence[str], by: str) -> ColumnElement[str]:
    for form in forms:
        column = func.replace(column, form, by)
    return column
