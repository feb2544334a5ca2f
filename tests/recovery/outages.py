"""A worker whose vendor comes and goes, in simulated time and over real sockets.

@played
async def test_…(folder: Path, url: str) -> None:
    async with outage(folder, url, per_minute=60, deadline=5 * MINUTE) as scene:
        await scene.until(2 * MINUTE)  # nobody answers
        await scene.come_back()
        await scene.until(4 * MINUTE)
        scene.check_pace(60)
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from sqlalchemy import Connection, func, select

from bot.communities.memory import Communities
from bot.communities.rules import Community
from bot.credits import ledger
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.database.engine import Database, open_database
from bot.database.tables import jobs
from bot.jobs import lifecycle, store
from bot.jobs.delivering import Delivery
from bot.jobs.durations import Durations
from bot.jobs.job import Job, Request, State, new_id
from bot.jobs.leases import Leases
from bot.jobs.lifecycle import Posted, PostTrouble
from bot.jobs.pauses import Pauses
from bot.jobs.presenting import NOTHING_MORE, Sight
from bot.jobs.worker import Worker
from bot.media.videos import VideoFacts, Videos
from bot.media.workers import MediaWorkers
from providers.budget import RequestBudget
from providers.catalogue import PIXELDOJO_WAN_22_STANDARD as MODEL
from providers.http import VendorHttp
from providers.pixeldojo import PixelDojo
from providers.registry import Registry
from providers.types import Mode, Submission
from tests.clocks import NOON
from tests.hurry import HurriedLoop
from tests.imitations import vendor as vendors
from tests.imitations.pixeldojo import PixelDojoImitation, Route

T = TypeVar("T")

#: seconds
MINUTE: Final = 60.0
#: what each job costs
QUOTE: Final = 7
#: jobs come from so many guilds
GUILDS: Final = 100
MEMBER, CHANNEL = 200, 300


def played(story: Callable[[Path, str], Coroutine[Any, Any, None]]) -> Callable[[Path, str], None]:
    """A test that is played in simulated time, with a folder and the address of a database."""

    def test(tmp_path: Path, sqlite_url: str) -> None:
        with asyncio.Runner(loop_factory=HurriedLoop) as runner:
            runner.run(story(tmp_path, sqlite_url))

    return test


class Discord:
    """A presenter that remembers what was posted."""

    def __init__(self) -> None:
        self.posts = list[str]()
        #: seconds until it takes a line for moderators
        self.slowness = 0.0

    def show(self, job: Job, sight: Sight = NOTHING_MORE) -> None: ...

    def drop_waiting(self) -> None: ...

    async def make_card(self, job: Job) -> int | None:
        raise AssertionError("every job here has its card")

    async def find_card(self, job: Job) -> int | None:
        raise AssertionError("nothing is cancelled here before it has its card")

    async def shown_state(self, job: Job) -> State | None:
        return job.state

    async def media_links(self, job: Job) -> Mapping[str, str]:
        return {}

    def is_ready(self) -> bool:
        return True

    def upload_limit(self, job: Job) -> int:
        return 10 << 20

    def has_left(self, job: Job) -> bool:
        return False

    async def find_video(self, job: Job) -> Posted | PostTrouble | None:
        return None

    async def tell_moderators(self, community: Community, text: str) -> None:
        await asyncio.sleep(self.slowness)

    async def post_video(self, job: Job, video: Path | None, *, is_mentioned: bool) -> Posted | PostTrouble:
        assert video is not None
        self.posts.append(job.id)
        return Posted(len(self.posts))


@dataclass(frozen=True, slots=True)
class Unhurried:
    """A database whose threads the loop waits for."""

    inner: Database
    loop: HurriedLoop

    async def write(self, work: Callable[[Connection], T]) -> T:
        with self.loop.standing_still():
            return await self.inner.write(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        with self.loop.standing_still():
            return await self.inner.read(work)

    async def close(self) -> None:
        await self.inner.close()


class UnhurriedVideos(Videos):
    """Videos whose child processes the loop waits for."""

    async def check(self, path: Path) -> VideoFacts:
        with hurried_loop().standing_still():
            return await super().check(path)


@dataclass(slots=True, kw_only=True)
class Outage:
    """Open jobs, their worker, and a vendor that isn't there until it comes back."""

    database: Unhurried
    vendor: PixelDojoImitation
    worker: Worker
    discord: Discord
    #: where the vendor will be
    port: int
    #: the credits of all jobs together
    granted: int
    #: the most tasks that there were at a time
    tasks: int = 0

    async def until(self, seconds: float) -> None:
        """Let the worker work until this second."""
        loop = hurried_loop()
        while loop.now < seconds:
            await asyncio.sleep(min(1.0, seconds - loop.now))
            self.tasks = max(self.tasks, len(asyncio.all_tasks()))

    async def come_back(self) -> None:
        await self.vendor.start(self.port)

    async def states(self) -> Mapping[State, int]:
        """How many jobs are in which state."""
        query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
        rows = await self.database.read(lambda connection: connection.execute(query).all())
        return {State(state): count for state, count in rows}

    async def check_books(self, *, spent: int, held: int) -> None:
        """So many jobs were paid for, so many are still held, and everything else came back."""
        account = await self.database.write(partial(ledger.account_of, guild_id=0, user_id=MEMBER))
        assert (account.available, account.held) == (self.granted - (spent + held) * QUOTE, held * QUOTE)
        assert await self.database.read(ledger.mismatches) == []

    def check_pace(self, per_minute: int) -> None:
        """No minute saw more requests than the vendor allows, and it refused none."""
        calls = [call for call in self.vendor.calls if call.route is not Route.FILE]
        times = [call.at for call in calls]
        most = max(bisect_left(times, at + MINUTE) - number for number, at in enumerate(times))
        assert most <= per_minute
        assert {call.status for call in calls} <= {200, 202}


