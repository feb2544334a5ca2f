"""``/wan``: everything that members do."""

from __future__ import annotations

from typing import Any

import discord
from discord.ext import commands

from bot.client import WanBot
from bot.services import Services
from cogs.making import Making
from cogs.privacy import PrivacyCommands
from cogs.reports import ReportCommands
from cogs.status import StatusCommands
from cogs.video import VideoCommands


class Wan(
    VideoCommands,
    StatusCommands,
    ReportCommands,
    PrivacyCommands,
    commands.GroupCog,
    name="wan",
    description="Make videos.",
):
    """The group of all members' commands. Each feature stands in a module of its own."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)


def making_of(interaction: discord.Interaction[Any]) -> Making:
    """What makes jobs, for the buttons and forms that do so too."""
    cog = interaction.client.get_cog("wan")
    assert isinstance(cog, Wan)  # noqa: S101 - for the type alone: it is loaded before any button
    return cog.making


async def setup(bot: commands.Bot) -> None:
    """Add the commands."""
    assert isinstance(bot, WanBot)  # noqa: S101 - for the type alone
    await bot.add_cog(Wan(bot.services))
