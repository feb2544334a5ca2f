"""Another model in place of one that can't be reached: offered to its member, or taken by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import simcord
from sqlalchemy import select

from bot.communities.rules import Place
from bot.database.tables import ledger_entries
from bot.jobs.job import Job, Reason, State
from bot.jobs.requests import Ask
from providers.budget import RequestBudget
from providers.options import Wish
from tests.discord.conftest import SimulatedLinks, with_dojo, with_vtrix
from tests.discord.restarts import restarted
from tests.discord.steps import accepted, decide, refused
from tests.discord.worlds import World, all_text, is_private, labels, open_world, picture, text_of
from tests.imitations.pixeldojo import NO_CREDITS, PixelDojoImitation, Route
from tests.imitations.vtrix import VtrixImitation

WAN_22 = "pixeldojo/wan-2.2-standard"
#: what Vtrix makes of a prompt, and of a picture
T2V, I2V = "vtrix/wan22_t2v_plus", "vtrix/wan22_i2v_flash"
T2V_NAME = "Wan 2.2 Text to Video Plus (Vtrix)"
OFFER = f"Use {T2V_NAME} for 10 credits"
OFFER_I2V = "Use Wan 2.2 Image to Video Flash (Vtrix) for 9 credits"


@pytest.fixture(autouse=True)
def turned_budgets(links: SimulatedLinks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the budgets of requests follow the clock of the story, too."""

    def seconds() -> float:
        return 0.0 if links.world is None else links.world.env.now().timestamp()

    defaults = RequestBudget.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "clock", seconds)


async def asked(world: World, **options: Any) -> simcord.ResponseMessage:
    """The card of a video that alice asks PixelDojo for, after the worker looked at it."""
    answer = await world.video(**{"prompt": "A cat", "model": WAN_22, **options})
    assert answer.response is not None
    return answer.response


async def held_up(world: World, vendor: PixelDojoImitation, **options: Any) -> simcord.ResponseMessage:
    """The card of a video whose vendor can't be reached for two minutes."""
    await vendor.stop()
    card = await asked(world, **options)
    for _ in range(5):
        await world.advance(31)
    return card


async def balance(world: World, who: simcord.MemberActor | None = None) -> tuple[int, int]:
    account = await world.account(who)
    return account.available, account.held


async def entries(world: World, job: Job) -> list[str]:
    """What was booked for a job."""
    query = select(ledger_entries.c.kind).where(ledger_entries.c.job_id == job.id).order_by(ledger_entries.c.id)
    return list(await world.app.services.database.read(lambda connection: connection.execute(query).scalars().all()))


async def test_a_video_whose_provider_is_paused_is_made_with_another_at_a_press(
    pair: World, vendor: PixelDojoImitation, vtrix: VtrixImitation
) -> None:
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    card = await asked(pair, image=("a.png", picture()), resolution="480p", seed=7)
    assert card.embeds[0].title == "Failed"
    assert labels(card) == [OFFER_I2V]
    assert f"These can do the same: `{I2V}`." in all_text(card)
    assert await balance(pair) == (200, 0)
    pressed = await pair.alice.click(card, label=OFFER_I2V)
    assert not is_private(pressed)
    text = text_of(pressed)
    assert text.startswith("Queued")
    assert "Model: Wan 2.2 Image to Video Flash (Vtrix)" in text
    assert "480p · 5 s · from an image · seed 7" in text
    assert "The first model couldn't be reached; its credits went back." in text
    assert await balance(pair) == (191, 9)
    # the card isn't edited yet
    again = await pair.alice.click(card, label=OFFER_I2V)
    assert text_of(again) == "It goes on with another model already, on a card of its own."
    await pair.finish()
    assert labels(card) == []
    assert [each.model for each in vtrix.submissions] == ["wan22_i2v_flash"]
    assert list(vtrix.submissions[0].media) == ["img_url"]
    new, old = await pair.jobs()
    assert (new.state, new.replaces, old.reason) == (State.SUCCEEDED, old.id, Reason.PROVIDER_PAUSED)
    assert await entries(pair, old) == ["hold", "release"]
    assert await entries(pair, new) == ["hold", "settle"]
    assert await balance(pair) == (191, 0)


async def test_nobody_else_chooses_another_model_for_a_video(pair: World, vendor: PixelDojoImitation) -> None:
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    card = await asked(pair)
    for other in (pair.bob, pair.mona):
        said = await other.click(card, label=OFFER)
        assert is_private(said)
        assert "only they can choose another model" in text_of(said)
    assert len(await pair.jobs()) == 1