def clock() -> datetime:
    """The time of the loop, as the bot reads it."""
    return NOON + timedelta(seconds=hurried_loop().now)


def hurried_loop() -> HurriedLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, HurriedLoop)
    return loop


@asynccontextmanager
async def outage(
    folder: Path, url: str, *, count: int, per_minute: int, deadline: float, state: State = State.RUNNING
) -> AsyncGenerator[Outage]:
    """Start a worker as after a restart, while the vendor of its jobs is away; ``deadline`` is in seconds."""
    database = Unhurried(open_database(url), hurried_loop())
    vendor = PixelDojoImitation(requests_per_minute=per_minute)
    vendor.seconds = hurried_loop().time
    # a port of its own, at which nobody answers now
    await vendor.start()
    await vendor.stop()
    async with _worker(folder, database, vendor) as (worker, discord):
        accept = partial(_accept, count=count, vendor=vendor, deadline=deadline, state=state)
        for job in await database.write(accept):
            worker.resume(job)
        working = asyncio.create_task(worker.run())
        try:
            yield Outage(
                database=database,
                vendor=vendor,
                worker=worker,
                discord=discord,
                port=vendor.port,
                granted=count * QUOTE,
            )
        finally:
            await worker.stop(patience=5)
            await working
            await vendor.stop()


@asynccontextmanager
async def _worker(
    folder: Path, database: Unhurried, vendor: PixelDojoImitation
) -> AsyncGenerator[tuple[Worker, Discord]]:
    """Everything that a worker needs, closed in the end."""
    provider, discord, media = _provider(vendor), Discord(), MediaWorkers(count=1, idle=3600)
    async with httpx.AsyncClient(trust_env=False) as client:
        videos = UnhurriedVideos(workers=media, client=client, trusted_hosts=provider.trusted_hosts)
        worker = Worker(
            database=database,
            registry=Registry.of([provider]),
            leases=Leases(database=database, clock=clock, name=None),
            communities=Communities(database=database, default=AllowanceRule(amount=0, length=PeriodLength.DAY)),
            presenter=discord,
            delivery=Delivery(database=database, presenter=discord, videos=videos, folder=folder, clock=clock),
            durations=Durations(),
            pauses=Pauses(clock=clock),
            clock=clock,
            chance=lambda: 0.5,
            media_path=folder.joinpath,
        )
        yield worker, discord
    await media.close()
    await provider.close()
    await database.close()


def _provider(vendor: PixelDojoImitation) -> PixelDojo:
    budget = RequestBudget(requests_per_minute=vendor.requests_per_minute, clock=hurried_loop().time)
    headers = {"Authorization": f"Bearer {vendor.key}"}
    return PixelDojo(http=VendorHttp(name="pixeldojo", base_url=vendor.base_url, headers=headers, budget=budget))


def _accept(
    connection: Connection, *, count: int, vendor: PixelDojoImitation, deadline: float, state: State
) -> list[Job]:
    """Jobs that were submitted just before the vendor went away, or (queued) were about to be."""
    account = ledger.account_of(connection, 0, MEMBER)
    ledger.grant(connection, account, count * QUOTE, now=NOON)
    opened = [_opened(connection, account.id, number) for number in range(count)]
    if state is State.QUEUED:
        return opened
    return [_submitted(connection, job, vendor, deadline) for job in opened]


def _opened(connection: Connection, account_id: int, number: int) -> Job:
    job = Job(
        id=new_id(NOON + timedelta(milliseconds=number), 0),
        interaction_id=1 + number,
        guild_id=1 + number % GUILDS,
        channel_id=CHANNEL,
        user_id=1 + number,
        account_id=account_id,
        state=State.QUEUED,
        version=0,
        model=MODEL.id,
        request=Request(prompt=f"fox {number}", mode=Mode.TEXT, resolution="480p", duration=5),
        quote=QUOTE,
        upload_limit=10 << 20,
        created_at=NOON,
    )
    assert store.add(connection, job)
    ledger.hold(connection, ledger.locked(connection, account_id), QUOTE, job_id=job.id, now=NOON)
    return store.store_card(connection, job.id, channel_id=CHANNEL, message_id=1 + number)


def _submitted(connection: Connection, job: Job, vendor: PixelDojoImitation, deadline: float) -> Job:
    task = vendors.Job(
        id=f"job_{job.id}",
        model="wan-2.2-standard",
        body={},
        cost=3,
        created_at=NOON,
        expires_at=NOON.replace(year=9999),
    )
    vendor.jobs[task.id] = task
    start = lifecycle.start_submitting(spec=MODEL, now=NOON)
    start.changes["deadline"] = NOON + timedelta(seconds=deadline)
    job = store.move(connection, job=job, step=start, now=NOON)
    step = lifecycle.after_submit(Submission(task_id=task.id), can_list=True, now=NOON)
    assert step is not None
    return store.move(connection, job=job, step=step, now=NOON)
