"""What a vendor says about a fault, and how long it wants to be left alone. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast

from pydantic_core import from_json

#: characters of a vendor's message that are kept
MAX_MESSAGE = 500
#: seconds; no vendor silences us for longer
LONGEST_RETRY_AFTER = 600.0


@dataclass(frozen=True, slots=True)
class VendorWords:
    """What a vendor says about a fault: a code for programs, a message for people."""

    code: str | None = None
    message: str | None = None


def _as_it_is(text: str) -> str:
    return text


def vendor_words(body: bytes, redact: Callable[[str], str] = _as_it_is) -> VendorWords:
    """Find code and message in an error body, in the shapes that vendors use.

    ``{"error": "text"}``, ``{"error": {"code", "message"}}``, ``{"message": "text"}``, ``{"code", "message"}``,
    ``{"error": "code", "message": "text"}``; HTML and everything else give nothing.
    ``redact`` takes secrets out of a whole text, before it is cut: half a key is a secret, too.
    """
    try:
        content: object = from_json(body)
    except ValueError:
        return VendorWords()
    return words_in(content, redact)


def words_in(content: object, redact: Callable[[str], str] = _as_it_is) -> VendorWords:
    """As ``vendor_words``, for what is parsed already."""
    if not isinstance(content, dict):
        return VendorWords()
    fields = cast("dict[str, object]", content)
    error, message, code = (_text(fields.get(name), redact) for name in ("error", "message", "code"))
    if isinstance(fields.get("error"), dict):
        inner = words_in(fields["error"], redact)
        return VendorWords(inner.code or code, inner.message or message)
    if error and message:
        return VendorWords(code or error, message)
    return VendorWords(code, error or message)


def retry_after_seconds(text: str | None, now: datetime) -> float | None:
    """Read a ``Retry-After`` header: seconds or an HTTP date; 0.0 to ``LONGEST_RETRY_AFTER``, None if unreadable."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_until(text, now)
    if seconds is None or math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _seconds_until(http_date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
        # "-0000" gives a time without a zone, which is UTC
        return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    except (ValueError, OverflowError):
        return None


def _text(value: object, redact: Callable[[str], str]) -> str | None:
    """One line of at most ``MAX_MESSAGE`` characters, from a text or a number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    # NUL is a blank, too: PostgreSQL stores no text with it
    return redact(" ".join(str(value).replace("\0", " ").split()))[:MAX_MESSAGE] or None
