"""What somebody tried who wants more than is theirs."""

from __future__ import annotations

import asyncio
from typing import Any

import discord

from bot.communities.words import BlockedWord, broken_rule
from tests.discord.steps import accepted, decide, refused
from tests.discord.worlds import World, is_private, labels, picture, text_of


async def made(world: World, **options: Any) -> discord.Message:
    """Alice's finished video."""
    await world.video(**{"prompt": "A cat", "duration": 2, **options})
    await world.finish()
    return world.posted()[-1]


def test_no_rule_makes_a_prompt_take_long() -> None:
    rules = [BlockedWord(1, "*a* *a* *a* *b*"), BlockedWord(2, "*a *a *a *b"), BlockedWord(3, "a* *a* a*b")]
    # with a pattern that goes back this takes hours, and the test its time limit
    assert broken_rule(" ".join(["a" * 1499] * 4), rules) is None
    assert broken_rule("xax bab aaa cabc", rules) == 1


async def test_a_video_that_could_not_be_posted_counts_since_it_is_given_out_again(world: World) -> None:
    await decide(world, "limits set", member_period_jobs=2)
    for number in range(2):
        own = world.guild.create_text_channel(f"own-{number}")
        await world.alice.slash(own, "wan video", prompt="Free", duration=2)
        await world.work()
        world.env.backend.delete_channel(own.id)
        await world.finish()
    assert "your 2 videos" in await refused(world)
    assert (await world.account()).available == 100


async def test_keeping_things_for_a_shorter_time_is_asked_about_first(world: World) -> None:
    await made(world)
    await world.env.advance_time(3 * 86_400)
    asked = await world.mona.slash(world.channel, "wan-admin options set", keep_days=1)
    assert "It can't be undone" in text_of(asked)
    await world.app.services.retention.run_once()
    assert (await world.jobs())[0].purged_at is None
    assert asked.response is not None
    answer = await world.mona.click(asked.response, label="Delete what is older")
    assert "Now: 1 day" in text_of(answer)
    await world.app.services.retention.run_once()
    assert (await world.jobs())[0].purged_at is not None
    assert "Now: 40 days" in await decide(world, "options set", keep_days=40)


async def test_a_report_suggests_only_what_stands_in_the_same_channel(world: World) -> None:
    await made(world, prompt="The surprise for Bob")
    other = world.guild.create_text_channel("elsewhere")
    assert await world.bob.autocomplete(other, "wan report", "job", "") == []
    assert len(await world.bob.autocomplete(world.channel, "wan report", "job", "")) == 1


async def test_a_moderator_of_one_channel_is_none_in_another(world: World) -> None:
    overwrites: dict[Any, discord.PermissionOverwrite] = {world.bob: discord.PermissionOverwrite(manage_messages=True)}
    own = world.guild.create_text_channel("bobs-corner", overwrites=overwrites)
    await world.video(prompt="A cat", duration=2)
    (job,) = await world.open_jobs()
    assert "only they can cancel it" in text_of(await world.bob.slash(own, "wan cancel", job=job.id))
    assert "Stopped" in text_of(await world.mona.slash(own, "wan cancel", job=job.id))


async def test_extend_answers_in_time_however_long_the_last_picture_takes(world: World) -> None:
    video = await made(world)
    inner = world.app.services.videos.last_frame

    async def slow(*files: Any) -> None:
        await asyncio.sleep(1.5)
        await inner(*files)

    object.__setattr__(world.app.services.videos, "last_frame", slow)
    form = await world.alice.click(video, label="Extend")
    sent = await world.alice.submit_modal(form, {"prompt": "It jumps"})
    assert text_of(sent).startswith(("Queued", "Running"))
    await world.finish()


