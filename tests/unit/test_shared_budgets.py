"""One budget for several processes, each with its own connections to a real PostgreSQL.

Where a test would have to wait for minutes, it gives the statements another instant than that of the database's clock.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from bot.budgets import SharedBudgets
from bot.database import provider_requests as counted
from bot.database.engine import Database, open_database, sync_engine
from bot.database.migrate import migrate
from bot.database.provider_requests import GRACE
from bot.database.tables import provider_holds, provider_requests
from providers.budget import FRESH, LONGEST, WINDOW, CannotCount, NoSlotSoon, Priority, RequestBudget, Wait, Wanted
from providers.http import ASK_TOTAL, SUBMIT_PATIENCE, SUBMIT_TOTAL
from tests.conftest import NOON, PostgresServer

VENDOR: Final = "pixazo"


@dataclass
class Process:
    """What one process has of a vendor's budget."""

    database: Database
    budgets: SharedBudgets
    budget: RequestBudget


@asynccontextmanager
async def process(
    url: str, *, per_minute: int | None = None, concurrency: int = 4, window: float = WINDOW, name: str = "one"
) -> AsyncGenerator[Process]:
    database = open_database(url)
    budgets = SharedBudgets(database=database, process=name)
    budget = RequestBudget(
        requests_per_minute=per_minute, concurrency=concurrency, window=window, tally=budgets.of(VENDOR)
    )
    try:
        yield Process(database, budgets, budget)
    finally:
        await budgets.close()
        await database.close()


@asynccontextmanager
async def processes(
    url: str, count: int, *, per_minute: int | None = None, concurrency: int = 4, window: float = WINDOW
) -> AsyncGenerator[list[Process]]:
    async with AsyncExitStack() as stack:
        limits = partial(process, url, per_minute=per_minute, concurrency=concurrency, window=window)
        yield [await stack.enter_async_context(limits(name=f"process {number}")) for number in range(count)]


@dataclass
class Sent:
    """A request that went out, in seconds of this machine's clock."""

    priority: Priority
    begun: float
    ended: float = 0.0


@dataclass
class Vendor:
    """Sees the requests of all processes."""

    requests: list[Sent] = field(default_factory=list[Sent])
    most_at_once: int = 0
    at_once: int = 0

    async def ask(self, budget: RequestBudget, priority: Priority = Priority.POLL, *, takes: float = 0.0) -> None:
        async with budget.slot(priority):
            sent = Sent(priority, time.monotonic())
            self.requests.append(sent)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                await asyncio.sleep(takes)
            finally:
                self.at_once -= 1
                sent.ended = time.monotonic()

    def busiest(self, window: float) -> int:
        """The most requests that counted at the begin of any of them, itself included."""
        return max(
            sum(other.begun <= each.begun < other.ended + window for other in self.requests) for each in self.requests
        )


def wanted(
    priority: Priority = Priority.POLL,
    *,
    patience: float = SUBMIT_PATIENCE,
    lasts: float = ASK_TOTAL,
    per_minute: int | None = None,
    concurrency: int = 4,
) -> Wanted:
    return Wanted(
        priority=priority,
        patience=patience,
        lasts=lasts,
        requests_per_minute=per_minute,
        window=WINDOW,
        concurrency=concurrency,
    )


def rows(connection: Connection) -> list[tuple[datetime, datetime]]:
    """When the requests began, and when they end or have ended."""
    columns = provider_requests.c.begun_at, provider_requests.c.ends_at
    return [(begun, ends) for begun, ends in connection.execute(select(*columns).order_by(provider_requests.c.id))]


def now_of(connection: Connection) -> datetime:
    return connection.execute(select(counted.NOW)).scalar_one()


async def under_way(database: Database) -> int:
    def count(connection: Connection) -> int:
        return sum(ends > now_of(connection) for _, ends in rows(connection))

    return await database.read(count)


async def test_no_window_sees_more_requests_of_three_processes_than_of_one(postgres_url: str) -> None:
    vendor, window = Vendor(), 0.5
    async with processes(postgres_url, 3, per_minute=10, window=window) as three:
        async with asyncio.TaskGroup() as group:
            for number in range(36):
                priority = Priority.SUBMIT if number % 5 == 0 else Priority.POLL
                takes = 0.03 * (number % 3)
                group.create_task(vendor.ask(three[number % 3].budget, priority, takes=takes))
        for each in three:
            await each.budgets.close()
        assert await under_way(three[0].database) == 0
    assert len(vendor.requests) == 36
    assert vendor.busiest(window) <= 10
    assert vendor.most_at_once <= 4


