"""What was decided on the command line, beside the running bot, and must be seen to here.

The database is what counts: an order is carried out by whoever gives it, and the next start would find its outcome. Its
row of the audit tells this process that cards and memory are behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from bot.communities import audit
from bot.communities.audit import Deed
from bot.database.engine import Connection, Database
from bot.jobs import store
from bot.jobs.latecomers import Latecomers
from bot.jobs.leases import Leases
from bot.jobs.presenting import Presenter
from bot.jobs.worker import Worker

log = structlog.stdlib.get_logger(__name__)

#: actions of the audit
RELEASE: Final = "jobs.release"
REDELIVER: Final = "jobs.redeliver"
#: seconds between two looks
_EVERY: Final = 10.0
#: so many rows are looked at again: on PostgreSQL one with a lower number may be committed later
_LOOK_BACK: Final = 100
_JOB: Final = "job "


def order_text(job_id: str) -> str:
    """What an order's row of the audit says of its job."""
    return f"{_JOB}{job_id}"


class Orders:
    """Hears of orders. ``run`` goes on until cancelled."""

    def __init__(
        self, *, database: Database, leases: Leases, worker: Worker, latecomers: Latecomers, presenter: Presenter
    ) -> None:
        self._database = database
        self._leases = leases
        self._worker = worker
        self._latecomers = latecomers
        self._presenter = presenter
        self._newest: int | None = None
        self._seen: set[int] = set()

    async def run(self) -> None:
        """Look again and again."""
        while True:
            try:
                await self.run_once()
            except Exception:
                log.exception("the orders of the command line can't be read; trying again")
            await asyncio.sleep(_EVERY)

    async def run_once(self) -> None:
        """See to the orders that are new."""
        newest, found = await self._database.read(partial(_orders, since=self._newest))
        for number, deed in found:
            if number not in self._seen:
                await self._see_to(deed)
        self._newest, self._seen = newest, {number for number, _ in found}

    async def _see_to(self, deed: Deed) -> None:
        if deed.action == REDELIVER:
            self._latecomers.wake()
        elif deed.action == RELEASE:
            await self._drop(deed.after.removeprefix(_JOB))

    async def _drop(self, job_id: str) -> None:
        """Forget a job that was ended, and say so on its card."""
        job = await self._database.read(partial(store.load, job_id=job_id))
        if job is None or job.state.is_open or not self._leases.has(job):
            return
        self._worker.forget(job.id)
        if job.card_version != job.version:
            self._presenter.show(job)
        log.info("a job was released by the operator", job=job.id)


def _orders(connection: Connection, *, since: int | None) -> tuple[int, Sequence[tuple[int, Deed]]]:
    """The number of the audit's last row, and the orders since that of the last look.

    Each look goes a little further back, the first one too: an order may have come while the bot was starting.
    """
    newest = audit.newest(connection)
    return newest, audit.by_operator(connection, after=(newest if since is None else since) - _LOOK_BACK)
