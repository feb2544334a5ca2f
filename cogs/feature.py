"""What every part of a command group starts from."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import discord
from discord.ext import commands

from bot.delivery.words import credits_text
from bot.errors import Refusal
from bot.jobs.job import Job
from bot.languages import N_, _
from bot.services import Services
from bot.tree import answer_privately

#: what the bot must be able to do in a channel before anything is spent, as Discord's menus call it
NEEDED: Final = {
    "view_channel": N_("View Channel"),
    "send_messages": N_("Send Messages"),
    "embed_links": N_("Embed Links"),
    "attach_files": N_("Attach Files"),
    "read_message_history": N_("Read Message History"),
}


class Feature(commands.Cog):
    """A few commands that belong together. Groups are made of several."""

    def __init__(self, services: Services) -> None:
        self.services = services


def check_permissions(interaction: discord.Interaction[Any]) -> None:
    """Refuse where the bot couldn't post what it makes. Raises ``Refusal``."""
    granted = interaction.app_permissions
    needed = dict(NEEDED)
    if isinstance(interaction.channel, discord.Thread):
        del needed["send_messages"]
        needed["send_messages_in_threads"] = N_("Send Messages in Threads")
    missing = [title for name, title in needed.items() if not getattr(granted, name)]
    if missing:
        names = ", ".join(f"**{_(title)}**" for title in missing)
        text = _("I can't post videos in this channel: I need {permissions} here. A moderator can allow it.")
        raise Refusal(text.format(permissions=names))


async def cancel_job(services: Services, interaction: discord.Interaction[Any], job_id: str) -> None:
    """Stop a job for whoever asked, and say so. Raises ``Refusal``."""
    stopped = await services.cancelling.cancel(
        job_id,
        guild_id=interaction.guild_id or 0,
        user_id=interaction.user.id,
        moderates=partial(moderates, interaction),
        card_message_id=None if interaction.message is None else interaction.message.id,
    )
    text = _("Stopped. {credits} went back.").format(credits=credits_text(stopped.quote))
    await answer_privately(interaction, text)


def moderates(interaction: discord.Interaction[Any], job: Job) -> bool:
    """Who may act on somebody else's video: Manage Server, or Manage Messages where it stands."""
    if interaction.permissions.manage_guild:
        return True
    guild, member = interaction.guild, interaction.user
    channel = None if guild is None else guild.get_channel_or_thread(job.channel_id)
    return (
        isinstance(member, discord.Member) and channel is not None and channel.permissions_for(member).manage_messages
    )