async def test_three_processes_ask_at_once_what_one_may(postgres_url: str) -> None:
    vendor = Vendor()
    async with processes(postgres_url, 3, concurrency=2) as three, asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(vendor.ask(three[number % 3].budget, takes=0.02))
    assert len(vendor.requests) == 12
    assert vendor.most_at_once == 2


async def test_a_submission_goes_before_the_looks_of_other_processes(postgres_url: str) -> None:
    vendor = Vendor()
    async with processes(postgres_url, 3) as (one, two, three):
        await nobody_goes(three, seconds=1.5)
        async with asyncio.TaskGroup() as group:
            for each in (one, two):
                group.create_task(vendor.ask(each.budget))
            # until both looks know that they have to wait
            await asyncio.sleep(0.1)
            group.create_task(vendor.ask(three.budget, Priority.SUBMIT))
    assert [sent.priority for sent in vendor.requests] == [Priority.SUBMIT, Priority.POLL, Priority.POLL]


async def nobody_goes(process: Process, *, seconds: float) -> None:
    """Keep all processes away from the vendor."""
    process.budgets.hold(VENDOR, seconds)
    await process.budgets.close()


async def test_a_look_that_makes_room_for_others_keeps_no_submission_of_its_own_process_waiting(
    postgres_url: str,
) -> None:
    def want_room(connection: Connection) -> None:
        until = now_of(connection) + timedelta(minutes=5)
        connection.execute(insert(provider_holds).values(provider=VENDOR, submit_wanted_until=until))

    vendor = Vendor()
    async with process(postgres_url) as one:
        await one.database.write(want_room)
        look = asyncio.create_task(vendor.ask(one.budget))
        await asyncio.sleep(0.1)
        await asyncio.wait_for(vendor.ask(one.budget, Priority.SUBMIT), 60)
        look.cancel()
        await asyncio.gather(look, return_exceptions=True)
    assert [sent.priority for sent in vendor.requests] == [Priority.SUBMIT]


async def test_a_submission_finds_the_room_that_it_waited_for_even_if_it_is_a_little_late(postgres_url: str) -> None:
    def play(connection: Connection) -> list[bool]:
        """Who finds room when, after a request that ended at noon."""

        def ask(priority: Priority, seconds: float) -> int | Wait:
            asked = wanted(priority, per_minute=1)
            now = NOON + timedelta(seconds=seconds)
            return counted.begin_at(connection, now, provider=VENDOR, process="any", wanted=asked)

        first = ask(Priority.POLL, 0.0)
        assert not isinstance(first, Wait)
        counted.end_at(connection, NOON, [first])
        assert ask(Priority.SUBMIT, 55.0) == Wait(5.0)
        looks = [ask(Priority.POLL, seconds) for seconds in (59.0, 60.0, 60.9)]
        return [isinstance(answer, Wait) for answer in (*looks, ask(Priority.SUBMIT, 60.9))]

    async with process(postgres_url) as one:
        assert await one.database.write(play) == [True, True, True, False]


async def test_what_a_vendor_asks_one_process_to_wait_all_wait(postgres_url: str) -> None:
    async with processes(postgres_url, 2) as (one, two):
        async with one.budget.slot(Priority.SUBMIT):
            one.budget.hold_for(100.0)
            # an earlier one changes nothing
            two.budgets.hold(VENDOR, 20.0)
        await one.budgets.close()
        await two.budgets.close()
        with pytest.raises(NoSlotSoon) as told:
            async with two.budget.slot(Priority.SUBMIT, patience=10.0):
                pytest.fail("let in")
        assert 90.0 < told.value.seconds <= 100.0
        other = RequestBudget(requests_per_minute=None, tally=two.budgets.of("vtrix"))
        async with other.slot(Priority.SUBMIT, patience=0.0):
            pass  # another vendor has said nothing


async def test_who_has_no_patience_for_the_other_processes_is_told_how_long_it_takes(postgres_url: str) -> None:
    async with processes(postgres_url, 2, per_minute=1) as (one, two):
        async with one.budget.slot(Priority.POLL):
            pass
        await one.budgets.close()
        with pytest.raises(NoSlotSoon) as told:
            async with two.budget.slot(Priority.SUBMIT, patience=10.0):
                pytest.fail("let in")
        assert 50.0 < told.value.seconds <= WINDOW
        assert await two.database.read(lambda connection: connection.execute(select(provider_holds)).all()) == []


