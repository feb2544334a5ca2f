"""Who works on a job, on a real PostgreSQL, and what becomes of the jobs of a process that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar

import pytest
from sqlalchemy import Connection, select, update

from bot.communities.memory import Communities
from bot.communities.store import lock_guild
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.database.engine import Database, open_database
from bot.database.tables import guilds, jobs, processes
from bot.jobs import lifecycle, store
from bot.jobs.job import Job, Reason, State
from bot.jobs.leases import Leases
from bot.jobs.lifecycle import Step
from bot.jobs.waiting import Waiting
from bot.operations.store import live_processes
from bot.shards import Shards
from tests.clocks import NOON, Clock
from tests.unit import test_worker as worker_tests
from tests.unit.test_worker import GUILD, Discord

T = TypeVar("T")

SUBMITTING = Step(state=State.SUBMITTING, changes={"submitted_at": NOON, "deadline": NOON + timedelta(minutes=20)})
RUNNING = Step(state=State.RUNNING, changes={"task_id": "task1"})
FAILED = lifecycle.ended(State.FAILED, Reason.REFUSED)
BLINK = timedelta(milliseconds=200)


class Together:
    """Some processes on one PostgreSQL, each with connections of its own."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url = url
        self.clock = clock
        self.databases: list[Database] = []

    def process(self, name: str, *, length: timedelta = timedelta(minutes=10)) -> Leases:
        database = open_database(self.url)
        self.databases.append(database)
        return Leases(database=database, clock=self.clock, name=name, shards="0 of 1", length=length)

    @property
    def database(self) -> Database:
        return self.databases[0]

    async def accepted(self, owner: str | None, *, count: int = 1) -> Sequence[Job]:
        """Jobs that a process has accepted."""
        first = len(await self.database.read(store.open_jobs))

        def accept_all(connection: Connection) -> Sequence[Job]:
            numbers = range(first + 1, first + count + 1)
            return [accept(connection, number=number, owner=owner, clock=self.clock) for number in numbers]

        return await self.database.write(accept_all)

    async def moved(self, job: Job, *steps: Step) -> Job:
        for step in steps:
            job = await self.database.write(partial(store.move, job=job, step=step, now=self.clock()))
        return job

    async def owner_of(self, job: Job) -> str | None:
        found = await self.database.read(partial(store.load, job_id=job.id))
        assert found is not None
        return found.owner

    async def rows(self) -> Sequence[str]:
        """The processes that the database knows."""
        query = select(processes.c.id).order_by(processes.c.id)
        return await self.database.read(lambda c: c.execute(query).scalars().all())


def accept(connection: Connection, *, number: int, owner: str | None, clock: Clock) -> Job:
    lock_guild(connection, GUILD)
    job = worker_tests.accept(connection, number=number, now=clock(), owner=owner)
    return store.store_card(connection, job.id, channel_id=job.channel_id, message_id=number)


@pytest.fixture
async def together(postgres_url: str, clock: Clock) -> AsyncIterator[Together]:
    made = Together(postgres_url, clock)
    yield made
    for each in made.databases:
        await each.close()


async def test_a_job_stays_with_its_process_as_long_as_that_renews_its_lease(together: Together) -> None:
    first, second = together.process("first"), together.process("second")
    await first.renew()
    await second.renew()
    (job,) = await together.accepted("first")
    assert await second.claim() == []
    assert first.has(job)
    assert not second.has(job)
    assert (await second.renew()).is_work_left is False


async def test_the_jobs_of_a_process_that_is_gone_are_taken_up_by_the_others_each_once(together: Together) -> None:
    gone = together.process("gone", length=BLINK)
    others = [together.process(f"other {number}") for number in range(3)]
    for each in (gone, *others):
        await each.renew()
    left = await together.accepted("gone", count=500)
    await asyncio.sleep(2 * BLINK.total_seconds())
    assert [(await each.renew()).is_work_left for each in others] == [True, True, True]

    async def all_claimed(leases: Leases) -> list[Job]:
        claimed: list[Job] = []
        while found := await leases.claim():
            claimed += found
        return claimed

    taken = await asyncio.gather(*map(all_claimed, others))
    assert sorted(job.id for jobs in taken for job in jobs) == sorted(job.id for job in left)
    assert all(others[number].has(job) for number, jobs in enumerate(taken) for job in jobs)
    assert (await others[0].renew()).is_work_left is False
    assert await together.rows() == ["other 0", "other 1", "other 2"]


async def test_a_process_that_is_stopped_hands_its_jobs_over_at_once(together: Together) -> None:
    stopped, other = together.process("stopped"), together.process("other")
    await stopped.renew()
    await other.renew()
    (job,) = await together.accepted("stopped")
    await stopped.hand_over()
    assert not stopped.holds
    assert (await other.renew()).is_work_left
    assert [each.id for each in await other.claim()] == [job.id]


async def test_who_has_slept_through_its_lease_stores_nothing_and_hears_of_it(together: Together) -> None:
    asleep, other = together.process("asleep", length=BLINK), together.process("other")
    await asleep.renew()
    await other.renew()
    jobs = [await together.moved(job, SUBMITTING, RUNNING) for job in await together.accepted("asleep", count=2)]
    await asyncio.sleep(2 * BLINK.total_seconds())
    assert not asleep.holds
    await other.claim()
    for job in jobs:
        with pytest.raises(store.JobMoved):
            await together.moved(job, FAILED)
        open_attempt = partial(store.open_attempt, job=job, video_path="video.mp4", now=NOON)
        with pytest.raises(store.JobMoved):
            await together.database.write(open_attempt)
    assert (await asleep.renew()).was_over
    assert asleep.holds
    assert sorted(await asleep.lost_of([job.id for job in jobs])) == sorted(job.id for job in jobs)
    assert not (await asleep.renew()).was_over


