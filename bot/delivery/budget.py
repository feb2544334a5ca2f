"""How often cards are edited. Pure.

Discord takes about five edits in five seconds per channel, and three in six seconds of messages older
than an hour; the numbers are observed, not documented, so we stay well below them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

#: between two edits that show progress
_PROGRESS: Final = timedelta(seconds=8)
#: between two edits of a card whose job moved on
_TRANSITION: Final = timedelta(seconds=2)
#: each card of a channel adds this much
_PER_CARD: Final = timedelta(seconds=2)
#: a submission or a delivery is shown only when it takes longer than this
PASSING: Final = timedelta(seconds=5)
_OLD: Final = timedelta(hours=1)
_WHEN_OLD: Final = timedelta(seconds=30)


def edit_at(
    *,
    now: datetime,
    last_edit: datetime | None,
    created_at: datetime,
    cards_in_channel: int,
    is_transition: bool,
    has_ended: bool,
) -> datetime:
    """When a changed card may be edited. The edit that shows the end never waits."""
    if has_ended or last_edit is None:
        return now
    if now - created_at > _OLD:
        gap = _WHEN_OLD
    elif is_transition:
        gap = max(_TRANSITION, _PER_CARD * (cards_in_channel - 1))
    else:
        gap = max(_PROGRESS, _PER_CARD * cards_in_channel)
    return max(now, last_edit + gap)
