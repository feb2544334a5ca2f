"""Videos in threads of their cards, where a community wants them there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest
import simcord
from simcord.backend.models import Channel

from bot.jobs.job import State
from tests.discord.restarts import restarted
from tests.discord.steps import accepted, accepted_elsewhere, ask, audited, decide, thread_in
from tests.discord.worlds import World, all_text, labels, open_world, text_of


def videos_in(channel: simcord.ChannelHandle) -> list[discord.Message]:
    return [message for message in channel.history() if any(a.filename.endswith(".mp4") for a in message.attachments)]


async def test_videos_stand_in_the_channel_until_moderators_want_threads(world: World) -> None:
    assert "`threads`: videos are posted in the channel" in await decide(world, "options show")
    said = await decide(world, "options set", threads=True)
    assert "Before: `threads`: videos are posted in the channel\n" in said
    assert "Now: `threads`: videos are posted into threads of their cards" in said
    assert [row.action for row in await audited(world)] == ["options.set"]
    await decide(world, "options set", threads=False)
    await accepted(world)
    await world.finish()
    assert len(world.posted()) == 1
    assert world.channel.threads == []


async def test_a_video_stands_in_a_thread_of_its_card_and_the_card_leads_there(world: World) -> None:
    await decide(world, "options set", threads=True)
    answer = await world.alice.slash(world.channel, "wan video", prompt="A *red* fox " + "x" * 200, duration=2)
    await world.finish()
    (thread,) = world.channel.threads
    (video,) = videos_in(thread)
    assert videos_in(world.channel) == []
    assert answer.response is not None
    assert thread.id == answer.response.id
    assert (thread.name or "").startswith("A *red* fox xxx")
    assert len(thread.name or "") <= 100
    assert video.reference is None
    assert [user.id for user in video.mentions] == [world.alice.id]
    assert f"https://discord.com/channels/{world.guild.id}/{thread.id}/{video.id}" in text_of(answer)
    (job,) = await world.jobs()
    assert (job.channel_id, job.result_channel_id, job.state) == (world.channel.id, thread.id, State.SUCCEEDED)
    assert f"/{thread.id}/{video.id}" in await ask(world.alice, world.channel, "history")
    assert (await world.account()).available == 99


async def test_another_guild_notices_nothing(world: World) -> None:
    await decide(world, "options set", threads=True)
    await accepted_elsewhere(world)
    await world.finish()
    assert world.elsewhere_channel.threads == []
    assert len(videos_in(world.elsewhere_channel)) == 1
    assert await audited(world, world.elsewhere) == []


async def test_the_buttons_in_a_thread_work_there_also_after_a_restart(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await decide(world, "options set", threads=True)
        await accepted(world, prompt="A cat")
        await world.finish()
        (thread,) = world.channel.threads
        (video,) = videos_in(thread)
        async with restarted(world):
            again = await world.bob.click(video, label="Again")
            assert text_of(again).startswith("Queued")
            await world.finish()
            # it was asked for in the thread, so it stands there
            assert len(videos_in(thread)) == 2
            assert len(world.channel.threads) == 1
            found = await world.alice.autocomplete(thread, "wan report", "job", "")
            assert len(found) == 2
            details = (await world.bob.click(video, label="Details")).response
            assert details is not None
            assert "A cat" in all_text(details)
            asked = (await world.alice.click(video, label="Delete")).response
            assert asked is not None
            await world.alice.click(asked, label="Remove it for good")
            assert [each.id for each in videos_in(thread)] != [video.id]
            assert len(videos_in(thread)) == 1


async def test_what_is_asked_for_in_a_thread_stays_in_it(world: World) -> None:
    await decide(world, "options set", threads=True)
    thread = thread_in(world, world.channel)
    await accepted(world, channel=thread)
    await world.finish()
    (video,) = videos_in(thread)
    assert video.reference is not None
    assert len(world.channel.threads) == 1


async def test_a_hidden_video_does_not_name_its_thread(world: World) -> None:
    await decide(world, "options set", threads=True)
    await accepted(world, prompt="The murderer is the gardener", spoiler=True)
    await world.finish()
    assert [thread.name for thread in world.channel.threads] == ["A video behind a spoiler"]


@pytest.mark.parametrize("missing", ["create_public_threads", "send_messages_in_threads"])
async def test_without_the_permission_it_stands_in_the_channel_and_moderators_hear_of_it_once(
    world: World, missing: str
) -> None:
    log = world.guild.create_text_channel("log")
    await decide(world, "log", channel=log)
    await decide(world, "options set", threads=True)
    less = discord.PermissionOverwrite(**{missing: False})
    bot = world.env.bot.user
    assert bot is not None
    channel = world.guild.create_text_channel("plain", overwrites={bot: less})
    before = len(log.history())
    for _number in range(2):
        await accepted(world, channel=channel)
        await world.finish()
    assert len(videos_in(channel)) == 2
    assert channel.threads == []
    (told,) = log.history()[before:]
    assert f"I can't open threads in {channel.mention}" in told.content


async def test_a_death_between_the_thread_and_the_video_finds_the_same_thread(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await decide(world, "options set", threads=True)
        await world.video(prompt="A cat", duration=2)
        (job,) = await world.jobs()
        assert job.card_message_id is not None
        assert world.env.bot.user is not None
        # as it is after the death: the thread is there, and nobody knows of it
        world.env.backend.create_thread(
            world.channel.id, "A cat", world.env.bot.user.id, message_id=job.card_message_id
        )
        async with restarted(world):
            await world.finish()
        (thread,) = world.channel.threads
        assert len(videos_in(thread)) == 1
        assert videos_in(world.channel) == []
        assert (await world.account()).available == 99


async def test_a_death_after_the_posting_is_found_in_the_thread_and_not_posted_again(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await decide(world, "options set", threads=True)
        await world.video(prompt="A cat", duration=2)
        inner, lost = world.app.bot.http.request, list[int]()

        async def deaf(route: Any, **options: Any) -> Any:
            """The video arrives, and its answer doesn't."""
            answer = await inner(route, **options)
            if route.method == "POST" and route.channel_id in {thread.id for thread in world.channel.threads}:
                lost.append(int(answer["id"]))
                raise aiohttp.ClientOSError("cut")
            return answer

        world.app.bot.http.request = deaf
        while not lost:
            await world.advance(2)
            # drawing a demo takes real time
            await asyncio.sleep(0.05)
        (thread,) = world.channel.threads
        assert len(videos_in(thread)) == 1
        async with restarted(world):
            await world.env.advance_time(180)
            await world.finish()
        assert len(videos_in(thread)) == 1
        (job,) = await world.jobs()
        assert (job.state, job.result_message_id) == (State.SUCCEEDED, lost[0])


