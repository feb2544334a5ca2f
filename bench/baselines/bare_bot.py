"""The shortest discord.py bot: it answers ``/wan video``, after one durable commit where it has a database.

Its environment: DISCORD_TOKEN, DISCORD_API_URL; BARE_DATABASE, a file that gets a row for each command;
BARE_LIBRARIES, any text, so that it also imports the libraries that wanbot needs all the time.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sqlite3
import sys
from typing import Any, Final

import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

_LIBRARIES: Final = (
    "discord.ext.commands",
    "dotenv",
    # httpx loads it with its first client
    "httpcore",
    "httpx",
    "pydantic.main",
    "sqlalchemy",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.dialects.sqlite",
    "structlog",
)


class BareBot(discord.AutoShardedClient):
    """What discord.py's own examples make."""

    def __init__(self) -> None:
        super().__init__(intents=discord.Intents(guilds=True))
        self.tree = app_commands.CommandTree(self)
        group = app_commands.Group(name="wan", description="Videos", guild_only=True)
        group.command(name="video", description="Make a video")(video)
        self.tree.add_command(group)

    async def setup_hook(self) -> None:
        """Register the commands."""
        await self.tree.sync()

    async def connect(self, *, reconnect: bool = True) -> None:
        """Go to the imitation's gateway."""
        _, address, _ = await self.http.get_bot_gateway()
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(address)
        await super().connect(reconnect=reconnect)


async def video(interaction: discord.Interaction[Any], prompt: str) -> None:
    """Store the wish, then answer."""
    if _BOOK is not None:
        _BOOK.execute("INSERT INTO wishes VALUES (?, ?, ?)", (interaction.id, interaction.user.id, prompt))
    await interaction.response.send_message("accepted")


def _book(path: str | None) -> sqlite3.Connection | None:
    if path is None:
        return None
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS wishes (id INTEGER PRIMARY KEY, member INTEGER, prompt TEXT)")
    return connection


_BOOK: Final = _book(os.environ.get("BARE_DATABASE"))


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


def main() -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, _end)
    if "BARE_LIBRARIES" in os.environ:
        for name in _LIBRARIES:
            importlib.import_module(name)
    Route.BASE = os.environ["DISCORD_API_URL"]
    asyncio.run(BareBot().start(os.environ["DISCORD_TOKEN"]))


if __name__ == "__main__":
    main()
