"""Which guilds the bot has left, in the database. Every function is part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from bot.database.tables import guilds


@dataclass(frozen=True, slots=True)
class Departure:
    """A guild that the bot has left."""

    guild_id: int
    left_at: datetime
    #: None: as the operator says
    keep_days: int | None


def note_departure(connection: Connection, guild_id: int, *, now: datetime) -> None:
    """Write down, and lock, that the bot isn't in a guild any more; an earlier departure keeps its time."""
    gone = update(guilds).where(guilds.c.guild_id == guild_id, guilds.c.left_at.is_(None))
    connection.execute(gone.values(left_at=now))


def note_return(connection: Connection, guild_id: int) -> None:
    """Write down that the bot is in a guild again."""
    connection.execute(update(guilds).where(guilds.c.guild_id == guild_id).values(left_at=None))


def known_guilds(connection: Connection) -> Mapping[int, datetime | None]:
    """Every guild of which something is known, and since when the bot isn't in it any more."""
    query = select(guilds.c.guild_id, guilds.c.left_at)
    return {row.guild_id: row.left_at for row in connection.execute(query)}


def departures(connection: Connection) -> Sequence[Departure]:
    """Every guild that the bot has left, whose data isn't deleted yet."""
    query = select(guilds.c.guild_id, guilds.c.left_at, guilds.c.keep_days).where(guilds.c.left_at.is_not(None))
    return [Departure(*row) for row in connection.execute(query.order_by(guilds.c.guild_id))]


def is_departed(connection: Connection, departure: Departure) -> bool:
    """Whether the bot is still away since then; locks the guild until the transaction ends."""
    query = select(guilds.c.left_at).where(guilds.c.guild_id == departure.guild_id).with_for_update()
    return connection.execute(query).scalar() == departure.left_at
