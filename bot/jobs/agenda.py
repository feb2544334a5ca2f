"""When each job wants attention next. In memory only: after a restart everything is due."""

from __future__ import annotations

import heapq
from datetime import datetime
from typing import Final

#: lines of the heap that are kept although their instants were replaced, whatever else
_STALE: Final = 64


class Agenda:
    """A queue of (instant, job); a job stands in it once."""

    def __init__(self) -> None:
        self._when: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []

    def __len__(self) -> int:
        return len(self._when)

    def put(self, job_id: str, when: datetime) -> None:
        """Set a job's instant, in place of an earlier one."""
        self._when[job_id] = when
        heapq.heappush(self._heap, (when, job_id))
        if len(self._heap) > _STALE + 2 * len(self._when):
            # what was replaced would stay until its instant comes, which may be the deadline of a job
            self._heap = [(when, job_id) for job_id, when in self._when.items()]
            heapq.heapify(self._heap)

    def put_all(self, when: datetime) -> None:
        """Set the instant of every job."""
        for job_id in list(self._when):
            self.put(job_id, when)

    def discard(self, job_id: str) -> None:
        """Forget a job."""
        self._when.pop(job_id, None)

    def pop_due(self, now: datetime) -> list[str]:
        """Take out every job whose instant has come."""
        due: list[str] = []
        while self._heap and self._heap[0][0] <= now:
            when, job_id = heapq.heappop(self._heap)
            # a stale line of the heap belongs to an instant that was replaced
            if self._when.get(job_id) == when:
                del self._when[job_id]
                due.append(job_id)
        return due

    def next_at(self) -> datetime | None:
        """The earliest instant."""
        while self._heap and self._when.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
