"""A machine whose clock is off by hours, in either direction: what is found by its time is found all the same."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.discord.conftest import SimulatedLinks
from tests.discord.restarts import restarted
from tests.discord.worlds import World, text_of
from tests.imitations.pixeldojo import CUT_AFTER_JOB, PixelDojoImitation, Route

WAN_22 = "pixeldojo/wan-2.2-standard"
HOURS = timedelta(hours=5)
both_ways = pytest.mark.parametrize("error", [-HOURS, HOURS], ids=["behind", "ahead"])


@pytest.fixture
async def vendor(links: SimulatedLinks) -> AsyncGenerator[PixelDojoImitation]:
    """PixelDojo, whose clock is right, as Discord's is."""

    def now() -> datetime:
        assert links.world is not None
        return links.world.env.now()

    async with PixelDojoImitation(key="pd_test", fetch=links, now=now) as imitation:
        yield imitation


def cut_uploads(world: World) -> list[str]:
    """Let each answer to an upload get lost; gives what was uploaded."""
    http: Any = world.app.bot.http
    inner, uploaded = http.request, list[str]()

    async def request(route: Any, **kwargs: Any) -> Any:
        answer = await inner(route, **kwargs)
        if route.method == "POST" and kwargs.get("files"):
            uploaded.append(route.url)
            raise ConnectionResetError
        return answer

    http.request = request
    return uploaded


@both_ways
async def test_a_submission_without_an_answer_is_found(
    dojo: World, vendor: PixelDojoImitation, error: timedelta
) -> None:
    async with restarted(dojo, clock_error=error):
        vendor.fault_next(Route.SUBMIT, CUT_AFTER_JOB)
        answer = await dojo.video(prompt="A cat", model=WAN_22)
        await dojo.advance(10)
        assert text_of(answer).startswith("Running")
        vendor.finish(vendor.submissions[0].job_id)
        await dojo.finish()
        assert text_of(answer).startswith("Done")
        assert vendor.count(Route.SUBMIT) == 1


@both_ways
async def test_a_video_that_was_posted_without_an_answer_is_found(
    dojo: World, vendor: PixelDojoImitation, error: timedelta
) -> None:
    async with restarted(dojo, clock_error=error):
        answer = await dojo.video(prompt="A cat", model=WAN_22)
        for number in range(1100):
            dojo.env.backend.create_message(dojo.channel.id, dojo.bob.id, content=f"chatter {number}")
        # by more than the patience with other clocks
        await dojo.env.advance_time(2000)
        vendor.finish(vendor.submissions[0].job_id)
        uploaded = cut_uploads(dojo)
        await dojo.work()
        assert len(uploaded) == 1
        await dojo.env.advance_time(180)
        await dojo.finish()
        assert text_of(answer).startswith("Done")
        assert (len(uploaded), len(dojo.posted())) == (1, 1)


async def test_a_clock_that_runs_ahead_ends_what_is_under_way_and_the_video_comes_free(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    async with restarted(dojo, clock_error=HOURS):
        await dojo.work()
        assert text_of(answer).startswith("Expired")
        account = await dojo.account()
        assert (account.available, account.held) == (200, 0)
        vendor.finish(vendor.submissions[0].job_id)
        await dojo.app.services.latecomers.run_once()
        await dojo.work()
        assert len(dojo.posted()) == 1
        assert "It came late, so it is free." in text_of(answer)
