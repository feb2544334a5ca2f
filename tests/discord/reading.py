"""What a Discord client makes of a text: what it links, mentions, formats. By the client's own rules, as far as known.

A client reads from left to right, and at each place takes the first rule that fits. It knows links in three schemes
only, and finds invitations even where nothing is a link.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

_RULES: Final = re.compile(
    r"""
      (?P<escape>\\[^0-9A-Za-z\s])
    | (?P<code>```.+?``` | `[^`]+`)
    | (?P<mention><@[!&]?\d+> | <\#\d+> | </[^>]+:\d+> | <id:\w+(?::\d+)?> | @everyone | @here)
    | (?P<emoji><a?:\w+:\d+>)
    | (?P<time><t:-?\d+(?::[tTdDfFrRsS])?>)
    | (?P<link><[^: >]+:/[^ >]+> | <(?:tel|sms|mailto):[^>]+> | <[^\s<>@]+@[^\s<>@]+\.[^\s<>@]+>
        | \[[^]\n]+\]\(\s*<?[^)\s]+>?[^)\n]*\) | (?:https?|steam|discord)://[^\s<]+[^<.,:;"'\]\s])
    | (?P<bold>\*\*.+?\*\*) | (?P<under>__.+?__) | (?P<slanted>\*\S.*?\* | \b_\S.*?_)
    | (?P<struck>~~.+?~~) | (?P<hidden>\|\|.+?\|\|)
    | (?P<line>(?:^|(?<=^>\ ))(?:\#{1,3}\ |-\#\ |>\ |>>>\ |\ *[*-]\ |\ *\d+\.\ ))
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_INVITATION: Final = re.compile(r"discord(?:app)?\.(?:gg|com[/\\]invite)[/\\]+[\w-]+", re.IGNORECASE)
#: what turns the direction of a line, or hides in it; the blank of no width is ours, behind each @
_TRICKS: Final = re.compile(
    r"[\0-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200c-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
#: marks on one letter, so many that they run over the lines around it
_TOWER: Final = re.compile(r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u20d0-\u20f0]{5}")


def alive(text: str) -> Counter[str]:
    """What in a text is more than text, by its kind."""
    found = Counter(str(each.lastgroup) for each in _RULES.finditer(text))
    del found["escape"]
    found["invitation"] = len(_INVITATION.findall(text))
    found["trick"] = len(_TRICKS.findall(text))
    found["tower"] = len(_TOWER.findall(text))
    return +found