async def test_settings_that_are_read_again_forget_no_request(postgres_url: str) -> None:
    async with process(postgres_url, per_minute=2) as one:
        async with one.budget.slot(Priority.POLL):
            pass
        anew = RequestBudget(requests_per_minute=2, tally=one.budgets.of(VENDOR))
        async with anew.slot(Priority.POLL, patience=0.0):
            pass
        with pytest.raises(NoSlotSoon):
            async with anew.slot(Priority.SUBMIT, patience=1.0):
                pytest.fail("let in")


# --- whoever dies, leaves or sleeps -----------------------------------------------------------------


KILLED: Final = """
import asyncio, sys
from bot.budgets import SharedBudgets
from bot.database.engine import open_database
from providers.budget import Priority, RequestBudget

async def main():
    budgets = SharedBudgets(database=open_database(sys.argv[1]), process="killed")
    budget = RequestBudget(requests_per_minute=None, tally=budgets.of("pixazo"))
    async with budget.slot(Priority.SUBMIT, lasts=100.0):
        print("sent", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_request_of_a_killed_process_counts_until_it_must_be_over_and_a_minute_more(postgres_url: str) -> None:
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, postgres_url, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert await child.stdout.readline() == b"sent\n"
    child.kill()
    await child.wait()
    lasts = timedelta(seconds=100.0 + GRACE)

    def ask(connection: Connection, after: timedelta, asked: Wanted) -> bool:
        """Whether there is room so long after the killed one began; nothing stays of it."""
        ((begun, _),) = rows(connection)
        savepoint = connection.begin_nested()
        answer = counted.begin_at(connection, begun + after, provider=VENDOR, process="other", wanted=asked)
        savepoint.rollback()
        return not isinstance(answer, Wait)

    async with process(postgres_url) as other:
        tick = timedelta(milliseconds=1)
        for asked, until in [
            (wanted(concurrency=1), lasts),
            (wanted(per_minute=1, concurrency=9), lasts + timedelta(seconds=WINDOW)),
        ]:
            assert not await other.database.write(partial(ask, after=until - tick, asked=asked))
            assert await other.database.write(partial(ask, after=until, asked=asked))


def test_nobody_is_given_up_before_a_request_must_have_ended() -> None:
    # so old may a slot be when the request begins
    assert GRACE > FRESH
    assert max(SUBMIT_TOTAL, ASK_TOTAL) <= LONGEST


async def test_a_cancelled_request_has_ended(postgres_url: str) -> None:
    async with process(postgres_url, per_minute=5) as one:
        inside = asyncio.Event()

        async def ask() -> None:
            async with one.budget.slot(Priority.POLL):
                inside.set()
                await asyncio.sleep(600)

        task = asyncio.create_task(ask())
        await inside.wait()
        assert await under_way(one.database) == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await one.budgets.close()
        assert await under_way(one.database) == 0
        assert len(await one.database.read(rows)) == 1, "it may have been sent"


async def test_a_request_that_fails_has_ended(postgres_url: str) -> None:
    async with process(postgres_url, per_minute=5) as one:
        with pytest.raises(OSError, match="broken"):
            async with one.budget.slot(Priority.POLL):
                raise OSError("broken")
        await one.budgets.close()
        assert await under_way(one.database) == 0


async def test_who_is_cancelled_while_it_is_counted_has_counted_nothing(postgres_url: str) -> None:
    async with process(postgres_url, per_minute=5) as one:
        with nobody_counts(postgres_url):
            task = asyncio.create_task(Vendor().ask(one.budget))
            await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        vendor = Vendor()
        await vendor.ask(one.budget)
        await one.budgets.close()
        assert len(await one.database.read(rows)) == 1


@contextmanager
def nobody_counts(url: str) -> Generator[None]:
    """Keep the lock, as a process does while it counts."""
    engine = sync_engine(make_url(url))
    with engine.begin() as connection:
        counted.begin(connection, provider=VENDOR, process="slow", wanted=wanted())
        connection.execute(delete(provider_requests))
        yield
    engine.dispose()


async def test_a_process_that_falls_silent_while_it_counts_stops_nobody_for_long(postgres_url: str) -> None:
    engine = sync_engine(make_url(postgres_url))
    silent = engine.connect()
    counted.begin(silent, provider=VENDOR, process="silent", wanted=wanted())
    async with process(postgres_url) as other:
        vendor = Vendor()
        await vendor.ask(other.budget)
        assert len(vendor.requests) == 1
        assert len(await other.database.read(rows)) == 1, "what the silent one wanted was never counted"
    silent.invalidate()
    silent.close()
    engine.dispose()


# --- a database that is away ------------------------------------------------------------------------


@pytest.fixture
def other_url(postgres_server: PostgresServer) -> Generator[str]:
    """A migrated database that a test may take away."""
    with postgres_server.other_database() as url:
        migrate(url, now=NOON)
        yield url


def take_away(url: str, *, back: bool = False) -> None:
    name = make_url(url).database
    with psycopg.connect(url.replace(f"/{name}?", "/postgres?"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {str(back).lower()}".encode())
        if not back:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


async def test_what_cannot_be_counted_is_not_sent_and_the_operator_is_told_once(other_url: str) -> None:
    vendor = Vendor()
    with capture_logs() as lines:
        async with process(other_url, per_minute=9) as one:
            async with one.budget.slot(Priority.SUBMIT):
                take_away(other_url)
            # a look has all the patience there is, and is told all the same
            for priority in (Priority.SUBMIT, Priority.POLL, Priority.POLL):
                with pytest.raises(CannotCount, match="can't be counted"):
                    await vendor.ask(one.budget, priority)
            assert vendor.requests == []
            assert one.budget.in_flight == one.budget.waiting == 0
            take_away(other_url, back=True)
            await vendor.ask(one.budget)
            await one.budgets.close()
            assert await under_way(one.database) == 0, "also what ended meanwhile has been noted"
            assert len(await one.database.read(rows)) == 2
    told = [line["event"] for line in lines if line["log_level"] in ("warning", "info")]
    assert told == ["requests can't be counted in the database, so none is sent", "requests are counted again"]


async def test_whoever_waits_already_is_told_when_the_database_goes(other_url: str) -> None:
    vendor = Vendor()
    async with process(other_url, concurrency=1) as one, process(other_url, concurrency=1) as two:
        async with one.budget.slot(Priority.POLL):
            waiting = [asyncio.create_task(vendor.ask(two.budget)) for _ in range(3)]
            await asyncio.sleep(0.2)
            take_away(other_url)
            told = await asyncio.gather(*waiting, return_exceptions=True)
        take_away(other_url, back=True)
    assert [type(each) for each in told] == [CannotCount] * 3


# --- in any order -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens some seconds after the last."""

    after: float
    priority: Priority
    #: seconds until the request ends; None: its process dies with it
    takes: float | None


