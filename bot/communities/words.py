"""Words that a community blocks, found however they are written. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

#: blocked words and expressions of one community
MOST: Final = 500
#: characters of a blocked word or expression, as typed
LONGEST: Final = 60
_WIDE: Final = {"W", "F"}
#: first and last characters of other scripts that put no spaces between words: Thai and Lao, Burmese, Khmer
_UNSPACED: Final = (("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"))
_DROPPED: Final = {"Me", "Cf"}
#: as those, though Unicode counts them as letters and marks: fillers and selectors of forms
_INVISIBLE: Final = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)


#: so many are remembered: patterns of rules, and what becomes of a character
_PATTERNS: Final = 4096
_CHARACTERS: Final = 4096


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
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    # put together again, so that a Korean syllable is one character
    bare = unicodedata.normalize("NFC", "".join(each for each in parts if not _is_dropped(each)))
    return " ".join("".join(map(_spaced, bare)).split())


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


@lru_cache(_PATTERNS)
def _pattern(rule: str) -> re.Pattern[str]:
    return re.compile(f" {' '.join(map(_part, rule.split()))} ")


def _part(word: str) -> str:
    """A word of a rule. Nothing in it goes back, or a prompt could keep the whole bot busy for hours."""
    core = re.escape(word.strip("*"))
    head = f"(?>[^ ]*?{core})" if word.startswith("*") and word.endswith("*") else core
    if word.startswith("*") and not word.endswith("*"):
        return f"(?>[^ ]*(?<={core}))"
    return f"{head}[^ ]*+" if word.endswith("*") else head


@lru_cache(_CHARACTERS)
def _is_dropped(character: str) -> bool:
    # an accent stands above or below a letter or strikes it through, or is a vowel point of Hebrew or Arabic; the
    # marks of other scripts are as good as letters: without them ば would be は
    order = unicodedata.combining(character)
    is_accent = order == 1 or 10 <= order <= 36 or order >= 200  # noqa: PLR2004 - Unicode's combining classes
    return is_accent or character in _INVISIBLE or unicodedata.category(character) in _DROPPED


@lru_cache(_CHARACTERS)
def _spaced(character: str) -> str:
    if unicodedata.category(character)[0] not in "LNM":
        return " "
    is_alone = unicodedata.east_asian_width(character) in _WIDE or any(
        first <= character <= last for first, last in _UNSPACED
    )
    return f" {character} " if is_alone else character
