"""A backup is a whole, verified copy, or there is none."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url

from bot.credits import ledger
from bot.database.backup import BackupFailed, backup
from bot.database.engine import open_database, sync_engine
from tests.clocks import NOON


def file_of(url: str) -> Path:
    path = make_url(url).database
    assert path is not None
    return Path(path)


def book(connection: Connection, user_id: int = 2) -> None:
    ledger.grant(connection, ledger.account_of(connection, 1, user_id), 5, now=NOON)


def books(path: Path) -> tuple[int, int, list[str]]:
    """How many entries a copy has, what its accounts hold together, and what is wrong with the file."""
    with closing(sqlite3.connect(path)) as connection:
        entries = connection.execute("SELECT count(*) FROM ledger_entries").fetchone()[0]
        available = connection.execute("SELECT coalesce(sum(available), 0) FROM accounts").fetchone()[0]
        return entries, available, [row[0] for row in connection.execute("PRAGMA integrity_check")]


def there(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def url(sqlite_url: str) -> Iterator[str]:
    """A database with one booking, that nobody has open."""
    engine = sync_engine(make_url(sqlite_url))
    with engine.begin() as connection:
        book(connection)
    engine.dispose()
    yield sqlite_url
    assert books(file_of(sqlite_url))[2] == ["ok"]


def test_a_backup_is_one_file_beside_the_database(url: str) -> None:
    source = file_of(url)
    before = there(source.parent)
    path = backup(url, None, now=NOON)
    assert path == source.with_name("wanbot-20261118T120000.backup.db")
    assert there(source.parent) == before | {path.name}
    assert books(path) == (1, 5, ["ok"])


def test_a_backup_goes_where_it_is_told(url: str, tmp_path: Path) -> None:
    for target in (tmp_path / "copy.db", tmp_path / "50% sure? yes #1" / "my copy.db"):
        target.parent.mkdir(exist_ok=True)
        assert backup(url, target, now=NOON) == target
        assert there(target.parent) >= {target.name}
        assert books(target) == (1, 5, ["ok"])


def test_a_backup_replaces_an_older_one(url: str, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_bytes(b"older")
    backup(url, target, now=NOON)
    assert books(target) == (1, 5, ["ok"])
    assert there(tmp_path) == {"copy.db"}


async def test_a_backup_while_others_write_is_whole_commits(url: str, tmp_path: Path) -> None:
    database = open_database(url)
    is_done = asyncio.Event()

    async def keep_booking(user_id: int) -> None:
        while not is_done.is_set():
            await database.write(partial(book, user_id=user_id))

    writers = [asyncio.ensure_future(keep_booking(user_id)) for user_id in range(5)]
    entries: list[int] = []
    for number in range(5):
        await asyncio.sleep(0.02)
        copy = await asyncio.to_thread(backup, url, tmp_path / f"{number}.db", now=NOON)
        count, available, problems = books(copy)
        assert (available, problems) == (count * 5, ["ok"])
        entries.append(count)
    is_done.set()
    await asyncio.gather(*writers)
    await database.close()
    assert entries == sorted(set(entries))


def test_wrong_books_are_not_called_a_backup(url: str, tmp_path: Path) -> None:
    with closing(sqlite3.connect(file_of(url))) as connection:
        connection.execute("UPDATE accounts SET available = available + 1")
        connection.commit()
    target = tmp_path / "copy.db"
    target.write_bytes(b"older")
    with pytest.raises(BackupFailed, match="1 accounts differ"):
        backup(url, target, now=NOON)
    assert target.read_bytes() == b"older"
    assert there(tmp_path) == {"copy.db"}


def test_what_is_no_database_of_ours_is_not_called_a_backup(tmp_path: Path) -> None:
    source = tmp_path / "wanbot.db"
    for content in (b"certainly not a database, but long enough to be looked at" * 100, b""):
        source.write_bytes(content)
        with pytest.raises(BackupFailed):
            backup(f"sqlite:///{source}", tmp_path / "copy.db", now=NOON)
        assert there(tmp_path) == {"wanbot.db"}
        assert source.read_bytes() == content


def test_a_backup_that_has_no_place_says_so(url: str, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed):
        backup(url, tmp_path / "missing" / "copy.db", now=NOON)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BackupFailed):
        backup(url, tmp_path / "folder", now=NOON)
    assert there(tmp_path) == {"folder"}
    assert there(tmp_path / "folder") == set()


def test_a_backup_never_takes_the_place_of_the_database(url: str, tmp_path: Path) -> None:
    source = file_of(url)
    link = tmp_path / "link.db"
    link.symlink_to(source)
    inode = source.stat().st_ino
    for target in (source, link):
        with pytest.raises(BackupFailed, match="another name"):
            backup(url, target, now=NOON)
    assert source.stat().st_ino == inode
    assert books(source) == (1, 5, ["ok"])


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="no database"):
        backup(f"sqlite:///{tmp_path / 'wanbot.db'}", None, now=NOON)
    assert there(tmp_path) == set()


def test_postgresql_has_no_file_that_could_be_copied() -> None:
    with pytest.raises(BackupFailed, match="only a SQLite file"):
        backup("postgresql://somebody:secret@nowhere/wanbot", None, now=NOON)
