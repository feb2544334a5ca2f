"""What the answers of several vendors have in common: ids, links, and words that are told once."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from urllib.parse import quote

from pydantic import Field, JsonValue, StringConstraints, ValidationError, ValidatorFunctionWrapHandler

#: a task's id, as the vendor will be asked for it; control characters are in none, and NUL can't be stored
TaskId = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]
#: what a vendor says that something cost, in its own unit; bounded, so that it can be counted with and written out
Amount = Annotated[Decimal, Field(ge=0, lt=1_000_000_000, max_digits=20, allow_inf_nan=False)]

#: different things that are remembered; a vendor who makes up more has been noticed
_MOST = 1000


class Once:
    """Tells the first time from all others, for a log that isn't to repeat itself. Bounded."""

    def __init__(self, most: int = _MOST) -> None:
        """Remember at most so many."""
        self._seen: set[str] = set()
        self._most = most

    def is_first(self, word: str) -> bool:
        """Whether the word comes for the first time; false for all that come after ``most`` others."""
        if word in self._seen or len(self._seen) >= self._most:
            return False
        self._seen.add(word)
        return True


def path_segment(task_id: str) -> str | None:
    """Write an id as one segment of a path, whatever it holds; None where that can't be."""
    # dots alone are a step in a path, however they are written
    return quote(task_id, safe="") if task_id.strip(".") else None


def none_if_unreadable(value: object, read: ValidatorFunctionWrapHandler) -> object:
    """Let an odd value of a field that nothing depends on be None (for ``WrapValidator``)."""
    try:
        return read(value)
    except ValidationError:
        return None


def first_link(value: JsonValue) -> str | None:
    """Find an http(s) link in a text, in the first entry of a list, or under ``url``."""
    match value:
        # no address has control characters, and NUL can't be stored
        case str() if value.lower().startswith(("http://", "https://")) and value.isprintable():
            return value
        case [first, *_]:
            return first_link(first)
        case {"url": url}:
            return first_link(url)
        case _:
            return None
