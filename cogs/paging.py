"""Answers of several pages. Their buttons carry all that is needed, so they work after a restart too."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import discord

from bot.delivery.messages import NO_MENTIONS, closing_files
from bot.delivery.words import LONGEST_MESSAGE, shortened
from bot.languages import _
from bot.services import Services

#: seconds for a picture; the text is worth an answer without it
_PATIENCE: Final = 10.0
_CUSTOM_ID: Final = "wan-page:{what}:{skip}:{argument}"
#: how ``cogs.buttons`` reads it back
PAGE_TEMPLATE: Final = r"wan-page:(?P<what>[a-z]+):(?P<skip>[0-9]{1,9}):(?P<argument>.*)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a long list."""

    text: str
    #: so many entries are on a page
    step: int
    has_more: bool
    #: makes the picture beside the text, in a folder of its own
    picture: PictureOf | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture beside a page."""

    path: Path
    #: for those who can't see it
    text: str


#: None: there is none to be had
PictureOf = Callable[[Path], Awaitable[Picture | None]]
#: makes the page for an argument that skips so many entries
PageOf = Callable[[discord.Interaction[Any], Services, str, int], Awaitable[Page]]


async def answer_page(interaction: discord.Interaction[Any], page: Page, *, what: str, argument: str = "") -> None:
    """Answer with the first page of a list, for the member alone."""
    if page.picture is not None:
        # it may take longer than Discord waits for an answer
        await interaction.response.defer(ephemeral=True, thinking=True)
        await _show(interaction, page, page.picture, _page_buttons(page, what, argument, skip=0))
        return
    await interaction.response.send_message(
        shortened(page.text, LONGEST_MESSAGE),
        view=_page_buttons(page, what, argument, skip=0),
        ephemeral=True,
        allowed_mentions=NO_MENTIONS,
        suppress_embeds=True,
    )


async def turn_page(interaction: discord.Interaction[Any], page: Page, *, what: str, argument: str, skip: int) -> None:
    """Show another page in place of the one whose button was pressed."""
    view = _page_buttons(page, what, argument, skip=skip)
    if page.picture is not None:
        await interaction.response.defer()
        await _show(interaction, page, page.picture, view)
        return
    await interaction.response.edit_message(
        content=shortened(page.text, LONGEST_MESSAGE), view=view, attachments=[], allowed_mentions=NO_MENTIONS
    )


async def _show(
    interaction: discord.Interaction[Any], page: Page, picture_of: PictureOf, view: discord.ui.View
) -> None:
    """Show a page with its picture, or without it if it takes too long."""
    with tempfile.TemporaryDirectory(prefix="wanbot-page-") as folder:
        picture: Picture | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                picture = await picture_of(Path(folder))
        files = [] if picture is None else [discord.File(picture.path, description=picture.text)]
        with closing_files(files):
            await interaction.edit_original_response(
                content=shortened(page.text, LONGEST_MESSAGE),
                view=view,
                attachments=files,
                allowed_mentions=NO_MENTIONS,
            )


def _page_buttons(page: Page, what: str, argument: str, *, skip: int) -> discord.ui.View:
    """What is newer and older; no button where there is nothing."""
    view = discord.ui.View(timeout=None)
    places = [(_("Newer"), max(0, skip - page.step), skip > 0), (_("Older"), skip + page.step, page.has_more)]
    for label, place, is_shown in places:
        if is_shown:
            custom_id = _CUSTOM_ID.format(what=what, skip=place, argument=argument)
            view.add_item(discord.ui.Button[discord.ui.View](label=label, custom_id=custom_id))
    # as in bot.delivery.messages: discord.py shall keep nothing of it
    view.stop()
    return view