async def test_a_video_that_can_not_be_deleted_is_not_said_to_be(world: World) -> None:
    video = await made(world)

    class Forbidden:
        status, reason = 403, "Forbidden"

    async def refuse(*_: Any, **__: Any) -> None:
        raise discord.Forbidden(Forbidden(), {"code": 50001, "message": "Missing Access"})  # pyright: ignore[reportArgumentType]

    inner, world.app.bot.http.delete_message = world.app.bot.http.delete_message, refuse  # pyright: ignore[reportAttributeAccessIssue]
    asked = await world.mona.click(video, label="Delete")
    assert asked.response is not None
    refusal = await world.mona.click(asked.response, label="Remove it for good")
    assert "**View Channel**" in text_of(refusal)
    world.app.bot.http.delete_message = inner
    await world.mona.click(asked.response, label="Remove it for good")
    assert text_of(asked) == "The video was removed."


async def test_rules_about_a_deleted_channel_or_role_go_with_it(world: World) -> None:
    films, gold = world.guild.create_text_channel("films"), world.guild.create_role("Gold")
    await decide(world, "channels allow", channel=films)
    await decide(world, "allowance role", role=gold, amount=5000)
    await refused(world)
    world.env.backend.delete_channel(films.id)
    world.env.backend.delete_role(world.guild.id, gold.id)
    await world.env.advance_time(1)
    await accepted(world)
    assert "Now: 50 credits" in await decide(world, "allowance set", amount=50, period="day", cap=100)


async def test_what_was_removed_is_not_made_again(world: World) -> None:
    video = await made(world, image=("a.png", picture()))
    form = await world.bob.click(video, label="Edit and rerun")

    async def keep(*_: Any, **__: Any) -> None:
        """The simulation takes no form of a message that is gone."""

    world.app.bot.http.delete_message = keep  # pyright: ignore[reportAttributeAccessIssue]
    asked = await world.alice.click(video, label="Delete")
    assert asked.response is not None
    await world.alice.click(asked.response, label="Remove it for good")
    again = await world.bob.submit_modal(form, {"prompt": "The same"})
    assert "Nothing is kept of this video any more" in text_of(again)


async def test_a_question_is_answered_by_the_one_who_was_asked_and_by_today_s_roles(world: World) -> None:
    vip = world.guild.create_role("VIP")
    carol = world.guild.add_member(world.env.create_user("carol"), roles=[vip])
    await decide(world, "models price", model="demo", credits=20)
    await decide(world, "limits set", confirm_above=19)
    await decide(world, "models deny", model="demo")
    await decide(world, "models allow", model="demo", role=vip)
    asked = await carol.slash(world.channel, "wan video", prompt="A cat")
    assert asked.response is not None
    assert labels(asked.response) == ["Go", "Stop"]
    world.env.backend.remove_member_role(world.guild.id, carol.id, vip.id)
    refusal = await carol.click(asked.response, label="Go")
    assert is_private(refusal)
    assert "isn't allowed here any more" in text_of(refusal)
    assert text_of(asked) == "It wasn't started."


async def test_only_one_question_is_open_for_each_member(world: World) -> None:
    await decide(world, "models price", model="demo", credits=20)
    await decide(world, "limits set", confirm_above=19)
    questions = [
        await world.alice.slash(world.channel, "wan video", prompt="A cat", image=("a.png", picture()))
        for _ in range(3)
    ]
    assert len(list((world.settings.data_dir / "inputs").iterdir())) == 1
    first, *_, last = [each.response for each in questions]
    assert first is not None
    assert last is not None
    assert "too old" in text_of(await world.alice.click(first, label="Go"))
    assert text_of(await world.alice.click(last, label="Go")).startswith("Queued")
    await world.finish()


async def test_a_hidden_picture_gives_a_hidden_video(world: World) -> None:
    video = await made(world, image=("SPOILER_a.png", picture()))
    assert video.attachments[0].is_spoiler()


async def test_a_form_for_a_model_that_makes_nothing_here_is_not_opened(dojo: World) -> None:
    await decide(dojo, "limits set", resolution="480p")
    answer = await dojo.alice.slash(dojo.channel, "wan compose", model="pixeldojo/wan-2.7-i2v")
    assert "within this community's limits" in text_of(answer)
