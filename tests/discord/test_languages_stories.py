"""Private answers are said in the member's own language, public ones in the community's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import discord
import pytest
import simcord

from bot.jobs.job import State
from tests.discord.restarts import restarted
from tests.discord.steps import decide
from tests.discord.tongues import CHINESE, community_reads, english_in, reads
from tests.discord.worlds import World, all_text, is_private, labels, picture, text_of
from tests.imitations.pixeldojo import PixelDojoImitation


async def told(who: simcord.MemberActor, world: World, command: str, /, **options: Any) -> str:
    """What a member is told, privately."""
    answer = await who.slash(world.channel, command, **options)
    assert is_private(answer)
    return text_of(answer)


async def test_a_member_with_a_chinese_client_is_answered_in_chinese_and_the_card_is_in_the_communitys_language(
    world: World,
) -> None:
    reads(world, world.alice, CHINESE)
    assert await told(world.alice, world, "wan queue") == "目前这里没有正在制作的视频。用 `/wan video` 开始一个吧。"
    assert "可用：100\n冻结：0" in await told(world.alice, world, "wan balance")
    card = await world.alice.slash(world.channel, "wan video", prompt="A cat", duration=2)
    assert text_of(card).startswith("Queued\n")
    assert card.response is not None
    assert labels(card.response) == ["Cancel", "Refresh"]
    refused = await told(world.alice, world, "wan video", prompt="A cat", duration=99)
    assert refused == "**时长**：Demo 在这里不提供 99 秒；请选 2 到 10 秒。"
    stopped = await world.alice.click(card.response, label="Cancel")
    assert text_of(stopped) == "已停止。1 积分已退回。"
    await world.advance(10)
    assert "Cancelled\n> A cat\n\nIt was stopped.\n" in text_of(card)


async def test_everything_public_in_a_chinese_community_is_chinese_for_all(world: World) -> None:
    community_reads(world, CHINESE)
    card = await world.alice.slash(world.channel, "wan video", prompt="猫", duration=2, image=("a.png", picture()))
    assert card.response is not None
    assert text_of(card).startswith("排队中\n")
    assert labels(card.response) == ["取消", "刷新"]
    assert [each.description for each in card.response.attachments] == ["视频开头用的图片"]
    for state, word in (("running", "生成中"), ("succeeded", "已完成")):
        while (await world.jobs())[0].state != State(state):
            await world.advance(1)
        await world.advance(10)
        assert text_of(card).startswith(f"{word}\n")
        assert english_in(text_of(card)) == []
    (video,) = world.posted()
    assert video.content == f"{world.alice.mention} 你的视频做好了。"
    assert labels(video) == ["再来一次", "编辑并重做", "续写", "详情", "删除", "举报"]
    assert "Available: 99" in await told(world.alice, world, "wan balance"), "her own client is English"


async def test_a_card_is_known_again_after_a_restart_whatever_language_it_was_written_in(world: World) -> None:
    community_reads(world, CHINESE)
    await world.alice.slash(world.channel, "wan video", prompt="A cat", duration=2)
    (job,) = await world.jobs()
    await world.app.services.presenter.flush()
    async with restarted(world) as app:
        presenter = app.services.presenter
        for locale in (CHINESE, "en-US"):
            community_reads(world, locale)
            assert await presenter.shown_state(job) is State.QUEUED
            before = len(world.channel.history())
            assert await presenter.make_card(replace(job, card_message_id=None)) == job.card_message_id
            assert len(world.channel.history()) == before
        await world.finish()
        (job,) = await world.jobs()
        assert job.state is State.SUCCEEDED
        (video,) = world.posted()
        assert "Your video is ready." in video.content, "the community reads English by now"


async def test_a_card_stays_chinese_while_a_start_has_not_heard_of_the_guild_yet(world: World) -> None:
    community_reads(world, CHINESE)
    card = await world.alice.slash(world.channel, "wan video", prompt="A cat", duration=2)
    assert card.response is not None
    async with restarted(world) as app:
        # between READY and what comes after it, a guild is known by its id alone
        state: Any = app.bot._connection  # pyright: ignore[reportPrivateUsage]
        guild = state._guilds[world.guild.id]
        guild.unavailable, guild.preferred_locale = True, discord.Locale.american_english
        (job,) = await world.jobs()
        assert app.services.presenter.card_of(job).title == "排队中"
        del state._guilds[world.guild.id]
        assert app.services.presenter.card_of(job).title == "排队中"
        state._guilds[world.guild.id] = guild
        guild.unavailable = False
        assert app.services.presenter.card_of(job).title == "Queued"
        await world.finish()


async def test_two_members_are_each_answered_in_their_own_language(world: World) -> None:
    reads(world, world.alice, CHINESE)
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    (video,) = world.posted()
    details = [text_of(await who.click(video, label="Details")) for who in (world.alice, world.bob, world.alice)]
    assert [text.split("\n")[0] for text in details] == ["已完成", "Done", "已完成"]
    assert "用时: " in details[0]
    assert english_in(details[0]) == []
    assert "Took: " in details[1]


async def test_suggestions_and_forms_are_in_the_members_language(world: World) -> None:
    reads(world, world.alice, CHINESE)
    found = await world.alice.autocomplete(world.channel, "wan video", "duration", "", prompt="x")
    assert found[0]["name"] == "2 秒"
    form = await world.alice.slash(world.channel, "wan compose")
    assert not english_in(str(_shown(form)).replace("'", ""))
    assert "新视频" in str(_shown(form))
    sent = await world.alice.submit_modal(form, {"prompt": "A cat", "settings": "steps=40"})
    assert text_of(sent) == "**设置**：Demo 没有其他参数；请不要填。"


async def test_what_the_books_refuse_is_said_in_the_members_language(world: World) -> None:
    reads(world, world.alice, CHINESE)
    await decide(world, "credits revoke", member=world.alice, amount=100)
    text = await told(world.alice, world, "wan video", prompt="A cat")
    assert text.startswith("需要 1 积分；你有 0。")
    assert not english_in(text)


async def test_a_moderator_reads_chinese_and_the_log_channel_the_communitys_language(world: World) -> None:
    reads(world, world.mona, CHINESE)
    log = world.guild.create_text_channel("log")
    assert "日志频道" in await decide(world, "log", channel=log)
    text = await decide(world, "credits grant", member=world.alice, amount=5)
    assert "105" in text
    assert not english_in(text)
    lines = [message.content for message in log.history()]
    assert any("100 → 105" in line and "credits grant" in line for line in lines)
    assert not [line for line in lines if any("\u4e00" <= each <= "\u9fff" for each in line)]


async def test_a_report_is_written_in_the_language_of_the_moderators(world: World) -> None:
    reads(world, world.bob, CHINESE)
    log = world.guild.create_text_channel("log")
    await decide(world, "log", channel=log)
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    (job,) = await world.jobs()
    assert await told(world.bob, world, "wan report", job=job.id, reason="Rude") == "谢谢。管理员已经收到。"
    report = next(message for message in log.history() if "has reported" in message.content)
    assert labels(report) == ["Remove"]
    community_reads(world, CHINESE)
    await world.alice.slash(world.channel, "wan report", job=job.id, reason="Rude")
    report = next(message for message in log.history() if "举报了" in message.content)
    assert labels(report) == ["移除"]


async def test_a_pause_is_told_in_the_communitys_language(pair: World, vendor: PixelDojoImitation) -> None:
    community_reads(pair, CHINESE)
    log = pair.guild.create_text_channel("log")
    await decide(pair, "log", channel=log)
    vendor.key = "another"
    card = await pair.video(prompt="A cat", model="pixeldojo/wan-2.2-standard")
    await pair.advance(10)
    assert any("**PixelDojo** 暂时不接任务：" in message.content for message in log.history())
    assert text_of(card).startswith("失败\n")
    assert "这个模型暂时不能用" in text_of(card)
    assert "这些模型也能做：`vtrix/wan22_t2v_plus`。" in text_of(card)


@pytest.mark.parametrize(
    "command", ["balance", "help", "history", "models", "privacy", "queue", "settings", "preset list"]
)
async def test_a_member_reads_no_english_in_any_list(command: str, world: World) -> None:
    reads(world, world.alice, CHINESE)
    await world.video(prompt="猫", duration=2)
    await world.finish()
    assert english_in(await told(world.alice, world, f"wan {command}")) == []


@pytest.mark.parametrize(
    "command",
    ["allowance show", "credits show", "limits show", "models list", "options show", "providers", "usage"],
)
async def test_a_moderator_reads_no_english_in_any_list(command: str, world: World) -> None:
    reads(world, world.mona, CHINESE)
    await decide(world, "limits set", member_jobs=2, duration=5, adult="nowhere")
    options = {"member": world.alice} if command == "credits show" else {}
    answer = await world.mona.slash(world.channel, f"wan-admin {command}", **options)
    message = answer.followups[-1] if answer.followups else answer.response
    assert english_in(all_text(message)) == []


def _shown(form: simcord.InteractionResult) -> Any:
    """What a form shows."""
    return form.modal
