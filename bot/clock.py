"""Where the bot's time comes from. One clock serves everything, so that tests can turn it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

#: Tells the present instant, aware and in UTC.
Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The clock of the machine."""
    return datetime.now(UTC)
