"""What a moderator's decision ends with: an answer that shows before and after, a line in the log channel."""

from __future__ import annotations

from typing import Any, Final

import discord

from bot.communities import describing
from bot.communities.decisions import Actor, Change, Member
from bot.communities.rules import Community
from bot.delivery.words import disarmed, one_line, shortened
from bot.errors import Refusal
from bot.languages import _
from bot.tree import answer_privately
from cogs.feature import Feature

#: characters; before and after together fit into one answer
_LONGEST: Final = 900
#: characters of a line in the log channel
_LOGGED: Final = 300
#: of the name of a model that isn't known
_LONGEST_NAME: Final = 60
REASON: Final = 300


class Deciding(Feature):
    """A part of ``/wan-admin``."""

    async def community(self, interaction: discord.Interaction[Any]) -> Community:
        """What the guild has decided."""
        return await self.services.communities.of(interaction.guild_id or 0)

    async def decided(self, interaction: discord.Interaction[Any], change: Change, title: str) -> None:
        """Show what was before and is now."""
        before, after = (shortened(text, _LONGEST) for text in change.said)
        text = _("{title}\nBefore: {before}\nNow: {after}")
        if "\n" in before + after:
            text = _("{title}\n**Before**\n{before}\n**Now**\n{after}")
        await self.answered(interaction, change, text.format(title=title, before=before, after=after))

    async def answered(self, interaction: discord.Interaction[Any], change: Change, text: str) -> None:
        """Answer in these words, then tell the log channel."""
        await answer_privately(interaction, text)
        presenter = self.services.presenter
        with presenter.speaking_in(change.community.guild_id):
            line = log_line(change)
        await presenter.tell_moderators(change.community, line)

    def check_model(self, model: str) -> None:
        """Refuse what is no model of a configured provider. Raises ``Refusal``."""
        if model not in self.services.registry.models:
            names = ", ".join(f"`{each}`" for each in self.services.registry.models) or _("none")
            shown = one_line(model, _LONGEST_NAME).replace("`", "")
            text = _("**model**: `{model}` isn't a model that I know. There are: {models}.")
            raise Refusal(text.format(model=shown, models=names))


def log_line(change: Change) -> str:
    """``<@1> · credits grant · <@2>: 100 → 150 · For the poster``."""
    deed = change.deed
    what = deed.action.replace(".", " ")
    target = f" · {describing.target(deed.target)}" if deed.target else ""
    before, after = (shortened(", ".join(text.split("\n")), _LOGGED) for text in change.said)
    reason = f" · {disarmed(deed.reason, _LOGGED)}" if deed.reason else ""
    return f"<@{deed.actor_id}> · **{what}**{target}: {before} → {after}{reason}"


def actor_of(interaction: discord.Interaction[Any]) -> Actor:
    """Who decides."""
    return Actor(guild_id=interaction.guild_id or 0, user_id=interaction.user.id, interaction_id=interaction.id)


def member_of(member: discord.Member) -> Member:
    """About whom something is decided. Raises ``Refusal`` for bots."""
    if member.bot:
        raise Refusal(_("**member**: bots make no videos, so they have no credits."))
    roles = tuple(role.id for role in member.roles if not role.is_default())
    return Member(user_id=member.id, role_ids=roles)
