"""What every part of a command group starts from."""

from __future__ import annotations

from typing import Any, Final

import discord
from discord.ext import commands

from bot.errors import Refusal
from bot.services import Services

#: what the bot must be able to do in a channel before anything is spent, as Discord's menus call it
NEEDED: Final = {
    "view_channel": "View Channel",
    "send_messages": "Send Messages",
    "embed_links": "Embed Links",
    "attach_files": "Attach Files",
    "read_message_history": "Read Message History",
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
        needed["send_messages_in_threads"] = "Send Messages in Threads"
    missing = [title for name, title in needed.items() if not getattr(granted, name)]
    if missing:
        names = ", ".join(f"**{title}**" for title in missing)
        raise Refusal(f"I can't post videos in this channel: I need {names} here. A moderator can allow it.")


def is_moderator(interaction: discord.Interaction[Any]) -> bool:
    """Who may act on somebody else's video: Manage Server or Manage Messages."""
    return interaction.permissions.manage_guild or interaction.permissions.manage_messages
