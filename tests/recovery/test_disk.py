"""A disk that is full, and power that goes: what was acknowledged is there, and nothing is charged for what wasn't."""

from __future__ import annotations

import asyncio
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, make_url, select

from bot.credits import ledger
from bot.database.backup import BackupFailed
from bot.database.engine import open_database, sync_engine
from bot.database.migrate import HEAD, migrate, version_of
from bot.database.tables import ledger_entries
from bot.media.videos import Videos
from bot.media.workers import MediaWorkers
from providers.links import LinkFailed
from tests.clocks import NOON
from tests.imitations.pixeldojo import Fault, PixelDojoImitation, Route
from tests.programs import ROOT
from tests.recovery.processes import PATIENCE, BotProcess, Stage

MEMBERS = 5
BOOKINGS, AT_ONCE = 60, 3
#: bytes; enough for what SQLite keeps beside a database, and for the lines of a log, but for no job
FOR_LITTLE = 40 * 1024


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncGenerator[Stage]:
    async with Stage.open(tmp_path) as opened:
        yield opened


# --- a full disk -------------------------------------------------------------------------------------


def let_no_file_grow(bot: BotProcess, size: int) -> None:
    """Let no file of a process become larger, as on a disk without room."""
    resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def test_on_a_full_disk_members_are_told_nothing_is_charged_and_with_room_it_goes_on(stage: Stage) -> None:
    async with stage.serving() as bot:
        await stage.done(await stage.ask_demo("there is room"))
        let_no_file_grow(bot, FOR_LITTLE)
        for _ in range(2):
            refused = await stage.ask_demo("there is none")
            await refused.answered(PATIENCE)
            assert refused.message is not None
            assert refused.message.ephemeral
            assert refused.text.startswith("Something went wrong on our side, and the operator was told.")
        assert stage.books.jobs == 1
        stage.books.check()
        assert [error["event"] for error in bot.errors] == ["a command failed"] * 2
        let_no_file_grow(bot, resource.RLIM_INFINITY)
        await stage.done(await stage.ask_demo("there is room again"))
        stage.books.check()
        assert (await bot.terminate())[0] == 0


@contextmanager
def no_room(size: int) -> Generator[None]:
    """Let no file of this very process become larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_video_that_finds_no_room_leaves_nothing_and_is_fetched_when_there_is(tmp_path: Path) -> None:
    workers = MediaWorkers(count=1)
    async with PixelDojoImitation() as vendor, httpx.AsyncClient(trust_env=False) as client:
        videos = Videos(workers=workers, client=client, trusted_hosts=["127.0.0.1"])
        vendor.fault_always(Route.FILE, Fault(body=bytes(100_000)))
        link = f"http://127.0.0.1:{vendor.port}/files/1.mp4"
        with no_room(50_000), pytest.raises(LinkFailed, match="can't be read or kept"):
            await videos.fetch(link, tmp_path / "video.mp4")
        assert list(tmp_path.iterdir()) == []
        assert await videos.fetch(link, tmp_path / "video.mp4") == 100_000


# --- migrations --------------------------------------------------------------------------------------

OLDER = "0001"
DIES = """
import os, signal, sys
from datetime import UTC, datetime
from alembic import command
from bot.database.migrate import migrate

upgrade = command.upgrade