async def test_a_video_that_waits_for_its_provider_moves_on_at_a_press_after_a_restart(
    pair: World, vendor: PixelDojoImitation
) -> None:
    card = await held_up(pair, vendor)
    assert card.embeds[0].title == "Queued"
    assert labels(card) == [OFFER, "Cancel", "Refresh"]
    assert "The provider can't be reached at the moment" in (card.embeds[0].description or "")
    assert await balance(pair) == (185, 15)
    async with restarted(pair):
        pressed = await pair.alice.click(card, label=OFFER)
        assert text_of(pressed).startswith("Queued")
        assert await balance(pair) == (190, 10)
        await pair.finish()
        new, old = await pair.jobs()
        assert (old.state, old.reason) == (State.CANCELLED, Reason.REPLACED)
        assert card.embeds[0].title == "Cancelled"
        assert "It goes on with another model" in (card.embeds[0].description or "")
        assert labels(card) == []
        assert await entries(pair, old) == ["hold", "release"]
        assert await entries(pair, new) == ["hold", "settle"]
        assert vendor.submissions == []


async def test_nothing_is_offered_while_a_provider_is_only_slow_or_nothing_else_may_be_used(
    pair: World, vendor: PixelDojoImitation
) -> None:
    await decide(pair, "models deny", model=T2V)
    card = await held_up(pair, vendor)
    assert labels(card) == ["Cancel", "Refresh"]
    await decide(pair, "models allow", model=T2V)
    young = await asked(pair)
    assert labels(young) == ["Cancel", "Refresh"]
    await pair.advance(31)
    assert OFFER in labels(card)
    assert OFFER not in labels(young)


async def test_a_paused_model_that_is_named_is_answered_with_an_offer(pair: World, vendor: PixelDojoImitation) -> None:
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    await asked(pair)
    answer = await pair.alice.slash(
        pair.channel, "wan video", prompt="A dog", model=WAN_22, resolution="480p", settings="steps=40"
    )
    assert is_private(answer)
    assert answer.response is not None
    text = text_of(answer)
    assert "can't be used at the moment" in text
    assert "it changes `settings`" in text
    assert f"This costs 10 of your 200 credits: {T2V_NAME}, 480p, 5 s. Go?" in text
    assert labels(answer.response) == [OFFER, "Stop"]
    assert await balance(pair) == (200, 0)
    pressed = await pair.alice.click(answer.response, label=OFFER)
    assert text_of(pressed).startswith("Queued")
    await pair.finish()
    newest = (await pair.jobs())[0]
    assert (newest.model, newest.request.prompt, newest.request.parameters) == (T2V, "A dog", {})
    assert await balance(pair) == (190, 0)


async def test_an_offer_in_an_answer_is_too_old_after_a_restart(pair: World, vendor: PixelDojoImitation) -> None:
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    await asked(pair)
    answer = await pair.alice.slash(pair.channel, "wan video", prompt="A dog", model=WAN_22, resolution="480p")
    assert answer.response is not None
    async with restarted(pair):
        said = await pair.alice.click(answer.response, label=OFFER)
        assert "too old" in text_of(said)
        assert await balance(pair) == (200, 0)


async def test_a_price_that_has_changed_since_is_asked_about(pair: World, vendor: PixelDojoImitation) -> None:
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    card = await asked(pair)
    await decide(pair, "models price", model=T2V, credits=30)
    pressed = await pair.alice.click(card, label=OFFER)
    assert is_private(pressed)
    assert f"This costs 30 of your 200 credits: {T2V_NAME}" in text_of(pressed)
    assert pressed.response is not None
    await pair.alice.click(pressed.response, label="Go")
    assert await balance(pair) == (170, 30)
    await pair.finish()
    new, old = await pair.jobs()
    assert new.replaces == old.id


