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
from datetime import timedelta
from functools import partial
from typing import Final

from bot.clock import Clock
from bot.database.engine import Database
from bot.jobs import lease_store
from bot.jobs.job import Job
from bot.jobs.lease_store import Standing

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


#: of a process that has renewed nothing, or is alone
_NOTHING_KNOWN: Final = Standing(was_over=False, living=(), is_work_left=False, own_jobs=0, open_jobs=0)


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
        #: as of the last renewal
        self._standing = _NOTHING_KNOWN
        # every plan asks for it
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
        return max(1, len(self._standing.living))

    @property
    def share(self) -> float:
        """Which part of what all processes may do together is for this one: more where it has most of the jobs."""
        return self._share

    @property
    def is_first(self) -> bool:
        """Whether this is the process that does what one of them has to do."""
        return self._name is None or list(self._standing.living[:1]) == [self._name]

    @property
    def holds(self) -> bool:
        """Whether nobody else can have taken up this process's jobs; if not, nothing may be begun."""
        return self._name is None or self._monotonic() < self._until

    def has(self, job: Job) -> bool:
        """Whether a job is worked on here, as far as it was read."""
        return self._name is None or job.owner == self._name

    async def renew(self) -> Standing:
        """Take the lease, or prolong it."""
        if self._name is None:
            return _NOTHING_KNOWN
        begun = self._monotonic()
        lease = partial(lease_store.renew, name=self._name, shards=self._shards, length=self._length)
        self._standing = await self._database.write(lease)
        part = self._standing.own_jobs / max(1, self._standing.open_jobs)
        # in steps, so that a plan isn't made anew for each job that comes or goes
        self._share = max(1, math.ceil(part * self.processes)) / self.processes
        self._until = begun + (1 - _MARGIN) * self._length.total_seconds()
        return self._standing

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
