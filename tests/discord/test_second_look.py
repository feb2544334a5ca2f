"""What a reading with fresh eyes has found: in the button for another model, presets, threads and orders."""

from __future__ import annotations

from typing import Any

import discord
import pytest
import simcord
from discord.webhook.async_ import AsyncWebhookAdapter

from bot.database.engine import Connection
from bot.jobs.job import Reason, State
from bot.privacy import store
from tests.discord.steps import ask, decide, give_role, refused
from tests.discord.test_discord_in_trouble import refusal
from tests.discord.test_orders import hear, redeliver
from tests.discord.test_other_models import (
    OFFER,
    T2V,
    T2V_NAME,
    WAN_22,
    asked,
    balance,
    entries,
    held_up,
    turned_budgets,
)
from tests.discord.test_threads import videos_in
from tests.discord.tongues import CHINESE, reads
from tests.discord.worlds import World, all_text, is_private, labels, text_of
from tests.imitations.pixeldojo import NO_CREDITS, PixelDojoImitation, Route

UNKNOWN_INTERACTION = 10062

__all__ = ["turned_budgets"]


async def asked_to_delete(world: World, video: discord.Message) -> simcord.ResponseMessage:
    """The question before a video is deleted."""
    asked = (await world.alice.click(video, label="Delete")).response
    assert asked is not None
    return asked


async def test_a_dear_other_model_can_be_paid_with_what_the_first_one_frees(
    pair: World, vendor: PixelDojoImitation
) -> None:
    await decide(pair, "credits revoke", member=pair.alice, amount=185)
    await decide(pair, "limits set", confirm_above=5)
    await vendor.stop()
    asked_first = await pair.alice.slash(pair.channel, "wan video", prompt="A cat", model=WAN_22)
    assert asked_first.response is not None
    card = (await pair.alice.click(asked_first.response, label="Go")).response
    assert card is not None
    for _number in range(6):
        await pair.advance(31)
    assert await balance(pair) == (0, 15)
    question = (await pair.alice.click(card, label=OFFER)).response
    assert question is not None
    assert f"This costs 10 of your 15 credits: {T2V_NAME}" in question.content
    await pair.alice.click(question, label="Go")
    assert await balance(pair) == (5, 10)
    await pair.finish()
    new, old = await pair.jobs()
    assert (await entries(pair, old), await entries(pair, new)) == (["hold", "release"], ["hold", "settle"])
    assert await balance(pair) == (5, 0)


async def test_a_press_that_changes_options_says_so_first(pair: World, vendor: PixelDojoImitation) -> None:
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    card = await asked(pair, settings="steps=40", resolution="480p")
    question = (await pair.alice.click(card, label=OFFER)).response
    assert question is not None
    assert question.ephemeral
    assert question.content.startswith("The nearest model can't do everything as you wished; it changes `settings`.\n")
    assert f"This costs 10 of your 200 credits: {T2V_NAME}, 480p, 5 s. Go?" in question.content
    assert labels(question) == ["Go", "Stop"]
    assert await balance(pair) == (200, 0)
    await pair.alice.click(question, label="Go")
    await pair.finish()
    new, old = await pair.jobs()
    assert (new.state, new.replaces, new.request.parameters) == (State.SUCCEEDED, old.id, {})
    assert await balance(pair) == (190, 0)


async def test_a_press_for_a_video_that_was_just_cancelled_says_so(pair: World, vendor: PixelDojoImitation) -> None:
    card = await held_up(pair, vendor)
    (job,) = await pair.jobs()
    cancelling = pair.app.services.cancelling
    await cancelling.cancel(job.id, guild_id=job.guild_id, user_id=job.user_id, moderates=lambda _job: False)
    # the card doesn't show it yet
    said = await pair.alice.click(card, label=OFFER)
    assert is_private(said)
    assert text_of(said) == "It has ended already."
    assert await balance(pair) == (200, 0)


async def test_nobody_gets_a_model_that_is_denied_to_their_role_by_waiting(
    pair: World, vendor: PixelDojoImitation
) -> None:
    await decide(pair, "options set", fallback=True)
    novices = pair.guild.create_role("Novices")
    give_role(pair, pair.alice, novices)
    await decide(pair, "models deny", model=T2V, role=novices)
    assert f"`{T2V}` isn't allowed here" in await refused(pair, model=T2V)
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    card = await asked(pair)
    (job,) = await pair.jobs()
    assert (job.state, job.reason) == (State.FAILED, Reason.PROVIDER_PAUSED)
    assert labels(card) == []
    assert await balance(pair) == (200, 0)


