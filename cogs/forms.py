"""Forms: what one is for stands in its custom id, so it can be sent in hours later and after a restart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import discord
import structlog
from discord.app_commands.namespace import Namespace
from discord.ext import commands

from bot.errors import Refusal
from bot.languages import _
from bot.services import Services
from bot.tree import BROKEN, answer_error, is_broken

log = structlog.stdlib.get_logger(__name__)

_CUSTOM_ID: Final = "wan-form:{kind}:{argument}"
_PATTERN: Final = re.compile(r"wan-form:(?P<kind>[a-z]+):(?P<argument>.*)")


class Form(discord.ui.Modal):
    """A form of ours. ``argument`` is all that it must know when it comes back."""

    kind: ClassVar[str]

    def __init__(self, argument: str, *, title: str) -> None:
        super().__init__(title=title, custom_id=_CUSTOM_ID.format(kind=self.kind, argument=argument))
        self.argument = argument

    @classmethod
    def reopened(cls, services: Services, argument: str) -> Form:
        """The form again, empty."""
        raise NotImplementedError

    def fill(self, interaction: discord.Interaction[Any], sent: Any) -> None:
        """Read what was written into the fields, which are found by their ids."""
        files = Namespace._get_resolved_items(interaction, sent.get("resolved", {}))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as discord.py does
        self._refresh(interaction, sent["components"], files)

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Do what the form is for. Raises ``Refusal``."""
        raise NotImplementedError


async def open_form(interaction: discord.Interaction[Any], form: Form) -> None:
    """Show a form. discord.py keeps nothing of it: ``Forms`` reads what comes back."""
    form.stop()
    await interaction.response.send_modal(form)


class Forms(commands.Cog):
    """Takes forms in, also those that were opened before a restart."""

    def __init__(self, kinds: Mapping[str, type[Form]]) -> None:
        self._kinds = kinds

    @commands.Cog.listener()
    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Fill the form again, and let it do its work."""
        if interaction.type is not discord.InteractionType.modal_submit:
            return
        sent: Any = interaction.data
        found = _PATTERN.fullmatch(sent["custom_id"])
        kind = None if found is None else self._kinds.get(found["kind"])
        if found is None or kind is None:
            await answer_error(interaction, Refusal(_("This form is of an older version; it does nothing any more.")))
            return
        if is_broken(sent):
            await answer_error(interaction, Refusal(_(BROKEN)))
            return
        try:
            form = kind.reopened(interaction.client.services, found["argument"])
            form.fill(interaction, sent)
            await form.on_submit(interaction)
        except Exception as error:  # noqa: BLE001 - every error becomes an answer, ours a line in the log
            await answer_error(interaction, error)
