"""The worker on a real database, with a vendor and a Discord that do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar

import httpx
import pytest
from sqlalchemy import Connection, select
from structlog.testing import capture_logs

from bot.communities.memory import Communities
from bot.communities.rules import Community
from bot.credits import ledger
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.database.engine import Database, open_database
from bot.database.tables import job_events
from bot.jobs import lifecycle, store
from bot.jobs.delivering import Delivery
from bot.jobs.durations import Durations
from bot.jobs.job import Job, Reason, Request, State, new_id
from bot.jobs.leases import Leases
from bot.jobs.lifecycle import Changes, Posted, PostTrouble
from bot.jobs.pauses import Pauses
from bot.jobs.presenting import NOTHING_MORE, Sight
from bot.jobs.worker import Worker
from bot.media.videos import VideoFacts, Videos
from bot.media.workers import MediaWorkers
from providers.catalogue import DEMO
from providers.contract import BeforeSending, Provider, at_once
from providers.errors import AuthFailed, ProviderError, Unavailable
from providers.links import LinkDead, LinkError, LinkFailed, LinkRefused
from providers.registry import Registry
from providers.types import GenerationRequest, ModelSpec, Pending, Submission, TaskStatus
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
        self.refusal: ProviderError | None = None

    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        await before_sending()
        self.submissions += 1
        if self.refusal is not None:
            raise self.refusal
        return Submission(task_id=f"task{self.submissions}")

    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        self.looks += 1
        return Pending()

    async def check(self) -> None:
        raise AssertionError("nobody is paused here")


async def no_card(job: Job) -> int | None:
    raise AssertionError("every job has its card")


async def nothing_shown(job: Job) -> State | None:
    return None


@dataclass
class Discord:
    """A presenter that remembers what it was asked for."""

    shown: list[tuple[str, State]] = field(default_factory=list[tuple[str, State]])
    posts: list[Path | None] = field(default_factory=list["Path | None"])
    outcomes: list[Posted | PostTrouble] = field(default_factory=list[Posted | PostTrouble])
    #: makes those that are missing
    cards: Callable[[Job], Awaitable[int | None]] = no_card
    #: what those that are there tell
    states: Callable[[Job], Awaitable[State | None]] = nothing_shown
    limit: int = 1 << 20
    left: bool = False
    is_told: asyncio.Event = field(default_factory=asyncio.Event)
    #: set: it takes what is written
    log_channel: asyncio.Event = field(default_factory=asyncio.Event)

    def show(self, job: Job, sight: Sight = NOTHING_MORE) -> None:
        self.shown.append((job.id, job.state))

    def drop_waiting(self) -> None: ...

    async def make_card(self, job: Job) -> int | None:
        return await self.cards(job)

    async def media_links(self, job: Job) -> Mapping[str, str]:
        return {}

    async def find_card(self, job: Job) -> int | None:
        raise AssertionError("nothing is cancelled here before it has its card")

    async def shown_state(self, job: Job) -> State | None:
        return await self.states(job)

    def is_ready(self) -> bool:
        return True

    def upload_limit(self, job: Job) -> int:
        return self.limit

    def has_left(self, job: Job) -> bool:
        return self.left

    async def find_video(self, job: Job) -> Posted | PostTrouble | None:
        return None

    async def tell_moderators(self, community: Community, text: str) -> None:
        self.is_told.set()
        await self.log_channel.wait()

    async def post_video(self, job: Job, video: Path | None, *, is_mentioned: bool) -> Posted | PostTrouble:
        assert is_mentioned
        self.posts.append(video)
        return self.outcomes.pop(0) if self.outcomes else Posted(77)


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
    #: None: there are no other processes
    leases: Leases | None = None

    def worker(self, durations: Durations | None = None) -> Worker:
        registry = Registry.of([self.vendor] if self.offers else [])
        communities = Communities(database=self.database, default=AllowanceRule(amount=100, length=PeriodLength.DAY))
        delivery = Delivery(
            database=self.database, presenter=self.discord, videos=self.videos, folder=self.folder, clock=self.clock
        )
        return Worker(
            database=self.database,
            registry=registry,
            leases=self.leases or Leases(database=self.database, clock=self.clock, name=None),
            communities=communities,
            presenter=self.discord,
            delivery=delivery,
            durations=durations or Durations(),
            pauses=Pauses(clock=self.clock),
            clock=self.clock,
            chance=lambda: 0.0,
            media_path=self.folder.joinpath,
        )

    async def accept(self, number: int = 1, *, has_card: bool = True) -> Job:
        """Accept a job."""
        job = await self.database.inner.write(partial(accept, number=number, now=self.clock.now))
        if not has_card:
            return job
        card = {"channel_id": CHANNEL, "message_id": number}
        return await self.database.inner.write(partial(store.store_card, job_id=job.id, **card))

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

    async def events(self, job: Job) -> list[str]:
        """The transitions of a job."""
        query = select(job_events.c.transition).where(job_events.c.job_id == job.id).order_by(job_events.c.id)
        return list(await self.database.inner.read(lambda c: c.execute(query).scalars().all()))

    async def held(self) -> int:
        account = await self.database.inner.write(partial(ledger.account_of, guild_id=GUILD, user_id=MEMBER))
        return account.held


def accept(connection: Connection, *, number: int, now: datetime, owner: str | None = None) -> Job:
    """Store a job as a process accepts it."""
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
        owner=owner,
    )
    assert store.add(connection, job)
    ledger.hold(connection, ledger.locked(connection, account.id), QUOTE, job_id=job.id, now=now)
    return job


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


async def test_a_job_of_a_guild_that_the_bot_has_left_is_never_submitted(works: Works) -> None:
    job = await works.accept()
    works.discord.left = True
    await works.worker().run_once()
    job = await works.job(job)
    assert (job.state, job.reason) == (State.FAILED, Reason.GUILD_GONE)
    assert works.vendor.submissions == 0
    assert await works.held() == 0


async def test_a_job_that_is_cancelled_while_its_card_is_made_ends_there_and_its_card_tells_so(works: Works) -> None:
    async def make_late(job: Job) -> int:
        step = lifecycle.cancelled(Reason.BY_MEMBER)
        await works.database.inner.write(partial(store.move, job=job, step=step, now=works.clock.now))
        return 77

    works.discord.cards = make_late
    job = await works.accept(has_card=False)
    works.clock.advance(60)
    await works.worker().run_once()
    job = await works.job(job)
    assert (job.state, job.card_message_id) == (State.CANCELLED, 77)
    assert works.discord.shown == [(job.id, State.CANCELLED)]
    assert works.vendor.submissions == 0
    assert await works.held() == 0


async def test_a_cancellation_of_this_moment_is_no_sign_of_an_old_database(works: Works) -> None:
    async def look_late(job: Job) -> State:
        step = lifecycle.cancelled(Reason.BY_MEMBER)
        await works.database.inner.write(partial(store.move, job=job, step=step, now=works.clock.now))
        return State.CANCELLED

    works.discord.states = look_late
    job = await works.accept()
    worker = works.worker()
    worker.resume(job)
    with capture_logs() as lines:
        await worker.run_once()
    assert [line for line in lines if line["log_level"] == "error"] == []
    job = await works.job(job)
    assert (job.state, job.reason) == (State.CANCELLED, Reason.BY_MEMBER)
    assert works.vendor.submissions == 0


async def test_credits_come_back_before_moderators_are_told_that_a_provider_is_paused(works: Works) -> None:
    job = await works.accept()
    works.vendor.refusal = AuthFailed("no funds")
    worker = works.worker()
    working = asyncio.create_task(worker.run_once())
    await works.discord.is_told.wait()
    assert not (await works.job(job)).state.is_open
    assert await works.held() == 0
    works.discord.log_channel.set()
    await working


async def test_a_card_is_asked_for_again_only_when_its_place_has_changed(works: Works) -> None:
    waiting = [await works.accept(number) for number in range(1, 7)]
    worker = works.worker()
    await worker.run_once()
    shown = [job_id for job_id, state in works.discord.shown if state is State.QUEUED]
    assert shown == [job.id for job in waiting[3:]]
    works.discord.shown.clear()
    worker.wake()
    await worker.run_once()
    assert [job_id for job_id, state in works.discord.shown if state is State.QUEUED] == []


async def begun(works: Works, count: int) -> None:
    for _ in range(4000):
        if works.vendor.submissions >= count:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"only {works.vendor.submissions} submissions")


class Full(Vendor):
    """Its budget has no room: nothing leaves."""

    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        raise Unavailable("full", retry_after=40)


async def test_a_job_for_which_the_vendors_budget_has_no_room_waits_on_and_was_never_submitted(works: Works) -> None:
    job, works.vendor = await works.accept(), Full()
    worker = works.worker()
    await worker.run_once()
    waiting = await works.job(job)
    assert (waiting.state, waiting.submitted_at) == (State.QUEUED, None)
    assert waiting.not_before == works.clock.now + timedelta(seconds=40)
    assert await works.events(job) == ["-> queued"]
    works.vendor = Vendor()
    works.clock.advance(41)
    await works.worker().run_once()
    assert (await works.job(job)).state is State.RUNNING


class Slow(Vendor):
    """Has no room for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = asyncio.Event()
        self.room = asyncio.Event()

    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        self.waits.set()
        await self.room.wait()
        return await super().submit(request, before_sending=before_sending)


