"""What members and moderators do in stories about a community's rules, and what must hold after each step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import simcord
from simcord.backend import serializers
from sqlalchemy import Row, select

from bot.communities import store
from bot.communities.rules import Community
from bot.database.tables import audit
from bot.jobs import store as jobs
from tests.discord.worlds import World, is_private, text_of


async def decide(world: World, command: str, /, **options: Any) -> str:
    """What mona is told, privately, when she decides something."""
    answer = await world.mona.slash(world.channel, f"wan-admin {command}", **options)
    assert is_private(answer)
    return text_of(answer)


async def keep_for(world: World, days: int) -> None:
    """Mona shortens how long things are kept, and says yes to what that deletes."""
    asked = await world.mona.slash(world.channel, "wan-admin options set", keep_days=days)
    assert asked.response is not None
    await world.mona.click(asked.response, label="Delete what is older")


async def ask(who: simcord.MemberActor, channel: simcord.ChannelHandle, command: str, /, **options: Any) -> str:
    """What a member is told, privately."""
    answer = await who.slash(channel, f"wan {command}", **options)
    assert is_private(answer)
    return text_of(answer)


async def refused(
    world: World,
    who: simcord.MemberActor | None = None,
    channel: simcord.ChannelHandle | None = None,
    **options: Any,
) -> str:
    """Why a member (alice) gets no video; said privately, and nothing is held, kept or stored."""
    who, channel = who or world.alice, channel or world.channel
    before = await _footprint(world, who)
    answer = await who.slash(channel, "wan video", **{"prompt": "A cat", **options})
    assert is_private(answer), text_of(answer)
    assert await _footprint(world, who) == before
    return text_of(answer)


async def accepted(
    world: World,
    who: simcord.MemberActor | None = None,
    channel: simcord.ChannelHandle | None = None,
    **options: Any,
) -> str:
    """The card of a video that a member (alice) asks for."""
    who, channel = who or world.alice, channel or world.channel
    answer = await who.slash(channel, "wan video", **{"prompt": "A cat", "duration": 2, **options})
    text = text_of(answer)
    assert not is_private(answer), text
    assert text.startswith("Queued"), text
    return text


async def accepted_elsewhere(world: World, **options: Any) -> str:
    """The card of a video that alice asks for in the other guild."""
    return await accepted(world, world.alice_elsewhere, world.elsewhere_channel, **options)


async def cancel_all(world: World, who: simcord.MemberActor | None = None) -> None:
    """Let a member (alice) give up every open video in the guild."""
    who = who or world.alice
    for job in await world.open_jobs():
        if (job.guild_id, job.user_id) == (who.guild.id, who.id):
            assert "went back" in await ask(who, world.channel, "cancel", job=job.id)


async def until(world: World, instant: datetime) -> None:
    """Let time pass up to an instant; nobody works meanwhile."""
    await world.env.advance_time((instant - world.env.now()).total_seconds())


def thread_in(world: World, channel: simcord.ChannelHandle) -> simcord.ChannelHandle:
    """A new thread of a channel."""
    world.env.backend.create_thread(channel.id, f"Thread in {channel.name}", world.alice.id)
    return channel.threads[-1]


def restrict_to_adults(world: World, channel: simcord.ChannelHandle) -> None:
    """Make a channel age-restricted: the simulation has no such channels, but the bot hears of one as it would."""
    payload = dict(serializers.channel_payload(world.env.backend, world.env.backend.get_channel(channel.id)))
    world.env.backend.emit("CHANNEL_UPDATE", {**payload, "nsfw": True})


def give_role(world: World, who: simcord.MemberActor, role: simcord.RoleHandle) -> None:
    world.env.backend.add_member_role(who.guild.id, who.id, role.id)


def take_role(world: World, who: simcord.MemberActor, role: simcord.RoleHandle) -> None:
    world.env.backend.remove_member_role(who.guild.id, who.id, role.id)


async def decided(world: World, guild: simcord.GuildHandle | None = None) -> Community:
    """What the database says that a guild has decided."""
    default = world.settings.default_allowance_rule
    read = partial(store.community, guild_id=(guild or world.guild).id, default=default)
    return await world.app.services.database.read(read)


async def audited(world: World, guild: simcord.GuildHandle | None = None) -> Sequence[Row[Any]]:
    """The rows of a guild's audit, the oldest first."""
    query = select(audit).where(audit.c.guild_id == (guild or world.guild).id).order_by(audit.c.id)
    return await world.app.services.database.read(lambda connection: connection.execute(query).all())


async def check_elsewhere(world: World) -> None:
    """Nothing was decided in the other guild, in the database or in memory."""
    default = world.settings.default_allowance_rule
    fresh = Community(guild_id=world.elsewhere.id, allowance=default)
    assert await decided(world, world.elsewhere) == fresh
    assert await world.app.services.communities.of(world.elsewhere.id) == fresh
    assert await audited(world, world.elsewhere) == []


async def _footprint(world: World, who: simcord.MemberActor) -> tuple[object, ...]:
    """What a refusal must leave as it is."""
    read = partial(jobs.latest_of, guild_id=who.guild.id, user_id=who.id, most=100)
    stored = await world.app.services.database.read(read)
    files = sorted((world.settings.data_dir / "inputs").iterdir())
    return await world.account(who, who.guild), [job.id for job in stored], files
