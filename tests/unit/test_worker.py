"""The worker on a real database, with a vendor and a Discord that do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar

import httpx
import pytest
from sqlalchemy import Connection

from bot.communities.memory import Communities
from bot.communities.rules import Community
from bot.credits import ledger
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.database.engine import Database, open_database
from bot.jobs import store
from bot.jobs.delivering import Delivery
from bot.jobs.job import Job, Reason, Request, State, new_id
from bot.jobs.lifecycle import Posted, PostTrouble
from bot.jobs.pauses import Pauses
from bot.jobs.presenting import NOTHING_MORE, Sight
from bot.jobs.worker import Worker
from bot.media.videos import Videos
from bot.media.workers import MediaWorkers
from providers.catalogue import DEMO
from providers.contract import Provider
from providers.registry import Registry
from providers.types import Finished, GenerationRequest, ModelSpec, Pending, Submission, TaskStatus
from tests.clocks import NOON, Clock

T = TypeVar("T")

GUILD, MEMBER, CHANNEL = 100, 200, 300
QUOTE = 7


class Vendor(Provider):
    """Takes everything, and works until told otherwise."""

    name: ClassVar[str] = "demo"
    title: ClassVar[str] = "Vendor"

    def __init__(self) -> None:
        self.looks = 0
        self.submissions = 0
        self.answer: TaskStatus = Pending()

    async def submit(self, request: GenerationRequest) -> Submission:
        self.submissions += 1
        return Submission(task_id=f"task{self.submissions}")

    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        self.looks += 1
        return self.answer

    async def check(self) -> None:
        raise AssertionError("nobody is paused here")


@dataclass
class Discord:
    """A presenter that remembers what it was asked for."""

    shown: list[tuple[str, State]] = field(default_factory=list[tuple[str, State]])
    posts: list[Path | None] = field(default_factory=list["Path | None"])
    outcome: Posted | PostTrouble = Posted(77)

    def show(self, job: Job, sight: Sight = NOTHING_MORE) -> None:
        self.shown.append((job.id, job.state))

    async def make_card(self, job: Job) -> int | None:
        raise AssertionError("every job here has its card")

    async def media_links(self, job: Job) -> Mapping[str, str]:
        return {}

    def is_ready(self) -> bool:
        return True

    def upload_limit(self, job: Job) -> int:
        return 1 << 20

    async def find_video(self, job: Job) -> Posted | PostTrouble | None:
        return None

    async def tell_moderators(self, community: Community, text: str) -> None:
        pass

    async def post_video(self, job: Job, video: Path | None) -> Posted | PostTrouble:
        self.posts.append(video)
        return self.outcome


class Moody:
    """A real database, on which a test can make units of work fail or wait."""

    def __init__(self, inner: Database) -> None:
        self.inner = inner
        self.read_faults = 0
        self.write_faults: list[bool] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.reads_waiting = asyncio.Event()

    async def write(self, work: Callable[[Connection], T]) -> T:
        if self.write_faults and self.write_faults.pop(0):
            raise OSError("the disk is full")
        return await self.inner.write(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        if self.read_faults:
            self.read_faults -= 1
            raise OSError("the disk is away")
        self.reads_waiting.set()
        await self.gate.wait()
        return await self.inner.read(work)

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class Works:
    """A worker and everything around it."""

    folder: Path
    clock: Clock
    database: Moody
    vendor: Vendor
    discord: Discord
    videos: Videos
    offers: bool = True

    def worker(self) -> Worker:
        registry = Registry.of([self.vendor] if self.offers else [])
        communities = Communities(
            database=self.database, default=AllowanceRule(amount=100, length=PeriodLength.DAY)
        )
        delivery = Delivery(
            database=self.database, presenter=self.discord, videos=self.videos, folder=self.folder, clock=self.clock
        )
        return Worker(
            database=self.database,
            registry=registry,
            communities=communities,
            presenter=self.discord,
            delivery=delivery,
            pauses=Pauses(clock=self.clock),
            clock=self.clock,
            chance=lambda: 0.0,
            media_path=self.folder.joinpath,
        )

    async def accept(self, number: int = 1) -> Job:
        """Accept a job that has its card."""
        return await self.database.inner.write(partial(_accept, number=number, now=self.clock.now))

    async def carried(self, *steps: store.Step) -> Job:
        """Accept a job and carry it on."""
        job = await self.accept()
        for step in steps:
            job = await self.database.inner.write(partial(store.move, job=job, step=step, now=self.clock.now))
        return job

    async def job(self, job: Job) -> Job:
        found = await self.database.inner.read(partial(store.load, job_id=job.id))
        assert found is not None
        return found

    async def held(self) -> int:
        account = await self.database.inner.write(partial(ledger.account_of, guild_id=GUILD, user_id=MEMBER))
        return account.held


def _accept(connection: Connection, *, number: int, now: datetime) -> Job:
    account = ledger.account_of(connection, GUILD, MEMBER)
    ledger.grant(connection, account, QUOTE, now=now)
    job = Job(
        id=new_id(now, number),
        interaction_id=number,
        guild_id=GUILD,
        channel_id=CHANNEL,
        user_id=MEMBER,
        account_id=account.id,
        state=State.QUEUED,
        version=0,
        model=DEMO.id,
        request=Request(prompt="a fox", mode=DEMO.modes[0], resolution="480p", duration=5),
        quote=QUOTE,
        upload_limit=1 << 20,
        created_at=now,
    )
    assert store.add(connection, job)
    ledger.hold(connection, ledger.locked(connection, account.id), QUOTE, job_id=job.id, now=now)
    return store.store_card(connection, job.id, channel_id=CHANNEL, message_id=number)


SUBMITTING = store.Step(
    state=State.SUBMITTING, changes={"submitted_at": NOON, "deadline": NOON + timedelta(minutes=20)}
)
RUNNING = store.Step(state=State.RUNNING, changes={"task_id": "task1"})
DELIVERING = store.Step(state=State.DELIVERING, changes={"result_url": "https://vendor.invalid/video.mp4"})


@pytest.fixture
async def works(tmp_path: Path, sqlite_url: str, clock: Clock) -> AsyncIterator[Works]:
    database = Moody(open_database(sqlite_url))
    media = MediaWorkers(count=1)
    async with httpx.AsyncClient(trust_env=False) as client:
        videos = Videos(workers=media, client=client)
        yield Works(tmp_path, clock, database, Vendor(), Discord(), videos)
    await media.close()
    await database.close()


async def test_a_look_that_was_due_is_still_made_after_the_queue_could_not_be_read(works: Works) -> None:
    job = await works.carried(SUBMITTING, RUNNING)
    worker = works.worker()
    worker.resume(job)
    works.database.read_faults = 1
    with pytest.raises(OSError, match="away"):
        await worker.run_once()
    works.clock.advance(60)
    await worker.run_once()
    assert works.vendor.looks > 0


@pytest.mark.parametrize(
    ("steps", "end"),
    [
        ([SUBMITTING], (State.LOST, Reason.NO_ANSWER)),
        ([SUBMITTING, RUNNING], (State.EXPIRED, Reason.TOO_LATE)),
        ([SUBMITTING, RUNNING, DELIVERING], (State.FAILED, Reason.LINK_DEAD)),
    ],
)
async def test_a_job_whose_provider_is_configured_no_more_ends_and_holds_nothing(
    works: Works, steps: list[store.Step], end: tuple[State, Reason]
) -> None:
    job = await works.carried(*steps)
    works.offers = False
    worker = works.worker()
    worker.resume(job)
    for _ in range(30):
        works.clock.advance(60)
        async with asyncio.timeout(20):
            await worker.run_once()
    job = await works.job(job)
    assert (job.state, job.reason) == end
    assert await works.held() == 0


async def test_nothing_begins_once_the_worker_was_stopped(works: Works) -> None:
    await works.accept()
    worker = works.worker()
    works.database.gate.clear()
    running = asyncio.create_task(worker.run())
    await works.database.reads_waiting.wait()
    await worker.stop(patience=1)
    works.database.gate.set()
    await running
    await asyncio.sleep(0.2)
    assert works.vendor.submissions == 0


async def test_a_task_id_that_could_not_be_stored_at_once_is_not_forgotten(works: Works) -> None:
    job = await works.accept()
    worker = works.worker()
    works.database.write_faults = [False, True]
    await worker.run_once()
    assert (await works.job(job)).state is State.SUBMITTING
    works.clock.advance(60)
    await worker.run_once()
    job = await works.job(job)
    assert (job.state, job.task_id) == (State.RUNNING, "task1")
    assert works.vendor.submissions == 1
