"""Videos that come after their deadline, or are to be posted again: looked for at a slow pace, and posted free."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog
from structlog.contextvars import bound_contextvars

from bot.clock import Clock
from bot.database.engine import Database
from bot.jobs import lifecycle, store
from bot.jobs.asking import outcome_of
from bot.jobs.delivering import Delivery
from bot.jobs.job import Job, State, ids_of
from bot.jobs.leases import Leases
from bot.jobs.lifecycle import Step
from bot.jobs.presenting import Presenter
from providers.contract import Provider
from providers.registry import Registry
from providers.types import Finished, ModelSpec

log = structlog.stdlib.get_logger(__name__)

#: between two looks at the same task; nobody waits for it any more
_EVERY: Final = timedelta(minutes=5)


class Latecomers:
    """Watches expired jobs until their vendor has surely forgotten them. ``run`` goes on until cancelled."""

    def __init__(
        self,
        *,
        database: Database,
        registry: Registry,
        leases: Leases,
        presenter: Presenter,
        delivery: Delivery,
        is_paused: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._database = database
        self._registry = registry
        self._leases = leases
        self._presenter = presenter
        self._delivery = delivery
        self._is_paused = is_paused
        self._clock = clock
        #: since when a video that has come is being posted, by job
        self._since: dict[str, datetime] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Look again and again."""
        while True:
            try:
                await self.run_once()
            except Exception:
                log.exception("late videos can't be looked for; trying again")
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY.total_seconds()):
                    await self._wake.wait()
            self._wake.clear()

    def wake(self) -> None:
        """Look soon: a video is to be posted again."""
        self._wake.set()

    async def run_once(self) -> None:
        """Look at every expired job once, one after the other: those that are in time go first."""
        found = await self._database.read(partial(store.late_jobs, now=self._clock()))
        for job in filter(self._leases.has, found):
            with bound_contextvars(**ids_of(job)):
                await self._look_carefully(job)

    async def _look_carefully(self, job: Job) -> None:
        try:
            await self._look(job)
        except store.JobMoved as error:
            log.info("a late video was seen to meanwhile", job=job.id, why=str(error))
        except Exception:
            log.exception("a late video can't be seen to; trying again", job=job.id)

    async def _look(self, job: Job) -> None:
        spec = self._registry.every.get(job.model)
        offer = None if spec is None else (self._registry.provider_of(spec), spec)
        found = await self._asked(job, offer)
        if isinstance(found, Finished):
            renew = partial(store.renew_result, job_id=job.id, url=found.video_url, expires_at=found.expires_at)
            job = await self._database.write(renew)
        if isinstance(found, Finished) or job.video_path is not None:
            # what is kept here needs nobody's word
            await self._deliver(job, offer)
        elif not found:
            await self._end(job, None)

    async def _asked(self, job: Job, offer: tuple[Provider, ModelSpec] | None) -> Finished | bool:
        """What the provider says of a task: its video, or whether there is hope for one."""
        if offer is None or job.task_id is None:
            return False
        provider, spec = offer
        if self._is_paused(provider.name):
            return True
        return lifecycle.after_late_look(await outcome_of(provider.status(job.task_id, spec)))

    async def _deliver(self, job: Job, offer: tuple[Provider, ModelSpec] | None) -> None:
        now = self._clock()
        tried_for = now - self._since.setdefault(job.id, now)
        step = await self._delivery.deliver(job, offer, tried_for=tried_for, is_inherited=True)
        if step is not None:
            await self._end(job, step)

    async def _end(self, job: Job, step: Step | None) -> None:
        """Look no more; nothing is booked, whatever came of it."""
        is_posted = step is not None and step.state is State.SUCCEEDED
        message_id = step.changes.get("result_message_id") if step is not None and is_posted else None
        self._since.pop(job.id, None)
        end = partial(store.end_lateness, job=job, message_id=message_id, now=self._clock())
        job = await self._database.write(end)
        log.info("a late video is looked for no more", job=job.id, is_posted=is_posted)
        if is_posted:
            self._presenter.show(job)
