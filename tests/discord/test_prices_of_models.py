"""A guild's own prices, and the model that is taken when a member names none."""

from __future__ import annotations

import pytest
import simcord

from tests.discord.steps import (
    accepted,
    accepted_elsewhere,
    ask,
    audited,
    decide,
    decided,
    refused,
)
from tests.discord.worlds import World, picture, text_of

WAN_22 = "pixeldojo/wan-2.2-standard"
WAN_27 = "pixeldojo/wan-2.7-i2v"
FIRST_IMAGE = ("cat.png", picture())


pytestmark = pytest.mark.usefixtures("undecided_elsewhere")


async def names(who: simcord.MemberActor, channel: simcord.ChannelHandle) -> list[str]:
    """What is suggested for ``model``, with prices."""
    found = await who.autocomplete(channel, "wan video", "model", "", prompt="x")
    return [each["name"] for each in found]


@pytest.mark.parametrize(
    ("own", "price", "listed"),
    [
        ({"credits": 20}, 20, "20 credits for each video"),
        ({"credits": 1}, 1, "1 credit for each video"),
        ({"factor": 2.5}, 3, "3 credits (2.5 times the catalogue's price)"),
        ({"factor": 0.5}, 1, "1 credit (0.5 times the catalogue's price)"),
        ({"factor": 1.0}, 1, "1 credit (1 times the catalogue's price)"),
        ({"factor": 100.0}, 100, "100 credits (100 times the catalogue's price)"),
    ],
)
async def test_an_own_price_is_shown_wherever_prices_are_and_is_what_is_charged(
    world: World, own: dict[str, float], price: int, listed: str
) -> None:
    said = await decide(world, "models price", model="demo", **own)
    assert "Price of `demo`\nBefore: the catalogue's price\nNow: " in said
    text = "1 credit" if price == 1 else f"{price} credits"
    assert text in said
    assert f"· {text}" in await ask(world.alice, world.channel, "models")
    assert await names(world.alice, world.channel) == [f"Demo · {text}"]
    found = await world.mona.autocomplete(world.channel, "wan-admin models price", "model", "")
    assert [each["name"] for each in found] == [f"demo · {text}"]
    assert await decide(world, "models list") == f"`demo`: allowed · {listed}"
    assert f"Price: {text}" in await accepted(world)
    assert (await world.account()).held == price
    await world.finish()
    account = await world.account()
    assert (account.available, account.held) == (100 - price, 0)

    assert "· 1 credit" in await ask(world.alice_elsewhere, world.elsewhere_channel, "models")
    assert await names(world.alice_elsewhere, world.elsewhere_channel) == ["Demo · 1 credit"]
    assert "Price: 1 credit" in await accepted_elsewhere(world)


async def test_a_free_video_is_made_by_who_has_nothing(world: World) -> None:
    assert "Now: free" in await decide(world, "models price", model="demo", credits=0)
    await decide(world, "credits revoke", member=world.alice, amount=100)
    assert await names(world.alice, world.channel) == ["Demo · free"]
    await accepted(world)
    await world.finish()
    assert len(world.posted()) == 1
    account = await world.account()
    assert (account.available, account.held) == (0, 0)


async def test_the_catalogues_price_comes_back(world: World) -> None:
    await decide(world, "models price", model="demo", credits=20)
    for before in ("20 credits for each video", "the catalogue's price"):
        said = await decide(world, "models price", model="demo")
        assert f"Before: {before}\nNow: the catalogue's price (1 credit)" in said
    assert await decide(world, "models list") == "`demo`: allowed · 1 credit"
    assert "Price: 1 credit" in await accepted(world)


async def test_of_two_prices_the_last_holds(world: World) -> None:
    await decide(world, "models price", model="demo", credits=20)
    said = await decide(world, "models price", model="demo", factor=3.0)
    assert "Before: 20 credits for each video\nNow: 3 times the catalogue's price (3 credits)" in said
    assert "Price: 3 credits" in await accepted(world)
    await decide(world, "models price", model="demo", credits=4)
    assert "Price: 4 credits" in await accepted(world)


async def test_both_at_once_are_refused_and_change_nothing(world: World) -> None:
    said = await decide(world, "models price", model="demo", credits=20, factor=2.0)
    assert "give either `credits` or `factor`, not both" in said
    assert (await decided(world)).prices == {}
    assert await audited(world) == []


@pytest.mark.parametrize("factor", [0.0, 0.001, -1.0, 100.5])
async def test_a_factor_out_of_range_is_never_taken(world: World, factor: float) -> None:
    with pytest.raises(simcord.OptionError):
        await world.mona.slash(world.channel, "wan-admin models price", model="demo", factor=factor)
    assert (await decided(world)).prices == {}


