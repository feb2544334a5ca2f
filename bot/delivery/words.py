"""How texts are made fit for Discord. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime

_MARKDOWN = re.compile(r"([\\*_~`|>#\[\]()<-])")
#: characters; Discord's own limit of a message
LONGEST_MESSAGE = 2000
_CONTROLS = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def relative_time(instant: datetime) -> str:
    """A timestamp that every reader's client counts down by itself: ``in 5 minutes``."""
    return f"<t:{int(instant.timestamp())}:R>"


def date_and_time(instant: datetime) -> str:
    """A timestamp in every reader's own time: ``20 November 2026 07:10``."""
    return f"<t:{int(instant.timestamp())}:f>"


def disarmed(text: str, most: int) -> str:
    """Somebody else's text, shortened, on one line, without mentions, markdown or direction tricks."""
    plain = "".join(" " if unicodedata.category(each) in _CONTROLS else each for each in text)
    short = shortened(" ".join(plain.split()), most)
    return _MARKDOWN.sub(r"\\\1", short).replace("@", "@\u200b")


def shortened(text: str, most: int) -> str:
    """The text, cut with an ellipsis at ``most`` characters."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def fitting_lines(lines: Sequence[str], most: int = LONGEST_MESSAGE) -> str:
    """As many whole lines as fit into one message, and how many more there are."""
    kept = list(lines)
    while kept:
        left = len(lines) - len(kept)
        text = "\n".join([*kept, f"… and {left} more"] if left else kept)
        if len(text) <= most:
            return text
        kept.pop()
    return shortened("\n".join(lines), most)


def credits_text(amount: int) -> str:
    """``1 credit``, ``7 credits``."""
    return f"{amount:,} credit{'' if amount == 1 else 's'}"
