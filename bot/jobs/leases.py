"""Which jobs a process works on, where several share a PostgreSQL.

Every process has a row in ``processes`` and renews it: one statement, whatever the number of its jobs. A job belongs to
the process that accepted it. When that one's lease is over, because it died, was stopped, or slept too long, the others
take its jobs, each job once. Every transition is guarded by the owner as it was read, so whoever has slept through its
lease can store nothing any more (docs/decisions/0024).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from bot.clock import Clock
from bot.database.engine import Database
from bot.jobs import lease_store
from bot.jobs.job import Job

#: how long a process may be silent before its jobs are taken up
LEASE: Final = timedelta(seconds=15)
#: the last part of a lease, in which nothing new is begun
_MARGIN: Final = 0.2
#: so many jobs are claimed at once; other processes claim the rest meanwhile
_CLAIMED: Final = 200
#: cards of jobs that ended longer ago are left as they are
RECENT: Final = timedelta(days=1)


def _seconds() -> float:
    """A clock that nobody sets; it goes on while the machine sleeps, where the system has such a one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a renewal has found."""

    #: the lease had run out before: others may have taken jobs of this process
    was_over: bool
    #: processes that don't renew theirs any more left jobs behind
    is_work_left: bool


class Leases:
    """The lease of this process. Alone with its database, a process needs none, and every job is its own."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        name: str | None,
        shards: str = "",
        length: timedelta = LEASE,
        monotonic: Callable[[], float] = _seconds,
    ) -> None:
        """Begin without a lease. ``name`` is new with every process; None: there is no other process."""
        self._database = database
        self._clock = clock
        self._name = name
        self._shards = shards
        self._length = length
        self._monotonic = monotonic
        #: until when something may be begun, by our own clock, counted from before the statement that renewed it
        self._until = float("-inf")
        #: how many processes there are, in the order of their names, and which of them is this
        self._living: Sequence[str] = ()
        self._share = 1.0

    @property
    def name(self) -> str | None:
        """What stands in the jobs of this process as their owner."""
        return self._name

    @property
    def is_shared(self) -> bool:
        """Whether other processes may work on the same database."""
        return self._name is not None

    @property
    def processes(self) -> int:
        """How many processes share the database, as of the last renewal."""
        return max(1, len(self._living))

    @property
    def share(self) -> float:
        """Which part of what all processes may do together is for this one: more where it has most of the jobs."""
        return self._share

    @property
    def is_first(self) -> bool:
        """Whether this is the process that does what one of them has to do."""
        return self._name is None or list(self._living[:1]) == [self._name]

    @property
    def holds(self) -> bool:
        """Whether nobody else can have taken up this process's jobs; if not, nothing may be begun."""
        return self._name is None or self._monotonic() < self._until

    def has(self, job: Job) -> bool:
        """Whether a job is worked on here, as far as it was read."""
        return self._name is None or job.owner == self._name

    async def renew(self) -> Renewal:
        """Take the lease, or prolong it."""
        if self._name is None:
            return Renewal(was_over=False, is_work_left=False)
        begun = self._monotonic()
        lease = partial(lease_store.renew, name=self._name, shards=self._shards, length=self._length)
        was_held, living, is_work_left = await self._database.write(lease)
        own, every = await self._database.read(partial(lease_store.open_jobs, name=self._name))
        # in steps, so that a plan isn't made anew for each job that comes or goes
        self._share = max(1, math.ceil(own / max(1, every) * len(living))) / len(living)
        self._until, self._living = begun + (1 - _MARGIN) * self._length.total_seconds(), living
        return Renewal(was_over=not was_held, is_work_left=is_work_left)

    async def claim(self) -> Sequence[Job]:
        """Take up some jobs that are nobody's, the oldest first; empty: there are none.

        Also those that have ended, while their card doesn't show it or their video may come late.
        """
        if self._name is None:
            return ()
        now = self._clock()
        claim = partial(lease_store.claim, name=self._name, now=now, recent=now - RECENT, most=_CLAIMED)
        return await self._database.write(claim)

    async def lost_of(self, job_ids: Collection[str]) -> Collection[str]:
        """Which of these jobs another process has taken up."""
        return await self._database.read(partial(lease_store.taken, name=self._name, job_ids=job_ids))

    async def hand_over(self) -> None:
        """Let the others have the jobs at once."""
        if self._name is not None:
            self._until = float("-inf")
            await self._database.write(partial(lease_store.end, name=self._name))