async def test_a_job_that_is_cancelled_while_it_waits_for_room_is_not_submitted(works: Works) -> None:
    works.vendor = vendor = Slow()
    job = await works.accept()
    worker = works.worker()
    working = asyncio.create_task(worker.run_once())
    await vendor.waits.wait()
    assert (await works.job(job)).state is State.QUEUED
    cancel = partial(store.move, job=await works.job(job), step=lifecycle.cancelled(Reason.BY_MEMBER))
    await works.database.inner.write(partial(cancel, now=works.clock.now))
    vendor.room.set()
    await working
    assert (vendor.submissions, (await works.job(job)).state) == (0, State.CANCELLED)
    assert await works.held() == 0


async def test_a_submission_that_nobody_sees_to_is_looked_for(works: Works) -> None:
    # as after a database that stored an intent and didn't tell
    job = await works.carried(SUBMITTING)
    await works.worker().run_once()
    assert (await works.job(job)).state is State.LOST
    assert await works.held() == 0


async def test_jobs_that_get_their_cards_in_one_moment_are_begun_together(works: Works) -> None:
    worker = works.worker()
    # the queue is empty, and nothing has changed
    await worker.run_once()
    working = asyncio.create_task(worker.run())
    for number in (1, 2):
        await works.accept(number)
        worker.wake_soon()
        await asyncio.sleep(0.02)
    assert not works.vendor.submissions
    works.clock.advance(1)
    await begun(works, 2)
    await worker.stop(patience=5)
    await working