async def test_another_model_goes_on_by_itself_where_moderators_want_that(
    pair: World, vendor: PixelDojoImitation
) -> None:
    await decide(pair, "options set", fallback=True)
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    card = await asked(pair, image=("a.png", picture()), resolution="480p")
    assert card.embeds[0].title == "Failed"
    assert "It goes on with another model" in (card.embeds[0].description or "")
    assert labels(card) == []
    assert await balance(pair) == (191, 9)
    await pair.finish()
    new, old = await pair.jobs()
    assert (new.state, new.model, new.replaces) == (State.SUCCEEDED, I2V, old.id)
    assert (old.state, old.reason) == (State.FAILED, Reason.REPLACED)
    assert await entries(pair, old) == ["hold", "release"]
    assert await entries(pair, new) == ["hold", "settle"]
    (video,) = pair.posted()
    assert video.reference is not None
    shown = next(each for each in pair.channel.history() if each.id == video.reference.message_id)
    assert shown.id == new.card_message_id != old.card_message_id
    assert "The first model couldn't be reached" in str(shown.embeds[0].to_dict())
    assert [each.filename for each in shown.attachments] == ["image.png"]
    assert new.request.image is not None
    assert new.request.image.path.startswith(new.id)


async def test_what_waits_for_minutes_goes_on_by_itself_too(pair: World, vendor: PixelDojoImitation) -> None:
    await decide(pair, "options set", fallback=True)
    card = await held_up(pair, vendor)
    assert card.embeds[0].title == "Failed"
    await pair.finish()
    new, old = await pair.jobs()
    assert (new.state, new.model, old.reason) == (State.SUCCEEDED, T2V, Reason.REPLACED)
    assert await balance(pair) == (190, 0)
    assert vendor.submissions == []


@pytest.mark.parametrize("why", ["dearer", "another length", "another size", "with settings", "off"])
async def test_nothing_goes_on_by_itself_that_is_dearer_or_not_the_same(
    pair: World, vendor: PixelDojoImitation, why: str
) -> None:
    await decide(pair, "options set", fallback=why != "off")
    if why == "dearer":
        await decide(pair, "models price", model=T2V, credits=16)
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    options: dict[str, Any] = {"another length": {"duration": 10}, "with settings": {"settings": "steps=40"}}
    if why == "another size":
        # by the time that its vendor says no, the video is larger than the community allows
        answer = await pair.alice.slash(pair.channel, "wan video", prompt="A cat", model=WAN_22, resolution="1080p")
        await decide(pair, "limits set", resolution="480p")
        await pair.work()
        assert answer.response is not None
        card = answer.response
    else:
        card = await asked(pair, **options.get(why, {}))
    assert card.embeds[0].title == "Failed"
    assert len(await pair.jobs()) == 1
    assert labels(card)[0].startswith(f"Use {T2V_NAME} for ")


async def test_a_video_goes_on_by_itself_once(pair: World, vendor: PixelDojoImitation, vtrix: VtrixImitation) -> None:
    await decide(pair, "options set", fallback=True)
    await decide(pair, "models price", model=T2V, credits=15)
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    await vtrix.stop()
    await asked(pair)
    (new, _old) = await pair.jobs()
    assert new.replaces is not None
    # the first vendor takes jobs again, while the second one can't be reached
    for _ in range(12):
        await pair.advance(31)
    assert len(await pair.jobs()) == 2
    new = (await pair.jobs())[0]
    card = next(each for each in pair.channel.history() if each.id == new.card_message_id)
    assert labels(card) == ["Use Wan 2.2 Standard for 15 credits", "Cancel", "Refresh"]


@pytest.mark.parametrize("fallback", [True, False])
async def test_a_drawing_is_neither_offered_nor_made_in_place_of_a_video(
    dojo: World, vendor: PixelDojoImitation, *, fallback: bool
) -> None:
    await decide(dojo, "options set", fallback=fallback)
    waiting = await held_up(dojo, vendor)
    assert waiting.embeds[0].title == "Queued"
    assert labels(waiting) == ["Cancel", "Refresh"]
    assert await balance(dojo) == (185, 15)
    await vendor.start(vendor.port)
    vendor.fault_always(Route.SUBMIT, NO_CREDITS)
    await dojo.advance(31)
    assert waiting.embeds[0].title == "Failed"
    assert labels(waiting) == []
    assert "demo" not in all_text(waiting).lower()
    (job,) = await dojo.jobs()
    assert (job.reason, job.offer_model, await entries(dojo, job)) == (
        Reason.PROVIDER_PAUSED,
        None,
        ["hold", "release"],
    )
    # nor is it in answer to a model that is named; who wants a drawing names it
    assert "can't be used at the moment" in await refused(dojo, model=WAN_22)
    await accepted(dojo, model="demo")
    assert await balance(dojo) == (199, 1)
    await dojo.finish()


