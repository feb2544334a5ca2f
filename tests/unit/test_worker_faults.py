"""Faults of our own: a job ends well however long they last, and what passes by itself ends nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import httpx
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from bot.database.engine import open_database
from bot.jobs import store
from bot.jobs.job import Job, Reason, State
from bot.jobs.lifecycle import MOST_FAULTS, Posted, PostTrouble
from bot.jobs.presenting import NotNow
from bot.media.videos import Videos
from bot.media.workers import MediaWorkers
from providers.types import Finished, KnownTask, ModelSpec, TaskStatus
from tests.clocks import Clock
from tests.unit.test_worker import DELIVERING, RUNNING, SUBMITTING, Discord, Moody, Vendor, Works

HALF_A_MINUTE = 31


class OddVendor(Vendor):
    """Has a list, and says what no database takes."""

    can_list: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.faults = 10**9

    async def recent_tasks(self, *, since: datetime) -> Sequence[KnownTask]:
        raise ValueError("a fault of the adapter")

    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        self.looks += 1
        self.faults -= 1
        if self.faults < 0:
            return Finished(video_url="https://vendor.invalid/video.mp4")
        # an instant without a time zone is refused
        return Finished(video_url="https://vendor.invalid/video.mp4", expires_at=datetime(2026, 11, 18))  # noqa: DTZ001


class OddDiscord(Discord):
    """Fails where no error of Discord's can come from."""

    def has_left(self, job: Job) -> NoReturn:
        raise ValueError("a fault of ours")

    def upload_limit(self, job: Job) -> NoReturn:
        raise ValueError("a fault of ours")

    async def shown_state(self, job: Job) -> State | None:
        return None


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[EventDict]]:
    """What the operator reads."""
    with capture_logs() as captured:
        yield captured


@pytest.fixture
async def works(tmp_path: Path, sqlite_url: str, clock: Clock) -> AsyncIterator[Works]:
    database, media = Moody(open_database(sqlite_url)), MediaWorkers(count=1)
    async with httpx.AsyncClient(trust_env=False) as client:
        videos = Videos(workers=media, client=client)
        yield Works(tmp_path, clock, database, OddVendor(), OddDiscord(), videos)
    await media.close()
    await database.close()


async def failing(works: Works, *steps: store.Step) -> tuple[Job, Any]:
    """A job that was carried so far, and the worker that will fail with it."""
    job = await works.carried(*steps)
    (works.folder / f"{job.id}.mp4").write_bytes(b"a video")
    worker = works.worker()
    worker.resume(job)
    return job, worker


@pytest.mark.parametrize(
    ("steps", "end"),
    [
        pytest.param([], State.FAILED, id="queued"),
        pytest.param([SUBMITTING], State.LOST, id="submitting"),
        pytest.param([SUBMITTING, RUNNING, DELIVERING], State.FAILED, id="delivering"),
    ],
)
async def test_a_step_that_always_fails_is_tried_for_ten_minutes_and_its_hold_is_released(
    works: Works, lines: list[EventDict], steps: list[store.Step], end: State
) -> None:
    job, worker = await failing(works, *steps)
    for _ in range(MOST_FAULTS - 1):
        await worker.run_once()
        works.clock.advance(HALF_A_MINUTE)
    assert (await works.job(job)).state.is_open
    assert await works.held() == job.quote
    await worker.run_once()
    job = await works.job(job)
    assert (job.state, job.reason) == (end, Reason.OUR_FAULT)
    assert await works.held() == 0
    failed = [line["job"] for line in lines if line["event"] == "a step failed; the job goes on in a while"]
    assert failed == [job.id] * MOST_FAULTS


async def test_a_look_that_always_fails_is_made_until_the_deadline_and_the_hold_is_released(works: Works) -> None:
    job, worker = await failing(works, SUBMITTING, RUNNING)
    for _ in range(38):
        await worker.run_once()
        works.clock.advance(HALF_A_MINUTE)
    assert (await works.job(job)).state is State.RUNNING
    await worker.run_once()
    works.clock.advance(HALF_A_MINUTE)
    await worker.run_once()
    job = await works.job(job)
    assert (job.state, job.reason) == (State.EXPIRED, Reason.OUR_FAULT)
    assert job.late_until is not None
    assert await works.held() == 0


async def test_a_fault_that_passes_is_forgotten(works: Works) -> None:
    assert isinstance(works.vendor, OddVendor)
    works.vendor.faults = MOST_FAULTS - 1
    job, worker = await failing(works, SUBMITTING, RUNNING)
    for _ in range(MOST_FAULTS):
        await worker.run_once()
        works.clock.advance(HALF_A_MINUTE)
    job = await works.job(job)
    assert job.state is State.DELIVERING
    # posting has as many tries of its own
    for _ in range(MOST_FAULTS - 2):
        await worker.run_once()
        works.clock.advance(HALF_A_MINUTE)
    assert (await works.job(job)).state is State.DELIVERING


async def test_a_job_that_can_not_even_be_ended_goes_on_when_the_disk_has_room(
    works: Works, lines: list[EventDict]
) -> None:
    works.discord = Discord()
    works.database.write_faults = [True] * (2 * MOST_FAULTS + 6)
    job, worker = await failing(works, SUBMITTING, RUNNING, DELIVERING)
    for _ in range(MOST_FAULTS + 3):
        await worker.run_once()
        works.clock.advance(HALF_A_MINUTE)
    assert (await works.job(job)).state is State.DELIVERING
    assert any(line["event"] == "a job that keeps failing can't be ended either" for line in lines)
    works.database.write_faults = []
    await worker.run_once()
    job = await works.job(job)
    assert (job.state, job.result_message_id) == (State.SUCCEEDED, 77)
    assert await works.held() == 0


