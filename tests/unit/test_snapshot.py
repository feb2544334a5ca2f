"""A backup of a PostgreSQL is one SQLite file, made while bots work, and verified; or there is none."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, make_url, text

from bot.credits import ledger
from bot.database.backup import BackupFailed
from bot.database.engine import open_database
from bot.database.migrate import CannotMove, migrate
from bot.database.moving import move
from bot.database.snapshot import snapshot
from bot.database.tables import accounts
from bot.jobs.job import State
from tests.clocks import NOON
from tests.conftest import PostgresServer
from tests.migration.test_migrations import on
from tests.migration.test_moving import everything, fill
from tests.unit.test_backup import book, books, there
from tests.unit.test_cli import wanbot
from tests.unit.test_job_store import accept


async def test_a_copy_while_others_write_is_whole_commits(postgres_url: str, tmp_path: Path) -> None:
    database = open_database(postgres_url)
    is_done = asyncio.Event()

    async def keep_booking(user_id: int) -> None:
        while not is_done.is_set():
            await database.write(partial(book, user_id=user_id))

    writers = [asyncio.ensure_future(keep_booking(user_id)) for user_id in range(1, 4)]
    entries: list[int] = []
    for number in range(3):
        copy = await asyncio.to_thread(snapshot, postgres_url, tmp_path / f"{number}.db", now=NOON)
        count, available, problems = books(copy)
        assert (available, problems) == (count * 5, ["ok"])
        entries.append(count)
    is_done.set()
    await asyncio.gather(*writers)
    await database.close()
    assert entries == sorted(set(entries))
    assert there(tmp_path) == {"0.db", "1.db", "2.db"}


def test_a_copy_becomes_a_postgresql_again(postgres_url: str, postgres_server: PostgresServer, tmp_path: Path) -> None:
    on(postgres_url, fill)
    before = on(postgres_url, everything)
    copy = snapshot(postgres_url, tmp_path / "50% sure? yes #1.db", now=NOON).rename(tmp_path / "copy.db")
    with postgres_server.other_database() as other:
        move(f"sqlite:///{copy}", other, now=NOON)
        assert on(other, everything) == before
        on(other, lambda c: accept(c, 77, state=State.RUNNING))


def test_wrong_books_are_not_called_a_backup_and_an_older_one_stays(postgres_url: str, tmp_path: Path) -> None:
    on(postgres_url, lambda c: c.execute(insert(accounts).values(guild_id=1, user_id=2, available=30)))
    target = tmp_path / "copy.db"
    target.write_bytes(b"older")
    with pytest.raises(CannotMove, match="1 accounts of the source differ"):
        snapshot(postgres_url, target, now=NOON)
    assert (there(tmp_path), target.read_bytes()) == ({"copy.db"}, b"older")


def test_a_server_that_is_not_there_or_a_place_that_can_not_be_written_says_so(
    postgres_url: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    with pytest.raises(BackupFailed, match="there is no copy at"):
        snapshot(f"postgresql://nobody@/none?host={tmp_path}", tmp_path / "copy.db", now=NOON)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BackupFailed, match="there is no copy at"):
        snapshot(postgres_url, tmp_path / "folder", now=NOON)
    with pytest.raises(BackupFailed, match="--to"):
        snapshot(postgres_url, None, now=NOON)
    with postgres_server.other_database() as empty, pytest.raises(CannotMove, match="at version none"):
        snapshot(empty, tmp_path / "copy.db", now=NOON)
    assert there(tmp_path) == {"folder"}


def test_the_operator_makes_one_and_starts_on_it(postgres_url: str, tmp_path: Path) -> None:
    on(postgres_url, fill)
    done = wanbot(tmp_path, "backup", "--to", "copy.db", DATABASE_URL=postgres_url)
    assert (done.returncode, done.stdout) == (0, "A verified copy is in copy.db.\n"), done.stderr
    assert wanbot(tmp_path, "check", DATABASE_URL=f"sqlite:///{tmp_path}/copy.db").returncode == 0
    refused = wanbot(tmp_path, "backup", DATABASE_URL=postgres_url)
    assert refused.returncode == 1
    assert refused.stderr == "a PostgreSQL has no folder of its own: say with --to which file to write\n"


def test_a_copy_keeps_its_ledger_from_being_changed(postgres_url: str, tmp_path: Path) -> None:
    on(postgres_url, fill)
    copy = f"sqlite:///{snapshot(postgres_url, tmp_path / 'copy.db', now=NOON)}"
    assert migrate(copy, now=NOON) is None
    assert make_url(copy).database == str(tmp_path / "copy.db")

    def change(connection: Connection) -> None:
        connection.execute(text("DELETE FROM ledger_entries"))

    with pytest.raises(Exception, match="ledger entries are never changed"):
        on(copy, change)
    assert on(copy, ledger.mismatches) == []
