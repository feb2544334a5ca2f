"""Guilds: their roles, channels and members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import permissions
from .channels import Channel
from .ids import time_of
from .members import Member
from .people import User

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .wire import Payload
    from .world import World

MIB = 1 << 20
TIER_LIMITS = {2: 50 * MIB, 3: 100 * MIB}


@dataclass(eq=False)
class Role:
    """A role; `held` are its permission bits."""

    id: int
    name: str
    held: int = 0
    position: int = 1
    bot_id: int | None = None

    @property
    def mention(self) -> str:
        return f"<@&{self.id}>"

    def payload(self) -> Payload:
        payload: Payload = {
            "id": str(self.id),
            "name": self.name,
            "permissions": str(self.held),
            "position": self.position,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": self.bot_id is not None,
            "mentionable": False,
            "flags": 0,
        }
        return payload | ({"tags": {"bot_id": str(self.bot_id)}} if self.bot_id else {})

    def resolve(self) -> Payload:
        return {"roles": self.payload()}


class Guild:
    """A guild that the bot was added to (and may leave)."""

    def __init__(self, world: World, *, guild_id: int, name: str, premium_tier: int = 0) -> None:
        self.world = world
        self.id = guild_id
        self.name = name
        self.premium_tier = premium_tier
        self.upload_limit = TIER_LIMITS.get(premium_tier, world.settings.upload_limit)
        self.left = False
        self.everyone = Role(guild_id, "@everyone", permissions.EVERYONE, position=0)
        self._bot_role = Role(world.ids.next(), world.bot.name, permissions.EVERYONE, bot_id=world.bot.id)
        self.roles = [self.everyone, self._bot_role]
        self.channels: list[Channel] = []
        self.bot_member = Member(self, world.bot, [self._bot_role])
        self.members = [self.bot_member]

    @property
    def bot_permissions(self) -> int:
        return self.bot_member.permissions

    def add_channel(self, name: str = "videos", *, nsfw: bool = False) -> Channel:
        channel = Channel(self.world, channel_id=self.world.ids.next(), name=name, guild=self, nsfw=nsfw)
        self.channels.append(channel)
        self.world.channels[channel.id] = channel
        self._emit("CHANNEL_CREATE", channel.payload())
        return channel

    def add_role(self, name: str, *, permissions: Iterable[str] = ()) -> Role:
        role = Role(self.world.ids.next(), name, _bits(permissions))
        self.roles.append(role)
        self._emit("GUILD_ROLE_CREATE", {"guild_id": str(self.id), "role": role.payload()})
        return role

    def add_member(
        self,
        name: str = "alice",
        *,
        roles: Iterable[Role] = (),
        permissions: Iterable[str] = (),
        user: User | None = None,
        upload_limit: int = 0,
    ) -> Member:
        """Let somebody in; `permissions` come on top of their roles', `upload_limit` is their Nitro."""
        user = user or User(self.world.ids.next(), name)
        self.world.users[user.id] = user
        member = Member(self, user, list(roles), extra=_bits(permissions), upload_limit=upload_limit)
        self.members.append(member)
        return member

    def remove_bot(self) -> None:
        """Kick the bot."""
        self.left = True
        self._emit("GUILD_DELETE", {"id": str(self.id)})

    def find_member(self, user_id: int) -> Member | None:
        return next((member for member in self.members if member.id == user_id), None)

    def _emit(self, event: str, payload: Payload) -> None:
        self.world.gateway.emit(event, payload, self.id, intent="guilds")

    def payload(self) -> Payload:
        """Describe it as REST does."""
        return {
            "id": str(self.id),
            "name": self.name,
            "icon": None,
            "owner_id": str(self.id + 1),
            "roles": [role.payload() for role in self.roles],
            "emojis": [],
            "stickers": [],
            "features": [],
            "premium_tier": self.premium_tier,
            "preferred_locale": "en-US",
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "afk_timeout": 300,
            "nsfw_level": 0,
            "mfa_level": 0,
            "system_channel_flags": 0,
        }

    def gateway_payload(self) -> Payload:
        """Describe it as GUILD_CREATE does: without the members intent, the bot is its only member."""
        there = [channel for channel in self.channels if not channel.deleted]
        return self.payload() | {
            "joined_at": time_of(self.id).isoformat(),
            "large": False,
            "unavailable": False,
            "member_count": len(self.members),
            "members": [self.bot_member.payload()],
            "channels": [channel.payload() for channel in there if channel.parent is None],
            "threads": [channel.payload() for channel in there if channel.parent and not channel.archived],
            "voice_states": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }


def _bits(names: Iterable[str]) -> int:
    # `add_role` and `add_member` have an argument that hides the module
    return permissions.bits(names)
