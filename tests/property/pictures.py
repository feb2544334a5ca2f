"""Everything that the database holds of a guild."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, select

from bot.database.tables import accounts, jobs, metadata

#: by table, the oldest row first
Picture = Mapping[str, Sequence[Row[Any]]]


def picture_of(connection: Connection, guild_id: int) -> Picture:
    """Every row, by the guild's id or that of an account or a job of it."""
    return {name: connection.execute(query).all() for name, query in _queries(guild_id).items()}


@cache
def _queries(guild_id: int) -> Mapping[str, Select[Any]]:
    found = {name: _query(table, guild_id) for name, table in metadata.tables.items()}
    return {name: query for name, query in found.items() if query is not None}


def _query(table: Table, guild_id: int) -> Select[Any] | None:
    """The rows of a table that belong to a guild; None: they belong to none."""
    query = select(table).order_by(*table.primary_key)
    if "guild_id" in table.c:
        return query.where(table.c.guild_id == guild_id)
    if "account_id" in table.c:
        return query.join(accounts).where(accounts.c.guild_id == guild_id)
    return query.join(jobs).where(jobs.c.guild_id == guild_id) if "job_id" in table.c else None
