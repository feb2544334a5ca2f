"""Looks for what should be gone: in every column of the database, and in every file of the data folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.discord.worlds import World


def traces(world: World, *sought: int | str) -> list[str]:
    """Where something stands in the database: ``table.column: value``."""
    path = world.settings.data_dir / "wanbot.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [place for place, value in _values(connection) if any(str(each) in str(value) for each in sought)]


def files_below(folder: Path) -> list[str]:
    """Every file of the data folder, but those of the database."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("wanbot.db"))
    return sorted(path.relative_to(folder).as_posix() for path in found)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Everything that lies in a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _values(connection: sqlite3.Connection) -> Iterator[tuple[str, object]]:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        rows = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - a name from the database itself
        names = [column[0] for column in rows.description]
        for row in rows:
            for name, value in zip(names, row, strict=True):
                yield f"{table}.{name}: {value}", value
