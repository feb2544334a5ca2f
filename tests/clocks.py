"""Clocks that tests turn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

#: a Wednesday, so that the day before and the day after lie in the same week and month
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)


class Clock:
    """A clock that stands still until somebody turns it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
