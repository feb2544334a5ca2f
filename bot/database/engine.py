"""The database: one writer on SQLite, a pool on PostgreSQL, and work that runs whole or not at all.

A unit of work is a plain function of a connection. It runs in a database thread from BEGIN to COMMIT, so
nothing of the event loop can come between its statements, a cancelled caller can't leave it half done,
and it can't wait for a network while it holds the lock (docs/decisions/0002).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from sqlite3 import SQLITE_BUSY, OperationalError
from sqlite3 import Connection as SqliteConnection
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import NullPool, Pool, PoolProxiedConnection, QueuePool

if TYPE_CHECKING:
    from psycopg import Connection as PsycopgConnection

T = TypeVar("T")

#: How many units of work may share one commit.
_GROUP = 64
_READERS = 4
#: seconds; another process (a backup, a shell) may hold the lock this long
_BUSY_TIMEOUT = 10
_BUSY_PAUSE = 0.02
#: PostgreSQL gives up a transaction of whose process it has heard nothing for so long: one that is suspended, or whose
#: machine is gone, would keep its locks for hours. Who waits for them must still renew its lease in time
_SILENCE = timedelta(seconds=5)
#: an error names its statement, but not the values, which are members' prompts and vendors' links
_HIDE = True


class Database(Protocol):
    """Where units of work are carried out."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run the work in a transaction of its own; if it raises, nothing of it stays."""
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run work that changes nothing, on one consistent picture of the data."""
        ...

    async def close(self) -> None:
        """Finish what has begun and close the connections."""
        ...


def open_database(url: str) -> Database:
    """Open ``sqlite:///path`` or ``postgresql://…``, which must have been migrated."""
    parsed = make_url(url)
    return SqliteDatabase(parsed) if parsed.get_backend_name() == "sqlite" else PostgresDatabase(parsed)


def sync_engine(url: URL, *, begin: str = "BEGIN IMMEDIATE", pool: type[Pool] = NullPool) -> Engine:
    """Make an engine of plain connections, each with the settings that the books rely on.

    ``pool`` says what becomes of SQLite's connections when they are given back: by default they are closed.
    """
    if url.get_backend_name() != "sqlite":
        postgres = url.set(drivername="postgresql+psycopg")
        patience = {"connect_timeout": _BUSY_TIMEOUT}
        return create_engine(
            postgres,
            poolclass=QueuePool,
            pool_size=8,
            pool_pre_ping=True,
            connect_args=patience,
            hide_parameters=_HIDE,
        )
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        poolclass=pool,
        hide_parameters=_HIDE,
        # we say BEGIN ourselves: the driver would begin late, and never around CREATE TABLE
        connect_args={"isolation_level": None, "check_same_thread": False, "timeout": _BUSY_TIMEOUT},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    # a listener to "begin" would slow every statement down, since SQLAlchemy then looks for more of them
    engine.dialect.do_begin = partial(_begin, begin)
    return engine


class SqliteDatabase:
    """One writer thread, whose waiting units of work share a commit, and a few readers."""

    def __init__(self, url: URL) -> None:
        self._engine = sync_engine(url)
        self._writer = _Writer(self._engine)
        # kept open: opening a connection takes longer than most reads
        self._reading = sync_engine(url, begin="BEGIN", pool=QueuePool)
        event.listen(self._reading, "connect", _refuse_changes)
        self._readers = ThreadPoolExecutor(_READERS, "database-reader")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """See ``Database``."""
        return await asyncio.wrap_future(self._writer.submit(_as_here(work)))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See ``Database``."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, _transact, self._reading, _as_here(work))

    async def close(self) -> None:
        """See ``Database``."""
        # here and not in a thread: nothing may be queued behind the end
        self._writer.end()
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        self._engine.dispose()
        self._reading.dispose()


class PostgresDatabase:
    """A pool of connections; the rows' own locks order the writers."""

    def __init__(self, url: URL) -> None:
        self._engine = sync_engine(url)
        # not for copies of a whole database, which keep one side waiting while they work on the other
        event.listen(self._engine, "connect", _prepare_postgres)
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._threads = ThreadPoolExecutor(8, "database")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """See ``Database``."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _transact, self._engine, _as_here(work))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See ``Database``."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _transact, self._reading, _as_here(work))

    async def close(self) -> None:
        """See ``Database``."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()


