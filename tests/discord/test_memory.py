"""What is asked of the database, and when: never while somebody types, once where credits are held."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, TypeVar

import discord
import pytest
from sqlalchemy import Connection

from bot.database.engine import Database
from tests.discord.steps import accepted, ask, check_elsewhere, decide, refused
from tests.discord.worlds import World, open_world

T = TypeVar("T")


class Counting:
    """A database that counts what is asked of it."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.reads = 0
        self.writes = 0

    async def write(self, work: Callable[[Connection], T]) -> T:
        self.writes += 1
        return await self._inner.write(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        self.reads += 1
        return await self._inner.read(work)

    async def close(self) -> None:
        await self._inner.close()

    @property
    def both(self) -> tuple[int, int]:
        """(reads, writes)."""
        return self.reads, self.writes


@pytest.fixture
async def counted(tmp_path: Path) -> AsyncGenerator[tuple[World, Counting]]:
    """A world, and its database that counts."""
    opened: list[Counting] = []

    def wrap(database: Database) -> Database:
        opened.append(Counting(database))
        return opened[0]

    async with open_world(tmp_path, wrap_database=wrap) as world:
        yield world, opened[0]


async def test_nothing_is_asked_of_the_database_while_members_type(counted: tuple[World, Counting]) -> None:
    world, database = counted
    await ask(world.alice, world.channel, "models")
    before = database.both
    for option in ("model", "resolution", "duration", "settings"):
        for who in (world.alice, world.bob):
            await who.autocomplete(world.channel, "wan video", option, "", prompt="x", model="demo")
    assert database.both == before


async def test_nothing_is_asked_of_the_database_while_moderators_type(counted: tuple[World, Counting]) -> None:
    world, database = counted
    await decide(world, "words block", text="fox")
    before = database.both
    for command in ("models allow", "models deny", "models price", "models default"):
        found = await world.mona.autocomplete(world.channel, f"wan-admin {command}", "model", "")
        assert [each["value"] for each in found] == ["demo"]
    (word,) = await world.mona.autocomplete(world.channel, "wan-admin words unblock", "text", "")
    assert word["value"] == "fox"
    assert await world.mona.autocomplete(world.channel, "wan-admin audit", "action", "words")
    assert database.both == before


async def test_what_was_decided_is_suggested_at_once_without_being_read_again(counted: tuple[World, Counting]) -> None:
    world, database = counted

    async def suggested(option: str) -> list[str]:
        found = await world.alice.autocomplete(world.channel, "wan video", option, "", prompt="x")
        return [str(each["name"]) for each in found]

    assert await suggested("model") == ["Demo · 1 credit"]
    for command, options, option, expected in (
        ("models price", {"model": "demo", "credits": 5}, "model", ["Demo · 5 credits"]),
        ("limits set", {"resolution": "720p"}, "resolution", ["480p", "720p"]),
        ("limits set", {"duration": 3}, "duration", ["2 seconds", "3 seconds"]),
        ("models deny", {"model": "demo"}, "model", list[str]()),
    ):
        await decide(world, command, **options)
        before = database.both
        assert await suggested(option) == expected
        assert database.both == before


async def test_a_guilds_rules_are_read_once_however_many_use_them(counted: tuple[World, Counting]) -> None:
    world, database = counted
    await ask(world.alice, world.channel, "models")
    before = database.both
    for who in (world.alice, world.bob, world.mona):
        await ask(who, world.channel, "models")
    assert database.both == before
    await ask(world.alice_elsewhere, world.elsewhere_channel, "models")
    assert database.both == (before[0] + 1, before[1]), "another guild's are its own"


@pytest.mark.parametrize(
    "limits",
    [{}, {"member_period_jobs": 5, "guild_period_jobs": 5, "guild_budget": 50, "duration": 4, "resolution": "720p"}],
    ids=["no limit", "every limit"],
)
async def test_accepting_is_one_transaction_whatever_has_to_be_checked(
    counted: tuple[World, Counting], limits: dict[str, Any]
) -> None:
    world, database = counted
    await ask(world.alice, world.channel, "models")
    if limits:
        await decide(world, "limits set", **limits)
    await decide(world, "words block", text="fox")
    before, seen = database.writes, list[int]()
    inner = discord.InteractionResponse[Any].send_message

    async def send_message(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(database.writes)
        return await inner(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discord.InteractionResponse, "send_message", send_message)
        await accepted(world, model="demo")
    assert seen == [before + 1], "when the card is sent"
    assert database.writes == before + 2, "and then the card's id"
    await check_elsewhere(world)


async def test_what_memory_knows_is_refused_without_a_transaction(counted: tuple[World, Counting]) -> None:
    world, database = counted
    await decide(world, "words block", text="fox")
    await decide(world, "limits set", duration=3)
    before = database.writes
    refusals: list[dict[str, Any]] = [{"prompt": "A fox"}, {"duration": 9, "model": "demo"}, {"model": "nonsense"}]
    for options in refusals:
        # looking at the account before and after, to see that nothing was spent, is a transaction each
        await refused(world, **options)
        before += 2
    assert database.writes == before