EVENTS: Final = st.lists(
    st.builds(
        Event,
        after=st.sampled_from([0.0, 0.05, 0.5, 1.0, 9.5, 20.0, 50.0]),
        priority=st.sampled_from(Priority),
        takes=st.none() | st.sampled_from([0.0, 0.3, 10.0, 29.0]),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=40)
@given(events=EVENTS, per_minute=st.integers(1, 5), concurrency=st.integers(1, 3))
def test_in_no_order_of_events_a_window_sees_more_than_the_limit(
    postgres_server: PostgresServer, events: list[Event], per_minute: int, concurrency: int
) -> None:
    engine = sync_engine(make_url(postgres_server.url))
    with engine.connect() as connection:
        sent = _played(connection, events, per_minute, concurrency)
    engine.dispose()
    for begun, _ in sent:
        together = [(other, ended) for other, ended in sent if other <= begun]
        assert sum(begun < ended + timedelta(seconds=WINDOW) for _, ended in together) <= per_minute
        assert sum(begun < ended for _, ended in together) <= concurrency


def _played(
    connection: Connection, events: list[Event], per_minute: int, concurrency: int
) -> list[tuple[datetime, datetime]]:
    """Let everything happen on a clock of its own, and give the begins and ends of what was let in."""
    now, sent = NOON, list[tuple[datetime, datetime]]()
    ends: dict[int, datetime] = {}
    awaited: datetime | None = None
    for event in events:
        now += timedelta(seconds=event.after)
        for number in [each for each, end in ends.items() if end <= now]:
            counted.end_at(connection, ends.pop(number), [number])
        asked = wanted(event.priority, per_minute=per_minute, concurrency=concurrency)
        answer = counted.begin_at(connection, now, provider=VENDOR, process="any", wanted=asked)
        if isinstance(answer, Wait):
            assert answer.seconds > 0
            if event.priority is Priority.SUBMIT and answer.seconds <= asked.patience:
                awaited = now + timedelta(seconds=answer.seconds)
            continue
        # no look goes before a submission that comes again, or is a little late
        is_awaited = awaited is not None and now < awaited + timedelta(seconds=0.9)
        assert event.priority is Priority.SUBMIT or not is_awaited
        end = now + timedelta(seconds=asked.lasts + GRACE if event.takes is None else event.takes)
        sent.append((now, end))
        if event.takes is not None:
            ends[answer] = end
    return sent
