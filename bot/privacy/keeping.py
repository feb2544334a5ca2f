"""How long things are kept. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta


def cut_off(now: datetime, keep_days: int) -> datetime:
    """What ended before this instant has been kept for ``keep_days`` days."""
    return now - timedelta(days=keep_days)


def nobody(chance: int) -> int:
    """An id that no member has, in place of one who isn't to be known any more. ``chance``: 63 random bits."""
    return -1 - chance
