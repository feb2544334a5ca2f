"""What was done to a picture so that a model takes it: kept in English, said on cards in any language. Pure."""

from __future__ import annotations

import re
from typing import Final

from bot.languages import N_, _

SCALED: Final = N_("scaled from {before} to {after} to fit the model")
CONVERTED: Final = N_("converted to fit the model")
_SCALED: Final = re.compile(SCALED.format(before="(?P<before>[0-9 x]+)", after="(?P<after>[0-9 x]+)"))


def fitting_text(note: str) -> str:
    """A note of one of these two forms in the language of the moment; any other as it is."""
    found = _SCALED.fullmatch(note)
    if found is not None:
        return _(SCALED).format(**found.groupdict())
    return _(CONVERTED) if note == CONVERTED else note
