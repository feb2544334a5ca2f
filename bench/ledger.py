"""Row family 7: holds and settlements per second on a disk, and how that goes with what is booked already."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from bench.table import Reading, Target
from bot.credits import ledger
from bot.database.engine import Database, open_database
from bot.database.migrate import migrate

_PRICE: Final = 3
_ACCOUNTS: Final = 1000
#: so many units of work wait at the same time, as many as may share a commit
TOGETHER: Final = 64
_READS: Final = 50
#: so many entries are inserted in one statement
_CHUNK: Final = 100_000

_FILLING: Final = """
    WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :past)
    INSERT INTO ledger_entries
        (account_id, kind, available_change, held_change, allowance_change, job_id, created_at)
    SELECT 1 + (i / 2) % :accounts, CASE i % 2 WHEN 0 THEN 'hold' ELSE 'settle' END,
        CASE i % 2 WHEN 0 THEN -3 ELSE 0 END, CASE i % 2 WHEN 0 THEN 3 ELSE -3 END, 0,
        printf('o%x', (i / 2) * 2654435761 % 4294967296), i
    FROM n
"""


async def measure(folder: Path, *, is_tiny: bool, entries: int = 1_000_000) -> list[Reading]:
    """Book pairs one after the other and together, in an empty book and in one with ``entries`` entries."""
    pairs = 50 if is_tiny else 1000
    folder.mkdir(parents=True, exist_ok=True)
    bare = await asyncio.to_thread(_bare_pairs, folder / "bare.db", pairs)
    path = folder / "ledger.db"
    alone, together, _ = await _booked(path, pairs)
    entries = 2000 if is_tiny else entries
    await asyncio.to_thread(fill, path, entries)
    alone_full, together_full, balance = await _booked(path, pairs)
    full = f"with {entries:,} entries"
    return [
        _pairs("hold and settle pairs, one after the other", alone, bare, Target(least=800)),
        _pairs("hold and settle pairs, 64 at once", together, bare, Target(least=800)),
        _pairs(f"hold and settle pairs, one after the other, {full}", alone_full, bare, None),
        _pairs(f"hold and settle pairs, 64 at once, {full}", together_full, bare, Target(least=800)),
        Reading(row=f"one account's balance, {full}", unit="ms", value=1000 * balance),
    ]


def _pairs(row: str, value: float, bare: float, target: Target | None) -> Reading:
    return Reading(row=row, unit="/s", value=value, baselines={"bare sqlite3, two commits": bare}, target=target)


async def _booked(path: Path, pairs: int) -> tuple[float, float, float]:
    """Pairs per second, alone and together, and the seconds that one look at a balance takes."""
    url, now = f"sqlite:///{path}", datetime.now(UTC)
    await asyncio.to_thread(migrate, url, now=now)
    database = open_database(url)
    try:
        members = [await database.write(partial(rich_member, number=number, now=now)) for number in range(TOGETHER)]
        first = time.monotonic_ns()
        alone = await _timed(database, members, range(first, first + pairs), at_once=1)
        together = await _timed(database, members, range(first + pairs, first + 4 * pairs), at_once=TOGETHER)
        begun = time.perf_counter()
        for _ in range(_READS):
            await database.read(lambda c: ledger.account_if_any(c, 7, 0))
        return alone, together, (time.perf_counter() - begun) / _READS
    finally:
        await database.close()


def rich_member(connection: Connection, *, number: int, now: datetime) -> int:
    """The account of a member who can pay for everything here."""
    account = ledger.account_of(connection, 7, number)
    ledger.grant(connection, account, 1_000_000, now=now)
    return account.id


async def _timed(database: Database, members: list[int], numbers: range, *, at_once: int) -> float:
    room = asyncio.Semaphore(at_once)

    async def pair(number: int) -> None:
        async with room:
            await book_pair(database, members[number % len(members)], f"{number % 2**64:x}")

    begun = time.perf_counter()
    await asyncio.gather(*(pair(number) for number in numbers))
    return len(numbers) / (time.perf_counter() - begun)


async def book_pair(database: Database, account_id: int, job_id: str) -> None:
    """Hold the price of a job, and settle it."""
    now = datetime.now(UTC)

    def hold(connection: Connection) -> None:
        ledger.hold(connection, ledger.locked(connection, account_id), _PRICE, job_id=job_id, now=now)

    await database.write(hold)
    await database.write(partial(ledger.settle, job_id=job_id, now=now))


def fill(path: Path, entries: int) -> None:
    """Put settled jobs of other members into a book. Not durable until the end, which is what makes it quick."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-400000")
        there = connection.execute("SELECT count(*) FROM ledger_entries").fetchone()[0]
        connection.executemany(
            "INSERT OR IGNORE INTO accounts (guild_id, user_id, available, held, allowance) VALUES (8, ?, 0, 0, 0)",
            [(number,) for number in range(_ACCOUNTS)],
        )
        # each second one is a hold
        for first in range(there + there % 2, entries, _CHUNK):
            past = min(first + _CHUNK, entries)
            connection.execute(_FILLING, {"first": first, "past": past, "accounts": _ACCOUNTS})
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _bare_pairs(path: Path, pairs: int) -> float:
    """Pairs per second of what is least: two updates and two rows in two durable commits, without any check."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "CREATE TABLE accounts (id INTEGER PRIMARY KEY, available INTEGER, held INTEGER)",
            "CREATE TABLE entries (id INTEGER PRIMARY KEY, account INTEGER, available INTEGER, held INTEGER, job TEXT)",
            "INSERT INTO accounts VALUES (1, 1000000, 0)",
        ):
            connection.execute(statement)
        begun = time.perf_counter()
        for number in range(pairs):
            for available, held in ((-_PRICE, _PRICE), (0, -_PRICE)):
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(
                    "UPDATE accounts SET available = available + ?, held = held + ? WHERE id = 1", (available, held)
                )
                entry = (available, held, str(number))
                connection.execute("INSERT INTO entries (account, available, held, job) VALUES (1, ?, ?, ?)", entry)
                connection.execute("COMMIT")
        return pairs / (time.perf_counter() - begun)
