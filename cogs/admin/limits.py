"""``/wan-admin limits``, ``channels``, ``words`` and ``members``: who may make how much of what, and where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Literal

import discord
from discord import app_commands

from bot.communities import describing
from bot.communities.rules import Adult, Limits
from bot.communities.words import LONGEST as LONGEST_WORD
from bot.communities.words import normalised_rule
from bot.delivery.words import shortened
from bot.errors import Refusal
from bot.languages import _
from bot.tree import answer_privately
from cogs.admin.deciding import REASON, Deciding, actor_of
from cogs.admin.models import Place
from providers.catalogue import RESOLUTIONS

_MOST_JOBS: Final = 10_000
_MOST_CREDITS: Final = 1_000_000_000
_LONGEST_VIDEO: Final = 3600
_MOST_CHOICES: Final = 25
#: characters of a long list
_LONGEST: Final = 700

Jobs = app_commands.Range[int, 0, _MOST_JOBS]
Credits = app_commands.Range[int, 0, _MOST_CREDITS]
Why = app_commands.Range[str, 1, REASON]


class LimitModeration(Deciding):
    """Sets limits."""

    limit_group = app_commands.Group(name="limits", description="How many videos, how long, how sharp, how dear.")

    @limit_group.command(name="set", description="Set limits; those left out stay as they are, 0 takes one away.")
    @app_commands.describe(
        member_jobs="Videos of one member at once; more wait (0: the usual 3)",
        guild_jobs="Videos of everybody at once; more wait (0: the usual 20)",
        member_period_jobs="Videos of one member in each period of the allowance",
        guild_period_jobs="Videos of everybody in each period of the allowance",
        duration="The longest video, in seconds",
        resolution="The sharpest video",
        confirm_above="Ask members first when a video costs more than this many credits",
        guild_budget="Credits that everybody together may spend in each period of the allowance",
        adult="Where models that can make adult content may be used",
    )
    @app_commands.choices(
        resolution=[
            *(app_commands.Choice(name=f"up to {name}", value=name) for name in RESOLUTIONS),
            app_commands.Choice(name="no limit", value="0"),
        ]
    )
    async def set_limits(  # noqa: PLR0917 - Discord names them
        self,
        interaction: discord.Interaction[Any],
        member_jobs: Jobs | None = None,
        guild_jobs: Jobs | None = None,
        member_period_jobs: Jobs | None = None,
        guild_period_jobs: Jobs | None = None,
        duration: app_commands.Range[int, 0, _LONGEST_VIDEO] | None = None,
        resolution: str | None = None,
        confirm_above: Credits | None = None,
        guild_budget: Credits | None = None,
        adult: Literal["nowhere", "age_restricted", "anywhere"] | None = None,
    ) -> None:
        """Change the limits that are given."""
        given: dict[str, int | str | None] = {
            "member_jobs": member_jobs,
            "guild_jobs": guild_jobs,
            "member_period_jobs": member_period_jobs,
            "guild_period_jobs": guild_period_jobs,
            "duration": duration,
            "resolution": resolution,
            "confirm_above": confirm_above,
            "guild_budget": guild_budget,
            "adult": adult,
        }
        if all(value is None for value in given.values()):
            raise Refusal(_("Name at least one limit. `/wan-admin limits show` shows them all."))
        change = await self.services.decisions.set_limits(actor_of(interaction), lambda limits: _changed(limits, given))
        if change.deed.before == change.deed.after:
            await self.answered(interaction, change, _("The limits are as you want them already: nothing changed."))
            return
        await self.decided(interaction, change, _("Limits"))

    @limit_group.command(name="show", description="Every limit, and where the bot works.")
    async def show_limits(self, interaction: discord.Interaction[Any]) -> None:
        """Show the limits."""
        community = await self.community(interaction)
        texts = describing.limits(community.limits, community.allowance.length)
        lines = [f"`{name}`: {text}" for name, text in texts.items()]
        more = {_("Channels"): describing.channels(community), _("Blocked words"): describing.words(community)}
        lines += [f"{name}: {shortened(text, _LONGEST)}" for name, text in more.items()]
        await answer_privately(interaction, "\n".join(lines))


class ChannelModeration(Deciding):
    """Decides where the bot works."""

    channel_group = app_commands.Group(name="channels", description="Where videos may be made.")

    @channel_group.command(name="allow", description="Make videos there; once a channel is named, in no other.")
    @app_commands.describe(channel="Which channel; its threads follow it")
    async def allow_channel(self, interaction: discord.Interaction[Any], channel: Place) -> None:
        """Allow a channel."""
        change = await self.services.decisions.allow_channel(actor_of(interaction), channel.id)
        await self.decided(interaction, change, _("Where videos may be made"))

    @channel_group.command(name="deny", description="Make no videos in a channel.")
    @app_commands.describe(channel="Which channel; its threads follow it")
    async def deny_channel(self, interaction: discord.Interaction[Any], channel: Place) -> None:
        """Deny a channel."""
        change = await self.services.decisions.deny_channel(actor_of(interaction), channel.id)
        await self.decided(interaction, change, _("Where videos may be made"))


class WordModeration(Deciding):
    """Blocks words in prompts."""

    word_group = app_commands.Group(name="words", description="Words that prompts may not contain.")

    @word_group.command(name="block", description="Refuse prompts with this word or expression.")
    @app_commands.describe(text="A word or an expression; fox* also finds foxes. Accents and case don't matter")
    async def block_word(
        self, interaction: discord.Interaction[Any], text: app_commands.Range[str, 1, LONGEST_WORD]
    ) -> None:
        """Block a word."""
        change = await self.services.decisions.block_word(actor_of(interaction), text)
        await self.decided(interaction, change, describing.target(change.deed.target))

    @word_group.command(name="unblock", description="Accept a word again.")
    @app_commands.describe(text="Choose one of the suggestions")
    async def unblock_word(
        self, interaction: discord.Interaction[Any], text: app_commands.Range[str, 1, LONGEST_WORD]
    ) -> None:
        """Block a word no more."""
        change = await self.services.decisions.unblock_word(actor_of(interaction), text)
        await self.decided(interaction, change, describing.target(change.deed.target))

    @unblock_word.autocomplete("text")
    async def _words(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        community = await self.community(interaction)
        texts = [word.text for word in community.blocked_words if normalised_rule(typed) in word.text]
        return [app_commands.Choice(name=shortened(text, 100), value=text) for text in texts[:_MOST_CHOICES]]


class MemberModeration(Deciding):
    """Blocks members."""

    member_group = app_commands.Group(name="members", description="Who may make no videos.")

    @member_group.command(name="block", description="Let a member make no more videos; those under way go on.")
    @app_commands.describe(member="Whom", reason="The member is told; kept with the change")
    async def block_member(self, interaction: discord.Interaction[Any], member: discord.User, reason: Why = "") -> None:
        """Block a member."""
        change = await self.services.decisions.block_member(actor_of(interaction), member.id, reason)
        await self.decided(interaction, change, member.mention)

    @member_group.command(name="unblock", description="Let a member make videos again.")
    @app_commands.describe(member="Whom")
    async def unblock_member(self, interaction: discord.Interaction[Any], member: discord.User) -> None:
        """Block a member no more."""
        change = await self.services.decisions.unblock_member(actor_of(interaction), member.id)
        await self.decided(interaction, change, member.mention)


def _changed(limits: Limits, given: dict[str, int | str | None]) -> Limits:
    """The limits with those that are given; 0 takes a limit back to its default."""
    fresh, changes = Limits(), dict[str, Any]()
    for name, value in given.items():
        if value is not None:
            changes[name] = getattr(fresh, name) if value in {0, "0"} else value
    if "adult" in changes:
        changes["adult"] = Adult(changes["adult"])
    return replace(limits, **changes)
