"""What a process does of a job that another one has taken up meanwhile, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from bot.database.engine import open_database
from bot.database.tables import jobs
from bot.jobs import lifecycle, store
from bot.jobs.job import Job, Reason, State
from bot.jobs.leases import Leases
from bot.media.videos import Videos
from bot.media.workers import MediaWorkers
from providers.contract import BeforeSending, at_once
from providers.types import GenerationRequest, ModelSpec, Rejected, Submission, TaskStatus
from tests.clocks import Clock
from tests.unit.test_worker import RUNNING, SUBMITTING, Discord, Moody, Vendor, Works

OURS, ANOTHER = "ours", "another"


class Slow(Vendor):
    """Is asked, and answers when a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        submission = await super().submit(request, before_sending=before_sending)
        self.is_asked.set()
        await self.may_answer.wait()
        return submission

    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        self.is_asked.set()
        await self.may_answer.wait()
        return Rejected(reason="it shows a fox")


@pytest.fixture
async def works(tmp_path: Path, postgres_url: str, clock: Clock) -> AsyncIterator[Works]:
    database = Moody(open_database(postgres_url))
    leases = Leases(database=database, clock=clock, name=OURS)
    await leases.renew()
    media = MediaWorkers(count=1)
    async with httpx.AsyncClient(trust_env=False) as client:
        videos = Videos(workers=media, client=client)
        yield Works(tmp_path, clock, database, Slow(), Discord(), videos, leases=leases)
    await media.close()
    await database.close()


async def taken_up(works: Works, job: Job, owner: str) -> Job:
    await works.database.inner.write(
        lambda c: c.execute(update(jobs).where(jobs.c.id == job.id).values(owner=owner)) and None
    )
    return await works.job(job)


async def test_a_job_that_another_process_has_taken_up_is_left_to_it(works: Works) -> None:
    vendor = works.vendor
    assert isinstance(vendor, Slow)
    job = await taken_up(works, await works.carried(SUBMITTING, RUNNING), OURS)
    worker = works.worker()
    worker.resume(job)
    working = asyncio.create_task(worker.run_once())
    await vendor.is_asked.wait()
    await taken_up(works, job, ANOTHER)
    with capture_logs() as lines:
        vendor.may_answer.set()
        await working
    assert [line for line in lines if line["log_level"] == "error"] == []
    assert list(worker.started) == []
    left = await works.job(job)
    assert (left.state, left.owner) == (State.RUNNING, ANOTHER)


async def test_operators_hear_which_task_of_a_vendor_nobody_may_get_the_video_of(works: Works) -> None:
    vendor = works.vendor
    assert isinstance(vendor, Slow)
    job = await taken_up(works, await works.accept(), OURS)
    worker = works.worker()
    working = asyncio.create_task(worker.run_once())
    await vendor.is_asked.wait()
    # the vendor has no list, so whoever takes it up gives it up
    lost = lifecycle.ended(State.LOST, Reason.NO_ANSWER)
    given_up = partial(store.move, job=await taken_up(works, job, ANOTHER), step=lost, now=works.clock())
    await works.database.inner.write(given_up)
    with capture_logs() as lines:
        vendor.may_answer.set()
        await working
    (line,) = [line for line in lines if line["log_level"] == "error"]
    assert (line["job"], line["task"]) == (job.id, "task1")
    assert list(worker.started) == []
    assert await works.held() == 0
