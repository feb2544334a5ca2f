"""A Discord that takes no video, or no edit, for long: who pays, what the card says, and where the video is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import discord
import pytest

from bot.jobs.job import Reason, State
from bot.jobs.presenting import Sight
from tests.discord.worlds import World, text_of
from tests.imitations.pixeldojo import PixelDojoImitation

WAN_22 = "pixeldojo/wan-2.2-standard"
THREAD_IS_ARCHIVED, NO_REPLY_WITHOUT_HISTORY = 50083, 160002


def refusal(status: int, code: int = 0) -> Exception:
    """What discord.py makes of an answer of Discord's."""
    response: Any = type("Response", (), {"status": status, "reason": "no"})()
    kind = discord.DiscordServerError if status >= 500 else discord.HTTPException
    return kind(response, {"code": code, "message": "no"})


class Wire:
    """Stands between the bot and Discord; counts what was asked for."""

    def __init__(self, world: World) -> None:
        self._http: Any = world.app.bot.http
        self._inner = self._http.request
        self._http.request = self._request
        self.uploads = self.edits = self.reads = 0
        self.before_upload: Callable[[], None] = lambda: None
        self.after_upload: Callable[[], None] = lambda: None
        self.before_edit: Callable[[], None] = lambda: None

    async def _request(self, route: Any, **kwargs: Any) -> Any:
        if route.method == "PATCH" and "/messages/" in route.url:
            self.edits += 1
            self.before_edit()
        if route.method == "GET" and route.url.endswith("/messages"):
            self.reads += 1
        if route.method != "POST" or not kwargs.get("files"):
            return await self._inner(route, **kwargs)
        self.uploads += 1
        self.before_upload()
        answer = await self._inner(route, **kwargs)
        self.after_upload()
        return answer


def always(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


async def ready_to_post(dojo: World, vendor: PixelDojoImitation) -> Any:
    """A video that is made, and waits to be posted."""
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    vendor.finish(vendor.submissions[0].job_id)
    return answer


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(refusal(503), id="503"),
        pytest.param(refusal(429), id="429"),
        pytest.param(ConnectionResetError(104, "reset"), id="reset"),
        pytest.param(refusal(400, THREAD_IS_ARCHIVED), id="archived and locked"),
        pytest.param(refusal(400, NO_REPLY_WITHOUT_HISTORY), id="history taken away"),
    ],
)
async def test_a_discord_that_takes_no_video_for_ten_minutes_costs_nothing_and_the_video_is_kept(
    dojo: World, vendor: PixelDojoImitation, error: Exception
) -> None:
    answer = await ready_to_post(dojo, vendor)
    wire = Wire(dojo)
    wire.before_upload = always(error)
    for _ in range(20):
        await dojo.advance(30)
    assert text_of(answer).startswith("Delivering")
    await dojo.advance(30)
    assert text_of(answer).startswith("Failed")
    assert "The video couldn't be posted here. It is kept: `/wan history` has it." in text_of(answer)
    assert 10 <= wire.uploads <= 40
    account = await dojo.account()
    assert (account.available, account.held) == (200, 0)
    wire.before_upload = lambda: None
    (job,) = await dojo.jobs()
    again = await dojo.alice.slash(dojo.channel, "wan history", job=job.id)
    assert "Here it is again, free." in text_of(again)
    assert (await dojo.account()).available == 200


async def test_a_post_whose_answers_all_get_lost_is_found_in_the_channel(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    answer = await ready_to_post(dojo, vendor)
    wire = Wire(dojo)
    wire.after_upload = always(ConnectionResetError(104, "reset"))
    await dojo.finish()
    assert text_of(answer).startswith("Done")
    assert len(dojo.posted()) == 1
    assert wire.reads >= 1


async def test_a_channel_that_is_gone_is_final_at_once(dojo: World, vendor: PixelDojoImitation) -> None:
    await ready_to_post(dojo, vendor)
    dojo.env.backend.delete_channel(dojo.channel.id)
    wire = Wire(dojo)
    await dojo.finish()
    (job,) = await dojo.jobs()
    assert (job.state, job.reason, wire.uploads) == (State.FAILED, Reason.UNDELIVERABLE, 1)
    assert (await dojo.account()).available == 200


async def test_a_card_that_could_not_be_edited_for_long_still_tells_the_end(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    """As in a thread that was archived: the video opens it again."""
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    wire = Wire(dojo)
    wire.before_edit = always(refusal(400, THREAD_IS_ARCHIVED))
    (job,) = await dojo.jobs()
    for number in range(40):
        # something to show, all the time
        dojo.app.services.presenter.show(job, Sight(progress=number / 40))
        await dojo.advance(30)
        if (await dojo.jobs())[0].state is not State.RUNNING:
            break
    assert 7 < wire.edits < 20
    wire.before_edit = lambda: None
    await dojo.advance(30)
    assert text_of(answer).startswith("Expired")
