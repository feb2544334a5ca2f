"""Buttons that also work hours later and after a restart: all they need stands in their custom ids."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import discord

from bot.services import Services
from bot.tree import answer_error

#: nothing is like it: what a kind of button doesn't say, none of them hears
_NEVER = r"(?!)"


class OwnButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=_NEVER):
    """A button of ours. A kind of them names the ``template`` of its custom ids, and says what it does."""

    def __init__(self, button: discord.ui.Button[discord.ui.View], *, said: Mapping[str, str]) -> None:
        super().__init__(button)
        #: the template's groups, by name
        self.said = said

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the custom id."""
        del interaction
        assert isinstance(item, discord.ui.Button)  # noqa: S101 - for the type alone
        return cls(item, said=match.groupdict())

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what the button says; discord.py would only log an error."""
        try:
            await self.act(interaction, interaction.client.services)
        except Exception as error:  # noqa: BLE001 - every error becomes an answer, ours a line in the log
            await answer_error(interaction, error)

    @abstractmethod
    async def act(self, interaction: discord.Interaction[Any], services: Services) -> None:
        """Do what the button says. What it raises is answered."""
