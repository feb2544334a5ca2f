"""Units of work run whole or not at all, whoever is cancelled, fails or stands in the way."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from threading import Event, Timer

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, event, insert, select, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from bot.credits import ledger
from bot.database import engine
from bot.database.engine import Database, SqliteDatabase, open_database
from bot.database.remembered import recall, remember
from bot.database.tables import Instant, accounts, allowance_grants, remembered
from bot.database.upsert import insert_if_absent
from tests.clocks import NOON

_PATIENCE = 10


class Gate:
    """Holds a unit of work up in the middle."""

    def __init__(self) -> None:
        self._reached = Event()
        self._opened = Event()

    def wait(self) -> None:
        self._reached.set()
        assert self._opened.wait(_PATIENCE)

    def open(self) -> None:
        self._opened.set()

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._reached.wait, _PATIENCE)


def put(name: str, value: str = "1") -> Callable[[Connection], None]:
    return partial(remember, name=name, value=value)


def names(connection: Connection) -> Sequence[str]:
    return connection.execute(select(remembered.c.name).order_by(remembered.c.name)).scalars().all()


def held_up(gate: Gate, connection: Connection) -> None:
    gate.wait()
    put("held up")(connection)


@contextmanager
def locked_by_another(url: str) -> Generator[None]:
    path = make_url(url).database
    assert path is not None
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def together(database: Database, works: Sequence[Callable[[Connection], object]]) -> list[object]:
    """Let units of work wait while another is carried out, so that on SQLite they share a commit."""
    gate = Gate()
    first = asyncio.ensure_future(database.write(partial(held_up, gate)))
    await gate.reached()
    waiting = [asyncio.ensure_future(database.write(work)) for work in works]
    await asyncio.sleep(0)
    gate.open()
    await first
    return await asyncio.gather(*waiting, return_exceptions=True)


def books_and(name: str, connection: Connection) -> None:
    """Book one credit, and remember that it was booked."""
    account = ledger.account_of(connection, 1, 2)
    ledger.grant(connection, account, 1, now=NOON)
    put(name)(connection)


async def test_a_unit_of_work_is_there_when_the_caller_goes_on(database: Database) -> None:
    def work(connection: Connection) -> int:
        put("a")(connection)
        put("b")(connection)
        return 7

    assert await database.write(work) == 7
    assert await database.read(names) == ["a", "b"]


async def test_a_unit_of_work_that_raises_leaves_nothing(database: Database) -> None:
    def work(connection: Connection) -> None:
        put("a")(connection)
        raise LookupError("midway")

    with pytest.raises(LookupError, match="midway"):
        await database.write(work)
    assert await database.read(names) == []


async def test_a_unit_of_work_that_the_database_refuses_leaves_nothing(database: Database) -> None:
    def work(connection: Connection) -> None:
        put("a")(connection)
        connection.execute(insert(allowance_grants).values(account_id=404, period="day 2026-11-18", granted=1))

    with pytest.raises(IntegrityError):
        await database.write(work)
    assert await database.read(names) == []


async def test_of_units_that_wait_together_the_failing_ones_take_nobody_along(database: Database) -> None:
    def failing(name: str, connection: Connection) -> None:
        put(name)(connection)
        raise LookupError(name)

    works = [partial(failing, f"{n:02}") if n % 3 == 0 else put(f"{n:02}") for n in range(30)]
    outcomes = await together(database, works)
    assert [isinstance(outcome, LookupError) for outcome in outcomes] == [n % 3 == 0 for n in range(30)]
    expected = [f"{n:02}" for n in range(30) if n % 3]
    assert await database.read(names) == [*expected, "held up"]


async def test_units_that_wait_together_share_a_commit_on_sqlite(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    assert isinstance(database, SqliteDatabase)
    commits: list[object] = []
    event.listen(database._engine, "commit", commits.append)  # pyright: ignore[reportPrivateUsage]
    await together(database, [put(f"{n}") for n in range(20)])
    assert len(commits) == 2
    assert len(await database.read(names)) == 21
    await database.close()


async def test_cancelled_callers_leave_whole_units_and_no_open_transaction(
    database: Database, database_url: str
) -> None:
    chance = random.Random(7)
    gate = Gate()
    first = asyncio.ensure_future(database.write(partial(held_up, gate)))
    await gate.reached()

    async def cancelled_sometime(number: int) -> None:
        task = asyncio.ensure_future(database.write(partial(books_and, f"{number:03}")))
        await asyncio.sleep(chance.choice([0, 0, 0.001, 0.01, 0.05]))
        if chance.random() < 0.7:
            task.cancel()
        await task

    tasks = [asyncio.ensure_future(cancelled_sometime(number)) for number in range(300)]
    await asyncio.sleep(0.002)
    gate.open()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    await first
    told = {f"{number:03}" for number, outcome in enumerate(outcomes) if outcome is None}
    assert all(outcome is None or isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert 0 < len(told) < 300
    # the last ones may still be on their way
    await database.write(put("last"))
    await asyncio.sleep(0.05)

    def books(connection: Connection) -> tuple[int, Sequence[ledger.Mismatch]]:
        available = connection.execute(select(accounts.c.available)).scalar_one()
        return available, ledger.mismatches(connection)

    booked = set(await database.read(names)) - {"held up", "last"}
    assert told <= booked
    assert await database.read(books) == (len(booked), [])
    await no_transaction_is_open(database, database_url)


async def no_transaction_is_open(database: Database, url: str) -> None:
    if url.startswith("sqlite"):
        with locked_by_another(url):
            pass
        return
    idle = text("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
    assert await database.read(lambda connection: connection.execute(idle).scalar()) == 0


async def test_a_caller_that_is_cancelled_while_waiting_is_spared_the_work_on_sqlite(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    gate = Gate()
    first = asyncio.ensure_future(database.write(partial(held_up, gate)))
    await gate.reached()
    waiting = asyncio.ensure_future(database.write(put("spared")))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    gate.open()
    await first
    await database.write(put("next"))
    assert await database.read(names) == ["held up", "next"]
    await database.close()


async def test_readers_see_only_what_is_committed(database: Database) -> None:
    gate = Gate()

    def slow(connection: Connection) -> None:
        put("a")(connection)
        gate.wait()

    writing = asyncio.ensure_future(database.write(slow))
    await gate.reached()
    assert await database.read(names) == []
    gate.open()
    await writing
    assert await database.read(names) == ["a"]


async def test_a_read_sees_one_picture_while_others_write(database: Database) -> None:
    gate = Gate()

    def twice(connection: Connection) -> tuple[Sequence[str], Sequence[str]]:
        before = names(connection)
        gate.wait()
        return before, names(connection)

    reading = asyncio.ensure_future(database.read(twice))
    await gate.reached()
    await asyncio.wait_for(database.write(put("a")), _PATIENCE)
    gate.open()
    assert await reading == ([], [])
    assert await database.read(names) == ["a"]


async def test_a_read_that_would_change_something_is_refused(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"readonly|read-only"):
        await database.read(put("a"))
    assert await database.read(names) == []
    await database.write(put("b"))


async def test_units_that_change_the_same_row_wait_for_each_other(database: Database) -> None:
    await database.write(partial(ledger.account_of, guild_id=1, user_id=2))

    def add_one(connection: Connection) -> None:
        account = ledger.account_of(connection, 1, 2)
        connection.execute(update(accounts).values(available=account.available + 1))

    await asyncio.gather(*(database.write(add_one) for _ in range(50)))
    assert (await database.read(lambda c: c.execute(select(accounts.c.available)).scalar())) == 50


async def test_an_account_that_many_open_at_once_is_one(database: Database) -> None:
    open_account = partial(ledger.account_of, guild_id=1, user_id=2)
    opened = await asyncio.gather(*(database.write(open_account) for _ in range(40)))
    assert len({account.id for account in opened}) == 1


async def test_a_row_that_somebody_is_inserting_is_waited_for_and_then_seen(database: Database) -> None:
    gate = Gate()

    def slow(connection: Connection) -> bool:
        inserted = insert_if_absent(connection, remembered, name="a", value="first")
        gate.wait()
        return inserted

    def late(connection: Connection) -> tuple[bool, str | None]:
        return insert_if_absent(connection, remembered, name="a", value="late"), recall(connection, "a")

    first = asyncio.ensure_future(database.write(slow))
    await gate.reached()
    second = asyncio.ensure_future(database.write(late))
    await asyncio.sleep(0.05)
    assert not second.done()
    gate.open()
    assert await first
    assert await second == (False, "first")


async def test_what_is_remembered_replaces_what_was(database: Database) -> None:
    assert await database.read(partial(recall, name="a")) is None
    await database.write(put("a", "1"))
    await database.write(put("a", "2"))
    await database.write(put("b", "3"))
    assert await database.read(partial(recall, name="a")) == "2"


async def test_closing_finishes_the_work_that_waits(database_url: str) -> None:
    database = open_database(database_url)
    gate = Gate()
    first = asyncio.ensure_future(database.write(partial(held_up, gate)))
    await gate.reached()
    waiting = [asyncio.ensure_future(database.write(put(f"{n}"))) for n in range(10)]
    await asyncio.sleep(0)
    closing_down = asyncio.ensure_future(database.close())
    await asyncio.sleep(0.01)
    gate.open()
    await asyncio.gather(first, *waiting, closing_down)
    again = open_database(database_url)
    assert len(await again.read(names)) == 11
    await again.close()


async def test_work_given_while_closing_is_done_or_refused_and_never_forgotten(database_url: str) -> None:
    for _ in range(20):
        database = open_database(database_url)

        async def keep_writing(database: Database = database) -> None:
            while True:
                try:
                    await database.write(put("a"))
                except RuntimeError:
                    return

        writers = [asyncio.ensure_future(keep_writing()) for _ in range(4)]
        await asyncio.sleep(0.002)
        await database.close()
        await asyncio.wait_for(asyncio.gather(*writers), _PATIENCE)


async def test_no_work_can_follow_the_one_that_ends_the_writer(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    closing_down = asyncio.ensure_future(database.close())
    # the very next step of the loop: what is taken after this would never be carried out
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="closed"):
        await asyncio.wait_for(database.write(put("a")), _PATIENCE)
    await closing_down


async def test_a_closed_database_says_so_and_can_be_closed_again(database_url: str) -> None:
    database = open_database(database_url)
    await database.close()
    with pytest.raises(RuntimeError):
        await database.write(put("a"))
    with pytest.raises(RuntimeError):
        await database.read(names)
    await database.close()


async def test_sqlite_keeps_what_it_has_committed(sqlite_url: str) -> None:
    database = open_database(sqlite_url)

    def pragmas(connection: Connection) -> list[object]:
        asked = ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]

    assert await database.write(pragmas) == ["wal", 2, 1, 1]
    assert await database.read(pragmas) == ["wal", 2, 1, 1]
    await database.close()


async def test_a_full_disk_reaches_everybody_whose_work_it_took_along(sqlite_url: str) -> None:
    database = open_database(sqlite_url)

    def fill(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 3}")

    def make_room(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")

    await database.write(fill)
    outcomes = await together(database, [put("before"), put("large", "x" * 200_000), put("after")])
    stayed = await database.read(names)
    told = [name for name, outcome in zip(["before", "large", "after"], outcomes, strict=True) if outcome is None]
    assert told == [name for name in stayed if name != "held up"]
    assert isinstance(outcomes[1], OperationalError)
    assert all("full" in str(outcome) for outcome in outcomes if outcome is not None)
    await database.write(make_room)
    await database.write(put("later", "x" * 200_000))
    assert "later" in await database.read(names)
    await database.close()


async def test_a_commit_that_fails_reaches_everybody_in_it(sqlite_url: str) -> None:
    database = open_database(sqlite_url)

    def wrong_at_the_end(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        connection.execute(insert(allowance_grants).values(account_id=404, period="day 2026-11-18", granted=1))

    outcomes = await together(database, [put("before"), wrong_at_the_end, put("after")])
    assert [type(outcome) for outcome in outcomes] == [IntegrityError] * 3
    assert await database.read(names) == ["held up"]
    await database.write(put("later"))
    assert await database.read(names) == ["held up", "later"]
    await no_transaction_is_open(database, sqlite_url)
    await database.close()


async def test_a_file_that_cannot_be_opened_reaches_every_caller_and_may_come_back(tmp_path: Path) -> None:
    path = tmp_path / "wanbot.db"
    path.mkdir()
    database = open_database(f"sqlite:///{path}")
    outcomes = await asyncio.gather(*(database.write(put(f"{n}")) for n in range(3)), return_exceptions=True)
    assert all(isinstance(outcome, OperationalError) for outcome in outcomes)
    path.rmdir()
    await database.write(remembered.create)
    await database.write(put("a"))
    assert await database.read(names) == ["a"]
    await database.close()


async def test_a_lock_held_for_a_moment_is_waited_for(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    with locked_by_another(sqlite_url):
        waiting = asyncio.ensure_future(database.write(put("a")))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert await database.read(names) == []
    await waiting
    assert await database.read(names) == ["a"]
    await database.close()


async def test_a_lock_held_for_long_fails_the_callers_and_not_the_later_ones(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_BUSY_TIMEOUT", 0.1)
    database = open_database(sqlite_url)
    with locked_by_another(sqlite_url):
        outcomes = await asyncio.gather(*(database.write(put(f"{n}")) for n in range(3)), return_exceptions=True)
    assert all("locked" in str(outcome) for outcome in outcomes)
    await database.write(put("later"))
    assert await database.read(names) == ["later"]
    await database.close()


async def test_a_cut_connection_fails_its_unit_and_not_the_later_ones(postgres_url: str) -> None:
    database = open_database(postgres_url)

    def cut(connection: Connection) -> None:
        put("a")(connection)
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    with pytest.raises(OperationalError):
        await database.write(cut)
    await asyncio.gather(*(database.write(put(f"later {n}")) for n in range(10)))
    assert len(await database.read(names)) == 10
    await database.close()


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=-30))])))
def test_an_instant_comes_back_as_it_was(moment: datetime) -> None:
    column, dialect = Instant(), sqlite.dialect()
    stored = column.process_bind_param(moment, dialect)
    loaded = column.process_result_value(stored, dialect)
    assert loaded is not None
    assert (loaded, loaded.tzinfo) == (moment, UTC)


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Instant().process_bind_param(datetime(2026, 11, 18), sqlite.dialect())  # noqa: DTZ001


async def test_an_error_of_the_database_tells_no_value(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        await database.write(lambda c: c.execute(text("SELECT :prompt FROM nowhere"), {"prompt": "my secret party"}))
    assert "nowhere" in str(caught.value)
    assert "secret party" not in str(caught.value)


def test_who_opens_a_new_file_waits_for_somebody_who_is_just_filling_it(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE something (a)")
        ending = Timer(0.3, other.execute, ["COMMIT"])
        ending.start()
        opened = engine.sync_engine(make_url(f"sqlite:///{path}"))
        with opened.connect() as connection:
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        ending.join()
        opened.dispose()
