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
from tests.discord.conftest import SimulatedLinks
from tests.discord.restarts import restarted
from tests.discord.steps import decide, refused
from tests.discord.worlds import World, is_private, labels, open_world, picture, text_of
from tests.imitations.pixeldojo import NO_CREDITS, PixelDojoImitation, Route

WAN_22 = "pixeldojo/wan-2.2-standard"
OFFER = "Use Demo for 1 credit"


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
    dojo: World, vendor: PixelDojoImitation
) -> None:
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    card = await asked(dojo, image=("a.png", picture()), resolution="480p", seed=7)
    assert card.embeds[0].title == "Failed"
    assert labels(card) == [OFFER]
    assert await balance(dojo) == (200, 0)
    pressed = await dojo.alice.click(card, label=OFFER)
    assert not is_private(pressed)
    text = text_of(pressed)
    assert text.startswith("Queued")
    assert "Model: Demo" in text
    assert "480p · 5 s · from an image · seed 7" in text
    assert "The first model couldn't be reached; its credits went back." in text
    assert await balance(dojo) == (199, 1)
    await dojo.finish()
    new, old = await dojo.jobs()
    assert (new.state, new.replaces, old.reason) == (State.SUCCEEDED, old.id, Reason.PROVIDER_PAUSED)
    assert await entries(dojo, old) == ["hold", "release"]
    assert await entries(dojo, new) == ["hold", "settle"]
    assert await balance(dojo) == (199, 0)
    again = await dojo.alice.click(card, label=OFFER)
    assert text_of(again) == "It goes on with another model already, on a card of its own."
    assert await balance(dojo) == (199, 0)


async def test_nobody_else_chooses_another_model_for_a_video(dojo: World, vendor: PixelDojoImitation) -> None:
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    card = await asked(dojo)
    for other in (dojo.bob, dojo.mona):
        said = await other.click(card, label=OFFER)
        assert is_private(said)
        assert "only they can choose another model" in text_of(said)
    assert len(await dojo.jobs()) == 1


