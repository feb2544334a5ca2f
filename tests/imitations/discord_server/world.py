"""Everything that exists, behind both REST and the gateway."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .channels import Channel
from .commands import CommandBook
from .files import FileStore
from .gateway import Gateway
from .guilds import Guild
from .ids import Snowflakes, shard_of
from .interactions import Interactions
from .people import User
from .wire import ApiError, Problem

if TYPE_CHECKING:
    from .messages import Message


@dataclass(frozen=True)
class Settings:
    """What a test may want other than Discord has it."""

    token: str = "MTIz.imitation.token"
    shards: int = 1
    upload_limit: int = 10 << 20
    ack_seconds: float = 3.0
    token_seconds: float = 15 * 60
    nonce_seconds: float = 5 * 60
    link_seconds: float = 24 * 3600
    heartbeat_ms: int = 41_250
    identify_seconds: float = 0.0
    max_concurrency: int = 1


class World:
    """Users, guilds, channels, commands, interactions and files."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ids = Snowflakes()
        # Old applications' bots have ids of their own; whoever mixes the two up is found out.
        self.application_id = self.ids.next()
        self.bot = User(self.ids.next(), "wanbot", bot=True)
        self.owner = User(self.ids.next(), "owner")
        self.users = {user.id: user for user in (self.bot, self.owner)}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.files = FileStore(self.ids, settings.link_seconds)
        self.commands = CommandBook(self.ids, self.application_id)
        self.interactions = Interactions(self)
        self.gateway = Gateway(self)
        self._nonces: dict[tuple[int, str], tuple[float, Message]] = {}

    def add_guild(self, name: str = "guild", *, premium_tier: int = 0, shard: int | None = None) -> Guild:
        guild_id = self.ids.next_guild()
        while shard is not None and shard_of(guild_id, self.settings.shards) != shard:
            guild_id = self.ids.next_guild()
        guild = Guild(self, guild_id=guild_id, name=name, premium_tier=premium_tier)
        self.guilds[guild.id] = guild
        self.gateway.emit("GUILD_CREATE", guild.gateway_payload(), guild.id, intent="guilds")
        return guild

    def channel(self, channel_id: int) -> Channel:
        channel = self.channels.get(channel_id)
        if channel is None or channel.deleted:
            raise ApiError(Problem.UNKNOWN_CHANNEL)
        return channel

    def guild(self, guild_id: int) -> Guild:
        guild = self.guilds.get(guild_id)
        if guild is None or guild.left:
            raise ApiError(Problem.UNKNOWN_GUILD)
        return guild

    def user(self, user_id: int) -> User:
        if user_id not in self.users:
            raise ApiError(Problem.UNKNOWN_USER)
        return self.users[user_id]

    def dm_with(self, user: User) -> Channel:
        if user.dm is None:
            user.dm = Channel(self, channel_id=self.ids.next(), name=user.name, recipient=user)
            self.channels[user.dm.id] = user.dm
        return user.dm

    def seen_nonce(self, channel: Channel, nonce: str) -> Message | None:
        """Return what the bot posted with this nonce a short while ago, deleted or not."""
        at, message = self._nonces.get((channel.id, nonce), (0.0, None))
        return message if time.monotonic() - at <= self.settings.nonce_seconds else None

    def keep_nonce(self, message: Message) -> None:
        if message.nonce is not None:
            self._nonces[message.channel.id, message.nonce] = (time.monotonic(), message)
