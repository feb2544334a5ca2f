"""Small facts that a process wants to find again after a restart."""

from __future__ import annotations

import secrets
from typing import Final

from sqlalchemy import Connection, select

from bot.database.tables import remembered
from bot.database.upsert import insert_if_absent, insert_or_replace

#: the name of a secret, which each database has its own of
MEMBER_KEYS: Final = "secret of member keys"


def recall(connection: Connection, name: str) -> str | None:
    """What was remembered under a name."""
    return connection.execute(select(remembered.c.value).where(remembered.c.name == name)).scalar()


def remember(connection: Connection, name: str, value: str) -> None:
    """Remember a value in place of an earlier one."""
    insert_or_replace(connection, remembered, name=name, value=value)


def recall_or_begin(connection: Connection, name: str, value: str) -> str:
    """What was remembered under a name; if nothing was, this value from now on, whoever asks."""
    insert_if_absent(connection, remembered, name=name, value=value)
    return connection.execute(select(remembered.c.value).where(remembered.c.name == name)).scalar_one()


def secret_of_member_keys(connection: Connection) -> str:
    """The secret behind the hashes of deleted members; made when a database sees its first start."""
    return recall_or_begin(connection, MEMBER_KEYS, secrets.token_hex(32))
