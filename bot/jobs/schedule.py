"""When to look at a running job next. Pure: timing lives in memory, only what it decides on is stored."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bot.jobs.distribution import expected_wait_of_unknown, share_of_unknown_since
from bot.jobs.durations import Outlook

#: seconds; the first look when nothing is known about how long it takes
_FIRST: Final = 5.0
_YOUNG: Final = 10.0
_SLOW: Final = 30.0
#: between looks at a young job, as a part of its age: what is quick is looked at more closely
_PART: Final = 0.12
#: the parts of the vendor's estimate between which the end is likely
_AROUND: Final = (0.6, 1.5)
#: so many failures in a row are as slow as it gets
_MOST_DOUBLINGS: Final = 8
#: seconds; a job is young for this long
_YOUTH: Final = 600.0
#: seconds; without a limit of the vendor's, a look costs nothing worth saving
_UNLIMITED: Final = 0.5
#: looks a second that this process can make, whatever a vendor allows: more would all be late
_OWN_PACE: Final = 350.0
#: the part of a provider's request budget that looks may use; submits get the rest
_SHARE: Final = 0.8
#: looks come earlier by up to this part of their distance, so that jobs don't march in step
_JITTER: Final = 0.1
#: planned looks come earlier or later by up to this part of the distance to the next; while they teach, much earlier
_JITTER_OF_PLAN: Final = 0.05
_JITTER_TO_LEARN: Final = 0.8
#: a look this near to the planned one, as a part of the distance between planned ones, was that one
_NEARLY: Final = 0.4
#: seconds; the distance that counts for it at most
_WIDEST_JITTER: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known when a look is planned. Times are in seconds."""

    #: since the submission
    age: float
    #: looks made so far
    looks: int
    #: the vendor's own guess of the whole duration; it counts until something was learned
    estimate: float | None = None
    #: what was learned of jobs like this one
    outlook: Outlook | None = None
    #: the planned age of the look that was made last
    aim: float = 0.0
    #: looks that failed, in a row
    failures: int = 0
    #: what the vendor asked for after a 429
    retry_after: float | None = None
    #: the provider's budget; None: no limit
    requests_per_minute: int | None = None
    #: how many jobs share it
    running: int = 1


@dataclass(frozen=True, slots=True)
class NextLook:
    """When to look."""

    #: seconds from now
    wait: float
    #: the age at which it was planned, before chance moved it
    aim: float


def next_look(situation: Situation, *, chance: float) -> NextLook:
    """When to look next. ``chance`` runs from 0.0 to 1.0."""
    planned = _planned(situation, chance)
    if planned is None:
        wait = max(_wait(situation), _turn(situation)) * (1 - _JITTER * chance)
        planned = NextLook(wait, situation.age + wait)
    if situation.retry_after is None:
        return planned
    # never before the time that the vendor named
    return NextLook(max(planned.wait, situation.retry_after * (1 + _JITTER * chance)), planned.aim)


def worth_of_look(outlook: Outlook | None, *, running_at: float, age: float) -> float:
    """Where looks are scarce, the job goes first whose look is worth most.

    That is the seconds for which it has waited, done, on average, times the square of the likelihood that it is done:
    a look that finds it running is lost to all others. ``running_at`` is the age at which it was last looked at.
    """
    if outlook is None:
        wait, likelihood = expected_wait_of_unknown(running_at, age), share_of_unknown_since(running_at, age)
    else:
        known = outlook.distribution
        wait, likelihood = known.expected_wait(running_at, age), known.share_since(running_at, age)
    return wait * likelihood**2


def _planned(situation: Situation, chance: float) -> NextLook | None:
    """The next look of the plan that was learned; None: there is none, or nothing left of it."""
    outlook = situation.outlook
    if outlook is None or situation.failures or situation.requests_per_minute is None:
        return None
    looks = outlook.looks
    number = _next_of(looks, max(situation.age, situation.aim), is_first=not situation.looks)
    if number == len(looks):
        return None
    gap = min(_distance(looks, number), _WIDEST_JITTER)
    # what is known well is looked at as planned, now earlier, now later
    shift = gap * (_JITTER_OF_PLAN * (1 - 2 * chance) if outlook.is_settled else -_JITTER_TO_LEARN * chance)
    return NextLook(max(_UNLIMITED, looks[number] + shift - situation.age), looks[number])


def _next_of(looks: Sequence[float], since: float, *, is_first: bool) -> int:
    """Which look comes after the last one; not one that the last one was nearly, by a plan that was a little other."""
    number = bisect_right(looks, since)
    if number == len(looks) or is_first:
        return number
    return number + (looks[number] - since < _NEARLY * _distance(looks, number))


def _distance(looks: Sequence[float], number: int) -> float:
    """To the nearer of the looks beside it."""
    before = looks[number] - looks[number - 1] if number else looks[0]
    return min(before, looks[number + 1] - looks[number]) if number + 1 < len(looks) else before


def _wait(situation: Situation) -> float:
    if situation.failures:
        return min(_SLOW, _FIRST * 2 ** min(situation.failures, _MOST_DOUBLINGS))
    if situation.requests_per_minute is None:
        return max(_UNLIMITED, situation.running / _OWN_PACE)
    if situation.looks == 0:
        return _FIRST
    return _apart(situation) if situation.age < _YOUTH else _SLOW


def _apart(situation: Situation) -> float:
    """Seconds between two looks at a young job: few where the vendor expects its end, or it may well be quick."""
    if situation.estimate is None:
        return min(_YOUNG, max(_FIRST, _PART * situation.age))
    earliest, latest = _AROUND
    return _FIRST if earliest <= situation.age / max(1.0, situation.estimate) <= latest else _YOUNG


def _turn(situation: Situation) -> float:
    """Seconds until every job that shares the budget has had its look; before a first one, the others.

    A look that got no answer was none: whoever needs it stands in line again soon.
    """
    if situation.requests_per_minute is None or situation.failures:
        return 0.0
    looks = situation.running if situation.looks else situation.running - 1
    return looks / min(_OWN_PACE, situation.requests_per_minute * _SHARE / 60)
