"""Inserts that find their row there already."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.sql.dml import ReturningInsert


def insert_if_absent(connection: Connection, table: Table, **values: object) -> bool:
    """Insert a row unless a unique key of it is there; tells whether it was inserted."""
    # not rowcount, which PostgreSQL's driver doesn't tell here
    return connection.execute(_inserted_if_absent(connection.dialect.name, table), values).first() is not None


def insert_or_replace(connection: Connection, table: Table, **values: object) -> None:
    """Insert a row, or give the row with the same primary key these values."""
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in values.items() if name not in keys}
    connection.execute(
        _insert(connection.dialect.name, table).values(values).on_conflict_do_update(index_elements=keys, set_=rest)
    )


@lru_cache(maxsize=64)
def _inserted_if_absent(dialect: str, table: Table) -> ReturningInsert[Any]:
    return _insert(dialect, table).on_conflict_do_nothing().returning(*table.primary_key)


def _insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    if dialect == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - where it isn't used, it isn't loaded

    return postgresql.insert(table)
