"""Turns: what processes that share a PostgreSQL may only do one after another, with some time between.

A turn is taken in one short transaction, so a process that dies holds nobody up, and what it did still counts. Time is
the database's: the clocks of several machines differ.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from bot.database import remembered
from bot.database.advisory_locks import advisory_lock
from bot.database.server_clock import NOW


def take_turn(connection: Connection, name: str, *, between: timedelta) -> float | None:
    """Take the turn if ``between`` has passed since anybody took the last one of this name.

    Gives the seconds after which to ask again; 0: the turn is taken; None: on SQLite there is nobody to wait for.
    """
    if connection.dialect.name != "postgresql":
        return None
    connection.execute(select(advisory_lock(name)))
    # read only now: others may have taken their turns while this one waited for the lock
    now = connection.execute(select(NOW)).scalar_one()
    last = remembered.recall(connection, name)
    wait = seconds_left(None if last is None else datetime.fromisoformat(last), now, between=between)
    if not wait:
        remembered.remember(connection, name, now.isoformat())
    return wait


def seconds_left(last: datetime | None, now: datetime, *, between: timedelta) -> float:
    """How long it takes until the next turn; 0: it may be taken."""
    # a last turn that is still to come was taken by a clock that was set back since
    if last is None or last > now:
        return 0.0
    return max(0.0, (last + between - now).total_seconds())
