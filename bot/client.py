"""The Discord client: connects, loads the cogs, keeps the commands in step."""

from __future__ import annotations

import asyncio
import hashlib
import json
from functools import partial
from typing import Final

import discord
import structlog
import yarl
from discord import app_commands
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.database import remembered
from bot.database.engine import Database
from bot.delivery import faults
from bot.services import Services
from bot.tree import Tree

log = structlog.stdlib.get_logger(__name__)

#: seconds; discord.py waits as long as a rate limit says, which for commands can be hours
_SYNC_TIME: Final = 60.0
EXTENSIONS: Final = ("cogs.wan", "cogs.moderation", "cogs.buttons")


class WanBot(commands.AutoShardedBot):
    """Everything that talks to Discord hangs on this; ``equip`` must be called before it starts."""

    services: Services

    def __init__(self, *, shard_count: int | None = None, shard_ids: tuple[int, ...] | None = None) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=discord.Intents(guilds=True),
            tree_cls=Tree,
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
            allowed_mentions=discord.AllowedMentions.none(),
            # memory stays flat: nothing but guilds and channels is kept
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            shard_count=shard_count,
            shard_ids=list(shard_ids) if shard_ids is not None else None,  # pyright: ignore[reportArgumentType] - its default
        )

    def equip(self, services: Services) -> None:
        """Hand over what the cogs work with."""
        self.services = services

    async def setup_hook(self) -> None:
        """Load the cogs, then tell Discord of the commands if they changed."""
        for extension in EXTENSIONS:
            await self.load_extension(extension)
        try:
            async with asyncio.timeout(_SYNC_TIME):
                await self.sync_commands(self.services.database)
        except faults.DISCORD_ERRORS:
            # jobs don't wait for that, and the next start tries again
            log.exception("the commands can't be synced; what Discord has of them stays")

    async def sync_commands(self, database: Database) -> bool:
        """Sync only a definition that Discord hasn't got: it counts them, 200 new names a day."""
        definition = [command.to_dict(self.tree) for command in self.tree.get_commands()]
        text = json.dumps(definition, sort_keys=True, default=str)
        name = f"commands of {self.application_id}"
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        if await database.read(partial(remembered.recall, name=name)) == fingerprint:
            return False
        await self.tree.sync()
        await database.write(partial(remembered.remember, name=name, value=fingerprint))
        log.info("commands synced", commands=[command.name for command in self.tree.get_commands()])
        return True

    async def connect(self, *, reconnect: bool = True) -> None:
        """Ask the API for the gateway's address, with shards or without, then connect."""
        _, address, _ = await self.http.get_bot_gateway()
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(address)
        await super().connect(reconnect=reconnect)

    async def on_ready(self) -> None:
        """Say so; may happen many times."""
        log.info("ready", user=str(self.user), guilds=len(self.guilds), shards=self.shard_count)


def use_api(url: str) -> None:
    """Send every REST call there: to Discord, to a proxy that processes share, or to an imitation."""
    Route.BASE = url
