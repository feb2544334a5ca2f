"""What a process takes up, on a real PostgreSQL, when others are silent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.app import App, open_app
from bot.database.tables import processes
from bot.jobs import store
from bot.jobs.job import Job
from bot.settings import Settings
from tests.clocks import NOON, Clock
from tests.unit.test_leases import accept


class Pair:
    """Two processes of one bot, whose connections to Discord aren't made."""

    def __init__(self, first: App, second: App) -> None:
        self.first, self.second = first, second

    async def accepted(self, app: App, number: int) -> Job:
        owner = app.services.leases.name
        return await app.services.database.write(partial(accept, number=number, owner=owner, clock=Clock(NOON)))

    async def owner_of(self, job: Job) -> str | None:
        found = await self.first.services.database.read(partial(store.load, job_id=job.id))
        assert found is not None
        return found.owner

    async def time_out(self) -> None:
        """Both leases are over, as after minutes without the database."""
        await self.first.services.database.write(lambda c: c.execute(update(processes).values(until=NOON)))


@pytest.fixture
async def pair(tmp_path: Path, postgres_url: str) -> AsyncIterator[Pair]:
    settings = Settings.load({"DATA_DIR": str(tmp_path), "DATABASE_URL": postgres_url})
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(open_app(settings)) for _ in range(2)]
        for app in apps:
            await app.services.takeover.begin()
        yield Pair(*apps)


async def test_processes_that_were_silent_together_keep_their_jobs(pair: Pair) -> None:
    names = [app.services.leases.name for app in (pair.first, pair.second)]
    jobs = [await pair.accepted(pair.first, 1), await pair.accepted(pair.second, 2)]
    await pair.time_out()
    for app in (pair.first, pair.second, pair.first, pair.second):
        await app.services.takeover.run_once()
    assert [await pair.owner_of(job) for job in jobs] == names


async def test_of_processes_that_were_silent_together_one_that_stays_so_loses_its_jobs(pair: Pair) -> None:
    jobs = [await pair.accepted(pair.first, 1), await pair.accepted(pair.second, 2)]
    await pair.time_out()
    for _ in range(2):
        await pair.first.services.takeover.run_once()
    assert {await pair.owner_of(job) for job in jobs} == {pair.first.services.leases.name}
    await pair.second.services.takeover.run_once()
    assert {await pair.owner_of(job) for job in jobs} == {pair.first.services.leases.name}


async def test_a_process_that_has_ended_takes_no_lease_again(pair: Pair) -> None:
    job = await pair.accepted(pair.first, 1)
    await pair.first.services.takeover.end()
    await pair.first.services.takeover.run_once()
    await pair.second.services.takeover.run_once()
    assert await pair.owner_of(job) == pair.second.services.leases.name
