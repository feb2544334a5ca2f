"""Channels, threads and direct messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from . import permissions
from .ids import time_of
from .messages import Message
from .waiting import eventually
from .wire import ApiError, Payload, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from .guilds import Guild
    from .people import User
    from .world import World

T = TypeVar("T")
TEXT, DM, PUBLIC_THREAD = 0, 1, 11


class Channel:
    """A place for messages. What the bot may not do in it is changed with `deny` and `allow`."""

    def __init__(
        self,
        world: World,
        *,
        channel_id: int,
        name: str,
        guild: Guild | None = None,
        parent: Channel | None = None,
        recipient: User | None = None,
        nsfw: bool = False,
    ) -> None:
        self.world = world
        self.id = channel_id
        self.name = name
        self.guild = guild
        self.parent = parent
        self.recipient = recipient
        self.nsfw = nsfw
        self.archived = False
        self.deleted = False
        self.denied = 0
        self._stored: dict[int, Message] = {}

    @property
    def kind(self) -> int:
        if self.guild is None:
            return DM
        return TEXT if self.parent is None else PUBLIC_THREAD

    @property
    def messages(self) -> list[Message]:
        """Everything posted here that others can see, deleted ones too, oldest first."""
        return [message for message in self._stored.values() if not message.ephemeral]

    @property
    def visible(self) -> list[Message]:
        return [message for message in self.messages if not message.deleted]

    async def wait_for(self, predicate: Callable[[], T | None], timeout: float = 5.0) -> T:  # noqa: ASYNC109
        return await eventually(predicate, timeout, f"#{self.name} has {[m.text for m in self.messages]}")

    def store(self, message: Message) -> None:
        self._stored[message.id] = message

    def find(self, message_id: int) -> Message | None:
        return self._stored.get(message_id)

    def get(self, message_id: int) -> Message:
        """Return a message that can be addressed by the bot's token: there, and not ephemeral."""
        message = self._stored.get(message_id)
        if message is None or message.deleted or message.ephemeral:
            raise ApiError(Problem.UNKNOWN_MESSAGE)
        return message

    # what the bot may do

    @property
    def bot_permissions(self) -> int:
        if self.guild is None:
            return permissions.EVERYONE
        denied = self.denied | (self.parent.denied if self.parent else 0)
        return self.guild.bot_permissions & ~denied

    def require(self, *names: str) -> None:
        """Refuse as Discord does: first whether it exists, then whether it can be seen, then the rest."""
        if self.deleted:
            raise ApiError(Problem.UNKNOWN_CHANNEL)
        if self.guild is not None and self.guild.left:
            raise ApiError(Problem.MISSING_ACCESS)
        if not permissions.allows(self.bot_permissions, "view_channel"):
            raise ApiError(Problem.MISSING_ACCESS)
        if not permissions.allows(self.bot_permissions, *names):
            raise ApiError(Problem.MISSING_PERMISSIONS)

    def can(self, *names: str) -> bool:
        return permissions.allows(self.bot_permissions, *names)

    # what moderators do

    def deny(self, *names: str) -> None:
        """Take permissions from the bot, here and in the threads below."""
        self.denied |= permissions.bits(names)
        self._announce("UPDATE")

    def allow(self, *names: str) -> None:
        self.denied &= ~permissions.bits(names)
        self._announce("UPDATE")

    def archive(self) -> None:
        self.archived = True
        self._announce("UPDATE")

    def delete(self) -> None:
        self.deleted = True
        self._announce("DELETE")

    def add_thread(self, name: str = "thread", thread_id: int | None = None) -> Channel:
        if self.guild is None or self.parent is not None:
            raise ValueError("only channels of a guild have threads")
        thread = Channel(
            self.world, channel_id=thread_id or self.world.ids.next(), name=name, guild=self.guild, parent=self
        )
        self.guild.channels.append(thread)
        self.world.channels[thread.id] = thread
        thread._announce("CREATE")
        return thread

    # payloads

    def emit_message(self, event: str, payload: Payload) -> None:
        guild_id = self.guild.id if self.guild else None
        if guild_id is not None:
            payload["guild_id"] = str(guild_id)
        self.world.gateway.emit(event, payload, guild_id, intent="guild_messages" if guild_id else "direct_messages")

    def _announce(self, verb: str) -> None:
        if self.guild is not None:
            noun = "CHANNEL" if self.parent is None else "THREAD"
            self.world.gateway.emit(f"{noun}_{verb}", self.payload(), self.guild.id, intent="guilds")

    def payload(self) -> Payload:
        base: Payload = {"id": str(self.id), "type": self.kind, "flags": 0, "last_message_id": self._last_message()}
        if self.guild is None:
            return base | {"recipients": [self.recipient.payload()] if self.recipient else []}
        base |= {"guild_id": str(self.guild.id), "name": self.name, "rate_limit_per_user": 0}
        return base | (self._text_payload() if self.parent is None else self._thread_payload(self.parent))

    def resolve(self) -> Payload:
        return {"channels": self.payload() | {"permissions": str(permissions.EVERYONE)}}

    def _last_message(self) -> str | None:
        return str(max(self._stored)) if self._stored else None

    def _text_payload(self) -> Payload:
        overwrite = {"id": str(self.world.bot.id), "type": 1, "allow": "0", "deny": str(self.denied)}
        return {
            "position": 0,
            "topic": None,
            "nsfw": self.nsfw,
            "parent_id": None,
            "permission_overwrites": [overwrite] if self.denied else [],
        }

    def _thread_payload(self, parent: Channel) -> Payload:
        created = time_of(self.id).isoformat()
        metadata = {
            "archived": self.archived,
            "auto_archive_duration": 1440,
            "archive_timestamp": created,
            "locked": self.archived,
            "create_timestamp": created,
        }
        return {
            "parent_id": str(parent.id),
            "owner_id": str(self.world.bot.id),
            "message_count": len(self.messages),
            "member_count": 1,
            "thread_metadata": metadata,
        }