async def test_what_nobody_has_is_taken_up_also_after_a_move_from_elsewhere(together: Together) -> None:
    only = together.process("only")
    await only.renew()
    (nobodys,) = await together.accepted(None)
    (unknown,) = await together.accepted("from elsewhere")
    assert [job.id for job in await only.claim()] == [nobodys.id, unknown.id]
    assert await together.owner_of(nobodys) == "only"


async def test_of_jobs_that_have_ended_only_those_are_taken_up_that_want_something(together: Together) -> None:
    only = together.process("only")
    await only.renew()
    shown, stale, late = await together.accepted(None, count=3)
    for job in (shown, stale, late):
        ended = await together.moved(job, FAILED)
        if job is not stale:
            await together.database.write(partial(store.card_shows, job_id=job.id, version=ended.version))
    until = together.clock() + timedelta(hours=1)
    again = await together.database.read(partial(store.load, job_id=late.id))
    assert again is not None
    await together.database.write(partial(store.deliver_again, job=again, until=until, now=together.clock()))
    assert [job.id for job in await only.claim()] == [stale.id, late.id]
    assert await only.claim() == []


async def test_operators_see_the_processes_that_live_and_their_open_jobs(together: Together) -> None:
    both = [together.process("a"), together.process("b")]
    for each in both:
        await each.renew()
    await together.accepted("b", count=2)
    told = await together.database.read(live_processes)
    assert [(each.id, each.shards, each.open_jobs) for each in told] == [("a", "0 of 1", 0), ("b", "0 of 1", 2)]
    await both[1].hand_over()
    assert [each.id for each in await together.database.read(live_processes)] == ["a"]


async def test_who_has_most_of_the_jobs_plans_with_most_of_what_all_may_ask(together: Together) -> None:
    first, second, third = (together.process(name) for name in ("a", "b", "c"))
    for each in (first, second, third, first):
        await each.renew()
    assert [round(each.share, 2) for each in (first, second, third)] == [0.33, 0.5, 0.33]
    await together.accepted("b", count=9)
    await together.accepted("c", count=1)
    for each in (first, second, third):
        await each.renew()
    assert [round(each.share, 2) for each in (first, second, third)] == [0.33, 1.0, 0.33]


async def test_one_process_is_the_first_and_all_know_how_many_they_are(together: Together) -> None:
    both = [together.process("a"), together.process("b")]
    for each in (*both, *both):
        await each.renew()
    assert [each.is_first for each in both] == [True, False]
    assert [each.processes for each in both] == [2, 2]
    await both[0].hand_over()
    await both[1].renew()
    assert both[1].is_first
    assert both[1].processes == 1


async def test_two_processes_together_start_no_more_jobs_at_once_than_a_guild_may_have(together: Together) -> None:
    both = [together.process("a"), together.process("b")]
    for each in both:
        await each.renew()
    waiting = [*await together.accepted("a", count=5), *await together.accepted("b", count=5)]
    await together.database.write(lambda c: c.execute(update(guilds).values(member_jobs=9, guild_jobs=3)) and None)
    rule = AllowanceRule(amount=100, length=PeriodLength.DAY)
    queues = {
        leases.name: Waiting(
            database=database,
            leases=leases,
            communities=Communities(database=database, default=rule),
            presenter=Discord(),
        )
        for leases, database in zip(both, together.databases, strict=True)
    }
    chosen = {name: (await queue.next(together.clock(), busy=())).chosen for name, queue in queues.items()}
    assert {job.owner for job in chosen["a"]} == {"a"}
    assert chosen["b"] == []

    started = await asyncio.gather(
        *(queues[job.owner].start(job, SUBMITTING, now=together.clock()) for job in waiting if job.owner)
    )
    assert len([job for job in started if job is not None]) == 3


class Counted:
    """A real database, whose reads are counted."""

    def __init__(self, inner: Database) -> None:
        self.inner = inner
        self.reads = 0

    async def read(self, work: Callable[[Connection], T]) -> T:
        self.reads += 1
        return await self.inner.read(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        return await self.inner.write(work)

    async def close(self) -> None:
        await self.inner.close()


async def test_what_guilds_have_decided_is_not_read_for_the_jobs_of_other_processes(together: Together) -> None:
    ours, others = together.process("ours"), together.process("others")
    await ours.renew()
    await others.renew()
    (job,) = await together.accepted("ours")
    for number, theirs in enumerate(await together.accepted("others", count=5), start=GUILD + 1):
        elsewhere = update(jobs).where(jobs.c.id == theirs.id).values(guild_id=number)
        await together.database.write(lambda c, change=elsewhere: c.execute(change) and None)
    counted = Counted(together.database)
    rule = AllowanceRule(amount=100, length=PeriodLength.DAY)
    # of none of these guilds this process keeps anything
    communities = Communities(database=counted, default=rule, shards=Shards(1, ()))
    queue = Waiting(database=together.database, leases=ours, communities=communities, presenter=Discord())
    found = await queue.next(together.clock(), busy=())
    assert [each.id for each in found.chosen] == [job.id]
    assert len(found.waiting) == 5
    assert counted.reads == 1


async def test_alone_every_job_is_its_own_and_nothing_is_written(sqlite_url: str, clock: Clock) -> None:
    database = open_database(sqlite_url)
    alone = Leases(database=database, clock=clock, name=None)
    await alone.renew()
    assert alone.holds
    assert alone.is_first
    assert await alone.claim() == ()
    assert await database.read(lambda c: c.execute(select(processes.c.id)).all()) == []
    await database.close()
