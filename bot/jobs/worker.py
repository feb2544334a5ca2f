"""Works through what is due: the queue, the jobs that were started, and providers that are paused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from structlog.contextvars import bind_contextvars

from bot.clock import Clock
from bot.communities.memory import Communities
from bot.database.engine import Database
from bot.jobs.carrying import AFTER_FAULT, Carrying
from bot.jobs.delivering import Delivery
from bot.jobs.durations import Durations
from bot.jobs.fallback import Fallback
from bot.jobs.job import Job, State, ids_of
from bot.jobs.leases import Leases
from bot.jobs.pauses import Pauses
from bot.jobs.presenting import Presenter, Sight
from bot.jobs.submitting import Preparation
from bot.jobs.waiting import Waiting
from bot.jobs.watches import Watch, Watches
from providers.registry import Registry

log = structlog.stdlib.get_logger(__name__)

#: the name of the step that asks paused providers again; no job has it
_PAUSES: Final = "pauses"
#: seconds between two looks whether the lease was renewed
_WITHOUT_LEASE: Final = 1.0
#: jobs that are accepted within it are begun together
_TOGETHER: Final = timedelta(seconds=0.2)
#: a clock that goes back by more than this was set
_SET_BACK: Final = timedelta(minutes=1)


class Worker:
    """One for each process. ``run`` goes on until ``stop``; tests call ``run_once``."""

    def __init__(
        self,
        *,
        database: Database,
        registry: Registry,
        leases: Leases,
        communities: Communities,
        presenter: Presenter,
        delivery: Delivery,
        durations: Durations,
        pauses: Pauses,
        clock: Clock,
        chance: Callable[[], float],
        media_path: Callable[[str], Path],
        fallback: Fallback | None = None,
    ) -> None:
        self._providers = registry.providers
        self._leases = leases
        self._pauses = pauses
        self._clock = clock
        self._wake = asyncio.Event()
        self._waiting = Waiting(database=database, leases=leases, communities=communities, presenter=presenter)
        self._preparation = Preparation(database=database, presenter=presenter, clock=clock, media_path=media_path)
        self._watches = Watches(durations=durations, limits=self._limit_of, chance=chance)
        self._carrying = Carrying(
            database=database,
            registry=registry,
            leases=leases,
            communities=communities,
            presenter=presenter,
            delivery=delivery,
            pauses=pauses,
            preparation=self._preparation,
            waiting=self._waiting,
            watches=self._watches,
            clock=clock,
            wake=self._wake.set,
            fallback=fallback,
        )
        #: what is under way, by job
        self._steps: dict[str, asyncio.Task[None]] = {}
        #: the time of the last look
        self._looked_at: datetime | None = None
        self._is_stopping = False

    @property
    def looked_at(self) -> datetime | None:
        """When it last looked for what is due, at least every half minute; None: it hasn't begun."""
        return self._looked_at

    @property
    def started(self) -> Collection[str]:
        """The jobs that were started and are seen to here."""
        return self._watches.job_ids

    def wake(self) -> None:
        """The queue has changed: a job was accepted, cancelled, or got its card."""
        self._waiting.wake()
        self._wake.set()

    def wake_soon(self) -> None:
        """A job has got its card. Whoever asked in the same moment is answered before any of them is begun."""
        soon, planned = self._clock() + _TOGETHER, self._waiting.at
        if planned is not None and planned > soon:
            self._waiting.look_by(soon)
            self._wake.set()

    def resume(self, job: Job) -> None:
        """Take up a job that was started before: by a restart, everything is due at once."""
        self._carrying.resume(job)

    def forget(self, job_id: str) -> None:
        """Somebody else has ended a job: see to it no more."""
        self._carrying.forget(job_id)

    def show_all(self) -> None:
        """Bring the cards of all jobs that were started and are seen to here up to date."""
        for job_id in self._watches.job_ids:
            watch = self._watches.find(job_id)
            if watch is not None:
                self._carrying.show(watch)

    def sight_of(self, job: Job) -> Sight:
        """What memory knows of a job beyond its row."""
        watch = self._watches.find(job.id)
        if watch is not None:
            return self._watches.sight_of(watch, self._clock())
        return Sight(place=self._waiting.place_of(job.id)) if job.state is State.QUEUED else Sight()

    async def run(self) -> None:
        """Work until ``stop`` is called."""
        while not self._is_stopping:
            self._wake.clear()
            try:
                await self._start_due()
            except Exception:
                log.exception("the queue can't be read; trying again")
                self._waiting.put_off(self._clock() + AFTER_FAULT)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._wake.wait()

    async def run_once(self) -> None:
        """Do everything that is due now, and wait until it is done."""
        self.wake()
        while await self._start_due() or self._steps:
            if self._steps:
                await asyncio.wait(self._steps.values())

    async def stop(self, *, patience: float) -> None:
        """Begin nothing more; give what is under way ``patience`` seconds, then leave it to a restart."""
        self._is_stopping = True
        self._wake.set()
        steps = list(self._steps.values())
        if steps:
            _, late = await asyncio.wait(steps, timeout=patience)
            for step in late:
                step.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _start_due(self) -> bool:
        """Start a step for every job that is due; tells whether there was one."""
        if self._is_stopping or not self._leases.holds:
            return False
        now = self._clock()
        self._mind_the_clock(now)
        # before the queue is read, which may fail: what was taken from the watches stands nowhere else
        due = self._watches.take_due(now, busy=self._steps)
        for watch in due:
            self._start(watch.job.id, self._carried(watch, self._carrying.advance(watch)))
        for watch in self._watches.take_stale(now):
            self._carrying.show(watch)
        has_chosen = self._waiting.is_due(now) and await self._start_next(now)
        if self._is_stopping:  # meanwhile
            return False
        retry_at = self._pauses.next_at()
        if retry_at is not None and retry_at <= now and _PAUSES not in self._steps:
            self._start(_PAUSES, self._retry_pauses())
            return True
        return bool(due or has_chosen)

    def _mind_the_clock(self, now: datetime) -> None:
        """Look at everything when the clock was set back: what was planned would wait as many hours."""
        if self._looked_at is not None and now < self._looked_at - _SET_BACK:
            log.warning(
                "the clock was set back; every job is looked at", seconds=(self._looked_at - now).total_seconds()
            )
            self._watches.all_due(now)
            self._waiting.wake()
        self._looked_at = now

    async def _start_next(self, now: datetime) -> bool:
        """Submit the waiting jobs whose turn it is, and show the others their places; tells whether there was one."""
        queue = await self._waiting.next(now, busy=self._steps)
        if self._is_stopping:  # meanwhile
            return False
        for job in queue.chosen:
            watch = Watch(job)
            self._start(job.id, self._carried(watch, self._carrying.submit(watch)))
        strays = [job for job in queue.submitting if not self._is_seen_to(job)]
        for job in strays:
            # a database that failed as the intent was stored has stored it all the same
            log.warning("a job is being submitted, and nobody saw to it", job=job.id)
            self._carrying.resume(job)
        doubtful = self._preparation.doubtful
        for job in queue.waiting:
            if job.id in doubtful:
                watch = Watch(job)
                self._start(job.id, self._carried(watch, self._carrying.compare(watch)))
        await self._waiting.show_places(queue.waiting, doubtful=doubtful)
        return bool(queue.chosen or strays)

    def _is_seen_to(self, job: Job) -> bool:
        return job.id in self._steps or self._watches.find(job.id) is not None

    def _start(self, name: str, step: Coroutine[None, None, None]) -> None:
        self._steps[name] = asyncio.create_task(step, name=f"job {name}")

    async def _retry_pauses(self) -> None:
        """Ask the paused providers again, without keeping anybody waiting."""
        try:
            await self._pauses.retry(self._providers.__getitem__)
        finally:
            self._steps.pop(_PAUSES, None)
            self.wake()

    async def _carried(self, watch: Watch, step: Coroutine[None, None, None]) -> None:
        # each step is a task of its own, so what is bound ends with it
        bind_contextvars(**ids_of(watch.job))
        try:
            await self._carrying.carried(watch, step)
        finally:
            self._steps.pop(watch.job.id, None)
            self._watches.leave(watch.job.id)
            self._wake.set()

    def _limit_of(self, provider: str) -> int | None:
        """How many requests a minute a provider takes; None: no limit."""
        found = self._providers.get(provider)
        if found is None or found.requests_per_minute is None:
            return None
        # the budget sees to the limit itself; this is so that no process plans what the others use
        return max(1, int(found.requests_per_minute * self._leases.share))

    def _seconds_to_next(self) -> float | None:
        if not self._leases.holds:
            return _WITHOUT_LEASE
        now = self._clock()
        instants = [self._watches.next_at(now), self._waiting.at, self._pauses.next_at()]
        earliest = min((instant for instant in instants if instant is not None), default=None)
        return None if earliest is None else max(0.0, (earliest - now).total_seconds())
