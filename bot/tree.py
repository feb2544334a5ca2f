"""Turns every error of a command, a button or a form into one good answer."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import discord
import structlog
from discord import app_commands
from discord.utils import MISSING

from bot.delivery import faults
from bot.delivery.messages import NO_MENTIONS
from bot.delivery.words import LONGEST_MESSAGE, shortened
from bot.errors import Refusal

log = structlog.stdlib.get_logger(__name__)

_OUR_FAULT = (
    "Something went wrong on our side, and the operator was told. If a card appeared, its job goes on; if none did, "
    "nothing was charged."
)
_CHANGED = "This command has just changed. Wait a minute, or restart Discord, and try again."


class Tree(app_commands.CommandTree[Any]):
    """The commands. Errors end here, and only here."""

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        """Credits belong to a community, so there is nothing to do outside of one."""
        if interaction.guild_id is not None:
            return True
        await interaction.response.send_message("I work in communities only: use me in one.", ephemeral=True)
        return False

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


def _text_for(cause: BaseException, interaction: discord.Interaction[Any]) -> str:
    if isinstance(cause, Refusal):
        return cause.text
    if isinstance(cause, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        return _CHANGED
    if isinstance(cause, app_commands.CheckFailure):
        return "You may not use this here."
    if isinstance(cause, app_commands.TransformerError):
        return f"`{cause.value}` can't be used here: choose one of the suggestions."
    log.error("a command failed", interaction=interaction.id, guild=interaction.guild_id, exc_info=cause)
    return _OUR_FAULT
