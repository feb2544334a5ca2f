"""Turns every error of a command, a button or a form into one good answer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import discord
import structlog
from discord import app_commands
from discord.utils import MISSING

from bot.delivery import faults
from bot.delivery.messages import NO_MENTIONS
from bot.delivery.words import LONGEST_MESSAGE, one_line, shortened
from bot.errors import Refusal
from bot.languages import N_, _, speaking

log = structlog.stdlib.get_logger(__name__)

_OUR_FAULT = N_(
    "Something went wrong on our side, and the operator was told. If a card appeared, its job goes on; if none did, "
    "nothing was charged."
)
#: characters of a value that can't be used
_LONGEST_VALUE = 60
BROKEN = N_("What you wrote holds a broken character, which can't be kept or sent. Write it anew; nothing was charged.")
_CUT_SHORT = N_(
    "I'm being restarted and couldn't finish this. If a card appears, its job goes on; if none does, nothing was "
    "charged. Wait a minute, see whether it was done, and try again if it wasn't."
)
_CHANGED = N_("This command has just changed. Wait a minute, or restart Discord, and try again.")


class Tree(app_commands.CommandTree[Any]):
    """The commands. Errors end here, and only here."""

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Credits belong to a community, so there is nothing to do outside of one, and nothing with broken texts."""
        if interaction.guild_id is None:
            await interaction.response.send_message(_("I work in communities only: use me in one."), ephemeral=True)
            return False
        if interaction.type is discord.InteractionType.application_command and is_broken(interaction.data):
            await interaction.response.send_message(_(BROKEN), ephemeral=True)
            return False
        return True

    async def on_error(self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError, /) -> None:
        """Answer what went wrong."""
        await answer_error(interaction, error)


async def answer_error(interaction: discord.Interaction[Any], error: BaseException) -> None:
    """Say privately what went wrong; what is our fault also goes to the log."""
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    if faults.code_of(cause) == faults.UNKNOWN_INTERACTION:
        log.warning("a command came too late to be answered", interaction=interaction.id)
        return
    try:
        await answer_privately(interaction, _text_for(cause, interaction))
    except faults.DISCORD_ERRORS as failure:
        log.warning("an answer can't be given", interaction=interaction.id, why=str(failure))


async def answer_cut_short(interaction: discord.Interaction[Any]) -> None:
    """Say privately that what was asked for isn't finished, unless there is an answer: nobody thinks for ever."""
    answer = interaction.response.type
    with speaking(interaction.locale.value):
        try:
            if answer is discord.InteractionResponseType.deferred_channel_message:
                # the card may have taken its place already
                if not (await interaction.original_response()).flags.loading:
                    return
            elif answer not in (None, discord.InteractionResponseType.deferred_message_update):
                return
            await answer_privately(interaction, _(_CUT_SHORT))
        except faults.DISCORD_ERRORS as failure:
            log.warning("an answer can't be given", interaction=interaction.id, why=str(failure))


async def answer_privately(
    interaction: discord.Interaction[Any], text: str, *, view: discord.ui.View = MISSING
) -> discord.InteractionMessage | discord.WebhookMessage | None:
    """Answer so that only the member sees it, whatever was answered before; a text too long is cut.

    Gives the message, if Discord told of it.
    """
    text = shortened(text, LONGEST_MESSAGE)
    if not interaction.response.is_done():
        answer = await interaction.response.send_message(
            text, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS, suppress_embeds=True
        )
        return answer.resource if isinstance(answer.resource, discord.InteractionMessage) else None
    if interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
        # the placeholder that everybody sees
        with suppress(*faults.DISCORD_ERRORS):
            await interaction.delete_original_response()
    return await interaction.followup.send(
        text, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS, suppress_embeds=True, wait=True
    )


def is_broken(content: object) -> bool:
    """Whether a text somewhere in a command holds what no database takes: NUL, or half of a character."""
    if isinstance(content, str):
        return any(each == "\0" or "\ud800" <= each <= "\udfff" for each in content)
    if isinstance(content, dict):
        return any(map(is_broken, cast("dict[str, object]", content).values()))
    return isinstance(content, list) and any(map(is_broken, cast("list[object]", content)))


def _text_for(cause: BaseException, interaction: discord.Interaction[Any]) -> str:
    if isinstance(cause, Refusal):
        return cause.text
    if isinstance(cause, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        return _(_CHANGED)
    if isinstance(cause, app_commands.CheckFailure):
        return _("You may not use this here.")
    if isinstance(cause, app_commands.TransformerError):
        value = one_line(str(cause.value), _LONGEST_VALUE).replace("`", "'")
        return _("`{value}` can't be used here: choose one of the suggestions.").format(value=value)
    log.error("a command failed", interaction=interaction.id, guild=interaction.guild_id, exc_info=cause)
    return _(_OUR_FAULT)
