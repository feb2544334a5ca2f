"""When shards identify: in their turn among all processes, and never once Discord lets no more sessions begin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING

import discord
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from bot import session_starts
from bot.database.engine import Database, open_database
from bot.session_starts import NoSessionsLeft, SessionStarts
from tests.conftest import several_databases

if TYPE_CHECKING:
    from discord.types.gateway import SessionStartLimit

HOUR = timedelta(hours=1)
#: as long as Discord's ids get
BOT = (1 << 64) - 2


class Discord:
    """Discord's own words about the limit, one answer after another; the last one stays."""

    def __init__(self, *remaining: int, max_concurrency: int = 1, reset_after: int = 3_600_000) -> None:
        self.remaining = list(remaining)
        self.max_concurrency = max_concurrency
        self.reset_after = reset_after
        self.asked = 0

    async def say(self) -> SessionStartLimit:
        self.asked += 1
        remaining = self.remaining.pop(0) if len(self.remaining) > 1 else self.remaining[0]
        if remaining < 0:
            raise discord.GatewayNotFound
        return {
            "total": 1000,
            "remaining": remaining,
            "reset_after": self.reset_after,
            "max_concurrency": self.max_concurrency,
        }


@pytest.fixture
async def processes(postgres_url: str) -> AsyncIterator[list[Database]]:
    async with several_databases(postgres_url, 3) as opened:
        yield opened


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has to wait an hour gives up at once."""
    monkeypatch.setattr(session_starts, "_PATIENCE", 0.3)


def starts_of(database: Database, told: Discord | None = None, *, between: timedelta = HOUR) -> SessionStarts:
    return SessionStarts(database=database, ask=(told or Discord(1000)).say, between=between)


@pytest.mark.usefixtures("impatient")
async def test_shards_of_a_bucket_wait_for_each_other_in_whatever_process_they_are(processes: list[Database]) -> None:
    first, second, third = (starts_of(each, Discord(1000, max_concurrency=2)) for each in processes)
    assert await first.take(0, bot_id=BOT)
    assert await second.take(1, bot_id=BOT)
    for each, shard in ((second, 2), (third, 3), (first, 4)):
        with pytest.raises(TimeoutError):
            await each.take(shard, bot_id=BOT)
    # another bot has turns of its own
    assert await third.take(0, bot_id=BOT + 1)


async def test_every_shard_gets_its_turn(processes: list[Database]) -> None:
    starts = [starts_of(each, between=timedelta(seconds=0.05)) for each in processes]
    taken = await asyncio.gather(*(starts[shard % 3].take(shard, bot_id=BOT) for shard in range(9)))
    assert taken == [True] * 9


async def test_a_process_alone_keeps_to_what_discord_py_does(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    starts = starts_of(database)
    assert [await starts.take(shard, bot_id=BOT) for shard in (0, 0, 1)] == [False] * 3
    await database.close()


async def test_a_database_that_is_away_is_waited_for(
    processes: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_starts, "_AFTER_FAULT", 0.05)
    await processes[0].write(lambda c: c.execute(text("ALTER TABLE remembered RENAME TO away")))
    with capture_logs() as lines:
        taking = asyncio.create_task(starts_of(processes[1]).take(7, bot_id=BOT))
        await asyncio.wait([taking], timeout=0.5)
        assert not taking.done()
        await processes[0].write(lambda c: c.execute(text("ALTER TABLE away RENAME TO remembered")))
        assert await taking
    assert lines[0]["event"] == "a shard waits for the database before it identifies"
    assert lines[0]["shard"] == 7


async def test_no_session_is_begun_once_none_is_left(processes: list[Database]) -> None:
    starts = starts_of(processes[0], Discord(2, 1, 0), between=timedelta())
    assert await starts.take(0, bot_id=BOT)
    assert await starts.take(0, bot_id=BOT)
    with pytest.raises(NoSessionsLeft):
        await starts.take(0, bot_id=BOT)


async def test_a_start_waits_for_the_reset_and_says_so(processes: list[Database]) -> None:
    told = Discord(0, 0, 1000, reset_after=10)
    with capture_logs() as lines:
        await starts_of(processes[0], told).wait_until_possible()
    assert told.asked == 3
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("Discord lets no more sessions begin for now; waiting", "error")
    ] * 2


async def test_discord_is_asked_seldom_while_many_are_left_and_each_time_when_few_are(
    processes: list[Database],
) -> None:
    for remaining, expected in ((900, 1), (20, 6)):
        told = Discord(remaining)
        starts = starts_of(processes[0], told, between=timedelta())
        for _ in range(3):
            await starts.wait_until_possible()
            await starts.take(0, bot_id=BOT)
        assert told.asked == expected


async def test_what_discord_has_said_before_holds_while_it_says_nothing(processes: list[Database]) -> None:
    starts = starts_of(processes[0], Discord(40, -1), between=timedelta())
    with capture_logs() as lines:
        for _ in range(3):
            await starts.wait_until_possible()
            assert await starts.take(0, bot_id=BOT)
    assert {line["event"] for line in lines} == {
        "Discord lets few more sessions begin today",
        "Discord doesn't say how many sessions may begin",
    }
