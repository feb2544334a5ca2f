"""A copy of a PostgreSQL that is in use, known to be good: one SQLite file, as it was in one moment."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from bot.database.backup import BackupFailed, verify
from bot.database.moving import copy_into_file


def snapshot(url: str, target: Path | None, *, now: datetime) -> Path:
    """Copy a database while it is in use, open the copy and check it; gives its path.

    Raises ``BackupFailed``, and ``CannotMove`` when the books are wrong already; nothing is left behind then.
    """
    if target is None:
        raise BackupFailed("a PostgreSQL has no folder of its own: say with --to which file to write")
    part = target.with_name(f"{target.name}.part")
    try:
        _remove(part)
        copy_into_file(url, part, now=now)
        with closing(sqlite3.connect(part)) as copy:
            # one file, without a log beside it
            copy.execute("PRAGMA journal_mode=DELETE")
        verify(part)
        return part.replace(target)
    except (sqlite3.Error, DBAPIError, OSError) as error:
        raise BackupFailed(f"there is no copy at {target}: {_why(error)}") from error
    finally:
        _remove(part)


def _remove(part: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        part.with_name(f"{part.name}{suffix}").unlink(missing_ok=True)


def _why(error: Exception) -> str:
    """The database's own words, without the statement."""
    return " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
