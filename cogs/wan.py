"""``/wan``: everything that members do."""

from __future__ import annotations

from discord.ext import commands

from bot.client import WanBot
from bot.services import Services
from cogs.compose import ComposeCommands, animate
from cogs.presets import PresetCommands
from cogs.privacy import PrivacyCommands
from cogs.reports import ReportCommands
from cogs.status import StatusCommands
from cogs.video import VideoCommands


class Wan(
    VideoCommands,
    ComposeCommands,
    StatusCommands,
    PresetCommands,
    ReportCommands,
    PrivacyCommands,
    commands.GroupCog,
    name="wan",
    description="Make videos.",
):
    """The group of all members' commands. Each feature stands in a module of its own."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)


async def setup(bot: commands.Bot) -> None:
    """Add the commands."""
    assert isinstance(bot, WanBot)  # noqa: S101 - for the type alone
    await bot.add_cog(Wan(bot.services))
    bot.tree.add_command(animate, override=True)
