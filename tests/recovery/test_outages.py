"""Thousands of jobs whose vendor is away, and comes back: nobody rushes it, and every job ends in time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from bot.jobs.job import State
from tests.imitations.pixeldojo import HANG, NO_CREDITS, Fault, Route, rate_limited
from tests.recovery.outages import MINUTE, outage, played

# thousands of requests are made for real, however quickly the time goes by
pytestmark = pytest.mark.timeout(400)

JOBS: Final = 2000
#: of these the vendor has a video before it comes back
MADE: Final = 40
#: seconds after its deadline in which a job ends, whatever its vendor does
GRACE: Final = MINUTE
#: tasks of the loop: a few for each look that is under way, none for those that wait
TASKS: Final = 100


@played
async def test_a_vendor_that_comes_back_is_asked_at_its_pace_and_no_job_is_lost(folder: Path, url: str) -> None:
    per_minute, away, deadline = 300, 2 * MINUTE, 11 * MINUTE
    async with outage(folder, url, count=JOBS, per_minute=per_minute, deadline=deadline) as scene:
        await scene.until(away)
        assert await scene.states() == {State.RUNNING: JOBS}
        for task_id in list(scene.vendor.jobs)[:: JOBS // MADE]:
            scene.vendor.finish(task_id)
        await scene.come_back()
        await scene.until(away + (JOBS / per_minute + 1.5) * MINUTE)
        # every job was looked at, and what was made meanwhile is posted
        assert all(task.polls for task in scene.vendor.jobs.values())
        assert await scene.states() == {State.RUNNING: JOBS - MADE, State.SUCCEEDED: MADE}
        assert len(scene.discord.posts) == len(set(scene.discord.posts)) == MADE
        assert scene.tasks < TASKS
        await scene.check_books(spent=MADE, held=JOBS - MADE)

        await scene.until(deadline + GRACE)
        assert await scene.states() == {State.EXPIRED: JOBS - MADE, State.SUCCEEDED: MADE}
        scene.check_pace(per_minute)
        await scene.check_books(spent=MADE, held=0)


@played
async def test_a_job_ends_in_time_although_its_vendor_has_no_room_for_a_look(folder: Path, url: str) -> None:
    deadline = 5 * MINUTE
    # each could be looked at once in half an hour
    async with outage(folder, url, count=JOBS, per_minute=60, deadline=deadline) as scene:
        await scene.until(deadline - 1)
        assert scene.tasks < TASKS
        await scene.until(deadline + GRACE)
        assert await scene.states() == {State.EXPIRED: JOBS}
        await scene.check_books(spent=0, held=0)


@pytest.mark.parametrize("answer", [rate_limited("600"), HANG], ids=["a wish for ten minutes", "silence"])
def test_a_job_ends_in_time_although_its_vendor_answers_with(answer: Fault, tmp_path: Path, sqlite_url: str) -> None:
    @played
    async def story(folder: Path, url: str) -> None:
        count, deadline = 100, 3 * MINUTE
        async with outage(folder, url, count=count, per_minute=60, deadline=deadline) as scene:
            scene.vendor.fault_always(Route.STATUS, answer)
            await scene.come_back()
            await scene.until(deadline - 1)
            assert await scene.states() == {State.RUNNING: count}
            assert scene.tasks < TASKS
            await scene.until(deadline + GRACE)
            assert await scene.states() == {State.EXPIRED: count}
            await scene.check_books(spent=0, held=0)

    story(tmp_path, sqlite_url)


@played
async def test_what_waited_is_submitted_once_and_at_the_vendors_pace(folder: Path, url: str) -> None:
    count, per_minute, away = 120, 60, 3 * MINUTE
    async with outage(folder, url, count=count, per_minute=per_minute, deadline=0, state=State.QUEUED) as scene:
        scene.vendor.polls = 0
        await scene.until(away)
        assert await scene.states() == {State.QUEUED: count}
        await scene.come_back()
        # a submission and a look for each, and what is lost between those that are sent away and their next try
        await scene.until(away + (2 * count / per_minute + 2) * MINUTE)
        assert await scene.states() == {State.SUCCEEDED: count}
        assert scene.vendor.count(Route.SUBMIT) == len(scene.discord.posts) == len(set(scene.discord.posts)) == count
        scene.check_pace(per_minute)
        await scene.check_books(spent=count, held=0)


@played
async def test_a_job_is_looked_at_again_however_long_discord_takes_to_hear_of_its_trouble(
    folder: Path, url: str
) -> None:
    async with outage(folder, url, count=1, per_minute=60, deadline=20 * MINUTE) as scene:
        scene.discord.slowness = 5 * MINUTE
        scene.vendor.fault_next(Route.STATUS, NO_CREDITS)
        await scene.come_back()
        await scene.until(1 * MINUTE)
        for task_id in scene.vendor.jobs:
            scene.vendor.finish(task_id)
        await scene.until(10 * MINUTE)
        assert await scene.states() == {State.SUCCEEDED: 1}
