"""A process that is suspended for longer than its lease, while another one takes its jobs up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, exists, select, update

from bot.database.engine import Database
from bot.database.tables import jobs
from bot.jobs.job import Job, State
from tests.discord.worlds import World, all_text, open_world

T = TypeVar("T")


class Suspending:
    """A real database, after whose noting of an attempt to post something happens, once."""

    def __init__(self, inner: Database) -> None:
        self.inner = inner
        self.afterwards: Callable[[], Awaitable[None]] | None = None
        self.has_slept = False

    async def write(self, work: Callable[[Connection], T]) -> T:
        result = await self.inner.write(work)
        if self.afterwards is not None and await self.inner.read(_is_attempted):
            sleep, self.afterwards = self.afterwards, None
            await sleep()
            self.has_slept = True
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self.inner.read(work)

    async def close(self) -> None:
        await self.inner.close()


def _is_attempted(connection: Connection) -> bool:
    return connection.execute(select(exists().where(jobs.c.attempted_at.is_not(None)))).scalar_one()


async def test_a_video_is_not_posted_by_who_has_slept_since_it_meant_to(tmp_path: Path, postgres_url: str) -> None:
    made: list[Suspending] = []

    def suspending(database: Database) -> Database:
        made.append(Suspending(database))
        return made[0]

    async with open_world(tmp_path, {"DATABASE_URL": postgres_url}, wrap_database=suspending) as world:
        (database,) = made
        database.afterwards = partial(_sleep, world, database)
        await world.video(prompt="a fox", duration=2)
        while not database.has_slept and await world.open_jobs():
            await world.advance(2)
        assert database.has_slept
        assert world.posted() == []
        # the other one is gone as well
        await world.finish()
        assert len(world.posted()) == 1


async def test_who_has_slept_edits_no_card_of_what_others_see_to(tmp_path: Path, postgres_url: str) -> None:
    async with open_world(tmp_path, {"DATABASE_URL": postgres_url}) as world:
        await world.video(prompt="a fox", duration=2)
        (job,) = await world.jobs()
        presenter, database = world.app.services.presenter, world.app.services.database
        before = _card(world, job)
        # an edit waits while the process is suspended
        presenter.show(replace(job, state=State.DELIVERING, version=job.version + 1))
        await world.app.services.leases.hand_over()
        await database.write(_take_up)
        await world.env.advance_time(60)
        await presenter.flush()
        assert _card(world, job) == before, "nobody knows yet whether the job is still its own"
        await world.app.services.takeover.run_once()
        await presenter.flush()
        assert _card(world, job) == before, "another process tells of it now"


def _card(world: World, job: Job) -> str:
    (card,) = [message for message in world.channel.history() if message.id == job.card_message_id]
    return all_text(card)


async def _sleep(world: World, database: Suspending) -> None:
    """As if the lease had run out meanwhile, and somebody had taken the jobs up."""
    await world.app.services.leases.hand_over()
    await database.inner.write(_take_up)


def _take_up(connection: Connection) -> None:
    connection.execute(update(jobs).values(owner="another"))
