"""Who goes next where few can go at once. In memory only: after a restart everybody lines up again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

#: of one that may go; it is lost when instants are added up
_HAIR: Final = 1e-3
#: or a clock that is read a little too early makes somebody wait for no time, again and again
_SHORTEST: Final = timedelta(milliseconds=1)


class Pace:
    """So many a second, and a few at once after a rest."""

    def __init__(self, *, per_second: float, at_once: int) -> None:
        """Start rested. Both are above 0."""
        self._per_second = per_second
        self._at_once = at_once
        self._saved = float(at_once)
        self._at: datetime | None = None

    def room(self, now: datetime) -> int:
        """How many may go now."""
        # a clock that is set back saves nothing
        passed = 0.0 if self._at is None else max(0.0, (now - self._at).total_seconds())
        self._saved = min(float(self._at_once), self._saved + passed * self._per_second)
        self._at = now
        return max(0, int(self._saved + _HAIR))

    def take(self) -> None:
        """One goes, also where there is no room: others wait the longer."""
        self._saved -= 1

    def next_at(self, now: datetime) -> datetime:
        """When the next may go, if nobody goes before."""
        if self.room(now):
            return now
        return now + max(_SHORTEST, timedelta(seconds=(1 - self._saved) / self._per_second))


#: Tells how many of a line may go besides what ``at_once`` allows.
Room = Callable[[str], int]
#: Chooses so many of those that stand in a line.
Choice = Callable[[str, Collection[str], int], Iterable[str]]


def _unlimited(line: str) -> int:
    del line
    return 1 << 30


def _first(line: str, waiting: Collection[str], count: int) -> Iterable[str]:
    del line
    return islice(waiting, count)


class Lines:
    """Jobs in line, by what they wait for. The first of each line go, ``at_once`` of them at a time."""

    def __init__(self, *, at_once: int) -> None:
        self._at_once = at_once
        #: in order; without values, for a place is left as quickly as it is taken
        self._waiting = defaultdict[str, dict[str, None]](dict)
        #: the line of each job that waits or goes
        self._line_of: dict[str, str] = {}
        self._going = Counter[str]()

    def join(self, job_id: str, line: str) -> None:
        """Line up at the end; who waits already, or goes, stays where it is."""
        if job_id not in self._line_of:
            self._line_of[job_id] = line
            self._waiting[line][job_id] = None

    def is_waiting(self, job_id: str) -> bool:
        """Whether a job stands in a line, and doesn't go yet."""
        return job_id in self._waiting.get(self._line_of.get(job_id, ""), ())

    def busy(self) -> Collection[str]:
        """The lines in which somebody waits."""
        return self._waiting.keys()

    def going(self, line: str) -> int:
        """How many of a line go now."""
        return self._going[line]

    def leave(self, job_id: str) -> None:
        """Make room: a job has gone, or waits no more. Nothing happens when it does neither."""
        line = self._line_of.pop(job_id, None)
        if line is None:
            return
        if job_id in self._waiting[line]:
            del self._waiting[line][job_id]
        else:
            self._going[line] -= 1
        if not self._waiting[line]:
            del self._waiting[line]

    def let_go(self, *, room: Room = _unlimited, choice: Choice = _first) -> list[str]:
        """Let as many go as can; each goes until it leaves."""
        gone: list[str] = []
        for line, waiting in list(self._waiting.items()):
            count = min(len(waiting), self._at_once - self._going[line])
            if count > 0:
                count = min(count, room(line))
            chosen = list(choice(line, waiting.keys(), count)) if count > 0 else []
            for job_id in chosen:
                del waiting[job_id]
            self._going[line] += len(chosen)
            gone += chosen
            if not waiting:
                del self._waiting[line]
        return gone
