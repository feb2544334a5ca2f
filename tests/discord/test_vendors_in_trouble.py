"""What a vendor can do to a video, what the member sees of it, and that nobody pays for what wasn't posted."""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path

import av
import httpx
import pytest
import simcord
from av import VideoFrame
from PIL import Image
from structlog.testing import capture_logs
from structlog.typing import EventDict

from bot.jobs.job import Reason, State
from bot.jobs.lifecycle import ANSWER_PATIENCE
from providers import http as layer
from providers.budget import RequestBudget
from tests.discord.conftest import SimulatedLinks
from tests.discord.worlds import World, is_private, labels, open_world, text_of
from tests.imitations.pixeldojo import (
    CUT,
    CUT_AFTER_JOB,
    HANG_AFTER_JOB,
    INTERNAL_ERROR,
    NO_CREDITS,
    Fault,
    PixelDojoImitation,
    Route,
    error_fault,
    rate_limited,
    small_video,
)

WAN_22 = "pixeldojo/wan-2.2-standard"
MINUTE = 60
HOUR = 3600
DEADLINE = 20 * MINUTE


@pytest.fixture(autouse=True)
def turned_budgets(links: SimulatedLinks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the budgets of requests follow the clock of the story, too."""

    def seconds() -> float:
        return 0.0 if links.world is None else links.world.env.now().timestamp()

    defaults = RequestBudget.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "clock", seconds)


def alarms(lines: list[EventDict]) -> list[EventDict]:
    """What the operator should look at."""
    return [line for line in lines if line["log_level"] in {"error", "critical"}]


async def ask(world: World, who: simcord.MemberActor | None = None, prompt: str = "A cat") -> simcord.InteractionResult:
    return await (who or world.alice).slash(world.channel, "wan video", prompt=prompt, model=WAN_22)


async def balance(world: World, who: simcord.MemberActor | None = None) -> tuple[int, int]:
    account = await world.account(who)
    return account.available, account.held


async def wait_for(world: World, answer: simcord.InteractionResult, word: str, *, most: int) -> None:
    """Let so many seconds pass, in small steps, until a card says this."""
    for _ in range(most // 5 + 1):
        if text_of(answer).startswith(word):
            return
        await world.advance(5)
    raise AssertionError(text_of(answer))


# --- submitting --------------------------------------------------------------------------------------


async def test_a_vendor_that_can_not_be_reached_is_tried_again_and_nothing_is_lost(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    port = vendor.port
    await vendor.stop()
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    for _ in range(3):
        assert text_of(answer).startswith("Queued")
        assert labels(answer.response) == ["Cancel", "Refresh"]
        assert await balance(dojo) == (185, 15)
        await dojo.advance(31)
    await vendor.start(port)
    await wait_for(dojo, answer, "Running", most=60)
    vendor.finish(vendor.submissions[0].job_id)
    await dojo.finish()
    assert text_of(answer).startswith("Done")
    assert (len(vendor.submissions), len(dojo.posted())) == (1, 1)


async def test_a_vendor_that_can_not_be_reached_for_a_day_costs_nothing(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    await vendor.stop()
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    await dojo.env.advance_time(24 * HOUR)
    await dojo.advance(31)
    assert text_of(answer).startswith("Failed")
    assert "couldn't be reached for a whole day" in text_of(answer)
    assert await balance(dojo) == (200, 0)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(CUT_AFTER_JOB, id="cut"),
        pytest.param(HANG_AFTER_JOB, id="time-out"),
        pytest.param(Fault(takes_job=True, status=503), id="503"),
        pytest.param(Fault(takes_job=True, status=202, body=b'{"jobId": "job'), id="half an answer"),
    ],
)
async def test_an_accepted_submission_whose_answer_was_lost_is_found_in_the_vendors_list(
    dojo: World, vendor: PixelDojoImitation, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setattr(layer, "SUBMIT_TIMEOUT", httpx.Timeout(0.2))
    vendor.fault_next(Route.SUBMIT, fault)
    with capture_logs() as lines:
        answer = await dojo.video(prompt="A cat", model=WAN_22)
        await wait_for(dojo, answer, "Running", most=30)
        vendor.finish(vendor.submissions[0].job_id)
        await dojo.finish()
    assert text_of(answer).startswith("Done")
    assert vendor.count(Route.SUBMIT) == 1
    assert await balance(dojo) == (185, 0)
    assert alarms(lines) == []


@pytest.mark.parametrize("fault", [pytest.param(CUT, id="cut"), pytest.param(Fault(status=504), id="504")])
async def test_a_submission_that_is_in_no_list_is_lost_and_the_operator_reads_what_to_look_for(
    dojo: World, vendor: PixelDojoImitation, fault: Fault
) -> None:
    vendor.fault_next(Route.SUBMIT, fault)
    with capture_logs() as lines:
        answer = await dojo.video(prompt="A cat", model=WAN_22)
        await dojo.finish()
    assert text_of(answer).startswith("Lost")
    assert "We never heard whether the video was started, so you pay nothing. Try again." in text_of(answer)
    assert vendor.count(Route.SUBMIT) == 1
    assert await balance(dojo) == (200, 0)
    (line,) = alarms(lines)
    (job,) = await dojo.jobs()
    assert line["event"] == "a submission got lost: look for it at the vendor"
    assert (line["job"], line["model"], line["submitted_at"]) == (job.id, WAN_22, job.submitted_at)
    assert "A cat" not in str(line)


async def test_of_two_identical_prompts_without_an_answer_neither_gets_the_others_video(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    vendor.fault_next(Route.SUBMIT, CUT_AFTER_JOB, CUT_AFTER_JOB)
    with capture_logs() as lines:
        first, second = await ask(dojo), await ask(dojo, dojo.bob)
        await dojo.work()
        await dojo.advance(ANSWER_PATIENCE.total_seconds() - 20)
        # the other's answer may still come
        assert text_of(first).startswith("Submitting")
        assert text_of(second).startswith("Submitting")
        await dojo.advance(30)
        await dojo.advance(30)
    assert text_of(first).startswith("Lost")
    assert text_of(second).startswith("Lost")
    assert await balance(dojo) == await balance(dojo, dojo.bob) == (200, 0)
    assert len(alarms(lines)) == 2
    assert vendor.count(Route.SUBMIT) == 2


async def test_of_two_identical_prompts_the_one_without_an_answer_gets_what_is_left_over(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    first = await dojo.video(prompt="A cat", model=WAN_22)
    vendor.fault_next(Route.SUBMIT, CUT_AFTER_JOB)
    second = await ask(dojo, dojo.bob)
    await dojo.work()
    await wait_for(dojo, second, "Running", most=30)
    for submission in vendor.submissions:
        vendor.finish(submission.job_id)
    await dojo.finish()
    assert [text_of(answer)[:4] for answer in (first, second)] == ["Done", "Done"]
    assert {message.content.split()[0] for message in dojo.posted()} == {dojo.alice.mention, dojo.bob.mention}
    assert vendor.count(Route.SUBMIT) == 2


@pytest.mark.parametrize(("named", "seconds"), [(None, 30), ("7", 7)])
async def test_a_vendor_that_has_no_time_is_asked_again_and_not_before(
    dojo: World, vendor: PixelDojoImitation, named: str | None, seconds: int
) -> None:
    vendor.fault_next(Route.SUBMIT, rate_limited(named))
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    assert text_of(answer).startswith("Queued")
    await dojo.advance(seconds - 1)
    assert vendor.count(Route.SUBMIT) == 1
    await wait_for(dojo, answer, "Running", most=60)
    assert len(vendor.submissions) == 1


@pytest.mark.parametrize(
    "fault", [NO_CREDITS, error_fault(401, "unauthorized", "Invalid or missing API key")], ids=["funds", "key"]
)
async def test_a_wrong_key_or_an_empty_account_is_told_to_the_operator_once(
    dojo: World, vendor: PixelDojoImitation, fault: Fault
) -> None:
    vendor.fault_always(Route.SUBMIT, fault)
    vendor.fault_always(Route.STATUS, fault)
    with capture_logs() as lines:
        answer = await dojo.video(prompt="A cat", model=WAN_22)
        refused = await ask(dojo)
        await dojo.advance(301)
    assert text_of(answer).startswith("Failed")
    assert "the people who run this bot have been told" in text_of(answer)
    assert is_private(refused)
    assert "can't be used at the moment" in text_of(refused)
    assert await balance(dojo) == (200, 0)
    assert [line["event"] for line in alarms(lines)] == ["provider paused: check its key and its funds"]


# --- looking -----------------------------------------------------------------------------------------

BROKEN_JSON = Fault(body=b'{"jobId": "job_1", "stat', headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(INTERNAL_ERROR, id="500"),
        pytest.param(rate_limited(), id="429"),
        pytest.param(rate_limited("45"), id="429 with a time"),
        pytest.param(BROKEN_JSON, id="half an answer"),
        pytest.param(CUT, id="cut"),
    ],
)
async def test_ten_minutes_of_trouble_with_the_looks_change_nothing_about_the_video(
    dojo: World, vendor: PixelDojoImitation, fault: Fault
) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    vendor.finish(vendor.submissions[0].job_id)
    vendor.fault_always(Route.STATUS, fault)
    for _ in range(20):
        await dojo.advance(30)
        assert text_of(answer).startswith("Running")
    assert 5 <= vendor.count(Route.STATUS) <= 40
    vendor.fault_always(Route.STATUS, None)
    await wait_for(dojo, answer, "Done", most=90)
    assert await balance(dojo) == (185, 0)


async def test_a_vendor_that_names_a_time_is_not_asked_before(dojo: World, vendor: PixelDojoImitation) -> None:
    await dojo.video(prompt="A cat", model=WAN_22)
    vendor.fault_next(Route.STATUS, rate_limited("300"))
    await dojo.advance(10)
    looks = vendor.count(Route.STATUS)
    assert looks == 1
    for _ in range(28):
        await dojo.advance(10)
    assert vendor.count(Route.STATUS) == looks
    for _ in range(8):
        await dojo.advance(10)
    assert vendor.count(Route.STATUS) > looks


async def test_unknown_words_and_a_status_that_goes_back_are_still_under_way(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    task = vendor.submissions[0].job_id
    for word in ("processing", "dreaming", "pending", "", "COMPLETED?"):
        vendor.say(task, word)
        await dojo.advance(11)
        assert text_of(answer).startswith("Running")
    vendor.finish(task)
    await dojo.finish()
    assert text_of(answer).startswith("Done")


async def test_a_result_that_is_taken_back_before_it_was_fetched_costs_nothing(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    task = vendor.submissions[0].job_id
    vendor.fault_always(Route.FILE, Fault(status=404))
    vendor.finish(task)
    await wait_for(dojo, answer, "Delivering", most=30)
    vendor.jobs[task].polls_left = None  # it says pending again
    await wait_for(dojo, answer, "Failed", most=4 * MINUTE)
    assert await balance(dojo) == (200, 0)


async def test_a_task_that_the_vendor_has_forgotten_expires(dojo: World, vendor: PixelDojoImitation) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    vendor.forget(vendor.submissions[0].job_id)
    await dojo.advance(DEADLINE - 10)
    assert text_of(answer).startswith("Running")
    await dojo.advance(40)
    assert text_of(answer).startswith("Expired")
    assert await balance(dojo) == (200, 0)


# --- the result --------------------------------------------------------------------------------------

NOT_FETCHED = "The provider finished, but its video couldn't be fetched. Try again."
NO_VIDEO = "What the provider sent isn't a video that can be played. Try again."
PAGE = Fault(body=b"<html>Please log in</html>", headers={"Content-Type": "text/html"})
HUGE = Fault(cut=True, body=b"\0" * 1000, headers={"Content-Type": "video/mp4"})


@pytest.mark.parametrize(
    ("fault", "said", "minutes"),
    [
        pytest.param(Fault(status=404), NOT_FETCHED, 2, id="dead"),
        pytest.param(Fault(status=403), NOT_FETCHED, 2, id="expired"),
        pytest.param(Fault(status=503), NOT_FETCHED, 10, id="503"),
        pytest.param(HUGE, NOT_FETCHED, 10, id="cut off"),
        pytest.param(PAGE, NO_VIDEO, 2, id="a page"),
        pytest.param(Fault(body=small_video()[:-200]), NO_VIDEO, 2, id="half a video"),
        pytest.param(Fault(body=b"\0\0\0\x18ftypmp42" + os.urandom(3000)), NO_VIDEO, 2, id="noise"),
    ],
)
async def test_a_result_that_can_not_be_had_is_tried_for_a_while_and_costs_nothing(
    dojo: World, vendor: PixelDojoImitation, fault: Fault, said: str, minutes: int
) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    vendor.fault_always(Route.FILE, fault)
    vendor.finish(vendor.submissions[0].job_id)
    await wait_for(dojo, answer, "Delivering", most=30)
    for _ in range(2 * minutes - 1):
        await dojo.advance(30)
    assert text_of(answer).startswith("Delivering")
    await dojo.advance(60)
    assert text_of(answer).startswith("Failed")
    assert said in text_of(answer)
    assert await balance(dojo) == (200, 0)
    assert dojo.posted() == []


async def test_a_result_that_comes_back_is_posted(dojo: World, vendor: PixelDojoImitation) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    vendor.fault_next(Route.FILE, Fault(status=404), PAGE, Fault(status=500), CUT)
    vendor.finish(vendor.submissions[0].job_id)
    await dojo.finish()
    assert text_of(answer).startswith("Done")
    assert len(dojo.posted()) == 1


@lru_cache(maxsize=1)
def long_video() -> bytes:
    """A real MP4 that is too long to be made as small as one MiB."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=1, options={"qp": "1", "preset": "ultrafast"})  # pyright: ignore[reportUnknownMemberType] - its keywords
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        for _ in range(80):
            noise = Image.frombytes("RGB", (96, 96), os.urandom(96 * 96 * 3))
            container.mux(stream.encode(VideoFrame.from_image(noise)))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - its types are partial
        container.mux(stream.encode())
    return file.getvalue()


async def test_a_video_that_can_not_be_made_small_enough_is_posted_as_a_link_with_its_expiry(
    tmp_path: Path, vendor: PixelDojoImitation, links: SimulatedLinks
) -> None:
    assert len(long_video()) > 1 << 20
    environment = {
        "PIXELDOJO_API_KEY": "pd_test",
        "PIXELDOJO_BASE_URL": vendor.base_url,
        "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
        "UPLOAD_LIMIT_MIB": "1",
    }
    async with open_world(tmp_path, environment, upload_limit=1 << 20) as world:
        links.world = world
        vendor.video = long_video()
        answer = await world.video(prompt="A cat", model=WAN_22)
        task = vendor.submissions[0].job_id
        vendor.jobs[task].expires_at = world.env.now().replace(year=2030)
        vendor.finish(task, video=long_video())
        await world.finish()
        assert text_of(answer).startswith("Done")
        (job,) = await world.jobs()
        message = world.channel.last_message
        assert message is not None
        assert f"/files/{task}.mp4" in message.content
        assert "It is too large for this community" in message.content
        assert f"The link works until <t:{int(vendor.jobs[task].expires_at.timestamp())}:f>." in message.content
        assert (job.state, job.reason, job.result_message_id) == (State.SUCCEEDED, None, message.id)
        assert await balance(world) == (85, 0)


async def test_a_link_into_the_own_network_is_never_followed(dojo: World, vendor: PixelDojoImitation) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    body = b'{"jobId": "x", "status": "completed", "output": {"video": "http://10.0.0.1/video.mp4"}}'
    vendor.fault_always(Route.STATUS, Fault(body=body, headers={"Content-Type": "application/json"}))
    await wait_for(dojo, answer, "Failed", most=60)
    (job,) = await dojo.jobs()
    assert job.reason is Reason.LINK_DEAD
    assert await balance(dojo) == (200, 0)
