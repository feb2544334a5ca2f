"""Turns of processes that share a PostgreSQL: by its clock, one after another, and never held up by a dead one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import make_url

from bot.database import remembered
from bot.database.engine import Database, open_database, sync_engine
from bot.database.pacing import seconds_left, take_turn
from tests.clocks import NOON
from tests.conftest import several_databases

HOUR = timedelta(hours=1)
TURN = partial(take_turn, name="identify", between=HOUR)


@pytest.fixture
async def processes(postgres_url: str) -> AsyncIterator[list[Database]]:
    """What several processes would have open."""
    async with several_databases(postgres_url, 4) as opened:
        yield opened


async def ask_all(processes: list[Database]) -> list[float | None]:
    """Let each of them ask three times, all at once."""
    return await asyncio.gather(*(each.write(TURN) for each in processes * 3))


async def last_turn(database: Database) -> datetime:
    return datetime.fromisoformat(await database.read(partial(remembered.recall, name="identify")) or "")


async def set_back(database: Database, by: timedelta) -> None:
    """As if so much time had passed since the last turn."""
    earlier = (await last_turn(database) - by).isoformat()
    await database.write(partial(remembered.remember, name="identify", value=earlier))


async def test_of_all_that_ask_at_once_one_has_the_turn_and_the_others_are_told_how_long_to_wait(
    processes: list[Database],
) -> None:
    for _ in range(3):
        waits = await ask_all(processes)
        assert waits.count(0.0) == 1
        assert all(wait is not None and 0 <= wait <= HOUR.total_seconds() for wait in waits)
        # half of it isn't enough
        await set_back(processes[0], HOUR / 2)
        assert 0.0 not in await ask_all(processes)
        await set_back(processes[0], HOUR / 2)


async def test_what_waits_under_another_name_is_not_held_up(processes: list[Database]) -> None:
    assert await processes[0].write(TURN) == 0.0
    assert await processes[1].write(partial(take_turn, name="another", between=HOUR)) == 0.0
    assert await processes[1].write(TURN)


async def test_a_process_that_dies_with_the_turn_in_its_hand_leaves_it_to_the_next(
    processes: list[Database], postgres_url: str
) -> None:
    engine = sync_engine(make_url(postgres_url))
    dying = engine.connect()
    dying.begin()
    assert TURN(dying) == 0.0
    waiting = [asyncio.create_task(each.write(TURN)) for each in processes]
    await asyncio.sleep(0.1)
    # they wait for its lock, and don't know yet
    assert not any(task.done() for task in waiting)
    dying.invalidate()
    dying.close()
    assert sorted(wait or 0.0 for wait in await asyncio.gather(*waiting))[:1] == [0.0]
    engine.dispose()


async def test_a_clock_that_was_set_back_holds_nobody_up(processes: list[Database]) -> None:
    assert await processes[0].write(TURN) == 0.0
    await set_back(processes[0], -100 * HOUR)
    assert (await ask_all(processes)).count(0.0) == 1


async def test_on_sqlite_there_is_nobody_to_wait_for(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    assert [await database.write(TURN) for _ in range(2)] == [None, None]
    await database.close()


@pytest.mark.parametrize(
    ("since", "wait"), [(None, 0.0), (-1, 0.0), (0, 5.5), (2, 3.5), (5, 0.5), (5.5, 0.0), (86_400, 0.0)]
)
def test_the_next_turn_is_so_far_off(since: float | None, wait: float) -> None:
    last = None if since is None else NOON - timedelta(seconds=since)
    assert seconds_left(last, NOON, between=timedelta(seconds=5.5)) == wait
