"""Names and descriptions of commands in the languages of the catalogues, for Discord's own menus."""

from __future__ import annotations

from typing import Final

from discord import Locale
from discord.app_commands import TranslationContextLocation, TranslationContextTypes, Translator, locale_str

from bot.languages import CATALOGUES, name_in, text_in

_NAMES: Final = frozenset(
    {
        TranslationContextLocation.command_name,
        TranslationContextLocation.group_name,
        TranslationContextLocation.parameter_name,
    }
)


class CatalogueTranslator(Translator):
    """Takes from the catalogues what Discord shows of a command."""

    async def translate(self, string: locale_str, locale: Locale, context: TranslationContextTypes) -> str | None:
        """The text in that language; None: as in English."""
        if locale.value not in CATALOGUES:
            return None
        say = name_in if context.location in _NAMES else text_in
        return say(locale.value, string.message)
