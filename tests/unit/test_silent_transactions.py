"""What a process that is suspended in the midst of a transaction keeps the others from, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from threading import Event

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from bot.communities.store import lock_guild
from bot.database import engine
from bot.database.engine import open_database
from bot.database.tables import guilds

GUILD = 1


async def test_a_process_that_is_suspended_in_a_transaction_keeps_its_locks_for_seconds_only(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what members can wait for is long for a test
    monkeypatch.setattr(engine, "_SILENCE", timedelta(seconds=1))
    suspended, other = open_database(postgres_url), open_database(postgres_url)
    loop, has_lock, wakes = asyncio.get_running_loop(), asyncio.Event(), Event()

    def sleep_with_a_lock(connection: Connection) -> None:
        lock_guild(connection, GUILD)
        loop.call_soon_threadsafe(has_lock.set)
        wakes.wait()
        connection.execute(select(guilds.c.guild_id)).all()

    sleeping = asyncio.create_task(suspended.write(sleep_with_a_lock))
    try:
        await has_lock.wait()
        async with asyncio.timeout(60):
            await other.write(partial(lock_guild, guild_id=GUILD))
    finally:
        wakes.set()
    with pytest.raises(DBAPIError):
        await sleeping
    # and what it does next has a connection
    await suspended.write(partial(lock_guild, guild_id=GUILD))
    for database in (suspended, other):
        await database.close()
