"""The language in which a text is said: the member's own in private answers, the community's in public ones.

Texts stand in the code in English, marked for the catalogues in ``bot/locale/``; ``make texts`` gathers them there.

    _("Stopped; nothing was charged.")                      said now, in the language of the moment
    _("Place {place} in the queue").format(place=3)         never an f-string: the catalogue knows the text only
    ngettext("{n} video", "{n} videos", n).format(n=n)      one or many
    N_("Queued")                                            a constant; marked here, said later with _(...)
    say(Text("It may have {limit:,} characters.", limit=9)) of providers, which know their texts in English alone

The language of the moment belongs to the running task. An answer begins in its member's (bot/client.py); what is public
is said within ``presenter.speaking_in(guild_id)``. A task that is started inherits it, so one that outlives the answer
says itself in which language it speaks.
"""

from __future__ import annotations

import gettext
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Final

from providers.texts import Text

#: Discord's locales for which there is a catalogue, with its folder; every other one reads English
CATALOGUES: Final = {"zh-CN": "zh_CN"}
#: Discord's locale of the texts in the code
ENGLISH: Final = "en-US"
_DOMAIN: Final = "wanbot"
_FOLDER: Final = Path(__file__).with_name("locale")
#: what stands before the name of a command or option in a catalogue: the same word may mean something else in a text
NAME: Final = "name"

_locale: ContextVar[str] = ContextVar("locale", default=ENGLISH)


def spoken() -> str:
    """The language of the moment, as Discord calls it; one without a catalogue reads as English."""
    return _locale.get()


@contextmanager
def speaking(locale: str) -> Generator[None]:
    """Say everything in this language within the block."""
    before = _locale.set(locale)
    try:
        yield
    finally:
        _locale.reset(before)


def _(text: str) -> str:
    """The text in the language of the moment."""
    # a catalogue keeps its own description under the empty text
    return _catalogue(_locale.get()).gettext(text) if text else ""


def ngettext(one: str, many: str, n: int) -> str:
    """The text for so many, in the language of the moment."""
    return _catalogue(_locale.get()).ngettext(one, many, n)


def say(text: str) -> str:
    """A text of the providers in the language of the moment; a plain one is looked up as ``_`` does."""
    return text.said(_) if isinstance(text, Text) else _(text)


def say_name(name: str) -> str:
    """The name of a command or option as the menus of the language of the moment have it."""
    return _catalogue(_locale.get()).pgettext(NAME, name)


def N_(text: str) -> str:  # noqa: N802 - gettext's own name
    """Mark a text of a constant for the catalogues; ``_`` says it where it is used."""
    return text


def name_in(locale: str, name: str) -> str | None:
    """The name of a command or option in a language; None: as in English."""
    said = _catalogue(locale).pgettext(NAME, name)
    return None if said == name else said


def text_in(locale: str, text: str) -> str | None:
    """A text in a language; None: as in English."""
    said = _catalogue(locale).gettext(text)
    return None if said == text else said


def in_every_language(text: str) -> frozenset[str]:
    """The text as it reads in English and in each catalogue: for what is recognised on Discord again."""
    return frozenset({text, *(_catalogue(locale).gettext(text) for locale in CATALOGUES)})


@lru_cache(maxsize=64)
def _catalogue(locale: str) -> gettext.NullTranslations:
    folder = CATALOGUES.get(locale)
    if folder is None:
        return gettext.NullTranslations()
    return gettext.translation(_DOMAIN, _FOLDER, [folder])
