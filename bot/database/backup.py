"""A copy of the database that is known to be good."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from sqlite3 import connect

from sqlalchemy import make_url

from bot.credits import ledger
from bot.database.engine import sync_engine


class BackupFailed(Exception):  # noqa: N818 - it names what happened
    """There is no good copy; nothing was left behind."""


def backup(url: str, target: Path | None, *, now: datetime) -> Path:
    """Copy a SQLite database while it is in use, open the copy and check its books; gives its path.

    Raises ``BackupFailed``.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise BackupFailed("a PostgreSQL database is backed up with pg_dump")
    source = Path(parsed.database)
    if not source.is_file():
        raise BackupFailed(f"there is no database at {source}")
    path = target or source.with_name(f"{source.stem}-{now:%Y%m%dT%H%M%S}.backup.db")
    part = path.with_name(f"{path.name}.part")
    copy_of(source, part)
    try:
        _verify(part)
    except BaseException:
        part.unlink()
        raise
    return part.replace(path)


def copy_of(source: Path, target: Path) -> None:
    """Copy a SQLite file consistently, also while others write to it."""
    target.unlink(missing_ok=True)
    original, copy = connect(source), connect(target)
    try:
        original.backup(copy)
        # one file, without a log beside it
        copy.execute("PRAGMA journal_mode=DELETE")
    finally:
        copy.close()
        original.close()


def _verify(path: Path) -> None:
    engine = sync_engine(make_url(f"sqlite:///{path}"))
    try:
        with engine.connect() as connection:
            sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
            wrong = ledger.mismatches(connection)
    finally:
        engine.dispose()
    if sound != "ok" or wrong:
        raise BackupFailed(f"the copy isn't sound: {sound}, {len(wrong)} accounts differ from their entries")
