"""How long jobs of each kind take, learned while the bot runs. Pure, and in memory only."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

from bot.jobs.distribution import Distribution, Observation, learned
from bot.jobs.job import Request
from bot.jobs.planning import best_looks

#: so many of the latest jobs of a kind count: vendors change
KEPT: Final = 100
#: with fewer nothing is learned
ENOUGH: Final = 8
#: with so many it is known well
_WELL: Final = 50
#: looks that a job may have on average, and while its kind isn't known well: closer looks teach more
_LOOKS: Final = 4.3
_LOOKS_TO_LEARN: Final = 12.0
#: what is new is taken up when it is this part of all
_NEWS: Final = 0.2
#: what a member is told of a kind: most jobs take between the first two, few longer than the last
_EARLY, _LATE, _SLOW = 0.2, 0.9, 0.95
_NOTE: Final = re.compile(r"still running at (\d+(?:\.\d)?) s")
#: seconds; where nobody noted the look before the last, it was about so long before
_USUAL_GAP: Final = 10.0


class Kind(NamedTuple):
    """Jobs that take about as long as each other."""

    model: str
    #: what else matters; empty: every job of the model
    options: str = ""


def kind_of(model: str, request: Request) -> Kind:
    """The kind of a job."""
    return Kind(model, f"{request.mode} {request.resolution} {request.duration}")


def note_of(running_at: float | None) -> str:
    """What is stored with the end of a run, for later runs to learn from: when it was last seen running."""
    return "" if running_at is None else f"still running at {running_at:.1f} s"


def observation_of(seconds: float, note: str) -> Observation:
    """What is known of a job of an earlier run that was seen done after so many seconds."""
    found = _NOTE.fullmatch(note)
    running_at = seconds - _USUAL_GAP if found is None else float(found[1])
    return max(0.0, min(running_at, seconds)), seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is known of a kind. Ages are seconds since the vendor took the job."""

    distribution: Distribution
    #: the ages at which to look
    looks: tuple[float, ...]
    #: whether that many have taught it that its looks need teach nothing more
    is_settled: bool
    #: most jobs finish between these ages
    early: float
    late: float
    #: what takes longer is slower than usual
    slow: float


class _Lessons:
    """What was seen of one kind, and what it comes to."""

    def __init__(self) -> None:
        self._seen = deque[Observation](maxlen=KEPT)
        #: those that ``_outlook`` doesn't know of
        self._news = 0
        self._outlook: Outlook | None = None

    def add(self, observation: Observation) -> None:
        self._seen.append(observation)
        self._news += 1

    def middle(self) -> float | None:
        """The middle of what was seen, without what it comes to."""
        return None if len(self._seen) < ENOUGH else median((after + by) / 2 for after, by in self._seen)

    def outlook(self) -> Outlook | None:
        """What is known now. Takes some 15 ms when there is news, else nothing."""
        if len(self._seen) < ENOUGH:
            return None
        if self._outlook is None or self._is_old(self._outlook):
            self._outlook = outlook_of(self._seen)
            self._news = 0
        return self._outlook

    def _is_old(self, outlook: Outlook) -> bool:
        has_become_well_known = not outlook.is_settled and len(self._seen) >= _WELL
        return has_become_well_known or self._news >= _NEWS * len(self._seen)


class Durations:
    """What finished jobs have taught. A kind of which little is known is taken for its model as a whole."""

    def __init__(self) -> None:
        self._lessons: dict[Kind, _Lessons] = {}

    def learn(self, kind: Kind, observation: Observation) -> None:
        """A job was still running at the first age, in seconds, and done by the second."""
        for each in (kind, Kind(kind.model)):
            self._lessons.setdefault(each, _Lessons()).add(observation)

    def outlook(self, kind: Kind) -> Outlook | None:
        """What is known of jobs of a kind; None: too little."""
        for each in (kind, Kind(kind.model)):
            lessons = self._lessons.get(each)
            outlook = None if lessons is None else lessons.outlook()
            if outlook is not None:
                return outlook
        return None

    def usual_seconds(self, model: str) -> float | None:
        """What half of a model's jobs take at most, about; None: too little is known. Costs next to nothing."""
        lessons = self._lessons.get(Kind(model))
        return None if lessons is None else lessons.middle()


def outlook_of(observations: Iterable[Observation]) -> Outlook:
    """What so many observations, at least two, come to."""
    seen = list(observations)
    distribution, is_settled = learned(seen), len(seen) >= _WELL
    return Outlook(
        distribution=distribution,
        looks=best_looks(distribution, most=_LOOKS if is_settled else _LOOKS_TO_LEARN),
        is_settled=is_settled,
        early=distribution.age_by(_EARLY),
        late=distribution.age_by(_LATE),
        slow=distribution.age_by(_SLOW),
    )
