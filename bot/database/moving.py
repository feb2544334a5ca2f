"""``wanbot migrate --from … --to …``: everything into another database, at once, and compared on both sides."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, String, Table, delete, func, insert, select, text
from sqlalchemy.engine import URL, make_url

from bot.credits import ledger
from bot.database.engine import sync_engine
from bot.database.lock import only_process
from bot.database.migrate import HEAD, CannotMove, migrate, version_of, wait_for_others
from bot.database.remembered import MEMBER_KEYS, recall, remember
from bot.database.tables import PASSING, accounts, jobs, metadata, remembered

#: rows that are on their way at once
_CHUNK: Final = 1000
_POSTGRES_PORT: Final = 5432
#: a bot that has just stopped may not be quite gone: so often, and with so many seconds between, it is looked again
_TRIES: Final = 10
_PAUSE: Final = 0.2
_OTHERS: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)
#: what is moved, tables that others refer to first
_TABLES: Final = tuple(table for table in metadata.sorted_tables if table.info != PASSING)
#: the number for a table without a row
_NOTHING: Final = b""
#: under which name a copy remembers what it was like when it was made
_MARK: Final = "moved"


@dataclass(frozen=True, slots=True)
class Moved:
    """What was copied, and is equal on both sides."""

    #: rows by table
    rows: Mapping[str, int]
    open_jobs: int
    #: credits
    held: int
    available: int
    #: texts with a character that PostgreSQL has no place for, which was left out
    cleaned: int
    #: whether it took the place of an earlier copy
    is_again: bool


def move(source_url: str, target_url: str, *, now: datetime) -> Moved:
    """Copy a database into another, whose bot is stopped as well; it may be the copy of an earlier time.

    Everything is read in one transaction and written in one, and compared before that ends. Raises ``CannotMove``,
    and ``DatabaseInUse`` while a bot runs on a SQLite file.
    """
    source, target = make_url(source_url), make_url(target_url)
    if _place(source) == _place(target):
        raise CannotMove("--from and --to are the same database")
    if source.get_backend_name() == "sqlite" and not Path(source.database or "").is_file():
        raise CannotMove(f"there is no database at {source.database}")
    with ExitStack() as stack:
        for url in (source_url, target_url):
            stack.enter_context(only_process(url))
        origin = stack.enter_context(_connected(source, is_source=True))
        # a bot that starts now waits until this is over
        wait_for_others(origin)
        _check_alone(origin, "the source")
        _check_version(origin)
        migrate(target_url, now=now)
        copy = stack.enter_context(_connected(target, is_source=False))
        wait_for_others(copy)
        _check_alone(copy, "the target")
        return _copy(origin, copy)


def copy_into_file(url: str, path: Path, *, now: datetime) -> None:
    """Copy a database, also one in use, into a new SQLite file, as it is in one moment. Raises ``CannotMove``."""
    target = URL.create("sqlite", database=str(path))
    with _connected(make_url(url), is_source=True) as origin:
        _check_version(origin)
        migrate(target, now=now)
        with _connected(target, is_source=False) as copy:
            _copy(origin, copy)


def _check_version(source: Connection) -> None:
    version = version_of(source)
    if version != HEAD:
        advice = "start this program on it once, or run `wanbot migrate`"
        raise CannotMove(f"the source is at version {version or 'none'}, and not at {HEAD}: {advice} first")


def _copy(source: Connection, target: Connection) -> Moved:
    """Replace what is in the target, in its transaction."""
    _check_books(source, "the source")
    mark, identity = recall(target, _MARK), _identity(source)
    if mark is None:
        _check_empty(target)
    else:
        _check_untouched(target, json.loads(mark), identity)
    with _ledger_open(target):
        for table in reversed(_TABLES):
            target.execute(delete(table))
    parts = [_copy_table(source, target, table) for table in _TABLES]
    if _totals(source) != _totals(target):
        raise CannotMove("the totals of both sides differ; nothing stays")
    _check_books(target, "the copy")
    digests = {part.table: part.digest for part in parts}
    remember(target, _MARK, json.dumps({"identity": identity, "digests": digests}))
    open_jobs, held, available = _totals(target)
    return Moved(
        rows={part.table: part.rows for part in parts},
        open_jobs=open_jobs,
        held=held,
        available=available,
        cleaned=sum(part.cleaned for part in parts),
        is_again=mark is not None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A table that was copied."""

    table: str
    rows: int
    digest: str
    #: rows with a text that was changed
    cleaned: int


def _copy_table(source: Connection, target: Connection, table: Table) -> _Part:
    """Copy a table into its empty place, then read it there. Raises ``CannotMove`` when it isn't the same."""
    count, cleaned, digest = 0, 0, _NOTHING
    for rows in _chunks(source, table):
        clean = [_clean(row) for row in rows]
        cleaned += sum(before != after for before, after in zip(rows, clean, strict=True))
        count, digest = count + len(clean), _after(digest, clean)
        target.execute(insert(table), clean)
    _reset_numbers(target, table)
    if _digest(target, table) != (count, digest.hex()):
        raise CannotMove(f"the copy of {table.name} isn't what was copied; nothing stays")
    return _Part(table=table.name, rows=count, digest=digest.hex(), cleaned=cleaned)


def _check_empty(target: Connection) -> None:
    """Raises ``CannotMove`` when a bot has worked there."""
    full = [table.name for table in _TABLES if table is not remembered and _count(target, table)]
    if full:
        raise CannotMove(f"the target isn't empty, and no copy made by this command (it has {', '.join(full)})")


