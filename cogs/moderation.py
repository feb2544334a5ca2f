"""``/wan-admin``: what moderators decide. Who may use it is set on Discord's Integrations page."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import discord
from discord import app_commands
from discord.ext import commands
from sqlalchemy import Connection

from bot.client import WanBot
from bot.communities import store
from bot.communities.rules import Community, ModelRule
from bot.communities.store import Deed
from bot.credits import ledger
from bot.credits.accounts import refilled
from bot.credits.ledger import Account
from bot.delivery.messages import NO_MENTIONS
from bot.delivery.words import credits_text
from bot.errors import Refusal
from cogs import choices
from cogs.feature import Feature

_MOST_CREDITS: Final = 1_000_000
_REASON: Final = 300

Amount = app_commands.Range[int, 1, _MOST_CREDITS]
Why = app_commands.Range[str, 1, _REASON]


class CreditModeration(Feature):
    """Gives and takes credits."""

    credit_group = app_commands.Group(name="credits", description="Give members credits, take them back, see them.")

    @credit_group.command(name="grant", description="Give a member credits, beside the allowance.")
    @app_commands.describe(member="Who receives them", amount="How many", reason="For the audit")
    async def grant(
        self, interaction: discord.Interaction[Any], member: discord.Member, amount: Amount, reason: Why = ""
    ) -> None:
        """Give credits, once for this interaction."""
        _no_bots(member)
        change = partial(self._grant, interaction=interaction, member_id=member.id, amount=amount, reason=reason)
        before, after = await self.services.database.write(change)
        await _answer(interaction, f"{member.mention} had {before:,}, has **{after:,}** credits available now.")

    @credit_group.command(name="revoke", description="Take credits from a member; what is held for videos stays.")
    @app_commands.describe(member="Who gives them back", amount="How many at most", reason="For the audit")
    async def revoke(
        self, interaction: discord.Interaction[Any], member: discord.Member, amount: Amount, reason: Why = ""
    ) -> None:
        """Take credits, once for this interaction."""
        _no_bots(member)
        change = partial(self._revoke, interaction=interaction, member_id=member.id, amount=amount, reason=reason)
        before, after = await self.services.database.write(change)
        taken = f"Took {credits_text(before - after)}"
        less = "" if before - after == amount else f" of the {amount:,} asked for: no more were available"
        await _answer(interaction, f"{taken}{less}. {member.mention} had {before:,}, has **{after:,}** available now.")

    @credit_group.command(name="show", description="A member's credits.")
    @app_commands.describe(member="Whose")
    async def show(self, interaction: discord.Interaction[Any], member: discord.Member) -> None:
        """Show what a member has."""
        _no_bots(member)
        community = await self.services.communities.of(interaction.guild_id or 0)
        account = await self.services.database.write(partial(self._account, community=community, member_id=member.id))
        lines = [
            f"{member.mention}",
            f"Available: {account.available:,} ({account.allowance:,} of them from the allowance)",
            f"Held: {account.held:,}",
        ]
        await _answer(interaction, "\n".join(lines))

    def _account(self, connection: Connection, *, community: Community, member_id: int) -> Account:
        guild_id, rule, now = community.guild_id, community.allowance, self.services.clock()
        return refilled(connection, guild_id=guild_id, user_id=member_id, rule=rule, now=now)

    def _grant(
        self,
        connection: Connection,
        *,
        interaction: discord.Interaction[Any],
        member_id: int,
        amount: int,
        reason: str,
    ) -> tuple[int, int]:
        account = self._locked(connection, interaction, member_id)
        entry_id = ledger.grant(connection, account, amount, now=self.services.clock())
        after = account.available + amount
        deed = _deed(
            interaction,
            "credits.grant",
            target=member_id,
            before=account.available,
            after=after,
            reason=reason,
            entry_id=entry_id,
        )
        store.record(connection, deed, now=self.services.clock())
        return account.available, after

    def _revoke(
        self,
        connection: Connection,
        *,
        interaction: discord.Interaction[Any],
        member_id: int,
        amount: int,
        reason: str,
    ) -> tuple[int, int]:
        account = self._locked(connection, interaction, member_id)
        entry_id, taken = ledger.take(connection, account, amount, now=self.services.clock())
        after = account.available - taken
        deed = _deed(
            interaction,
            "credits.revoke",
            target=member_id,
            before=account.available,
            after=after,
            reason=reason,
            entry_id=entry_id,
        )
        store.record(connection, deed, now=self.services.clock())
        return account.available, after

    def _locked(self, connection: Connection, interaction: discord.Interaction[Any], member_id: int) -> Account:
        """The account, with its allowance; refuses an interaction that was applied before."""
        guild_id = interaction.guild_id or 0
        store.lock_guild(connection, guild_id)
        if store.was_done(connection, interaction.id):
            raise Refusal("This was done already; nothing was changed again.")
        community = store.community(connection, guild_id, default=self.services.communities.default_allowance)
        return self._account(connection, community=community, member_id=member_id)


class ModelModeration(Feature):
    """Decides which models may be used."""

    model_group = app_commands.Group(name="models", description="Which models may be used, by whom and where.")

    @model_group.command(name="allow", description="Allow a model.")
    @app_commands.describe(model="Which model", channel="Only in this channel", role="Only for this role")
    async def allow(
        self,
        interaction: discord.Interaction[Any],
        model: str,
        channel: discord.TextChannel | None = None,
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
        channel: discord.TextChannel | None = None,
        role: discord.Role | None = None,
    ) -> None:
        """Deny a model."""
        await self._decide(interaction, model, channel, role, is_allowed=False)

    @model_group.command(name="list", description="Every model, and what was decided about it.")
    async def list_models(self, interaction: discord.Interaction[Any]) -> None:
        """List the decisions."""
        community = await self.services.communities.of(interaction.guild_id or 0)
        lines = [f"`{model}`: {_decisions(community, model)}" for model in self.services.registry.models]
        await _answer(interaction, "\n".join(lines) or "No provider is configured.")

    @allow.autocomplete("model")
    @deny.autocomplete("model")
    async def _models(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        del interaction
        return await choices.every_model(self.services, typed)

    async def _decide(
        self,
        interaction: discord.Interaction[Any],
        model: str,
        channel: discord.TextChannel | None,
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
            role_id=0 if role is None else role.id,
        )
        before, after = await self.services.database.write(partial(self._set_rule, interaction=interaction, rule=rule))
        self.services.communities.forget(interaction.guild_id or 0)
        await _answer(interaction, f"`{model}`\nBefore: {before}\nNow: {after}")

    def _set_rule(
        self, connection: Connection, *, interaction: discord.Interaction[Any], rule: ModelRule
    ) -> tuple[str, str]:
        guild_id, default = interaction.guild_id or 0, self.services.communities.default_allowance
        store.lock_guild(connection, guild_id)
        before = _decisions(store.community(connection, guild_id, default=default), rule.model)
        store.set_model_rule(connection, guild_id, rule)
        after = _decisions(store.community(connection, guild_id, default=default), rule.model)
        if not store.was_done(connection, interaction.id):
            action = "models.allow" if rule.is_allowed else "models.deny"
            deed = _deed(interaction, action, target=rule.model, before=before, after=after)
            store.record(connection, deed, now=self.services.clock())
        return before, after


class LogModeration(Feature):
    """Decides where moderators read of changes and troubles."""

    @app_commands.command(name="log", description="Where I tell moderators of changes and troubles.")
    @app_commands.describe(channel="In which channel; left out: nowhere")
    async def log_channel(
        self, interaction: discord.Interaction[Any], channel: discord.TextChannel | None = None
    ) -> None:
        """Choose the log channel."""
        if channel is not None and not channel.permissions_for(channel.guild.me).send_messages:
            raise Refusal(f"**channel**: I can't write in {channel.mention}. Allow me **Send Messages** there first.")
        change = partial(self._set_log, interaction=interaction, channel_id=None if channel is None else channel.id)
        before, after = await self.services.database.write(change)
        self.services.communities.forget(interaction.guild_id or 0)
        await _answer(interaction, f"Log channel\nBefore: {before}\nNow: {after}")

    def _set_log(
        self, connection: Connection, *, interaction: discord.Interaction[Any], channel_id: int | None
    ) -> tuple[str, str]:
        guild_id, default = interaction.guild_id or 0, self.services.communities.default_allowance
        store.lock_guild(connection, guild_id)
        before = _channel(store.community(connection, guild_id, default=default).log_channel_id)
        store.set_log_channel(connection, guild_id, channel_id)
        after = _channel(channel_id)
        if not store.was_done(connection, interaction.id):
            deed = _deed(interaction, "log.channel", target=channel_id or "", before=before, after=after)
            store.record(connection, deed, now=self.services.clock())
        return before, after


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


def _decisions(community: Community, model: str) -> str:
    """What was decided about a model, in words."""
    rules = sorted((rule for rule in community.model_rules if rule.model == model), key=lambda rule: rule.specificity)
    everywhere = next((rule.is_allowed for rule in rules if rule.specificity == 0), True)
    parts = [_verdict(is_allowed=everywhere)]
    for rule in rules:
        places = [f"in <#{rule.channel_id}>"] if rule.channel_id else []
        places += [f"for <@&{rule.role_id}>"] if rule.role_id else []
        if places:
            parts.append(f"{_verdict(is_allowed=rule.is_allowed)} {' '.join(places)}")
    return ", ".join(parts)


def _channel(channel_id: int | None) -> str:
    return "none" if channel_id is None else f"<#{channel_id}>"


def _verdict(*, is_allowed: bool) -> str:
    return "allowed" if is_allowed else "denied"


def _deed(
    interaction: discord.Interaction[Any],
    action: str,
    *,
    target: object,
    before: object,
    after: object,
    reason: str = "",
    entry_id: int | None = None,
) -> Deed:
    return Deed(
        guild_id=interaction.guild_id or 0,
        actor_id=interaction.user.id,
        interaction_id=interaction.id,
        action=action,
        target=str(target),
        before=str(before),
        after=str(after),
        reason=reason,
        entry_id=entry_id,
    )


def _no_bots(member: discord.Member) -> None:
    if member.bot:
        raise Refusal("**member**: bots make no videos, so they have no credits.")


async def _answer(interaction: discord.Interaction[Any], text: str) -> None:
    await interaction.response.send_message(text, ephemeral=True, allowed_mentions=NO_MENTIONS)
