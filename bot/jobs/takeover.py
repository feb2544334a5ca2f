"""Takes up jobs: at a start everything that is nobody's, and later what processes leave that died or were stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from bot.clock import Clock
from bot.database.engine import Database
from bot.jobs import store
from bot.jobs.job import Job, State
from bot.jobs.latecomers import Latecomers
from bot.jobs.leases import RECENT, Leases
from bot.jobs.presenting import Presenter
from bot.jobs.worker import Worker

log = structlog.stdlib.get_logger(__name__)

#: seconds between two renewals; a process that dies is noticed after the lease and one of these
_EVERY: Final = 5.0
#: seconds that a stop waits for a database that is away
_LAST_WORD: Final = 2.0
#: so often it is looked for jobs that are nobody's, even if nobody is missed
_GENERAL: Final = 12


class Takeover:
    """``begin`` once, then ``run`` until cancelled, then ``end``."""

    def __init__(
        self,
        *,
        database: Database,
        leases: Leases,
        worker: Worker,
        latecomers: Latecomers,
        presenter: Presenter,
        clock: Clock,
    ) -> None:
        self._database = database
        self._leases = leases
        self._worker = worker
        self._latecomers = latecomers
        self._presenter = presenter
        self._clock = clock
        self._rounds = 0
        #: a renewal that is under way must not undo the end
        self._renewing = asyncio.Lock()
        self._has_ended = False

    async def begin(self) -> None:
        """Take up everything that is nobody's, as if nothing had happened."""
        await self._leases.renew()
        if self._leases.is_shared:
            await self._take_up_all()
        else:
            await self._take_up(await self._everything())
        self._worker.wake()

    async def run(self) -> None:
        """Keep the lease, and notice when others lose theirs."""
        while True:
            await asyncio.sleep(_EVERY)
            try:
                await self.run_once()
            except Exception:
                log.exception("the lease can't be renewed; nothing new is begun until it can", held=self._leases.holds)

    async def run_once(self) -> None:
        """Renew the lease, and take up what is left behind."""
        if not self._leases.is_shared:
            return
        async with self._renewing:
            if self._has_ended:
                return
            standing = await self._leases.renew()
        if standing.was_over:
            # before anything else: from now on cards are edited again
            self._presenter.drop_waiting()
            # the others may have been silent for the same reason, a database that was away: the next round tells
            await self._drop_lost()
            return
        self._rounds += 1
        if standing.is_work_left or self._rounds % _GENERAL == 0:
            await self._take_up_all()

    async def end(self) -> None:
        """Leave everything to the others."""
        try:
            async with asyncio.timeout(_LAST_WORD), self._renewing:
                self._has_ended = True
                await self._leases.hand_over()
        except Exception:
            log.exception("the jobs can't be handed over; others take them up when the lease is over")

    async def _everything(self) -> Sequence[Job]:
        stale = await self._database.read(partial(store.stale_cards, since=self._clock() - RECENT))
        return [*await self._database.read(store.open_jobs), *stale]

    async def _take_up_all(self) -> None:
        # with a lease that is over, what was claimed would be anybody's again, and claimed again
        while self._leases.holds and (found := await self._leases.claim()):
            await self._take_up(found)

    async def _take_up(self, found: Sequence[Job]) -> None:
        for job in found:
            # the first of a kind has to find out how long that takes, which is a moment for each
            await asyncio.sleep(0)
            if job.state.is_open:
                self._worker.resume(job)
            # of one that waits, the worker reads the card first
            if job.card_version != job.version and job.state is not State.QUEUED:
                self._presenter.show(job)
        if any(job.late_until is not None for job in found):
            self._latecomers.wake()
        open_jobs = sum(job.state.is_open for job in found)
        log.info("took up jobs", open=open_jobs, ended=len(found) - open_jobs)

    async def _drop_lost(self) -> None:
        """The lease was over for a while: what others have taken up is theirs."""
        lost = await self._leases.lost_of(self._worker.started)
        for job_id in lost:
            self._worker.forget(job_id)
        self._worker.show_all()
        log.warning("the lease was over; others may have taken jobs up", lost=len(lost))