async def test_a_death_before_or_after_the_change_of_models_leaves_one_hold(tmp_path: Path) -> None:
    async with PixelDojoImitation(key="pd_test", fetch=SimulatedLinks()) as vendor, VtrixImitation() as vtrix:
        vtrix.polls = 1
        async with open_world(tmp_path, with_dojo(vendor) | with_vtrix(vtrix)) as world:
            await decide(world, "options set", fallback=True)
            vendor.fault_next(Route.SUBMIT, NO_CREDITS)
            await asked(world)
            new, old = await world.jobs()
            # the change is committed, and nobody was told: no card, no wake
            assert new.card_message_id is None
            assert await balance(world) == (190, 10)
            async with restarted(world):
                await world.finish()
            new, old = await world.jobs()
            assert (new.state, new.replaces) == (State.SUCCEEDED, old.id)
            assert await entries(world, old) == ["hold", "release"]
            assert await balance(world) == (190, 0)
            assert len(vtrix.submissions) == 1
            assert len(world.posted()) == 1


async def test_another_guild_goes_on_as_it_decided_itself(pair: World, vendor: PixelDojoImitation) -> None:
    await decide(pair, "options set", fallback=True)
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    answer = await pair.alice_elsewhere.slash(pair.elsewhere_channel, "wan video", prompt="A cat", model=WAN_22)
    await pair.work()
    assert answer.response is not None
    assert labels(answer.response) == [OFFER]
    account = await pair.account(pair.alice, pair.elsewhere)
    assert (account.available, account.held) == (200, 0)


async def test_a_model_that_can_not_start_from_this_names_those_that_can(dojo: World) -> None:
    said = await refused(dojo, model="pixeldojo/wan-2.7-i2v")
    assert said.startswith("**image**: ")
    assert said.endswith("Models here that can: `pixeldojo/wan-2.2-standard`, `demo`.")
    await decide(dojo, "models deny", model="demo")
    await decide(dojo, "models deny", model=WAN_22)
    assert "Models here that can" not in await refused(dojo, model="pixeldojo/wan-2.7-i2v")


async def test_what_a_vendor_refuses_is_said_plainly_costs_nothing_and_is_not_sent_again(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    card = await asked(dojo)
    vendor.fail(vendor.submissions[0].job_id, "Our rules don't allow this")
    await dojo.finish()
    said = str(card.embeds[0].to_dict())
    assert "The provider says: Our rules don't allow this" in said
    assert "Nothing; 15 credits went back" in said
    assert labels(card) == []
    await dojo.advance(3600)
    assert len(vendor.submissions) == 1
    assert await balance(dojo) == (200, 0)


async def test_what_can_not_be_paid_leaves_the_first_video_as_it_was(pair: World, vendor: PixelDojoImitation) -> None:
    await decide(pair, "models price", model=T2V, credits=201)
    card = await held_up(pair, vendor)
    assert labels(card)[0] == f"Use {T2V_NAME} for 201 credits"
    said = await pair.alice.click(card, label=f"Use {T2V_NAME} for 201 credits")
    assert is_private(said)
    assert "This costs 201 credits; you have 200" in text_of(said)
    (job,) = await pair.jobs()
    assert (job.state, await entries(pair, job)) == (State.QUEUED, ["hold"])
    assert await balance(pair) == (185, 15)
    assert list((pair.settings.data_dir / "inputs").iterdir()) == []


async def test_two_presses_at_once_make_one_video(pair: World, vendor: PixelDojoImitation) -> None:
    card = await held_up(pair, vendor)
    job = (await pair.jobs())[0]
    services = pair.app.services
    prepared = [await services.requests.prepare(asking(pair, job, number)) for number in (1, 2)]
    outcomes = await asyncio.gather(*(services.requests.accept(each, {}) for each in prepared), return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["Job", "Refusal"]
    assert len(await pair.jobs()) == 2
    assert await balance(pair) == (190, 10)
    assert await entries(pair, job) == ["hold", "release"]
    said = await pair.alice.click(card, label=OFFER)
    assert is_private(said)
    await pair.finish()


def asking(world: World, job: Job, number: int) -> Ask:
    """A press of the button on a card."""
    return Ask(
        interaction_id=number,
        guild_id=job.guild_id,
        user_id=job.user_id,
        place=Place(channel_id=world.channel.id),
        wish=Wish(prompt="A cat", resolution="480p", duration=5),
        model=T2V,
        upload_limit=job.upload_limit,
        instead_of=job,
    )
