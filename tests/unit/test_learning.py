"""What the worker learns from the jobs that it looks at, keeps with them, and finds again after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection, select

from bot.database.engine import open_database
from bot.database.tables import job_events, jobs
from bot.jobs import recovery, store
from bot.jobs.durations import ENOUGH, Durations, kind_of
from bot.jobs.job import Job, State
from bot.jobs.presenting import NOTHING_MORE, Sight
from bot.media.videos import Videos
from bot.media.workers import MediaWorkers
from providers.contract import BeforeSending, at_once
from providers.types import Finished, GenerationRequest, ModelSpec, Pending, Submission, TaskStatus
from tests.clocks import NOON, Clock
from tests.unit.test_worker import DELIVERING, RUNNING, SUBMITTING, Discord, Moody, Vendor, Works


class TimedVendor(Vendor):
    """Takes a time of its own for each video."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = 40.0
        self.estimate: float | None = None
        self.done_at = 0.0

    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        await super().submit(request, before_sending=before_sending)
        self.done_at = self.clock().timestamp() + self.seconds
        return Submission(task_id=f"task{self.submissions}", estimated_seconds=self.estimate)

    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        self.looks += 1
        is_done = self.clock().timestamp() >= self.done_at
        return Finished(video_url="https://vendor.invalid/video.mp4") if is_done else Pending()


class SeeingDiscord(Discord):
    """Remembers what the cards say about time."""

    def __init__(self) -> None:
        super().__init__()
        self.sights: list[Sight] = []

    def show(self, job: Job, sight: Sight = NOTHING_MORE) -> None:
        super().show(job, sight)
        if job.state is State.RUNNING:
            self.sights.append(sight)


@pytest.fixture
async def works(tmp_path: Path, sqlite_url: str, clock: Clock) -> AsyncIterator[Works]:
    database, media = Moody(open_database(sqlite_url)), MediaWorkers(count=1)
    async with httpx.AsyncClient(trust_env=False) as client:
        videos = Videos(workers=media, client=client)
        yield Works(tmp_path, clock, database, TimedVendor(clock), SeeingDiscord(), videos)
    await media.close()
    await database.close()


def vendor_of(works: Works) -> TimedVendor:
    assert isinstance(works.vendor, TimedVendor)
    return works.vendor


async def finished(works: Works, number: int, *, seconds: float) -> Job:
    """A job that was looked at until it was found done, and posted."""
    vendor_of(works).seconds = seconds
    job = await works.accept(number)
    (works.folder / f"{job.id}.mp4").write_bytes(b"a video")
    worker = works.worker()
    while (await works.job(job)).state.is_open:
        await worker.run_once()
        works.clock.advance(0.5)
    return await works.job(job)


def notes(connection: Connection, job_id: str) -> list[str]:
    query = select(job_events.c.detail).where(
        job_events.c.job_id == job_id, job_events.c.transition == "running -> delivering"
    )
    return list(connection.execute(query).scalars())


async def test_the_end_of_a_run_is_stored_with_the_last_look_that_found_it_running(works: Works) -> None:
    job = await finished(works, 1, seconds=10.2)
    (note,) = await works.database.inner.read(partial(notes, job_id=job.id))
    assert note == "still running at 10.0 s"


async def test_a_restart_finds_what_was_learned_before_it(works: Works) -> None:
    found = [await finished(works, 1 + number, seconds=10.2) for number in range(ENOUGH)]
    durations = Durations()
    await recovery.teach(database=works.database, durations=durations)
    outlook = durations.outlook(kind_of(found[0].model, found[0].request))
    assert outlook is not None
    assert outlook.distribution.age_by(0.5) == pytest.approx(10.25, abs=0.5)


async def test_only_the_latest_runs_that_gave_a_video_are_read(works: Works) -> None:
    for number in range(4):
        await finished(works, 1 + number, seconds=5.0 + number)
    await works.accept(9)
    read = partial(store.finished_lately, most=2, among=1000)
    found = await works.database.inner.read(read)
    assert [round(run.seconds) for run in found] == [7, 8]
    assert await works.database.inner.read(partial(store.finished_lately, most=9, among=1)) == []


async def test_nothing_is_learned_from_a_database_without_a_job(works: Works) -> None:
    durations = Durations()
    await recovery.teach(database=works.database, durations=durations)
    assert durations.usual_seconds("demo") is None


async def test_a_look_that_finds_nothing_new_writes_nothing(works: Works) -> None:
    vendor_of(works).seconds = 1000.0
    await works.accept()
    worker = works.worker()
    await worker.run_once()
    looks = works.vendor.looks
    # every write from now on would fail
    works.database.write_faults = [True] * 1000
    for _ in range(100):
        works.clock.advance(1)
        await worker.run_once()
    assert works.vendor.looks >= looks + 50
    assert len(works.database.write_faults) == 1000


async def test_a_card_says_that_it_takes_longer_than_usual_as_soon_as_it_does(works: Works) -> None:
    assert isinstance(works.discord, SeeingDiscord)
    vendor_of(works).seconds, vendor_of(works).estimate = 1000.0, 60.0
    await works.accept()
    worker = works.worker()
    for _ in range(120):
        await worker.run_once()
        works.clock.advance(1)
    expected = [sight.expected_at for sight in works.discord.sights if sight.expected_at is not None]
    assert [(each - NOON).total_seconds() for each in expected] == [60, 90]
    assert works.discord.sights[-1] == Sight(is_slow=True)


async def test_a_restart_repaints_a_card_that_may_expect_what_has_passed(works: Works) -> None:
    assert isinstance(works.discord, SeeingDiscord)
    vendor_of(works).done_at = works.clock().timestamp() + 10_000
    durations = Durations()
    job = await works.carried(SUBMITTING, RUNNING)
    for _ in range(20):
        durations.learn(kind_of(job.model, job.request), (40.0, 42.0))
    works.clock.advance(300)
    worker = works.worker(durations)
    worker.resume(job)
    await worker.run_once()
    assert works.discord.sights == [Sight(is_slow=True)]


async def test_a_video_that_is_delivered_teaches_nothing_twice(works: Works) -> None:
    job = await works.carried(SUBMITTING, RUNNING, DELIVERING)
    rows = await works.database.inner.read(lambda c: c.execute(select(jobs.c.state)).all())
    assert [state for (state,) in rows] == [State.DELIVERING]
    (run,) = await works.database.inner.read(partial(store.finished_lately, most=9, among=1000))
    assert (run.model, run.request, run.seconds, run.note) == (job.model, job.request, 0.0, "")