async def test_a_press_whose_answer_comes_too_late_still_goes_on_on_a_card_of_its_own(
    pair: World, vendor: PixelDojoImitation, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = await held_up(pair, vendor)

    async def too_late(*_args: Any, **_options: Any) -> Any:
        raise refusal(404, UNKNOWN_INTERACTION)

    with monkeypatch.context() as patch:
        patch.setattr(AsyncWebhookAdapter, "create_interaction_response", too_late)
        await pair.alice.click(card, label=OFFER)
    # nobody could answer it
    for each in pair.env.backend.interactions.values():
        each.responded = True
    await pair.finish()
    new, old = await pair.jobs()
    assert "It goes on with another model, on a card of its own." in all_text(card)
    assert (new.state, new.replaces, old.reason) == (State.SUCCEEDED, old.id, Reason.REPLACED)
    assert new.card_message_id is not None
    assert len(pair.posted()) == 1
    assert await balance(pair) == (190, 0)


async def test_a_video_that_is_removed_is_not_posted_again_by_an_order_of_before(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    await dojo.video(prompt="A cat", model=WAN_22)
    vendor.finish(vendor.submissions[0].job_id)
    await dojo.finish()
    (video,), (job,) = dojo.posted(), await dojo.jobs()
    question = await asked_to_delete(dojo, video)
    await redeliver(dojo, job)
    await dojo.alice.click(question, label="Remove it for good")
    await hear(dojo)
    assert dojo.posted() == []
    (job,) = await dojo.jobs()
    assert (job.late_until, job.video_path) == (None, None)


async def test_the_thread_of_a_removed_video_does_not_tell_what_it_was(world: World) -> None:
    await decide(world, "options set", threads=True)
    await world.video(prompt="Somebody's secret", duration=2)
    await world.finish()
    (thread,) = world.channel.threads
    assert thread.name == "Somebody's secret"
    (video,) = videos_in(thread)
    await world.alice.click(await asked_to_delete(world, video), label="Remove it for good")
    assert [each.name for each in world.channel.threads] == ["A video that was removed"]


async def test_a_thread_that_can_not_be_renamed_keeps_nobody_from_deleting(world: World) -> None:
    await decide(world, "options set", threads=True)
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    (thread,) = world.channel.threads
    question = await asked_to_delete(world, videos_in(thread)[0])
    inner = world.app.bot.http.request

    async def refusing(route: Any, **options: Any) -> Any:
        if route.method == "PATCH" and route.path == "/channels/{channel_id}":
            raise refusal(403, 50013)
        return await inner(route, **options)

    world.app.bot.http.request = refusing
    pressed = await world.alice.click(question, label="Remove it for good")
    assert is_private(pressed)
    assert question.content == "The video was removed."
    assert videos_in(thread) == []
    assert thread.name == "A cat"


async def test_refusals_name_options_as_the_members_own_menu_does(world: World) -> None:
    await world.video(prompt="A cat", duration=2, resolution="480p")
    await world.finish()
    await ask(world.alice, world.channel, "preset save", name="small")
    reads(world, world.alice, CHINESE)
    said = await refused(world, preset="big")
    assert said.startswith("**预设**：")
    await decide(world, "models deny", model="demo")
    said = await refused(world, preset="small")
    assert said.startswith("**模型**：")
    assert "`模型`" in said.splitlines()[-1]
    assert text_of(await world.alice.slash(world.channel, "wan preset delete", name="big")).startswith("**名称**：")


async def test_what_another_process_has_deleted_of_a_guild_that_was_left_is_not_remembered(world: World) -> None:
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    await ask(world.alice, world.channel, "preset save", name="small")
    assert "**small**" in await ask(world.alice, world.channel, "preset list")
    services, here = world.app.services, world.guild.id
    await services.leaving.left(here)

    def delete_guild(connection: Connection) -> None:
        store.delete_guild(connection, here)

    # the process that looks after what is kept needn't be the one that serves the guild
    await services.database.write(delete_guild)
    await services.leaving.came_back(here)
    assert "There is no preset yet" in await ask(world.alice, world.channel, "preset list")