async def test_a_video_that_waits_for_its_provider_moves_on_at_a_press_after_a_restart(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    card = await held_up(dojo, vendor)
    assert card.embeds[0].title == "Queued"
    assert labels(card) == [OFFER, "Cancel", "Refresh"]
    assert "The provider can't be reached at the moment" in (card.embeds[0].description or "")
    assert await balance(dojo) == (185, 15)
    async with restarted(dojo):
        pressed = await dojo.alice.click(card, label=OFFER)
        assert text_of(pressed).startswith("Queued")
        assert await balance(dojo) == (199, 1)
        await dojo.finish()
        new, old = await dojo.jobs()
        assert (old.state, old.reason) == (State.CANCELLED, Reason.REPLACED)
        assert card.embeds[0].title == "Cancelled"
        assert "It goes on with another model" in (card.embeds[0].description or "")
        assert labels(card) == []
        assert await entries(dojo, old) == ["hold", "release"]
        assert await entries(dojo, new) == ["hold", "settle"]
        assert vendor.submissions == []


async def test_nothing_is_offered_while_a_provider_is_only_slow_or_nothing_else_may_be_used(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    await decide(dojo, "models deny", model="demo")
    card = await held_up(dojo, vendor)
    assert labels(card) == ["Cancel", "Refresh"]
    await decide(dojo, "models allow", model="demo")
    young = await asked(dojo)
    assert labels(young) == ["Cancel", "Refresh"]
    await dojo.advance(31)
    assert OFFER in labels(card)
    assert OFFER not in labels(young)


async def test_a_paused_model_that_is_named_is_answered_with_an_offer(dojo: World, vendor: PixelDojoImitation) -> None:
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    await asked(dojo)
    answer = await dojo.alice.slash(
        dojo.channel, "wan video", prompt="A dog", model=WAN_22, resolution="480p", settings="steps=40"
    )
    assert is_private(answer)
    assert answer.response is not None
    text = text_of(answer)
    assert "can't be used at the moment" in text
    assert "it changes `settings`" in text
    assert "This costs 1 of your 200 credits: Demo, 480p, 5 s. Go?" in text
    assert labels(answer.response) == [OFFER, "Stop"]
    assert await balance(dojo) == (200, 0)
    pressed = await dojo.alice.click(answer.response, label=OFFER)
    assert text_of(pressed).startswith("Queued")
    await dojo.finish()
    newest = (await dojo.jobs())[0]
    assert (newest.model, newest.request.prompt, newest.request.parameters) == ("demo", "A dog", {})
    assert await balance(dojo) == (199, 0)


async def test_an_offer_in_an_answer_is_too_old_after_a_restart(dojo: World, vendor: PixelDojoImitation) -> None:
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    await asked(dojo)
    answer = await dojo.alice.slash(dojo.channel, "wan video", prompt="A dog", model=WAN_22)
    assert answer.response is not None
    async with restarted(dojo):
        said = await dojo.alice.click(answer.response, label=OFFER)
        assert "too old" in text_of(said)
        assert await balance(dojo) == (200, 0)


async def test_a_price_that_has_changed_since_is_asked_about(dojo: World, vendor: PixelDojoImitation) -> None:
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    card = await asked(dojo)
    await decide(dojo, "models price", model="demo", credits=30)
    pressed = await dojo.alice.click(card, label=OFFER)
    assert is_private(pressed)
    assert "This costs 30 of your 200 credits: Demo" in text_of(pressed)
    assert pressed.response is not None
    await dojo.alice.click(pressed.response, label="Go")
    assert await balance(dojo) == (170, 30)
    await dojo.finish()
    new, old = await dojo.jobs()
    assert new.replaces == old.id


async def test_another_model_goes_on_by_itself_where_moderators_want_that(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    await decide(dojo, "options set", fallback=True)
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    card = await asked(dojo, image=("a.png", picture()), resolution="480p")
    assert card.embeds[0].title == "Failed"
    assert "It goes on with another model" in (card.embeds[0].description or "")
    assert labels(card) == []
    assert await balance(dojo) == (199, 1)
    await dojo.finish()
    new, old = await dojo.jobs()
    assert (new.state, new.model, new.replaces) == (State.SUCCEEDED, "demo", old.id)
    assert (old.state, old.reason) == (State.FAILED, Reason.REPLACED)
    assert await entries(dojo, old) == ["hold", "release"]
    assert await entries(dojo, new) == ["hold", "settle"]
    (video,) = dojo.posted()
    assert video.reference is not None
    shown = next(each for each in dojo.channel.history() if each.id == video.reference.message_id)
    assert shown.id == new.card_message_id != old.card_message_id
    assert "The first model couldn't be reached" in str(shown.embeds[0].to_dict())
    assert [each.filename for each in shown.attachments] == ["image.png"]
    assert new.request.image is not None
    assert new.request.image.path.startswith(new.id)


async def test_what_waits_for_minutes_goes_on_by_itself_too(dojo: World, vendor: PixelDojoImitation) -> None:
    await decide(dojo, "options set", fallback=True)
    card = await held_up(dojo, vendor)
    assert card.embeds[0].title == "Failed"
    await dojo.finish()
    new, old = await dojo.jobs()
    assert (new.state, old.reason) == (State.SUCCEEDED, Reason.REPLACED)
    assert await balance(dojo) == (199, 0)
    assert vendor.submissions == []


@pytest.mark.parametrize("why", ["dearer", "another length", "with settings", "off"])
async def test_nothing_goes_on_by_itself_that_is_dearer_or_not_the_same(
    dojo: World, vendor: PixelDojoImitation, why: str
) -> None:
    await decide(dojo, "options set", fallback=why != "off")
    if why == "dearer":
        await decide(dojo, "models price", model="demo", credits=16)
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    options = {"settings": "steps=40"} if why == "with settings" else {}
    if why == "another length":
        # by the time that its vendor says no, the video is longer than the community allows
        answer = await dojo.alice.slash(dojo.channel, "wan video", prompt="A cat", model=WAN_22, duration=5)
        await decide(dojo, "limits set", duration=4)
        await dojo.work()
        assert answer.response is not None
        card = answer.response
    else:
        card = await asked(dojo, **options)
    assert card.embeds[0].title == "Failed"
    assert len(await dojo.jobs()) == 1
    assert labels(card)[0].startswith("Use Demo for ")


async def test_a_video_goes_on_by_itself_once(dojo: World, vendor: PixelDojoImitation) -> None:
    await decide(dojo, "options set", fallback=True)
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    await asked(dojo)
    (new, _old) = await dojo.jobs()
    assert new.replaces is not None
    await dojo.advance(31)
    await dojo.finish()
    assert len(await dojo.jobs()) == 2


async def test_a_death_before_or_after_the_change_of_models_leaves_one_hold(tmp_path: Path) -> None:
    async with PixelDojoImitation(key="pd_test", fetch=SimulatedLinks()) as vendor:
        environment = {
            "PIXELDOJO_API_KEY": "pd_test",
            "PIXELDOJO_BASE_URL": vendor.base_url,
            "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
            "DEFAULT_ALLOWANCE": "200",
        }
        async with open_world(tmp_path, environment) as world:
            await decide(world, "options set", fallback=True)
            vendor.fault_next(Route.SUBMIT, NO_CREDITS)
            await asked(world)
            new, old = await world.jobs()
            # the change is committed, and nobody was told: no card, no wake
            assert new.card_message_id is None
            assert await balance(world) == (199, 1)
            async with restarted(world):
                await world.finish()
            new, old = await world.jobs()
            assert (new.state, new.replaces) == (State.SUCCEEDED, old.id)
            assert await entries(world, old) == ["hold", "release"]
            assert await balance(world) == (199, 0)
            assert len(world.posted()) == 1


async def test_another_guild_goes_on_as_it_decided_itself(dojo: World, vendor: PixelDojoImitation) -> None:
    await decide(dojo, "options set", fallback=True)
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    answer = await dojo.alice_elsewhere.slash(dojo.elsewhere_channel, "wan video", prompt="A cat", model=WAN_22)
    await dojo.work()
    assert answer.response is not None
    assert labels(answer.response) == [OFFER]
    account = await dojo.account(dojo.alice, dojo.elsewhere)
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


async def test_what_can_not_be_paid_leaves_the_first_video_as_it_was(dojo: World, vendor: PixelDojoImitation) -> None:
    await decide(dojo, "models price", model="demo", credits=201)
    card = await held_up(dojo, vendor)
    assert labels(card)[0] == "Use Demo for 201 credits"
    said = await dojo.alice.click(card, label="Use Demo for 201 credits")
    assert is_private(said)
    assert "This costs 201 credits; you have 200" in text_of(said)
    (job,) = await dojo.jobs()
    assert (job.state, await entries(dojo, job)) == (State.QUEUED, ["hold"])
    assert await balance(dojo) == (185, 15)
    assert list((dojo.settings.data_dir / "inputs").iterdir()) == []


async def test_two_presses_at_once_make_one_video(dojo: World, vendor: PixelDojoImitation) -> None:
    card = await held_up(dojo, vendor)
    job = (await dojo.jobs())[0]
    services = dojo.app.services
    prepared = [await services.requests.prepare(asking(dojo, job, number)) for number in (1, 2)]
    outcomes = await asyncio.gather(*(services.requests.accept(each, {}) for each in prepared), return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["Job", "Refusal"]
    assert len(await dojo.jobs()) == 2
    assert await balance(dojo) == (199, 1)
    assert await entries(dojo, job) == ["hold", "release"]
    said = await dojo.alice.click(card, label=OFFER)
    assert is_private(said)
    await dojo.finish()


def asking(world: World, job: Job, number: int) -> Ask:
    """A press of the button on a card."""
    return Ask(
        interaction_id=number,
        guild_id=job.guild_id,
        user_id=job.user_id,
        place=Place(channel_id=world.channel.id),
        wish=Wish(prompt="A cat", duration=5),
        model="demo",
        upload_limit=job.upload_limit,
        instead_of=job,
    )
