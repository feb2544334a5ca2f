"""Inserts that find their row there already."""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_if_absent(connection: Connection, table: Table, **values: object) -> bool:
    """Insert a row unless a unique key of it is there; tells whether it was inserted."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    inserted = insert(table).values(values).on_conflict_do_nothing().returning(*table.primary_key)
    # not rowcount, which PostgreSQL's driver doesn't tell here
    return connection.execute(inserted).first() is not None


def insert_or_replace(connection: Connection, table: Table, **values: object) -> None:
    """Insert a row, or give the row with the same primary key these values."""
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in values.items() if name not in keys}
    connection.execute(insert(table).values(values).on_conflict_do_update(index_elements=keys, set_=rest))