def upgrade_and_die(*arguments):
    upgrade(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

command.upgrade = upgrade_and_die
migrate(sys.argv[1], now=datetime.now(UTC))
"""


@pytest.fixture
def older_url(tmp_path: Path) -> str:
    """A database of an older version, with something in it."""
    url = f"sqlite:///{tmp_path / 'wanbot.db'}"
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    with connected(url) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, OLDER)
        connection.exec_driver_sql("INSERT INTO remembered VALUES ('a', 'b')")
    return url


@contextmanager
def connected(url: str) -> Generator[Connection]:
    engine = sync_engine(make_url(url))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def check_untouched(url: str) -> None:
    with connected(url) as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert version_of(connection) == OLDER
        assert connection.exec_driver_sql("SELECT value FROM remembered").scalar() == "b"


def test_a_migration_that_finds_no_room_for_its_backup_changes_nothing(older_url: str, tmp_path: Path) -> None:
    with no_room(FOR_LITTLE), pytest.raises(BackupFailed, match="isn't migrated without a copy"):
        migrate(older_url, now=NOON)
    check_untouched(older_url)
    assert list(tmp_path.glob("*.backup.db*")) == []
    assert migrate(older_url, now=NOON) is not None


def test_a_death_at_the_end_of_a_migration_leaves_the_database_as_it_was(older_url: str) -> None:
    died = subprocess.run([sys.executable, "-c", DIES, older_url], cwd=ROOT, check=False, timeout=60)  # noqa: S603 - a program of ours
    assert died.returncode == -signal.SIGKILL
    check_untouched(older_url)
    migrate(older_url, now=NOON)
    with connected(older_url) as connection:
        assert version_of(connection) == HEAD
        assert connection.exec_driver_sql("SELECT value FROM remembered").scalar() == "b"


# --- power that goes ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moment:
    """What a disk held at a moment, and how many bookings had been acknowledged by then."""

    database: bytes
    log: bytes
    acknowledged: int


@dataclass
class Camera:
    """Looks at the files of a database while it is written to."""

    path: Path
    acknowledged: int = 0
    moments: list[Moment] = field(default_factory=list[Moment])

    def look(self) -> None:
        log = self.path.with_name(f"{self.path.name}-wal")
        self.moments.append(Moment(self.path.read_bytes(), log.read_bytes(), self.acknowledged))

    def book(self, connection: Connection, number: int) -> None:
        """Book what must appear together or not at all, and look before it is committed."""
        account = ledger.account_of(connection, 1, 1 + number % MEMBERS)
        ledger.grant(connection, account, 3, now=NOON)
        ledger.hold(connection, ledger.locked(connection, account.id), 1, job_id=name_of(number), now=NOON)
        self.look()


def name_of(number: int) -> str:
    return f"job{number}"


async def filmed(url: str, *, pages_in_the_log: int) -> list[Moment]:
    """Book for a while, some at once; the log is copied into the database when it has so many pages (0: never)."""
    path = make_url(url).database
    assert path is not None
    camera, database = Camera(Path(path)), open_database(url)

    def prepare(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint={pages_in_the_log}")
        # so small that pages reach the log before they are committed
        connection.exec_driver_sql("PRAGMA cache_size=4")

    await database.write(prepare)
    for first in range(0, BOOKINGS, AT_ONCE):
        together = range(first, first + AT_ONCE)
        await asyncio.gather(*(database.write(partial(camera.book, number=number)) for number in together))
        camera.acknowledged += AT_ONCE
        camera.look()
    await database.close()
    return camera.moments


def booked_after(folder: Path, database: bytes, log: bytes) -> int:
    """Open what was on the disk: how many bookings there are, if the books are right and none is missing before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "wanbot.db"
    path.write_bytes(database)
    path.with_name("wanbot.db-wal").write_bytes(log)
    query = select(ledger_entries.c.job_id).where(ledger_entries.c.kind == "hold").order_by(ledger_entries.c.id)
    with connected(f"sqlite:///{path}") as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert ledger.mismatches(connection) == []
        found = list(connection.execute(query).scalars())
    assert found == [name_of(number) for number in range(len(found))]
    return len(found)


async def test_when_the_power_goes_nothing_is_lost_that_was_acknowledged(sqlite_url: str, quick_folder: Path) -> None:
    folder = quick_folder / "power"
    for moment in await filmed(sqlite_url, pages_in_the_log=0):
        assert booked_after(folder, moment.database, moment.log) == moment.acknowledged


async def test_wherever_the_log_breaks_off_its_whole_commits_are_there(sqlite_url: str, quick_folder: Path) -> None:
    folder, dice = quick_folder / "torn", random.Random(5)
    last = (await filmed(sqlite_url, pages_in_the_log=0))[-1]
    counts: list[int] = []
    for cut in sorted(dice.randrange(len(last.log)) for _ in range(60)):
        # what was being written may be anything
        torn = last.log[:cut] + dice.choice([b"", bytes(512), dice.randbytes(512)])
        counts.append(booked_after(folder, last.database, torn))
    assert counts == sorted(counts)
    assert counts[0] < AT_ONCE
    assert BOOKINGS - 2 * AT_ONCE <= counts[-1] <= BOOKINGS


async def test_when_the_power_goes_while_the_log_is_copied_nothing_is_lost(sqlite_url: str, quick_folder: Path) -> None:
    folder, dice = quick_folder / "copied", random.Random(6)
    moments = await filmed(sqlite_url, pages_in_the_log=15)
    copied = [(old, new) for old, new in pairwise(moments) if old.database != new.database]
    assert len(copied) >= 5
    for old, new in copied:
        for _ in range(3):
            half = mixed(old.database, new.database, dice)
            assert booked_after(folder, half, new.log) == new.acknowledged


def mixed(old: bytes, new: bytes, dice: random.Random) -> bytes:
    """A file of which some parts were written already; a disk keeps no order."""
    sectors = range(0, max(len(old), len(new)), 512)
    return b"".join(dice.choice([old, new])[at : at + 512].ljust(512, b"\0") for at in sectors)
