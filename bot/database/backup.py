"""A copy of the database that is known to be good."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from bot.credits import ledger


class BackupFailed(Exception):  # noqa: N818 - it names what happened
    """There is no good copy; nothing was left behind."""


def backup(url: str, target: Path | None, *, now: datetime) -> Path:
    """Copy a SQLite database while it is in use, open the copy and check its books; gives its path.

    Raises ``BackupFailed``.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise BackupFailed("only a SQLite file is copied as it is")
    source = Path(parsed.database)
    if not source.is_file():
        raise BackupFailed(f"there is no database at {source}")
    path = target or source.with_name(f"{source.stem}-{now:%Y%m%dT%H%M%S}.backup.db")
    if path.exists() and path.samefile(source):
        raise BackupFailed("the copy needs another name than the database")
    part = path.with_name(f"{path.name}.part")
    try:
        copy_of(source, part)
        verify(part)
        return part.replace(path)
    except (sqlite3.Error, DBAPIError, OSError) as error:
        raise BackupFailed(f"there is no copy at {path}: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def copy_of(source: Path, target: Path) -> None:
    """Copy a SQLite file consistently, also while others write to it."""
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)
        # one file, without a log beside it
        copy.execute("PRAGMA journal_mode=DELETE")


def verify(path: Path) -> None:
    """Open a copy, check the file and its books. Raises ``BackupFailed`` for what is unsound."""
    only_read = f"{path.absolute().as_uri()}?mode=ro"
    engine = create_engine("sqlite://", creator=partial(sqlite3.connect, only_read, uri=True), poolclass=NullPool)
    with engine.connect() as connection:
        sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
        wrong = ledger.mismatches(connection)
    if sound != "ok" or wrong:
        raise BackupFailed(f"the copy isn't sound: {sound}, {len(wrong)} accounts differ from their entries")
