"""What a start finds of the last run."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from bot.database.engine import Database
from bot.jobs import store
from bot.jobs.presenting import Presenter
from bot.jobs.worker import Worker

log = structlog.stdlib.get_logger(__name__)

#: cards of jobs that ended longer ago are left as they are
_RECENT: Final = timedelta(days=1)


async def resume(*, database: Database, worker: Worker, presenter: Presenter, now: datetime) -> None:
    """Hand every open job to the worker, and bring every card up to date."""
    open_jobs = await database.read(store.open_jobs)
    for job in open_jobs:
        worker.resume(job)
        if job.card_version != job.version:
            presenter.show(job)
    stale = await database.read(partial(store.stale_cards, since=now - _RECENT))
    for job in stale:
        presenter.show(job)
    worker.wake()
    log.info("resumed", jobs=len(open_jobs), cards=len(stale))