class _Unit:
    """A unit of work that waits for its turn, and the future that its caller waits for."""

    __slots__ = ("_failure", "_result", "_work", "future")

    def __init__(self, work: Callable[[Connection], Any]) -> None:
        self._work = work
        self._result: Any = None
        self._failure: BaseException | None = None
        self.future: Future[Any] = Future()

    def run(self, connection: Connection) -> None:
        """Run in a savepoint, so that a failure takes nobody else along.

        Raises the failure when there is no savepoint left to go back to: SQLite gives up the whole
        transaction when the disk is full or broken, and with it what others have done in it.
        """
        # as plain text: SQLAlchemy puts its own savepoints together anew each time
        connection.exec_driver_sql("SAVEPOINT unit")
        try:
            self._result = self._work(connection)
        except BaseException as error:  # noqa: BLE001 - the caller gets it
            self._failure = error
            try:
                connection.exec_driver_sql("ROLLBACK TO unit")
                connection.exec_driver_sql("RELEASE unit")
            except DBAPIError:
                raise error from None
        else:
            connection.exec_driver_sql("RELEASE unit")

    def run_alone(self, connection: Connection) -> None:
        """Run in a transaction of its own, which needs no savepoint.

        Raises what the database itself has failed with: who knows what is left of the connection.
        """
        with connection.begin() as transaction:
            try:
                self._result = self._work(connection)
            except BaseException as error:
                transaction.rollback()
                if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
                    raise
                self._failure = error

    def committed(self) -> None:
        """Tell the caller, now that it is on disk."""
        if self._failure is not None:
            self.future.set_exception(self._failure)
        else:
            self.future.set_result(self._result)


class _Writer:
    """The thread that owns the one writing connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: SimpleQueue[_Unit | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="database-writer", daemon=True)
        self._thread.start()
        self._is_closed = False

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Queue a unit of work."""
        if self._is_closed:
            raise RuntimeError("the database is closed")
        unit = _Unit(work)
        self._waiting.put(unit)
        return unit.future

    def end(self) -> None:
        """Take no more; what waits is still carried out. Called where ``submit`` is called: in the loop."""
        self._is_closed = True
        self._waiting.put(None)

    def join(self) -> None:
        """Wait until the last unit of work has ended."""
        self._thread.join()

    def _run(self) -> None:
        connection: Connection | None = None
        while group := self._next_group():
            try:
                connection = connection or self._engine.connect()
                self._commit(connection, group)
            except BaseException as error:  # noqa: BLE001 - every caller gets it
                _fail(group, error)
                if connection is not None:
                    connection.invalidate()
                    connection = None
        if connection is not None:
            connection.close()

    def _next_group(self) -> list[_Unit]:
        """Wait for a unit, then take along what waits already; empty: closed."""
        group: list[_Unit] = []
        try:
            while len(group) < _GROUP:
                unit = self._waiting.get(block=not group)
                if unit is None:
                    self._waiting.put(None)
                    break
                # a caller that was cancelled while waiting is spared the work
                if unit.future.set_running_or_notify_cancel():
                    group.append(unit)
        except Empty:
            pass
        return group

    def _commit(self, connection: Connection, group: list[_Unit]) -> None:
        if len(group) == 1:
            group[0].run_alone(connection)
        else:
            with connection.begin():
                for unit in group:
                    unit.run(connection)
        for unit in group:
            unit.committed()


def _as_here(work: Callable[[Connection], T]) -> Callable[[Connection], T]:
    """The work as it would run in the caller's task: what it refuses is said in the caller's language."""
    return partial(copy_context().run, work)


def _fail(group: list[_Unit], error: BaseException) -> None:
    for unit in group:
        if not unit.future.done():
            unit.future.set_exception(error)


def _transact(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _begin(statement: str, dbapi_connection: PoolProxiedConnection) -> None:
    dbapi_connection.cursor().execute(statement)


def _prepare_postgres(connection: PsycopgConnection[Any], _record: object) -> None:
    # not an option of the connection, which some poolers refuse
    silence = _SILENCE // timedelta(milliseconds=1)
    connection.execute("SELECT set_config('idle_in_transaction_session_timeout', %s, false)", [str(silence)])
    connection.commit()


def _prepare_sqlite(connection: SqliteConnection, _record: object) -> None:
    _use_log(connection)
    settings = (
        "synchronous=FULL",
        "foreign_keys=ON",
        # so that INSERT OR REPLACE can't get past the ledger's triggers
        "recursive_triggers=ON",
        # what was deleted can't be read from the file any more
        "secure_delete=ON",
        # so that no writable folder but the data's own is needed
        "temp_store=MEMORY",
    )
    for setting in settings:
        connection.execute(f"PRAGMA {setting}")


def _use_log(connection: SqliteConnection) -> None:
    """Let readers and the writer not wait for each other, from the file's first moment on."""
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except OperationalError as error:
            # SQLite doesn't wait for whoever is just writing to a file that has no log yet: two first starts at once
            if error.sqlite_errorcode != SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_PAUSE)
        else:
            return


def _refuse_changes(connection: SqliteConnection, _record: object) -> None:
    connection.execute("PRAGMA query_only=ON")
