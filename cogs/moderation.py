"""``/wan-admin``: what moderators decide. Who may use it is set on Discord's Integrations page."""

from __future__ import annotations

from discord import app_commands
from discord.ext import commands

from bot.client import WanBot
from cogs.admin.credits import AllowanceModeration, CreditModeration
from cogs.admin.limits import ChannelModeration, LimitModeration, MemberModeration, WordModeration
from cogs.admin.models import ModelModeration
from cogs.admin.presets import PresetModeration
from cogs.admin.records import AuditModeration, LogModeration, OptionModeration, ProviderModeration
from cogs.admin.usage import UsageModeration


@app_commands.default_permissions(manage_guild=True)
class Moderation(
    CreditModeration,
    AllowanceModeration,
    ModelModeration,
    LimitModeration,
    ChannelModeration,
    WordModeration,
    MemberModeration,
    PresetModeration,
    LogModeration,
    OptionModeration,
    AuditModeration,
    ProviderModeration,
    UsageModeration,
    commands.GroupCog,
    name="wan-admin",
    description="Credits, models, limits, and who changed what.",
):
    """The group of all moderators' commands, for those who may manage the server."""


async def setup(bot: commands.Bot) -> None:
    """Add the commands."""
    assert isinstance(bot, WanBot)  # noqa: S101 - for the type alone
    await bot.add_cog(Moderation(bot.services))
