"""Who goes next where few can go at once. In memory only: after a restart everybody lines up again."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice


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

    def let_go(self) -> list[str]:
        """Let as many go as can; each goes until it leaves."""
        gone: list[str] = []
        for line, waiting in list(self._waiting.items()):
            for job_id in list(islice(waiting, max(0, self._at_once - self._going[line]))):
                del waiting[job_id]
                self._going[line] += 1
                gone.append(job_id)
            if not waiting:
                del self._waiting[line]
        return gone
