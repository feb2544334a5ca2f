"""What members ask about: balance, models, queue, history, help; and cancel."""

from __future__ import annotations

import simcord

from providers.types import ModelSpec, TaskStatus
from tests.discord.worlds import World, is_private, labels, text_of


async def test_the_balance_tells_available_held_and_when_more_comes(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin credits show", member=world.alice)
    for _ in range(7):
        await world.alice.slash(world.channel, "wan video", prompt="A cat", duration=2)
    answer = await world.alice.slash(world.channel, "wan balance")
    assert is_private(answer)
    assert "Available: 93" in text_of(answer)
    assert "Held: 7" in text_of(answer)
    assert "100 credits each day, the next <t:" in text_of(answer)


async def test_the_allowance_comes_again_and_does_not_pile_up(world: World) -> None:
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    assert (await world.account()).available == 99
    await world.env.advance_time(24 * 3600)
    answer = await world.alice.slash(world.channel, "wan balance")
    assert "Available: 100" in text_of(answer)
    again = await world.alice.slash(world.channel, "wan balance")
    assert "Available: 100" in text_of(again)


async def test_models_tell_what_they_can_do_and_cost(world: World) -> None:
    text = text_of(await world.alice.slash(world.channel, "wan models"))
    for part in ("`demo`", "480p, 720p or 1080p", "2 to 10 seconds", "1 credit", "a first image"):
        assert part in text


async def test_options_are_suggested_while_typing(world: World) -> None:
    models = await world.alice.autocomplete(world.channel, "wan video", "model", "", prompt="x")
    assert [each["name"] for each in models] == ["Demo · 1 credit"]
    resolutions = await world.alice.autocomplete(world.channel, "wan video", "resolution", "", prompt="x")
    assert [each["value"] for each in resolutions] == ["480p", "720p", "1080p"]
    durations = await world.alice.autocomplete(world.channel, "wan video", "duration", "1", prompt="x", model="demo")
    assert [each["value"] for each in durations] == [10]


async def test_the_queue_shows_ones_own_prompts_but_not_those_of_others(world: World) -> None:
    assert "Nothing is being made" in text_of(await world.alice.slash(world.channel, "wan queue"))
    await world.alice.slash(world.channel, "wan video", prompt="My secret party", duration=2)
    mine = text_of(await world.alice.slash(world.channel, "wan queue"))
    theirs = text_of(await world.bob.slash(world.channel, "wan queue"))
    assert "My secret party" in mine
    assert "My secret party" not in theirs
    assert f"<@{world.alice.id}>" in theirs
    there = await world.alice_elsewhere.slash(world.elsewhere_channel, "wan queue")
    assert "Nothing is being made" in text_of(there)


async def test_a_fourth_video_waits_and_its_card_says_where(world: World) -> None:
    answers: list[simcord.InteractionResult] = []
    for number in range(5):
        answers.append(await world.alice.slash(world.channel, "wan video", prompt=f"Cat {number}", duration=2))
        await world.env.advance_time(0.1)
    await world.work()
    titles = [answer.response.embeds[0].title for answer in answers if answer.response is not None]
    assert titles == ["Running", "Running", "Running", "Queued", "Queued"]
    assert "Place 1 in the queue" in text_of(answers[3])
    assert "Place 2 in the queue" in text_of(answers[4])
    await world.finish()
    assert len(world.posted()) == 5


async def test_a_waiting_video_is_cancelled_and_costs_nothing(world: World) -> None:
    answer = await world.alice.slash(world.channel, "wan video", prompt="A cat")
    assert answer.response is not None
    said = await world.alice.click(answer.response, label="Cancel")
    assert is_private(said)
    assert "1 credit went back" in text_of(said)
    await world.work()
    assert answer.response.embeds[0].title == "Cancelled"
    assert labels(answer.response) == []
    account = await world.account()
    assert (account.available, account.held) == (100, 0)
    await world.advance(60)
    assert world.posted() == []


async def test_a_running_demo_is_cancelled_by_command(world: World) -> None:
    answer = await world.video(prompt="A cat")
    assert text_of(answer).startswith("Running")
    said = await world.alice.slash(world.channel, "wan cancel")
    assert "went back" in text_of(said)
    await world.advance(10)
    assert text_of(answer).startswith("Cancelled")
    assert (await world.account()).available == 100


async def test_nobody_else_can_cancel_but_a_moderator(world: World) -> None:
    answer = await world.alice.slash(world.channel, "wan video", prompt="A cat")
    assert answer.response is not None
    said = await world.bob.click(answer.response, label="Cancel")
    assert f"This is <@{world.alice.id}>'s video" in text_of(said)
    assert "went back" in text_of(await world.mona.click(answer.response, label="Cancel"))


async def test_cancel_says_why_it_can_not(world: World) -> None:
    assert "None of your videos" in text_of(await world.alice.slash(world.channel, "wan cancel"))
    assert "no such job" in text_of(await world.alice.slash(world.channel, "wan cancel", job="nonsense"))
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    (job,) = await world.jobs()
    assert "ended already" in text_of(await world.alice.slash(world.channel, "wan cancel", job=job.id))
    elsewhere = await world.alice_elsewhere.slash(world.elsewhere_channel, "wan cancel", job=job.id)
    assert "no such job" in text_of(elsewhere)


async def test_history_gives_a_video_again_for_nothing(world: World) -> None:
    assert "no video here yet" in text_of(await world.alice.slash(world.channel, "wan history"))
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    (job,) = await world.jobs()
    assert "A cat" in text_of(await world.alice.slash(world.channel, "wan history"))
    again = await world.alice.slash(world.channel, "wan history", job=job.id)
    assert is_private(again)
    assert again.response is not None
    assert await again.response.attachments[0].read() == await world.posted()[0].attachments[0].read()
    assert (await world.account()).available == 99
    assert "no such video of yours" in text_of(await world.bob.slash(world.channel, "wan history", job=job.id))


async def test_help_fits_on_one_page(world: World) -> None:
    answer = await world.alice.slash(world.channel, "wan help")
    assert is_private(answer)
    for command in ("/wan video", "/wan balance", "/wan models", "/wan queue", "/wan cancel", "/wan history"):
        assert command in text_of(answer)


async def test_a_cancelled_video_is_looked_at_no_more(world: World) -> None:
    await world.video(prompt="A cat")
    await world.alice.slash(world.channel, "wan cancel")
    looks: list[str] = []
    provider = world.app.services.registry.providers["demo"]
    inner = provider.status

    async def status(task_id: str, model: ModelSpec) -> TaskStatus:
        looks.append(task_id)
        return await inner(task_id, model)

    provider.status = status
    await world.advance(150)
    assert looks == []


async def test_long_answers_end_with_whole_lines(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin credits grant", member=world.alice, amount=1000)
    for number in range(20):
        await world.alice.slash(world.channel, "wan video", prompt=f"{number} " + "x" * 100, duration=2)
        await world.env.advance_time(0.1)
    for command in ("wan queue", "wan history"):
        text = text_of(await world.alice.slash(world.channel, command))
        assert len(text) <= 2000
        assert all(line.endswith(")") or line.startswith("… and ") for line in text.splitlines())