async def test_a_thread_that_was_deleted_or_locked_gives_way_to_the_channel(world: World) -> None:
    await decide(world, "options set", threads=True)
    await world.video(prompt="A cat", duration=2)
    create = world.env.backend.create_thread

    def gone(*args: object, **options: object) -> Channel:
        thread = create(*args, **options)  # pyright: ignore[reportArgumentType]
        del world.env.backend.channels[thread.id]
        return thread

    world.env.backend.create_thread = gone
    await world.finish()
    assert len(world.posted()) == 1
    (job,) = await world.jobs()
    assert (job.state, job.result_channel_id) == (State.SUCCEEDED, None)
    assert labels(world.posted()[0])[0] == "Again"


async def test_a_card_that_was_deleted_has_no_thread_and_its_video_is_posted_all_the_same(world: World) -> None:
    await decide(world, "options set", threads=True)
    answer = await world.video(prompt="A cat", duration=2)
    assert answer.response is not None
    await world.channel.history()[-1].delete()
    await world.finish()
    assert len(videos_in(world.channel)) == 1
    assert world.channel.threads == []


async def test_options_are_set_together_and_deleting_is_still_asked_about(world: World) -> None:
    answer = await world.mona.slash(world.channel, "wan-admin options set", keep_days=1, threads=True)
    assert "Keep things for 1 day?" in text_of(answer)
    shown = await decide(world, "options show")
    assert "`threads`: videos are posted into threads" in shown
    assert "`keep_days`: 30 days" in shown
    said = await decide(world, "options set", keep_days=60, threads=False)
    assert "`keep_days`: 60 days" in said
    assert "`keep_days`: 60 days" in await decide(world, "options show")
    assert "Name at least one option" in await decide(world, "options set")
