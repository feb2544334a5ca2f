"""Bring a database to the schema of this code, or leave it untouched."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, func, inspect, select, text
from sqlalchemy.engine import URL, make_url

from bot.database.backup import BackupFailed, copy_of
from bot.database.engine import sync_engine

#: The newest migration. Kept here so that a start without work to do needn't load Alembic.
HEAD = "0004"

#: any number that nobody else uses for an advisory lock
_LOCK = 7_741_902_135
_SCRIPTS = Path(__file__).parents[2] / "migrations"


#: what a file's header says of a database that keeps a log beside it; none of our backups does
_HAS_LOG = 2
_HEADER = 20


class StrayLog(OSError):  # noqa: N818 - it names what was found
    """Beside a restored copy lies the log of the database that it took the place of: SQLite would mix the two."""


class NewerDatabase(Exception):  # noqa: N818 - it names what was found
    """The database was migrated by a newer version of the bot."""


class CannotMove(Exception):  # noqa: N818 - it names what happened
    """Nothing was moved to another database; that one is as it was."""


def migrate(url: str | URL, *, now: datetime) -> Path | None:
    """Migrate to ``HEAD``; give the backup that was made before, if there was something to lose.

    Raises ``NewerDatabase``, ``BackupFailed`` and ``StrayLog``. A migration that fails leaves nothing behind.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        _check_log(Path(parsed.database))
    engine = sync_engine(parsed)
    try:
        # all of it is one transaction, so that nobody writes between the backup and the new schema
        with engine.begin() as connection:
            wait_for_others(connection)
            version = version_of(connection)
            return None if version == HEAD else _upgrade(connection, parsed, version, now)
    finally:
        engine.dispose()


def version_of(connection: Connection) -> str | None:
    """The last migration that a database has seen; None: it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _check_log(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    if not path.is_file() or not log.is_file() or not log.stat().st_size:
        return
    with path.open("rb") as file:
        header = file.read(_HEADER)
    if len(header) == _HEADER and header[-1] != _HAS_LOG and header.startswith(b"SQLite format 3"):
        raise StrayLog(f"{log} isn't the log of this {path.name}, which is a copy: move it and {path.name}-shm away")


def wait_for_others(connection: Connection) -> None:
    """Let one process at a time look at the version and migrate; on SQLite its BEGIN IMMEDIATE does."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))


def _upgrade(connection: Connection, url: URL, version: str | None, now: datetime) -> Path | None:
    # loaded only when there is work: Alembic costs a tenth of a second
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise NewerDatabase(f"the database is at version {version}, this program knows {HEAD}: update the program")
    backup = _backup_path(url, version, now) if version else None
    try:
        if backup is not None:
            _back_up(Path(url.database or ""), backup)
        command.upgrade(config, HEAD)
    except BaseException:
        # the database is as it was, and a bot that is started again and again must not fill the disk
        if backup is not None:
            backup.unlink(missing_ok=True)
        raise
    return backup


def _back_up(source: Path, target: Path) -> None:
    try:
        copy_of(source, target)
    except sqlite3.Error as error:
        raise BackupFailed(f"it isn't migrated without a copy, and there is none at {target}: {error}") from error


def _backup_path(url: URL, version: str, now: datetime) -> Path | None:
    """Where a SQLite file is copied to, beside itself; on PostgreSQL backups are the server's."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    source = Path(url.database)
    return source.with_name(f"{source.stem}-{version}-{now:%Y%m%dT%H%M%S}.backup.db")
