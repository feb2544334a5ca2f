"""Where a job was asked for, as Discord tells it now: what a community's rules go by."""

from __future__ import annotations

import discord

from bot.communities.rules import Place
from bot.jobs.job import Job


def place_of_job(client: discord.Client, job: Job) -> Place | None:
    """The channel of a job, with the roles of its member as far as they are known; None: the channel isn't known."""
    guild = client.get_guild(job.guild_id)
    channel = None if guild is None else guild.get_channel_or_thread(job.channel_id)
    if guild is None or channel is None or isinstance(channel, discord.CategoryChannel):
        return None
    member = guild.get_member(job.user_id)
    roles = () if member is None else tuple(role.id for role in member.roles if not role.is_default())
    return Place(
        channel_id=job.channel_id,
        parent_id=channel.parent_id if isinstance(channel, discord.Thread) else None,
        role_ids=roles,
        # nobody has told them since the command, and members aren't kept
        knows_roles=member is not None,
        is_age_restricted=channel.is_nsfw(),
    )