def _check_untouched(target: Connection, mark: Mapping[str, Any], identity: str) -> None:
    """Raises ``CannotMove`` when an earlier copy isn't ours, or has changed since."""
    if mark["identity"] != identity:
        raise CannotMove("the target holds a copy of another database; give an empty one")
    before: Mapping[str, str] = mark["digests"]
    changed = [
        table.name
        for table in _TABLES
        if table is not remembered and before.get(table.name, _NOTHING.hex()) != _digest(target, table)[1]
    ]
    if changed:
        raise CannotMove(
            f"the target has changed since it was copied ({', '.join(changed)}): a bot has worked on it, and what it "
            "did would be lost. Go on with the target, or give an empty database"
        )


def _check_books(connection: Connection, which: str) -> None:
    wrong = ledger.mismatches(connection)
    if wrong:
        raise CannotMove(f"{len(wrong)} accounts of {which} differ from their entries: run `wanbot check`")


def _check_alone(connection: Connection, which: str) -> None:
    """Raises ``CannotMove`` while somebody else is connected: what a bot does meanwhile would be left behind.

    A SQLite file tells by its lock.
    """
    if connection.dialect.name != "postgresql":
        return
    others = connection.execute(_OTHERS).scalar_one()
    for _ in range(_TRIES):
        if not others:
            return
        time.sleep(_PAUSE)
        # else the answer stays the same within a transaction
        connection.execute(text("SELECT pg_stat_clear_snapshot()"))
        others = connection.execute(_OTHERS).scalar_one()
    if others:
        raise CannotMove(f"{which} has {others} other connections: stop every bot on it, and close other programs")


def _digest(connection: Connection, table: Table) -> tuple[int, str]:
    """How many rows a table has, and a number for all that stands in them."""
    count, digest = 0, _NOTHING
    for rows in _chunks(connection, table):
        count += len(rows)
        digest = _after(digest, rows)
    return count, digest.hex()


def _after(digest: bytes, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The number for what came before and these rows."""
    for row in rows:
        digest = hashlib.sha256(digest + repr(list(row.items())).encode()).digest()
    return digest


def _chunks(connection: Connection, table: Table) -> Iterator[Sequence[dict[str, Any]]]:
    """Every row, in the order of the primary key, some at a time."""
    query = select(table).order_by(*_ordering(connection, table))
    result = connection.execute(query, execution_options={"stream_results": True})
    for rows in result.mappings().partitions(_CHUNK):
        yield [dict(row) for row in rows]


def _ordering(connection: Connection, table: Table) -> Sequence[ColumnElement[Any]]:
    """The primary key; texts by their bytes, as SQLite has them."""
    if connection.dialect.name != "postgresql":
        return list(table.primary_key)
    return [column.collate("C") if isinstance(column.type, String) else column for column in table.primary_key]


def _clean(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without the one character that PostgreSQL's texts can't have."""
    return {name: value.replace("\0", "") if isinstance(value, str) else value for name, value in row.items()}


@contextmanager
def _ledger_open(target: Connection) -> Generator[None]:
    """Lift the triggers that keep the ledger from being emptied, within the transaction."""
    if target.dialect.name == "postgresql":
        target.execute(text("ALTER TABLE ledger_entries DISABLE TRIGGER USER"))
        yield
        target.execute(text("ALTER TABLE ledger_entries ENABLE TRIGGER USER"))
        return
    triggers = target.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")).all()
    for name, _ in triggers:
        target.execute(text(f'DROP TRIGGER "{name}"'))
    yield
    for _, made in triggers:
        target.exec_driver_sql(made)


def _reset_numbers(target: Connection, table: Table) -> None:
    """Let PostgreSQL number the next row after the highest that was copied; SQLite does so by itself."""
    column = table.autoincrement_column
    if target.dialect.name != "postgresql" or column is None:
        return
    sequence = func.pg_get_serial_sequence(table.name, column.name)
    highest = select(func.max(column)).scalar_subquery()
    target.execute(select(func.setval(sequence, func.coalesce(highest, 1), highest.is_not(None))))


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _totals(connection: Connection) -> tuple[int, int, int]:
    """How many jobs are open, and how many credits are held and available."""
    open_jobs = connection.execute(select(func.count()).where(jobs.c.ended_at.is_(None))).scalar_one()
    sums = select(func.coalesce(func.sum(accounts.c.held), 0), func.coalesce(func.sum(accounts.c.available), 0))
    held, available = connection.execute(sums).one()
    return open_jobs, int(held), int(available)


def _identity(source: Connection) -> str:
    """What tells a community's database from others: a hash of the secret that it was given at its first start."""
    return hashlib.sha256((recall(source, MEMBER_KEYS) or "").encode()).hexdigest()


@contextmanager
def _connected(url: URL, *, is_source: bool) -> Generator[Connection]:
    """One transaction, in which nobody else writes to a SQLite file; a source is read as it is in one moment."""
    engine = sync_engine(url)
    if is_source and engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _place(url: URL) -> tuple[str, ...]:
    """Where a database is."""
    if url.get_backend_name() == "sqlite":
        return ("sqlite", str(Path(url.database or "").resolve()))
    host = url.host or str(url.query.get("host", ""))
    return ("postgresql", host, str(url.port or _POSTGRES_PORT), url.database or "")
