"""``/wan privacy``: what is kept of a member, as a file, and its deletion."""

from __future__ import annotations

from typing import Any, Final

import discord
from discord import app_commands

from bot.delivery.messages import NO_MENTIONS, closing_files
from bot.delivery.words import credits_text
from bot.languages import _, ngettext
from bot.privacy.exports import Export
from bot.services import Services
from bot.tree import answer_privately
from cogs.feature import Feature
from cogs.own_button import OwnButton

_CUSTOM_ID: Final = "wan-privacy:{action}"
_TEMPLATE: Final = r"wan-privacy:(?P<action>export|ask|delete|keep)"


class PrivacyCommands(Feature):
    """Says what is kept, and offers it."""

    @app_commands.command(name="privacy", description="What is kept of you here, to have it, or to have it deleted.")
    async def privacy(self, interaction: discord.Interaction[Any]) -> None:
        """Say what is kept for how long."""
        community = await self.services.communities.of(interaction.guild_id or 0)
        text = privacy_text(self.services.keep_days if community.keep_days is None else community.keep_days)
        view = _buttons(("export", _("Get my data"), _GREY), ("ask", _("Delete my data"), _RED))
        await answer_privately(interaction, text, view=view)


class PrivacyButton(OwnButton, template=_TEMPLATE):
    """The buttons of the answer. It is seen by one member alone, so who presses them is whom they are about."""

    async def act(self, interaction: discord.Interaction[Any], services: Services) -> None:
        """See ``OwnButton``."""
        await _ACTIONS[self.said["action"]](interaction, services)


def privacy_text(keep_days: int) -> str:
    """What is kept, where prompts and files are kept for so many days."""
    kept = ngettext(
        "- Prompts, options, pictures and videos: for a day after a video's end, then they are deleted.",
        "- Prompts, options, pictures and videos: for {n} days after a video's end, then they are deleted.",
        keep_days,
    )
    paragraphs = [
        _("**What I keep of you in this community**"),
        kept.format(n=f"{keep_days:,}"),
        _(
            "- Credits: the amounts you were given and spent, for as long as the books are kept. Once your data is "
            "deleted, nobody can tell that they were yours."
        ),
        _("- Your presets and settings: until you change or delete them."),
        _("- What moderators changed, given credits and blocks for example: for as long as I am here."),
        _(
            "Cards and videos that were posted stay in their channels until somebody removes them. Prompts and "
            "pictures also went to the provider of the model, who has rules of its own."
        ),
    ]
    return "\n".join(paragraphs)


def warning_text(loss: int) -> str:
    """What a deletion does; ``loss`` is in credits."""
    lost = _("- You lose {credits}.").format(credits=credits_text(loss))
    paragraphs = [
        _("**Delete everything I keep of you here?**"),
        lost if loss else _("- You have no credits to lose."),
        _("- Your prompts, pictures, presets and settings are deleted, and my copies of your videos."),
        _("- Messages that were posted stay in their channels."),
        _(
            "- A block stays, and what you received of this period's allowance isn't given again: for both I keep a "
            "code in place of your name."
        ),
        _("It can't be undone."),
    ]
    return "\n".join(paragraphs)


def export_text(export: Export) -> str:
    """What the file is."""
    videos = ngettext("{n} video", "{n} videos", export.videos).format(n=f"{export.videos:,}")
    changes = ngettext("{n} change of your credits", "{n} changes of your credits", export.entries)
    text = _("This is what I keep of you here: {videos}, {changes}, and what moderators did.")
    sentences = [text.format(videos=videos, changes=changes.format(n=f"{export.entries:,}"))]
    if export.pictures:
        text = ngettext("Your picture is in it.", "Your {n} pictures are in it.", export.pictures)
        sentences.append(text.format(n=f"{export.pictures:,}"))
    if export.pictures_left_out:
        text = ngettext(
            "Your picture is too large to be in it: it has their names.",
            "Your {n} pictures are too large to be in it: it has their names.",
            export.pictures_left_out,
        )
        sentences.append(text.format(n=f"{export.pictures_left_out:,}"))
    return " ".join([*sentences, _("Videos aren't in it: `/wan history` gives those that are kept again.")])


async def _export(interaction: discord.Interaction[Any], services: Services) -> None:
    # reading and packing may take longer than Discord waits for an answer
    await interaction.response.defer(ephemeral=True, thinking=True)
    member = (interaction.guild_id or 0, interaction.user.id)
    async with services.exports.of(*member, limit=interaction.filesize_limit) as export:
        with closing_files([discord.File(export.path)]) as files:
            await interaction.edit_original_response(
                content=export_text(export), attachments=files, allowed_mentions=NO_MENTIONS
            )


async def _ask(interaction: discord.Interaction[Any], services: Services) -> None:
    loss = await services.forgetting.loss(interaction.guild_id or 0, interaction.user.id)
    view = _buttons(("delete", _("Delete everything"), _RED), ("keep", _("Keep it"), _GREY))
    await interaction.response.edit_message(content=warning_text(loss), view=view)


async def _delete(interaction: discord.Interaction[Any], services: Services) -> None:
    # many files may take longer than Discord waits for an answer
    await interaction.response.defer()
    forfeited = await services.forgetting.forget(interaction.guild_id or 0, interaction.user.id)
    text = _("Everything I kept of you here is deleted. Should you come back, you begin anew.")
    if forfeited:
        text = _(
            "Everything I kept of you here is deleted. {credits} went with it. Should you come back, you begin anew."
        )
    await interaction.edit_original_response(content=text.format(credits=credits_text(forfeited)), view=None)


async def _keep(interaction: discord.Interaction[Any], services: Services) -> None:
    del services
    await interaction.response.edit_message(content=_("Nothing was deleted."), view=None)


_ACTIONS: Final = {"export": _export, "ask": _ask, "delete": _delete, "keep": _keep}
_GREY: Final = discord.ButtonStyle.secondary
_RED: Final = discord.ButtonStyle.danger


def _buttons(*chosen: tuple[str, str, discord.ButtonStyle]) -> discord.ui.View:
    """Buttons with these (actions, labels, styles)."""
    view = discord.ui.View(timeout=None)
    for action, label, style in chosen:
        custom_id = _CUSTOM_ID.format(action=action)
        view.add_item(discord.ui.Button[discord.ui.View](style=style, label=label, custom_id=custom_id))
    # as in bot.delivery.messages: discord.py shall keep nothing of it
    view.stop()
    return view
