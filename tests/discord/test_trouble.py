"""What Discord, or a busy channel, does to a job, and how it ends well all the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import discord
import pytest

from bot.jobs.job import State
from bot.jobs.lifecycle import Posted, PostTrouble
from tests.discord.worlds import World, is_private, picture, text_of


def fault_edits(world: World, faults: list[Exception]) -> list[str]:
    """Let the edits of messages fail, one for each fault; gives what was asked for."""
    http = world.app.bot.http
    inner = http.request
    asked: list[str] = []

    async def request(route: Any, **kwargs: Any) -> Any:
        if route.method == "PATCH" and "/messages/" in route.url:
            asked.append(route.url)
            if faults:
                raise faults.pop(0)
        return await inner(route, **kwargs)

    http.request = request
    return asked


def refusal(code: int) -> discord.HTTPException:
    """What discord.py makes of a 400."""
    response: Any = type("Response", (), {"status": 400, "reason": "Bad Request"})()
    return discord.HTTPException(response, {"code": code, "message": "no"})


async def test_an_edit_that_fails_in_an_odd_way_holds_up_no_other_card_of_its_channel(world: World) -> None:
    first = await world.alice.slash(world.channel, "wan video", prompt="One", duration=2)
    second = await world.bob.slash(world.channel, "wan video", prompt="Two", duration=2)
    fault_edits(world, [ValueError("an answer that isn't JSON")])
    await world.finish()
    await world.advance(30)
    assert text_of(first).startswith("Done")
    assert text_of(second).startswith("Done")


async def test_a_card_that_can_not_be_edited_is_not_tried_for_ever(world: World) -> None:
    thread_is_archived = 50083
    await world.alice.slash(world.channel, "wan video", prompt="One", duration=2)
    asked = fault_edits(world, [refusal(thread_is_archived) for _ in range(1000)])
    await world.finish()
    for _ in range(200):
        await world.advance(30)
    assert 5 <= len(asked) < 30
    assert len(world.posted()) == 1


@pytest.mark.parametrize(("chatter", "is_found"), [(260, True), (1100, False)])
async def test_a_posted_video_is_found_in_a_busy_channel_or_nobody_pretends_to_know(
    world: World, chatter: int, *, is_found: bool
) -> None:
    await world.alice.slash(world.channel, "wan video", prompt="One", duration=2)
    await world.env.advance_time(1)
    for number in range(chatter):
        world.env.backend.create_message(world.channel.id, world.bob.id, content=f"chatter {number}")
    await world.finish()
    (job,) = await world.jobs()
    open_again = replace(job, state=State.DELIVERING, attempted_at=job.created_at, result_message_id=None)
    found = await world.app.services.presenter.find_video(open_again)
    assert found == (Posted(world.posted()[0].id) if is_found else PostTrouble.UNKNOWABLE)


async def test_attachments_of_many_commands_are_not_all_in_memory_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, here, most = discord.Attachment.read, 0, 0

    async def read(self: discord.Attachment, **kwargs: Any) -> bytes:
        nonlocal here, most
        here += 1
        most = max(most, here)
        await asyncio.sleep(0.05)
        here -= 1
        return await inner(self, **kwargs)

    answer = await world.video(prompt="A cat", image=("cat.png", picture(64, 64)), duration=2)
    assert answer.response is not None
    (attachment,) = answer.response.attachments
    monkeypatch.setattr(discord.Attachment, "read", read)
    cog: Any = world.app.bot.get_cog("wan")
    spec = world.app.services.registry.models["demo"]
    # each as a command of its own takes them in
    taken = [cog.making.uploads.take(f"job{each}", spec, {"image": attachment}, clip_limit=1) for each in range(8)]
    await asyncio.gather(*taken)
    assert most == 4
    await world.finish()


async def test_a_kept_video_may_take_longer_to_upload_than_discord_waits(world: World) -> None:
    """Discord is told to wait before the upload begins."""
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    (job,) = await world.jobs()
    inner, before = discord.Interaction.edit_original_response, list[bool]()

    async def edit(self: Any, **kwargs: Any) -> Any:
        before.append(self.response.is_done())
        return await inner(self, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discord.Interaction, "edit_original_response", edit)
        again = await world.alice.slash(world.channel, "wan history", job=job.id)
    assert before == [True]
    assert is_private(again)


async def test_a_kept_video_that_is_too_large_by_now_is_refused_in_words(world: World) -> None:
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    (job,) = await world.jobs()
    folder = world.app.services.videos_folder
    for name in (f"{job.id}.mp4", f"{job.id}.fitted.mp4"):
        (folder / name).write_bytes(bytes(600 << 20))
    again = await world.alice.slash(world.channel, "wan history", job=job.id)
    assert "too large to be sent here again" in text_of(again)
