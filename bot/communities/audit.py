"""Who has decided what, in the database. Every function is part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, RowMapping, func, insert, select

from bot.database.tables import audit

#: who acts on the command line and has no id of Discord's: members' are above 0, what is left of deleted ones below
OPERATOR: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A change that somebody made."""

    guild_id: int
    actor_id: int
    #: applied once for each; None: there is none, and each is another deed
    interaction_id: int | None
    #: ``credits.grant``, ``models.allow``
    action: str
    #: a model, or a member, role or channel as Discord shows it: ``<@5>``
    target: str
    before: str
    after: str
    reason: str = ""
    #: the ledger entry that it explains
    entry_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A deed, and when it was done."""

    deed: Deed
    created_at: datetime


def mention(user_id: int) -> str:
    """A member, as the target of a deed."""
    return f"<@{user_id}>"


def record(connection: Connection, deed: Deed, *, now: datetime) -> None:
    """Write a row."""
    values = {
        "guild_id": deed.guild_id,
        "actor_id": deed.actor_id,
        "interaction_id": deed.interaction_id,
        "action": deed.action,
        "target": deed.target,
        "before": deed.before,
        "after": deed.after,
        "reason": deed.reason,
        "entry_id": deed.entry_id,
        "created_at": now,
    }
    connection.execute(insert(audit).values(values))


def was_done(connection: Connection, interaction_id: int | None) -> bool:
    """Whether this interaction has changed something already."""
    if interaction_id is None:
        return False
    return connection.execute(select(audit.c.id).where(audit.c.interaction_id == interaction_id)).first() is not None


def has(connection: Connection, deed: Deed) -> bool:
    """Whether the same person has done the same before, whatever the reason."""
    same = (audit.c.guild_id == deed.guild_id, audit.c.actor_id == deed.actor_id, audit.c.action == deed.action)
    query = select(audit.c.id).where(*same, audit.c.target == deed.target, audit.c.after == deed.after)
    return connection.execute(query).first() is not None


def by_operator(connection: Connection, *, after: int) -> Sequence[tuple[int, Deed]]:
    """What was done on the command line, in any guild: the rows with a higher number, in order."""
    query = select(audit).where(audit.c.id > after, audit.c.actor_id == OPERATOR).order_by(audit.c.id)
    return [(row["id"], _deed(row)) for row in connection.execute(query).mappings()]


def newest(connection: Connection) -> int:
    """The number of the last row; 0: there is none."""
    return connection.execute(select(func.max(audit.c.id))).scalar() or 0


def page(
    connection: Connection,
    guild_id: int,
    *,
    about: int | None = None,
    action: str | None = None,
    most: int,
    skip: int = 0,
) -> Sequence[Row]:
    """A guild's deeds, the newest first.

    ``about``: by or to this member; ``action``: this one, or all of a group (``credits``).
    """
    query = select(audit).where(audit.c.guild_id == guild_id)
    if about is not None:
        query = query.where((audit.c.actor_id == about) | (audit.c.target == mention(about)))
    if action is not None:
        query = query.where((audit.c.action == action) | audit.c.action.startswith(f"{action}.", autoescape=True))
    rows = connection.execute(query.order_by(audit.c.id.desc()).limit(most).offset(skip)).mappings()
    return [Row(deed=_deed(row), created_at=row["created_at"]) for row in rows]


def _deed(row: RowMapping) -> Deed:
    return Deed(
        guild_id=row["guild_id"],
        actor_id=row["actor_id"],
        interaction_id=row["interaction_id"],
        action=row["action"],
        target=row["target"],
        before=row["before"],
        after=row["after"],
        reason=row["reason"],
        entry_id=row["entry_id"],
    )
