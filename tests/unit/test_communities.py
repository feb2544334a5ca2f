from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from bot.communities.decisions import Actor, Decisions
from bot.communities.member_keys import MemberKeys
from bot.communities.memory import Communities
from bot.communities.rules import ModelRule, Place
from bot.credits.accounts import Accounts
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.database.engine import Database, open_database
from tests.clocks import Clock

T = TypeVar("T")

GUILD = 7
DENIED = ModelRule(model="demo", is_allowed=False)


class Slow:
    """A database whose answers to a question are on their way until ``arrive`` is set."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.asked = asyncio.Event()
        self.arrive = asyncio.Event()

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self._inner.write(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        answer = await self._inner.read(work)
        self.asked.set()
        await self.arrive.wait()
        return answer

    async def close(self) -> None:
        await self._inner.close()


@pytest.fixture
async def slow(sqlite_url: str) -> AsyncIterator[Slow]:
    database = Slow(open_database(sqlite_url))
    yield database
    await database.close()


async def test_a_decision_holds_though_it_was_made_while_the_memory_asked(slow: Slow, clock: Clock) -> None:
    communities = Communities(database=slow, default=AllowanceRule(amount=100, length=PeriodLength.DAY))
    keys = MemberKeys("secret")
    decisions = Decisions(
        database=slow,
        communities=communities,
        accounts=Accounts(member_keys=keys),
        member_keys=keys,
        keep_days=30,
        clock=clock,
    )
    asking = asyncio.create_task(communities.of(GUILD))
    await slow.asked.wait()
    await decisions.rule_model(Actor(guild_id=GUILD, user_id=1, interaction_id=1), DENIED)
    slow.arrive.set()
    await asking
    assert not (await communities.of(GUILD)).permits("demo", Place(channel_id=1))
