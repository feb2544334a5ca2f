"""When the queue is looked at: an end is heard where somebody waits for it, and costs nothing where nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from bot.communities.memory import Communities
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.database.engine import open_database
from bot.jobs.leases import Leases
from bot.jobs.waiting import Waiting
from tests.clocks import NOON, Clock
from tests.unit.test_worker import Discord, Moody, accept


@pytest.fixture
async def database(sqlite_url: str) -> AsyncIterator[Moody]:
    opened = Moody(open_database(sqlite_url))
    yield opened
    await opened.close()


@pytest.fixture
def queue(database: Moody, clock: Clock) -> Waiting:
    return Waiting(
        database=database,
        leases=Leases(database=database, clock=clock, name=None),
        communities=Communities(database=database, default=AllowanceRule(amount=100, length=PeriodLength.DAY)),
        presenter=Discord(),
    )


async def looked(queue: Waiting) -> int:
    """How many wait, as of a look."""
    found = await queue.next(NOON, busy=())
    return len(found.chosen) + len(found.waiting)


async def test_an_end_is_no_reason_to_look_where_nobody_waits(queue: Waiting) -> None:
    assert await looked(queue) == 0
    queue.make_room()
    assert not queue.is_due(NOON)
    queue.wake()
    assert queue.is_due(NOON)


async def test_an_end_is_heard_where_somebody_waits(database: Moody, queue: Waiting) -> None:
    await database.write(partial(accept, number=1, now=NOON))
    assert await looked(queue) == 1
    assert not queue.is_due(NOON)
    queue.make_room()
    assert queue.is_due(NOON)


async def test_an_end_while_the_queue_is_read_is_heard_though_nobody_waited_before(
    database: Moody, queue: Waiting
) -> None:
    assert await looked(queue) == 0
    await database.write(partial(accept, number=1, now=NOON))
    database.gate.clear()
    database.reads_waiting.clear()
    look = asyncio.create_task(looked(queue))
    await database.reads_waiting.wait()
    queue.make_room()
    database.gate.set()
    assert await look == 1
    assert queue.is_due(NOON)


async def test_an_end_is_heard_after_the_queue_could_not_be_read(database: Moody, queue: Waiting) -> None:
    assert await looked(queue) == 0
    database.read_faults = 1
    with pytest.raises(OSError, match="away"):
        await looked(queue)
    queue.make_room()
    assert queue.is_due(NOON)
