"""What members receive by themselves, what moderators give, and what everybody together may spend."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest

from tests.discord.steps import (
    accepted,
    accepted_elsewhere,
    ask,
    cancel_all,
    decide,
    give_role,
    refused,
    take_role,
    until,
)
from tests.discord.worlds import World

SECOND = timedelta(seconds=1)
#: a story begins on Thursday, 1 January 2026
TOMORROW = datetime(2026, 1, 2, tzinfo=UTC)
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("undecided_elsewhere")


@pytest.fixture(autouse=True)
async def usual_allowance_elsewhere(world: World) -> AsyncGenerator[None]:
    """Whatever a story decides, alice has in the other guild what everybody has."""
    yield
    there = await ask(world.alice_elsewhere, world.elsewhere_channel, "balance")
    assert "Allowance: 100 credits each day, the next <t:" in there


async def balance(world: World) -> str:
    """What alice reads of her credits, which must add up."""
    text = await ask(world.alice, world.channel, "balance")
    check_sum(text)
    return text


def check_sum(text: str) -> None:
    """What was there at the beginning and what moved since then make what is available."""
    (available,) = re.findall(r"^Available: ([\d,]+)$", text, re.MULTILINE)
    (opening,) = re.findall(r"^([\d,]+) at the beginning$", text, re.MULTILINE)
    moved = re.findall(r"^([+\u2212])([\d,]+) ", text, re.MULTILINE)
    numbers = [(-1 if sign == "\u2212" else 1) * number(amount) for sign, amount in moved]
    assert number(opening) + sum(numbers) == number(available), text


def number(text: str) -> int:
    return int(text.replace(",", ""))


async def spend(world: World, credits: int) -> None:  # noqa: A002 - it is what they are called
    """Let alice make a video at this price."""
    await decide(world, "models price", model="demo", credits=credits)
    await accepted(world)
    await world.finish()


async def available(world: World) -> int:
    """What alice has now, with what is due."""
    (found,) = re.findall(r"Available: ([\d,]+)", await balance(world))
    return number(found)


@pytest.mark.parametrize(("period", "end"), [("day", TOMORROW), ("week", MONDAY), ("month", FEBRUARY)])
async def test_an_allowance_comes_when_the_next_period_begins_in_utc(world: World, period: str, end: datetime) -> None:
    said = await decide(world, "allowance set", amount=40, period=period)
    assert "Before: 100 credits each day" in said
    assert f"Now: 40 credits each {period}" in said
    stamp = int(end.timestamp())
    shown = await decide(world, "allowance show")
    assert f"Everybody: 40 credits each {period}" in shown
    assert f"The next {period} begins <t:{stamp}:R>, on <t:{stamp}:f>." in shown
    assert f"Allowance: 40 credits each {period}, the next <t:{stamp}:R>." in await balance(world)
    await spend(world, 30)
    await until(world, end - SECOND)
    assert "Available: 10" in await balance(world)
    await until(world, end)
    text = await balance(world)
    assert "Available: 40" in text
    assert f"Since <t:{stamp}:f>" in text
    assert "10 at the beginning\n+40 allowance\n\u221210 expired, more than may pile up" in text


async def test_up_to_the_cap_an_allowance_piles_up_and_the_rest_expires(world: World) -> None:
    assert "at most 120 pile up" in await decide(world, "allowance set", amount=50, period="day", cap=120)
    assert "Allowance: 50 credits each day" in await balance(world)
    assert "Up to 120 pile up." in await balance(world)
    amounts: list[int] = []
    for days in range(1, 5):
        await until(world, TOMORROW + timedelta(days=days))
        amounts.append(await available(world))
    # the second of January was missed, and is not made up for
    assert amounts == [100, 120, 120, 120]
    assert "\u221250 expired" in await balance(world)


async def test_what_is_held_is_not_counted_by_the_cap(world: World) -> None:
    await decide(world, "allowance set", amount=50, period="day")
    await decide(world, "models price", model="demo", credits=30)
    await accepted(world)
    await until(world, TOMORROW)
    assert await available(world) == 50
    text = await balance(world)
    assert "Held: 30" in text
    assert "20 at the beginning\n+50 allowance\n\u221220 expired" in text
    await cancel_all(world)
    text = await balance(world)
    assert "Available: 80" in text
    assert "+30 back from earlier videos" in text


async def test_changing_the_length_starts_a_new_period_and_repeating_it_gives_nothing(world: World) -> None:
    assert await available(world) == 100
    for _ in range(3):
        await decide(world, "allowance set", amount=30, period="week", cap=500)
        assert await available(world) == 130
    await decide(world, "allowance set", amount=30, period="day", cap=500)
    assert await available(world) == 130, "the day has had its hundred already"


async def test_a_higher_amount_gives_the_difference_and_a_lower_one_takes_nothing(world: World) -> None:
    assert await available(world) == 100
    await decide(world, "allowance set", amount=150, period="day")
    assert await available(world) == 150
    await decide(world, "allowance set", amount=20, period="day")
    assert await available(world) == 150
    await until(world, TOMORROW)
    assert await available(world) == 20


async def test_without_an_allowance_members_are_told_who_gives_credits(world: World) -> None:
    assert "Now: none" in await decide(world, "allowance set", amount=0, period="week")
    text = await balance(world)
    assert "Available: 0" in text
    assert "Moderators give credits here: there is no allowance." in text
    assert "you have 0. Ask a moderator for more." in await refused(world)


# --- roles ------------------------------------------------------------------------------------------


async def test_the_best_role_wins_and_only_the_difference_comes_within_a_period(world: World) -> None:
    silver, gold = world.guild.create_role("Silver"), world.guild.create_role("Gold")
    await decide(world, "allowance set", amount=50, period="day")
    assert "Before: as everybody\nNow: 80 credits each day" in await decide(
        world, "allowance role", role=silver, amount=80
    )
    await decide(world, "allowance role", role=gold, amount=200)
    assert f"{silver.mention}: 80 credits each day\n{gold.mention}: 200 credits" in await decide(
        world, "allowance show"
    )
    assert await available(world) == 50
    give_role(world, world.alice, silver)
    assert await available(world) == 80
    give_role(world, world.alice, gold)
    text = await balance(world)
    assert "Available: 200" in text
    assert "+200 allowance" in text
    assert f"Allowance: 200 credits each day, for {gold.mention}, the next <t:" in text
    bob = await decide(world, "credits show", member=world.bob)
    assert "Available: 50" in bob
    assert f"Allowance: 50 credits each day, the next <t:{int(TOMORROW.timestamp())}:R>." in bob


async def test_who_loses_a_role_keeps_what_came_and_gets_less_from_the_next_period_on(world: World) -> None:
    gold = world.guild.create_role("Gold")
    await decide(world, "allowance set", amount=50, period="day")
    await decide(world, "allowance role", role=gold, amount=200)
    give_role(world, world.alice, gold)
    assert await available(world) == 200
    take_role(world, world.alice, gold)
    assert await available(world) == 200
    give_role(world, world.alice, gold)
    assert await available(world) == 200
    take_role(world, world.alice, gold)
    await until(world, TOMORROW)
    assert await available(world) == 50


async def test_a_roles_amount_is_taken_away_by_nought(world: World) -> None:
    gold = world.guild.create_role("Gold")
    give_role(world, world.alice, gold)
    for _ in range(2):
        await decide(world, "allowance role", role=gold, amount=200)
    assert await available(world) == 200
    for _ in range(2):
        assert "Now: as everybody" in await decide(world, "allowance role", role=gold, amount=0)
    await until(world, TOMORROW)
    assert await available(world) == 100


async def test_a_role_below_everybodys_amount_takes_nothing_and_the_answer_says_so(world: World) -> None:
    muted = world.guild.create_role("Muted")
    give_role(world, world.alice, muted)
    said = await decide(world, "allowance role", role=muted, amount=30)
    assert "Now: 30 credits each day (everybody's 100 is more, and counts)" in said
    assert await available(world) == 100


async def test_everybodys_role_is_not_one_to_set(world: World) -> None:
    said = await decide(world, "allowance role", role=world.guild.default_role, amount=500)
    assert "Use `/wan-admin allowance set`" in said
    assert await available(world) == 100


async def test_a_cap_below_what_somebody_receives_is_refused_and_changes_nothing(world: World) -> None:
    gold = world.guild.create_role("Gold")
    said = await decide(world, "allowance set", amount=50, period="day", cap=40)
    assert "**cap**: at most 40 would pile up, but somebody receives 50 at once." in said
    await decide(world, "allowance set", amount=50, period="day", cap=100)
    said = await decide(world, "allowance role", role=gold, amount=200)
    assert "**amount**: at most 100 pile up here" in said
    assert "raise the cap with `/wan-admin allowance set`" in said
    assert gold.mention not in await decide(world, "allowance show")
    await decide(world, "allowance role", role=gold, amount=100)
    said = await decide(world, "allowance set", amount=10, period="day", cap=99)
    assert "somebody receives 100 at once" in said
    shown = await decide(world, "allowance show")
    assert "Everybody: 50 credits each day, at most 100 pile up" in shown


# --- given and taken --------------------------------------------------------------------------------


async def test_what_moderators_give_is_spent_last_and_never_expires(world: World) -> None:
    await decide(world, "allowance set", amount=50, period="day")
    await decide(world, "credits grant", member=world.alice, amount=30)
    text = await balance(world)
    assert "+50 allowance\n+30 given by moderators" in text
    assert "Of the available, 50 came from the allowance and go first; 30 were given and never expire." in text
    await spend(world, 60)
    text = await balance(world)
    assert "Available: 20" in text
    assert "came from the allowance" not in text
    await until(world, TOMORROW)
    text = await balance(world)
    assert "Available: 70" in text
    assert "Of the available, 50 came from the allowance and go first; 20 were given" in text
    assert "expired" not in text


async def test_the_cap_does_not_count_what_moderators_gave(world: World) -> None:
    await decide(world, "credits grant", member=world.alice, amount=900)
    await until(world, TOMORROW)
    assert await available(world) == 1000


async def test_the_balance_explains_every_way_in_which_credits_come_and_go(world: World) -> None:
    await decide(world, "allowance set", amount=50, period="day")
    await decide(world, "credits grant", member=world.alice, amount=1000)
    await decide(world, "credits revoke", member=world.alice, amount=3)
    await spend(world, 7)
    await accepted(world)
    text = await balance(world)
    assert text.startswith("Available: 1,033\nHeld: 7\n")
    assert "What is held belongs to videos under way" in text
    lines = text.splitlines()
    begin = lines.index("0 at the beginning")
    assert lines[begin + 1 : begin + 5] == [
        "+50 allowance",
        "+1,000 given by moderators",
        "\u22123 taken by moderators",
        "\u221214 for videos",
    ]
    shown = await decide(world, "credits show", member=world.alice)
    assert shown == f"{world.alice.mention}\n{text}", "moderators read the same"
    await world.finish()
    assert (await balance(world)).startswith("Available: 1,033\nHeld: 0\n")


# --- the guild's budget -----------------------------------------------------------------------------


async def test_a_used_up_budget_stops_all_spending_until_the_next_period(world: World) -> None:
    said = await decide(world, "limits set", guild_budget=3)
    assert "Now: `guild_budget`: up to 3 credits each day" in said
    for who in (world.alice, world.alice, world.bob):
        await accepted(world, who)
    stamp = int(TOMORROW.timestamp())
    for who in (world.alice, world.bob, world.mona):
        said = await refused(world, who)
        assert "This community's budget for today is 3 credits: 0 left, and this video costs 1." in said
        assert f"The budget starts again <t:{stamp}:R>." in said
    await accepted_elsewhere(world)
    await world.finish()
    assert "budget" in await refused(world), "what was spent counts as what was held"
    await until(world, TOMORROW - SECOND)
    assert "budget" in await refused(world)
    await until(world, TOMORROW)
    await accepted(world)


async def test_a_video_that_was_not_made_leaves_the_budget_as_it_was(world: World) -> None:
    await decide(world, "limits set", guild_budget=1)
    await accepted(world)
    assert "0 left" in await refused(world, world.bob)
    await cancel_all(world)
    await accepted(world, world.bob)


async def test_a_video_that_costs_more_than_the_budget_leaves_is_refused_and_a_cheaper_one_is_not(world: World) -> None:
    await decide(world, "limits set", guild_budget=10)
    await decide(world, "models price", model="demo", credits=7)
    await accepted(world)
    assert "10 credits: 3 left, and this video costs 7." in await refused(world, world.bob)
    await decide(world, "models price", model="demo", credits=3)
    await accepted(world, world.bob)
    assert "0 left" in await refused(world)


async def test_what_was_held_before_the_period_is_not_counted_in_it(world: World) -> None:
    await decide(world, "limits set", guild_budget=1)
    await accepted(world)
    await until(world, TOMORROW)
    await accepted(world, world.bob)
    await world.finish()
    assert "0 left" in await refused(world)


async def test_without_a_budget_again_nothing_is_refused(world: World) -> None:
    await decide(world, "limits set", guild_budget=1)
    await accepted(world)
    await refused(world)
    for _ in range(2):
        await decide(world, "limits set", guild_budget=0)
    await accepted(world)
