"""What members choose for themselves: whether their finished videos mention them."""

from __future__ import annotations

from pathlib import Path

import simcord

from bot.database.tables import member_settings
from tests.discord.restarts import restarted
from tests.discord.steps import ask
from tests.discord.test_privacy import delete, exported, rows
from tests.discord.worlds import World, open_world


async def test_settings_are_shown_and_mentions_are_on_at_first(world: World) -> None:
    said = await ask(world.alice, world.channel, "settings")
    assert said == "**Your settings here**\n`notify`: on: the message with your finished video mentions you"
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    (video,) = world.posted()
    assert video.content == f"<@{world.alice.id}> Your video is ready."
    assert [user.id for user in video.mentions] == [world.alice.id]


async def test_who_wants_no_mention_gets_none_and_the_video_still_answers_the_card(world: World) -> None:
    assert "`notify`: off: " in await ask(world.alice, world.channel, "settings", notify=False)
    answer = await world.video(prompt="A cat", duration=2)
    await world.finish()
    (video,) = world.posted()
    assert video.content == "Your video is ready."
    assert video.mentions == []
    assert answer.response is not None
    assert video.reference is not None
    assert video.reference.message_id == answer.response.id
    assert "`notify`: on: " in await ask(world.alice, world.channel, "settings", notify=True)
    await world.video(prompt="A dog", duration=2)
    await world.finish()
    assert world.posted()[-1].content.startswith(f"<@{world.alice.id}>")


async def test_a_setting_is_its_members_and_only_in_its_guild(world: World) -> None:
    await ask(world.alice, world.channel, "settings", notify=False)
    others: list[tuple[simcord.MemberActor, simcord.ChannelHandle]] = [
        (world.bob, world.channel),
        (world.alice_elsewhere, world.elsewhere_channel),
    ]
    for who, channel in others:
        assert "`notify`: on: " in await ask(who, channel, "settings")
        await who.slash(channel, "wan video", prompt="A cat", duration=2)
    await world.finish()
    (bobs,) = world.posted()
    assert bobs.content.startswith(f"<@{world.bob.id}>")
    assert world.elsewhere_channel.history()[-1].content.startswith(f"<@{world.alice.id}>")


async def test_a_setting_made_while_the_video_is_made_holds_after_a_restart(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.video(prompt="A cat", duration=2)
        await ask(world.alice, world.channel, "settings", notify=False)
        async with restarted(world):
            await world.finish()
            (video,) = world.posted()
            assert video.content == "Your video is ready."
            assert "`notify`: off: " in await ask(world.alice, world.channel, "settings")


async def test_settings_are_given_and_deleted_with_the_members_data(world: World) -> None:
    for who, channel in ((world.alice, world.channel), (world.alice_elsewhere, world.elsewhere_channel)):
        await ask(who, channel, "settings", notify=False)
    document, _pictures = await exported(world.alice, world.channel)
    assert document["settings"] == {"notify": False}
    assert "is deleted" in await delete(world.alice, world.channel)
    assert [row.guild_id for row in await rows(world, member_settings)] == [world.elsewhere.id]
    assert "`notify`: on: " in await ask(world.alice, world.channel, "settings")
