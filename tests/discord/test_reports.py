"""A video that shouldn't be here is reported, and removed by a moderator."""

from __future__ import annotations

import simcord
from sqlalchemy import select

from bot.database.tables import audit
from tests.discord.worlds import World, all_text, is_private, labels, text_of


async def posted_video(world: World) -> str:
    """Alice's finished video: the id of its job."""
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    (job,) = await world.jobs()
    return job.id


async def log_channel(world: World) -> simcord.ChannelHandle:
    channel = world.guild.create_text_channel("wan-log")
    await world.mona.slash(world.channel, "wan-admin log", channel=channel)
    return channel


async def deeds(world: World) -> list[tuple[str, int, str]]:
    rows = await world.app.services.database.read(lambda c: c.execute(select(audit).order_by(audit.c.id)).all())
    return [(row.action, row.actor_id, row.reason) for row in rows if row.action.startswith("results.")]


async def test_a_report_reaches_the_log_channel_and_a_moderator_removes_the_video(world: World) -> None:
    job_id = await posted_video(world)
    channel = await log_channel(world)
    answer = await world.bob.slash(world.channel, "wan report", job=job_id, reason="It shows @everyone")
    assert is_private(answer)
    assert text_of(answer) == "Thank you. The moderators have it."
    report = channel.history()[-1]
    assert f"<@{world.bob.id}> has reported <@{world.alice.id}>'s video" in report.content
    assert "Prompt: A cat" in report.content
    assert "@everyone" not in report.content
    assert labels(report) == ["Remove"]
    asked = await world.mona.click(report, label="Remove")
    assert is_private(asked)
    assert "can't be undone" in text_of(asked)
    assert len(world.posted()) == 1
    assert asked.response is not None
    await world.mona.click(asked.response, label="Remove it for good")
    assert text_of(asked) == "The video was removed."
    assert world.posted() == []
    assert world.channel.history() == []
    assert list((world.settings.data_dir / "videos").iterdir()) == []
    assert await deeds(world) == [
        ("results.report", world.bob.id, "It shows @everyone"),
        ("results.remove", world.mona.id, ""),
    ]
    assert "**Removed**" in text_of(await world.alice.slash(world.channel, "wan history"))
    assert (await world.account()).available == 99


async def test_the_button_on_the_video_asks_what_is_wrong(world: World) -> None:
    await posted_video(world)
    channel = await log_channel(world)
    (video,) = world.posted()
    assert labels(video)[-1] == "Report"
    form = await world.bob.click(video, label="Report")
    answer = await world.bob.submit_modal(form, {"reason": "Not for children"})
    assert text_of(answer) == "Thank you. The moderators have it."
    assert "Why: Not for children" in channel.history()[-1].content
    again = await world.bob.submit_modal(await world.bob.click(video, label="Report"), {"reason": ""})
    assert "reported this video already" in text_of(again)
    assert len(await deeds(world)) == 1


async def test_without_a_log_channel_a_report_is_in_the_audit(world: World) -> None:
    job_id = await posted_video(world)
    answer = await world.bob.slash(world.channel, "wan report", job=job_id, reason="Ugly")
    assert text_of(answer) == "Thank you. The moderators find it in their audit."
    page = await world.mona.slash(world.channel, "wan-admin audit", action="results")
    assert "**results report**" in text_of(page)
    assert "Ugly" in text_of(page)


async def test_only_moderators_remove_and_a_moderator_of_one_guild_only_there(world: World) -> None:
    job_id = await posted_video(world)
    channel = await log_channel(world)
    await world.bob.slash(world.channel, "wan report", job=job_id)
    refused = await world.bob.click(channel.history()[-1], label="Remove")
    assert is_private(refused)
    assert "Only they can delete it, and moderators" in text_of(refused)
    elsewhere = world.elsewhere.add_member(world.env.create_user("max"))
    unknown = await elsewhere.slash(world.elsewhere_channel, "wan report", job=job_id)
    assert "no such posted video here" in text_of(unknown)
    found = await elsewhere.autocomplete(world.elsewhere_channel, "wan report", "job", "")
    assert found == []
    assert len(world.posted()) == 1


async def test_what_a_moderator_has_deleted_by_hand_is_removed_all_the_same(world: World) -> None:
    job_id = await posted_video(world)
    channel = await log_channel(world)
    await world.bob.slash(world.channel, "wan report", job=job_id)
    for message in world.channel.history():
        await message.delete()
    asked = await world.mona.click(channel.history()[-1], label="Remove")
    assert asked.response is not None
    await world.mona.click(asked.response, label="Remove it for good")
    assert text_of(asked) == "The video was removed."
    again = await world.bob.slash(world.channel, "wan report", job=job_id)
    assert "removed already" in text_of(again)


async def test_reports_find_the_video_while_typing(world: World) -> None:
    job_id = await posted_video(world)
    found = await world.bob.autocomplete(world.channel, "wan report", "job", "ca")
    assert [each["value"] for each in found] == [job_id]
    assert "A cat" in all_text(world.channel.history()[0])
