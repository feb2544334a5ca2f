"""``/wan-admin``: what moderators decide. Who may use it is set on Discord's Integrations page."""

from __future__ import annotations

from typing import Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import WanBot
from bot.communities.decisions import Actor, describe_rules
from bot.communities.rules import ModelRule
from bot.delivery.words import credits_text, fitting_lines, shortened
from bot.errors import Refusal
from bot.tree import answer_privately
from cogs import choices
from cogs.feature import Feature

_MOST_CREDITS: Final = 1_000_000
_REASON: Final = 300
#: characters; the rules of a model, twice, fit into one answer
_LONGEST_RULES: Final = 900

Amount = app_commands.Range[int, 1, _MOST_CREDITS]
#: where videos can be made; threads follow their channel
Place = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.ForumChannel
Why = app_commands.Range[str, 1, _REASON]


class CreditModeration(Feature):
    """Gives and takes credits."""

    credit_group = app_commands.Group(name="credits", description="Give members credits, take them back, see them.")

    @credit_group.command(name="grant", description="Give a member credits, beside the allowance.")
    @app_commands.describe(member="Who receives them", amount="How many", reason="Kept with the change")
    async def grant(
        self, interaction: discord.Interaction[Any], member: discord.Member, amount: Amount, reason: Why = ""
    ) -> None:
        """Give credits, once for this interaction."""
        _no_bots(member)
        changed = await self.services.decisions.grant(_actor(interaction), member.id, amount, reason)
        text = f"{member.mention} has **{changed.after:,}** credits available now ({changed.before:,} before)."
        await answer_privately(interaction, text)

    @credit_group.command(name="revoke", description="Take credits from a member; what is held for videos stays.")
    @app_commands.describe(member="Who gives them back", amount="How many at most", reason="Kept with the change")
    async def revoke(
        self, interaction: discord.Interaction[Any], member: discord.Member, amount: Amount, reason: Why = ""
    ) -> None:
        """Take credits, once for this interaction."""
        _no_bots(member)
        changed = await self.services.decisions.revoke(_actor(interaction), member.id, amount, reason)
        taken = changed.before - changed.after
        less = "" if taken == amount else f" of the {amount:,} asked for: no more were available"
        now = f"{member.mention} has **{changed.after:,}** available now ({changed.before:,} before)."
        await answer_privately(interaction, f"Took {credits_text(taken)}{less}. {now}")

    @credit_group.command(name="show", description="A member's credits.")
    @app_commands.describe(member="Whose")
    async def show(self, interaction: discord.Interaction[Any], member: discord.Member) -> None:
        """Show what a member has."""
        _no_bots(member)
        account = await self.services.decisions.account(interaction.guild_id or 0, member.id)
        lines = [
            member.mention,
            f"Available: {account.available:,} ({account.allowance:,} of them from the allowance)",
            f"Held: {account.held:,}",
        ]
        await answer_privately(interaction, "\n".join(lines))


class ModelModeration(Feature):
    """Decides which models may be used."""

    model_group = app_commands.Group(name="models", description="Which models may be used, by whom and where.")

    @model_group.command(name="allow", description="Allow a model.")
    @app_commands.describe(model="Which model", channel="Only in this channel", role="Only for this role")
    async def allow(
        self,
        interaction: discord.Interaction[Any],
        model: str,
        channel: Place | None = None,
        role: discord.Role | None = None,
    ) -> None:
        """Allow a model."""
        await self._decide(interaction, model, channel, role, is_allowed=True)

    @model_group.command(name="deny", description="Deny a model.")
    @app_commands.describe(model="Which model", channel="Only in this channel", role="Only for this role")
    async def deny(
        self,
        interaction: discord.Interaction[Any],
        model: str,
        channel: Place | None = None,
        role: discord.Role | None = None,
    ) -> None:
        """Deny a model."""
        await self._decide(interaction, model, channel, role, is_allowed=False)

    @model_group.command(name="list", description="Every model, and what was decided about it.")
    async def list_models(self, interaction: discord.Interaction[Any]) -> None:
        """List the decisions."""
        community = await self.services.communities.of(interaction.guild_id or 0)
        lines = [f"`{model}`: {describe_rules(community, model)}" for model in self.services.registry.models]
        await answer_privately(interaction, fitting_lines(lines) or "No provider is configured.")

    @allow.autocomplete("model")
    @deny.autocomplete("model")
    async def _models(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        del interaction
        return await choices.every_model(self.services, typed)

    async def _decide(
        self,
        interaction: discord.Interaction[Any],
        model: str,
        channel: Place | None,
        role: discord.Role | None,
        *,
        is_allowed: bool,
    ) -> None:
        if model not in self.services.registry.models:
            names = ", ".join(f"`{each}`" for each in self.services.registry.models) or "none"
            raise Refusal(f"**model**: `{model[:60].replace('`', '')}` isn't a model that I know. There are: {names}.")
        rule = ModelRule(
            model=model,
            is_allowed=is_allowed,
            channel_id=0 if channel is None else channel.id,
            role_id=0 if role is None or role.is_default() else role.id,
        )
        changed = await self.services.decisions.rule_model(_actor(interaction), rule)
        before, after = (
            shortened(describe_rules(community, model), _LONGEST_RULES) for community in (changed.before, changed.after)
        )
        await answer_privately(interaction, f"`{model}`\nBefore: {before}\nNow: {after}")


class LogModeration(Feature):
    """Decides where moderators read of troubles."""

    @app_commands.command(name="log", description="Where I tell moderators when a provider fails.")
    @app_commands.describe(channel="In which channel; left out: nowhere")
    async def log_channel(
        self, interaction: discord.Interaction[Any], channel: discord.TextChannel | None = None
    ) -> None:
        """Choose the log channel."""
        if channel is not None and not channel.permissions_for(channel.guild.me).send_messages:
            raise Refusal(f"**channel**: I can't write in {channel.mention}. Allow me **Send Messages** there first.")
        changed = await self.services.decisions.log_to(_actor(interaction), None if channel is None else channel.id)
        before, after = _channel(changed.before.log_channel_id), _channel(changed.after.log_channel_id)
        await answer_privately(interaction, f"Log channel\nBefore: {before}\nNow: {after}")


@app_commands.default_permissions(manage_guild=True)
class Moderation(
    CreditModeration,
    ModelModeration,
    LogModeration,
    commands.GroupCog,
    name="wan-admin",
    description="Models, credits, and where I report.",
):
    """The group of all moderators' commands, for those who may manage the server."""


async def setup(bot: commands.Bot) -> None:
    """Add the commands."""
    assert isinstance(bot, WanBot)  # noqa: S101 - for the type alone
    await bot.add_cog(Moderation(bot.services))


def _actor(interaction: discord.Interaction[Any]) -> Actor:
    return Actor(guild_id=interaction.guild_id or 0, user_id=interaction.user.id, interaction_id=interaction.id)


def _channel(channel_id: int | None) -> str:
    return "none" if channel_id is None else f"<#{channel_id}>"


def _no_bots(member: discord.Member) -> None:
    if member.bot:
        raise Refusal("**member**: bots make no videos, so they have no credits.")
