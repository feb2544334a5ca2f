"""PixelDojo end to end: the command, the request that the vendor gets, the card, the posted video."""

from __future__ import annotations

import io
from typing import Any

import av
import pytest

from tests.discord.worlds import World, is_private, labels, picture, text_of
from tests.imitations.pixeldojo import INTERNAL_ERROR, NO_CREDITS, PixelDojoImitation, Route, rate_limited, small_video

WAN_22 = "pixeldojo/wan-2.2-standard"
WAN_27 = "pixeldojo/wan-2.7-i2v"


@pytest.mark.parametrize(
    ("options", "sent", "price"),
    [
        ({"model": WAN_22}, {"resolution": "480p", "duration": 5}, 15),
        (
            {
                "model": WAN_22,
                "resolution": "1080p",
                "aspect_ratio": "9:16",
                "duration": 10,
                "seed": 7,
                "settings": "frames=81 shift=8.5 steps=40 fps=24 interpolate=false",
            },
            {
                "resolution": "1080p",
                "aspect_ratio": "9:16",
                "duration": 10,
                "seed": 7,
                "num_frames": 81,
                "sample_shift": 8.5,
                "sample_steps": 40,
                "frames_per_second": 24,
                "interpolate_output": False,
            },
            15,
        ),
        ({"model": WAN_22, "image": True}, {"resolution": "480p", "duration": 5, "image_url": ...}, 15),
        (
            {"model": WAN_22, "image": True, "last_image": True},
            {"resolution": "480p", "duration": 5, "image_url": ..., "last_image_url": ...},
            15,
        ),
        ({"model": WAN_27, "image": True}, {"resolution": "720p", "duration": 5, "image_url": ...}, 65),
        (
            {
                "model": WAN_27,
                "image": True,
                "last_image": True,
                "resolution": "1080p",
                "duration": 2,
                "negative_prompt": "rain",
                "enhance_prompt": True,
                "seed": 3,
            },
            {
                "resolution": "1080p",
                "duration": 2,
                "image_url": ...,
                "last_frame_url": ...,
                "negative_prompt": "rain",
                "enable_prompt_expansion": True,
                "seed": 3,
            },
            30,
        ),
        (
            {"model": WAN_27, "video": True, "duration": 3},
            {"resolution": "720p", "duration": 3, "video_url": ..., "mode": "video-extend"},
            40,
        ),
    ],
)
async def test_every_mode_and_option_from_the_command_to_the_posted_video(
    dojo: World, vendor: PixelDojoImitation, options: dict[str, Any], sent: dict[str, object], price: int
) -> None:
    attached = {
        "image": ("cat.png", picture()),
        "last_image": ("end.png", picture()),
        "video": ("c.mp4", small_video()),
    }
    for name, value in attached.items():
        if options.get(name):
            options = {**options, name: value}
    answer = await dojo.video(prompt="A cat wakes up", **options)
    (submission,) = vendor.submissions
    body = dict(submission.body)
    assert body.pop("prompt") == "A cat wakes up"
    assert {name: ... if name.endswith("_url") else value for name, value in body.items()} == sent
    account = await dojo.account()
    assert (account.available, account.held) == (200 - price, price)
    assert text_of(answer).startswith("Running")
    assert labels(answer.response) == ["Refresh"]  # the vendor can't stop it

    vendor.finish(submission.job_id)
    await dojo.finish()
    assert text_of(answer).startswith("Done")
    (message,) = dojo.posted()
    with av.open(io.BytesIO(await message.attachments[0].read())) as container:
        assert container.streams.video[0].codec_context.name == "h264"
    (job,) = await dojo.jobs()
    assert (str(job.cost_amount), job.cost_unit) == (str(price // 5), "credits")
    account = await dojo.account()
    assert (account.available, account.held) == (200 - price, 0)


async def test_a_vendor_that_fails_is_quoted_and_costs_nothing(dojo: World, vendor: PixelDojoImitation) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    vendor.fail(vendor.submissions[0].job_id, "Too *scary* for @everyone")
    await dojo.finish()
    text = text_of(answer)
    assert text.startswith("Failed")
    assert r"The provider says: Too \*scary\* for @" in text
    assert "@everyone" not in text
    assert (await dojo.account()).available == 200


async def test_an_empty_account_pauses_the_provider_and_names_what_else_works(
    pair: World, vendor: PixelDojoImitation
) -> None:
    log_channel = pair.guild.create_text_channel("wan-log")
    await pair.mona.slash(pair.channel, "wan-admin log", channel=log_channel)
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    answer = await pair.video(prompt="A cat", model=WAN_22)
    assert text_of(answer).startswith("Failed")
    # a drawing isn't the same
    assert "These can do the same: `vtrix/wan22_t2v_plus`." in text_of(answer)
    assert (await pair.account()).available == 200
    (_, line) = log_channel.history()
    assert "**PixelDojo** takes no jobs at the moment" in line.content
    refused = await pair.alice.slash(pair.channel, "wan video", prompt="A cat", model=WAN_22)
    assert is_private(refused)
    assert "can't be used at the moment" in text_of(refused)
    assert "`demo`" in text_of(refused)
    await pair.advance(301)
    again = await pair.video(prompt="A cat", model=WAN_22)
    assert text_of(again).startswith("Running")
    vendor.finish(vendor.submissions[-1].job_id)
    await pair.finish()


async def test_a_busy_vendor_is_asked_again_when_it_said(dojo: World, vendor: PixelDojoImitation) -> None:
    vendor.fault_next(Route.SUBMIT, rate_limited("7"))
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    assert text_of(answer).startswith("Queued")
    assert vendor.submissions == []
    assert labels(answer.response) == ["Cancel", "Refresh"]
    await dojo.advance(6)
    assert vendor.submissions == []


async def test_a_submission_without_an_answer_is_never_repeated(dojo: World, vendor: PixelDojoImitation) -> None:
    vendor.fault_next(Route.SUBMIT, INTERNAL_ERROR)
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    await dojo.finish()
    assert text_of(answer).startswith("Lost")
    assert vendor.count(Route.SUBMIT) == 1
    account = await dojo.account()
    assert (account.available, account.held) == (200, 0)


async def test_past_its_deadline_a_job_expires_and_costs_nothing(dojo: World, vendor: PixelDojoImitation) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    vendor.say(vendor.submissions[0].job_id, "thinking")
    for _ in range(25):
        await dojo.advance(60)
    assert text_of(answer).startswith("Expired")
    assert (await dojo.account()).available == 200


async def test_without_a_model_the_first_that_can_do_it_is_taken(dojo: World, vendor: PixelDojoImitation) -> None:
    await dojo.video(prompt="A cat", video=("clip.mp4", small_video()))
    assert vendor.submissions[0].model == "wan-2.7-i2v"
    refused = await dojo.alice.slash(dojo.channel, "wan video", prompt="A cat", model=WAN_27)
    assert "can't start from text alone" in text_of(refused)
    vendor.finish(vendor.submissions[0].job_id)
    await dojo.finish()


async def test_a_card_that_a_moderator_deleted_does_not_stop_the_video(dojo: World, vendor: PixelDojoImitation) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    assert answer.response is not None
    await dojo.mona.delete(answer.response.message)
    vendor.finish(vendor.submissions[0].job_id)
    await dojo.finish()
    assert answer.response is None
    messages = [message for message in dojo.channel.history() if message.attachments]
    assert len(messages) == 1
    assert (await dojo.account()).available == 185
