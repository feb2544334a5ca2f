"""How texts are made fit for Discord. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import accumulate

from bot.languages import _, ngettext

#: the signs of Discord's markdown, the colon that makes a link, and the dot that makes an invitation
_MARKDOWN = re.compile(r"([\\*_~`|>#\[\]()<-]|:(?=//)|(?<=discord|cordapp)\.)", re.IGNORECASE)
#: the number that begins a list, where a text begins a line
_NUMBERED = re.compile(r"^(\d+)\.(?= )")
#: characters; Discord's own limit of a message
LONGEST_MESSAGE = 2000
_CONTROLS = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_MARKS = {"Mn", "Me"}
#: on one letter; no script needs more, and towers of them run over other lines
_MOST_MARKS = 4


def relative_time(instant: datetime) -> str:
    """A timestamp that every reader's client counts down by itself: ``in 5 minutes``."""
    return f"<t:{int(instant.timestamp())}:R>"


def date_and_time(instant: datetime) -> str:
    """A timestamp in every reader's own time: ``20 November 2026 07:10``."""
    return f"<t:{int(instant.timestamp())}:f>"


def disarmed(text: str, most: int) -> str:
    """Somebody else's text, shortened, on one line, without mentions, links, markdown or direction tricks.

    It may grow to twice as many characters.
    """
    escaped = _MARKDOWN.sub(r"\\\1", one_line(text, most))
    return _NUMBERED.sub(r"\1\\.", escaped).replace("@", "@\u200b")


def one_line(text: str, most: int) -> str:
    """Somebody else's text, shortened, on one line, without direction tricks: for where no markdown is read."""
    return shortened(" ".join("".join(_tamed(text)).split()), most)


def _tamed(text: str) -> Iterator[str]:
    """Every character, but those that hide, turn or break the line, and marks piled up on a letter."""
    marks = 0
    for each in text:
        category = unicodedata.category(each)
        marks = marks + 1 if category in _MARKS else 0
        if marks <= _MOST_MARKS:
            yield " " if category in _CONTROLS else each


def shortened(text: str, most: int) -> str:
    """The text, cut with an ellipsis at ``most`` characters."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def fitting_lines(lines: Sequence[str], most: int = LONGEST_MESSAGE) -> str:
    """As many whole lines as fit into one message, and how many more there are."""
    whole = "\n".join(lines)
    if len(whole) <= most:
        return whole
    # with the break behind each, so that many lines cost no more than one look at each
    lengths = list(accumulate(len(line) + 1 for line in lines))
    for kept in range(len(lines) - 1, 0, -1):
        more = _("… and {n} more").format(n=len(lines) - kept)
        if lengths[kept - 1] + len(more) <= most:
            return "\n".join([*lines[:kept], more])
    return shortened(whole, most)


def member_text(user_id: int) -> str:
    """A member as Discord shows one, or what is left of one whose data was deleted (below 0)."""
    return f"<@{user_id}>" if user_id > 0 else _("somebody who is gone")


def seconds_text(seconds: int) -> str:
    """``5 s``."""
    return _("{seconds} s").format(seconds=seconds)


def enhanced_text(is_enhanced: bool | None) -> str | None:  # noqa: FBT001 - it is the option itself
    """Whether the model may rewrite the prompt; None: nobody has said."""
    if is_enhanced is None:
        return None
    return _("prompt enhanced") if is_enhanced else _("prompt as written")


def credits_text(amount: int) -> str:
    """``1 credit``, ``7 credits``."""
    return ngettext("{n} credit", "{n} credits", amount).format(n=f"{amount:,}")
