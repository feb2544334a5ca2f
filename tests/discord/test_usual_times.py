"""How long models usually take, as members see it."""

from __future__ import annotations

import re

import pytest

from bot.jobs.durations import Durations, kind_of
from bot.jobs.job import Request
from providers.types import Mode
from tests.discord.worlds import World, text_of

#: what ``/wan video prompt`` of the demo asks for
REQUEST = Request(prompt="", mode=Mode.TEXT, resolution="480p", duration=5)


def teach(durations: Durations, *ends: float) -> None:
    for end in ends:
        durations.learn(kind_of("demo", REQUEST), (end - 1, end + 1))


@pytest.mark.parametrize(
    ("seconds", "told"), [(2.0, "about 5 s"), (41.0, "about 40 s"), (89.0, "about 90 s"), (200.0, "about 3 min")]
)
async def test_the_usual_time_of_a_model_is_suggested_with_its_price(world: World, seconds: float, told: str) -> None:
    async def names() -> list[str]:
        found = await world.alice.autocomplete(world.channel, "wan video", "model", "", prompt="x")
        return [each["name"] for each in found]

    teach(world.app.services.durations, *[seconds] * 7)
    assert await names() == ["Demo · 1 credit"]
    teach(world.app.services.durations, seconds)
    assert await names() == [f"Demo · 1 credit · {told}"]


async def test_a_card_expects_what_finished_videos_have_taught(world: World) -> None:
    teach(world.app.services.durations, *[60.0 + number for number in range(60)])
    answer = await world.video(prompt="A cat", resolution="480p", duration=5)
    expected = re.search(r"Expected <t:(\d+):R> to <t:(\d+):R>", text_of(answer))
    assert expected is not None
    (job,) = await world.open_jobs()
    assert job.submitted_at is not None
    early, late = (int(each) - job.submitted_at.timestamp() for each in expected.groups())
    assert 65 < early < 80
    assert 105 < late < 125


async def test_every_video_that_was_made_teaches(world: World) -> None:
    for _ in range(8):
        await world.alice.slash(world.channel, "wan video", prompt="A cat", resolution="480p", duration=2)
        await world.finish()
    usual = world.app.services.durations.usual_seconds("demo")
    assert usual is not None
    # as long as the demo lets a job take, and what drawing takes in simulated time
    assert usual > 3
