"""When to look at a running job next. Pure: timing lives in memory, only what it decides on is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: seconds; the first look when nothing is known about how long it takes
_FIRST: Final = 5.0
_YOUNG: Final = 10.0
_SLOW: Final = 30.0
#: so many failures in a row are as slow as it gets
_MOST_DOUBLINGS: Final = 8
#: seconds; a job is young for this long
_YOUTH: Final = 600.0
#: seconds; without a limit of the vendor's, a look costs nothing worth saving
_UNLIMITED: Final = 1.0
#: the part of a provider's request budget that looks may use; submits get the rest
_SHARE: Final = 0.8
#: looks come earlier by up to this part of their distance, so that jobs don't march in step
_JITTER: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known when a look is planned. Times are in seconds."""

    #: since the submission
    age: float
    #: looks made so far
    looks: int
    #: the vendor's own guess of the whole duration
    estimate: float | None = None
    #: looks that failed, in a row
    failures: int = 0
    #: what the vendor asked for after a 429
    retry_after: float | None = None
    #: the provider's budget; None: no limit
    requests_per_minute: int | None = None
    #: how many jobs share it
    running: int = 1


def seconds_to_next_look(situation: Situation, *, chance: float) -> float:
    """Seconds from now to the next look. ``chance`` runs from 0.0 to 1.0."""
    wait = max(_wait(situation), _turn(situation)) * (1 - _JITTER * chance)
    if situation.retry_after is None:
        return wait
    # never before the time that the vendor named
    return max(wait, situation.retry_after * (1 + _JITTER * chance))


def _wait(situation: Situation) -> float:
    if situation.failures:
        return min(_SLOW, _FIRST * 2 ** min(situation.failures, _MOST_DOUBLINGS))
    if situation.requests_per_minute is None:
        return _UNLIMITED
    if situation.looks == 0:
        return _FIRST
    return _YOUNG if situation.age < _YOUTH else _SLOW


def _turn(situation: Situation) -> float:
    """Seconds until every job that shares the budget has had its look; before a first one, the others."""
    if situation.requests_per_minute is None:
        return 0.0
    looks = situation.running if situation.looks or situation.failures else situation.running - 1
    return looks * 60 / (situation.requests_per_minute * _SHARE)