# --- delivering -------------------------------------------------------------------------------------


class Encoder(Videos):
    """Fits no video, or a good many bytes of nothing."""

    def __init__(self, fitted: int | None) -> None:
        self.fitted = fitted
        self.fits = 0

    async def fit(self, path: Path, target: Path, limit_bytes: int) -> VideoFacts | None:
        self.fits += 1
        if self.fitted is None:
            return None
        target.write_bytes(bytes(self.fitted))
        return VideoFacts(width=64, height=64, seconds=1.0, codec="h264", has_audio=False, bytes=self.fitted)


async def delivered(
    works: Works, url: str = "https://vendor.invalid/video.mp4", expires_at: datetime | None = None
) -> tuple[Job, Worker]:
    """A job whose video is on disk, twice as large as the guild takes; and its worker."""
    changes: Changes = {"result_url": url, "result_expires_at": expires_at}
    job = await works.carried(SUBMITTING, RUNNING, store.Step(state=State.DELIVERING, changes=changes))
    (works.folder / f"{job.id}.mp4").write_bytes(bytes(2 * works.discord.limit))
    worker = works.worker()
    worker.resume(job)
    return job, worker


@pytest.mark.parametrize(
    ("url", "expires_at"),
    [("file:///srv/wanbot/data/demo/1/video.mp4", None), ("https://vendor.invalid/video.mp4", NOON)],
)
async def test_nobody_pays_for_a_link_that_leads_nowhere(works: Works, url: str, expires_at: datetime | None) -> None:
    works.videos = Encoder(None)
    job, worker = await delivered(works, url, expires_at)
    for _ in range(12):
        await worker.run_once()
        works.clock.advance(60)
    job = await works.job(job)
    assert works.discord.posts == []
    assert (job.state, job.reason) == (State.FAILED, Reason.UNDELIVERABLE)
    assert await works.held() == 0


async def test_where_discord_takes_less_than_it_says_the_link_is_posted(works: Works) -> None:
    works.videos = Encoder(works.discord.limit)
    works.discord.outcomes = [PostTrouble.TOO_LARGE, Posted(77)]
    job, worker = await delivered(works)
    await worker.run_once()
    job = await works.job(job)
    assert works.discord.posts == [works.folder / f"{job.id}.fitted.mp4", None]
    assert (job.state, job.result_message_id) == (State.SUCCEEDED, 77)


async def test_a_video_that_was_made_smaller_is_not_encoded_anew_for_each_attempt(works: Works) -> None:
    works.videos = encoder = Encoder(works.discord.limit)
    works.discord.outcomes = [PostTrouble.FOR_NOW, PostTrouble.FOR_NOW]
    job, worker = await delivered(works)
    for _ in range(3):
        await worker.run_once()
        works.clock.advance(10)
    assert (await works.job(job)).state is State.SUCCEEDED
    assert (encoder.fits, len(works.discord.posts)) == (1, 3)


@pytest.mark.parametrize(
    ("error", "minutes"),
    [(LinkFailed("the network is away"), 10), (LinkDead(503), 10), (LinkDead(404), 2), (LinkRefused("inside"), 0)],
)
async def test_a_paid_video_is_given_up_sooner_where_its_link_is_dead_than_where_a_network_is(
    works: Works, monkeypatch: pytest.MonkeyPatch, error: LinkError, minutes: int
) -> None:
    async def fetch(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr(works.videos, "fetch", fetch)
    job = await works.carried(SUBMITTING, RUNNING, DELIVERING)
    worker = works.worker()
    worker.resume(job)
    waited = 0
    await worker.run_once()
    while (await works.job(job)).state.is_open:
        waited += 1
        works.clock.advance(60)
        await worker.run_once()
    assert waited == minutes
    assert await works.held() == 0
