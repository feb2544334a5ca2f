"""Before a video that costs much, the member is asked."""

from __future__ import annotations

from tests.discord.worlds import World, is_private, labels, picture, text_of


async def ask_above(world: World, credits_: int) -> None:
    await world.mona.slash(world.channel, "wan-admin limits set", confirm_above=credits_)


async def test_a_dear_video_is_asked_about_and_starts_with_go(dojo: World) -> None:
    await ask_above(dojo, 4)
    asked = await dojo.alice.slash(dojo.channel, "wan video", prompt="A cat", model="demo", image=("a.png", picture()))
    assert not is_private(asked), "what costs no more than the threshold isn't asked about"
    await dojo.finish()
    asked = await dojo.alice.slash(
        dojo.channel, "wan video", prompt="A cat", model="pixeldojo/wan-2.2-standard", image=("a.png", picture())
    )
    assert is_private(asked)
    assert asked.response is not None
    assert labels(asked.response) == ["Go", "Stop"]
    price = 200 - (await dojo.account()).available  # of the first
    cost = int(text_of(asked).split("costs ")[1].split(" of")[0])
    assert f"This costs {cost} of your {200 - price} credits" in text_of(asked)
    assert cost > 4
    assert (await dojo.account()).held == 0
    started = await dojo.alice.click(asked.response, label="Go")
    assert not is_private(started)
    assert text_of(started).startswith("Queued")
    assert (await dojo.account()).held == cost
    assert text_of(asked) == "You said Go."
    await dojo.work()
    (job,) = await dojo.open_jobs()
    assert job.request.image is not None
    assert text_of(started).startswith("Running")


async def test_a_question_that_is_answered_with_stop_costs_nothing(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin models price", model="demo", credits=20)
    await ask_above(world, 19)
    asked = await world.alice.slash(world.channel, "wan video", prompt="A cat", image=("a.png", picture()))
    assert asked.response is not None
    await world.alice.click(asked.response, label="Stop")
    assert text_of(asked) == "Stopped; nothing was charged."
    assert labels(asked.response) == []
    assert await world.jobs() == []
    assert (await world.account()).available == 100
    assert list((world.settings.data_dir / "inputs").iterdir()) == []


async def test_a_question_is_answered_once_and_not_after_a_long_time(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin models price", model="demo", credits=20)
    await ask_above(world, 19)
    first = await world.alice.slash(world.channel, "wan video", prompt="A cat", image=("a.png", picture()))
    second = await world.alice.slash(world.channel, "wan video", prompt="A dog")
    assert first.response is not None
    assert second.response is not None
    buttons = second.response
    await world.alice.click(buttons, label="Go")
    await world.env.advance_time(15 * 60)
    late = await world.alice.click(first.response, label="Go")
    assert is_private(late)
    assert "too old" in text_of(late)
    assert len(await world.jobs()) == 1
    assert [each.name for each in (world.settings.data_dir / "inputs").iterdir()] == []
    await world.finish()


async def test_nobody_is_asked_about_what_they_cannot_pay(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin models price", model="demo", credits=101)
    await ask_above(world, 19)
    answer = await world.alice.slash(world.channel, "wan video", prompt="A cat")
    assert "This costs 101 credits; you have 100." in text_of(answer)
    assert answer.response is not None
    assert labels(answer.response) == []


async def test_between_question_and_go_the_rules_may_change(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin models price", model="demo", credits=20)
    await ask_above(world, 19)
    asked = await world.alice.slash(world.channel, "wan video", prompt="A cat")
    await world.mona.slash(world.channel, "wan-admin models deny", model="demo")
    assert asked.response is not None
    refused = await world.alice.click(asked.response, label="Go")
    assert is_private(refused)
    assert "isn't allowed here any more" in text_of(refused)
    assert (await world.account()).available == 100


async def test_the_threshold_of_one_guild_asks_nobody_in_another(world: World) -> None:
    await ask_above(world, 1)
    await world.mona.slash(world.channel, "wan-admin models price", model="demo", credits=20)
    there = await world.alice_elsewhere.slash(world.elsewhere_channel, "wan video", prompt="A cat", duration=2)
    assert not is_private(there)
    await world.mona.slash(world.channel, "wan-admin limits set", confirm_above=0)
    here = await world.alice.slash(world.channel, "wan video", prompt="A cat", duration=2)
    assert not is_private(here)
    await world.finish()


async def test_between_question_and_go_the_limits_may_change(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin models price", model="demo", credits=20)
    await ask_above(world, 19)
    asked = await world.alice.slash(world.channel, "wan video", prompt="A cat", duration=5, resolution="1080p")
    await world.mona.slash(world.channel, "wan-admin limits set", duration=4, resolution="720p")
    assert asked.response is not None
    refused = await world.alice.click(asked.response, label="Go")
    assert "**resolution**: This isn't allowed here any more." in text_of(refused)
    assert "**duration**: This isn't allowed here any more." in text_of(refused)
    assert (await world.account()).available == 100
