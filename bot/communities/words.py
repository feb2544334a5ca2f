"""Words that a community blocks, found however they are written. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

#: characters of a blocked word or expression, as typed
LONGEST: Final = 60
_ALONE: Final = {"W", "F"}
_DROPPED: Final = {"Mn", "Me", "Cf"}


@dataclass(frozen=True, slots=True)
class BlockedWord:
    """A word or expression; members are told its number, never its text."""

    number: int
    #: normalised; ``*`` at the beginning or end of a word stands for any letters
    text: str


def normalised(text: str) -> str:
    """Words in small letters with one space between: no accents, no punctuation, no invisible characters.

    Wide and compatible forms become the plain ones. Characters of scripts without spaces, as Chinese,
    stand alone, so that an expression is found inside a sentence.
    """
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(map(_kept, plain)).split())


def normalised_rule(text: str) -> str:
    """A blocked word as it is stored: normalised, the stars at its ends kept; empty: no letter or digit is in it."""
    words: list[str] = []
    for word in text.split():
        core = normalised(word)
        if core:
            words.append(f"{'*' * word.startswith('*')}{core}{'*' * word.endswith('*')}")
    return " ".join(words)


def broken_rule(prompt: str, rules: Iterable[BlockedWord]) -> int | None:
    """The number of the first rule that a prompt breaks."""
    rules = tuple(rules)
    if not rules:
        return None
    text = f" {normalised(prompt)} "
    return next((rule.number for rule in rules if _pattern(rule.text).search(text)), None)


def _pattern(rule: str) -> re.Pattern[str]:
    # Python keeps the compiled pattern
    words = [re.escape(word).replace(r"\*", r"[^ ]*") for word in rule.split()]
    return re.compile(f" {' '.join(words)} ")


def _kept(character: str) -> str:
    category = unicodedata.category(character)
    if category in _DROPPED:
        return ""
    if category[0] not in "LN":
        return " "
    return f" {character} " if unicodedata.east_asian_width(character) in _ALONE else character
