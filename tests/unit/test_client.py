"""The Discord client between two connections."""

from __future__ import annotations

import asyncio
from typing import Any

import discord
import pytest
from structlog.testing import capture_logs

from bot import client
from bot.client import WanBot

READY = {
    "user": {"id": "1", "username": "wanbot", "discriminator": "0", "avatar": None},
    "application": {"id": "2", "flags": 0},
    "guilds": [{"id": "3", "unavailable": True}],
    "shard": [0, 1],
}


class Refused(WanBot):
    """Is connected for a moment, and never let in again."""

    def __init__(self) -> None:
        super().__init__(shard_count=1)
        self.seen: list[int] = []

    async def connected(self) -> None:
        """Hear READY, as after a login."""
        await self._async_setup_hook()
        state: Any = self._connection
        state.shard_ids, state.shard_count, state.guild_ready_timeout = [0], 1, 0.05
        state.parsers["READY"](READY)

    async def connect(self, *, reconnect: bool = True) -> None:
        raise ValueError("nonsense")

    async def login(self, token: str) -> None:
        raise discord.LoginFailure(token)

    async def on_ready(self) -> None:
        self.seen.append(len(self.guilds))


async def test_a_connection_is_ready_when_its_guilds_are_known() -> None:
    bot = Refused()
    await bot.connected()
    await asyncio.sleep(0.2)
    assert bot.seen == [1]
    assert bot.is_ready()
    await bot.close()


async def test_what_was_heard_of_a_broken_connection_makes_none_ready_whose_guilds_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # all guilds would seem to be left, and what waits in them would end
    bot = Refused()
    await bot.connected()
    monkeypatch.setattr(client, "_FIRST_PAUSE", 0.0)
    with capture_logs() as lines, pytest.raises(discord.LoginFailure):
        await bot.stay_connected("token")
    assert [line["log_level"] for line in lines] == ["error"]
    await asyncio.sleep(0.2)
    assert not bot.guilds
    assert bot.seen == []
    assert not bot.is_ready()
    await bot.close()