async def test_what_was_accepted_keeps_its_price(world: World) -> None:
    answer = await world.alice.slash(world.channel, "wan video", prompt="A cat", duration=2)
    await decide(world, "models price", model="demo", credits=50)
    assert "Price: 1 credit" in text_of(answer)
    await world.finish()
    account = await world.account()
    assert (account.available, account.held) == (99, 0)


async def test_who_cannot_pay_the_own_price_is_told_of_that_one(world: World) -> None:
    await decide(world, "models price", model="demo", credits=101)
    assert "This costs 101 credits; you have 100. More come <t:" in await refused(world)
    await accepted_elsewhere(world)


@pytest.mark.parametrize("command", ["models allow", "models deny", "models price", "models default"])
async def test_a_model_that_nobody_knows_is_refused_by_name(world: World, command: str) -> None:
    said = await decide(world, command, model="vendor/`x`")
    assert "**model**: `vendor/x` isn't a model that I know. There are: `demo`." in said
    assert await audited(world) == []


# --- several models ---------------------------------------------------------------------------------


async def test_a_factor_raises_every_price_of_its_model_and_of_no_other(dojo: World) -> None:
    before = await decide(dojo, "models list")
    assert f"`{WAN_27}`: allowed · 25 to 225 credits\n" in before
    await decide(dojo, "models price", model=WAN_27, factor=1.1)
    after = await decide(dojo, "models list")
    # 2 s at 720p are 5 of the vendor's credits, 15 s at 1080p are 45; each rounded up once
    assert f"`{WAN_27}`: allowed · 28 to 248 credits (1.1 times the catalogue's price)\n" in after
    assert [line for line in before.splitlines() if WAN_27 not in line] == [
        line for line in after.splitlines() if WAN_27 not in line
    ]
    found = await names(dojo.alice, dojo.channel)
    assert found == ["Wan 2.2 Standard · 15 credits", "Wan 2.7 Image to Video · 28 to 248 credits", "Demo · 1 credit"]
    card = await accepted(dojo, model=WAN_27, image=FIRST_IMAGE, duration=5)
    assert "Price: 72 credits" in card  # 65 times 1.1 is 71.5


async def test_a_flat_price_is_the_same_whatever_the_options(dojo: World) -> None:
    await decide(dojo, "models price", model=WAN_27, credits=9)
    card = await accepted(dojo, model=WAN_27, image=FIRST_IMAGE, resolution="1080p", duration=15)
    assert "Price: 9 credits" in card


async def test_the_default_model_is_taken_when_none_is_named(dojo: World) -> None:
    assert "Model: Wan 2.2 Standard" in await accepted(dojo, dojo.bob, duration=5)
    said = await decide(dojo, "models default", model="demo")
    assert "Default model\nBefore: none\nNow: `demo`" in said
    assert "`demo`: allowed · 1 credit · default" in await decide(dojo, "models list")
    assert "Model: Demo" in await accepted(dojo)
    assert "Model: Wan 2.2 Standard" in await accepted(dojo, dojo.bob, duration=5), "his last one"
    assert "Model: Wan 2.2 Standard" in await accepted_elsewhere(dojo, duration=5)


async def test_a_default_model_that_can_not_is_refused_and_never_swapped(dojo: World) -> None:
    await decide(dojo, "models default", model=WAN_27)
    said = await refused(dojo)
    assert "**image**: Wan 2.7 Image to Video can't start from text alone" in said
    assert "Model: Wan 2.7" in await accepted(dojo, image=FIRST_IMAGE, duration=5)


async def test_without_a_default_model_again_the_first_that_can_is_taken(dojo: World) -> None:
    await decide(dojo, "models default", model="demo")
    for before in ("`demo`", "none"):
        assert f"Before: {before}\nNow: none" in await decide(dojo, "models default")
    assert "Model: Wan 2.2 Standard" in await accepted(dojo, duration=5)


async def test_a_default_model_that_a_member_may_not_use_is_not_theirs(dojo: World) -> None:
    vip = dojo.guild.create_role("VIP")
    await decide(dojo, "models default", model="demo")
    await decide(dojo, "models deny", model="demo")
    await decide(dojo, "models allow", model="demo", role=vip)
    carol = dojo.guild.add_member(dojo.env.create_user("carol"), roles=[vip])
    assert "Model: Demo" in await accepted(dojo, carol)
    assert "Model: Wan 2.2 Standard" in await accepted(dojo, duration=5)