async def test_a_clock_that_is_set_back_makes_nobody_wait(works: Works) -> None:
    works.vendor = Vendor()
    job, worker = await failing(works, SUBMITTING, RUNNING)
    await worker.run_once()
    works.clock.advance(HALF_A_MINUTE)
    await worker.run_once()
    looks = works.vendor.looks
    works.clock.advance(-timedelta(hours=3).total_seconds())
    for _ in range(3):
        await worker.run_once()
        works.clock.advance(HALF_A_MINUTE)
    assert works.vendor.looks >= looks + 3
    assert (await works.job(job)).state is State.RUNNING


# --- jobs of an earlier run ---------------------------------------------------------------------------


class BusyDiscord(Discord):
    """Its channel has more messages than anybody reads, or the video among them."""

    found: Posted | PostTrouble | None = PostTrouble.UNKNOWABLE

    async def find_video(self, job: Job) -> Posted | PostTrouble | None:
        return self.found


class KnowingDiscord(Discord):
    """Its cards say this of every job."""

    says: State | None = State.QUEUED
    is_away: bool = False

    async def shown_state(self, job: Job) -> State | None:
        if self.is_away:
            raise NotNow("503")
        return self.says


async def waiting(works: Works, discord: Discord) -> tuple[Job, Any]:
    """The fourth job of a member, which waits for the others; all of them were accepted in an earlier run."""
    works.discord, works.vendor = discord, Vendor()
    accepted = [await works.accept(number) for number in range(1, 5)]
    for job in accepted[:3]:
        moved = await works.database.inner.write(partial(store.move, job=job, step=SUBMITTING, now=works.clock.now))
        await works.database.inner.write(partial(store.move, job=moved, step=RUNNING, now=works.clock.now))
    worker = works.worker()
    worker.resume(accepted[3])
    return accepted[3], worker


@pytest.mark.parametrize("says", [State.QUEUED, None])
async def test_a_waiting_job_of_an_earlier_run_keeps_its_place(works: Works, says: State | None) -> None:
    discord = KnowingDiscord()
    discord.says = says
    job, worker = await waiting(works, discord)
    await worker.run_once()
    assert (await works.job(job)).state is State.QUEUED
    assert discord.shown == [(job.id, State.QUEUED)]


async def test_a_waiting_job_whose_card_knows_more_ends_before_its_card_is_painted_over(works: Works) -> None:
    discord = KnowingDiscord()
    discord.says = State.SUCCEEDED
    job, worker = await waiting(works, discord)
    await worker.run_once()
    job = await works.job(job)
    assert (job.state, job.reason) == (State.FAILED, Reason.RESTORED)
    assert discord.shown == [(job.id, State.FAILED)]
    assert works.vendor.submissions == 0


async def test_a_waiting_job_is_not_submitted_before_its_card_could_be_read(works: Works) -> None:
    works.discord, works.vendor = discord, vendor = KnowingDiscord(), Vendor()
    discord.is_away = True
    job = await works.accept()
    worker = works.worker()
    worker.resume(job)
    for _ in range(3):
        await worker.run_once()
        works.clock.advance(10)
    assert vendor.submissions == 0
    discord.is_away = False
    await worker.run_once()
    assert (vendor.submissions, (await works.job(job)).state) == (1, State.RUNNING)


async def delivered(works: Works, found: Posted | PostTrouble | None, *, is_attempted: bool) -> Job:
    """What became of a job that an earlier run has left to be delivered."""
    works.discord = discord = BusyDiscord()
    discord.found = found
    job, worker = await failing(works, SUBMITTING, RUNNING, DELIVERING)
    if is_attempted:
        attempt = partial(store.open_attempt, job=job, video_path=f"{job.id}.mp4", now=works.clock.now)
        await works.database.inner.write(attempt)
    works.clock.advance(180)
    await worker.run_once()
    return await works.job(job)


@pytest.mark.parametrize("is_attempted", [True, False])
async def test_a_video_that_stands_in_the_channel_is_not_posted_again(works: Works, *, is_attempted: bool) -> None:
    job = await delivered(works, Posted(55), is_attempted=is_attempted)
    assert (job.state, job.result_message_id, works.discord.posts) == (State.SUCCEEDED, 55, [])


async def test_where_a_channel_can_not_be_searched_an_open_attempt_is_not_repeated(works: Works) -> None:
    job = await delivered(works, PostTrouble.UNKNOWABLE, is_attempted=True)
    assert (job.state, job.reason, works.discord.posts) == (State.FAILED, Reason.UNDELIVERABLE, [])
    assert await works.held() == 0


async def test_where_a_channel_can_not_be_searched_and_nothing_was_attempted_the_video_is_posted(works: Works) -> None:
    job = await delivered(works, PostTrouble.UNKNOWABLE, is_attempted=False)
    assert (job.state, job.result_message_id, len(works.discord.posts)) == (State.SUCCEEDED, 77, 1)


async def test_while_discord_is_away_nothing_is_decided(works: Works) -> None:
    job = await delivered(works, PostTrouble.FOR_NOW, is_attempted=False)
    assert (job.state, works.discord.posts) == (State.DELIVERING, [])
