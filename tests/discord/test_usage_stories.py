"""Moderators see what their community has used, and nothing of any other."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import discord
import pytest
import simcord
from PIL import Image
from sqlalchemy import func, select

from bot.communities import usage_store
from bot.communities.usage import Costs, Days, usage_of
from bot.database.tables import accounts, ledger_entries
from tests.discord.worlds import World, is_private, text_of
from tests.imitations.pixeldojo import PixelDojoImitation


def moderator_elsewhere(world: World) -> simcord.MemberActor:
    """Somebody who may see the usage of the other guild."""
    role = world.elsewhere.create_role("Moderators", permissions=discord.Permissions(manage_guild=True))
    return world.elsewhere.add_member(world.env.create_user("nora"), roles=[role])


def files(answer: simcord.InteractionResult) -> Mapping[str, discord.Attachment]:
    """What is attached to an answer, by the end of its name."""
    assert answer.response is not None
    return {Path(each.filename).suffix: each for each in answer.response.attachments}


async def lines(answer: simcord.InteractionResult) -> list[dict[str, str]]:
    """The CSV of an answer."""
    text = (await files(answer)[".csv"].read()).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


async def spent_in(world: World, guild: simcord.GuildHandle) -> int:
    """What the ledger says was spent in a guild."""
    spent = select(-func.sum(ledger_entries.c.held_change)).join(accounts, accounts.c.id == ledger_entries.c.account_id)
    query = spent.where(accounts.c.guild_id == guild.id, ledger_entries.c.kind == "settle")
    return int(await world.app.services.database.read(lambda connection: connection.execute(query).scalar_one()))


async def drawn(world: World, names: Mapping[int, str], target: Path, days: int = 30) -> bytes:
    """The pixels of the picture that the guild should see."""
    services = world.app.services
    period = Days.until(services.clock(), days)
    tally = await services.database.read(partial(usage_store.tally, guild_id=world.guild.id, days=period))
    usage = usage_of(tally, period, Costs(pricing=services.pricing, specs=services.registry.every))
    await services.charts.draw_usage(usage, target, title="Here", names=names)
    return pixels(target.read_bytes())


def pixels(picture: bytes) -> bytes:
    with Image.open(io.BytesIO(picture)) as opened:
        assert (opened.format, opened.size) == ("PNG", (1200, 900))
        return opened.convert("RGB").tobytes()


async def videos_in_both_guilds(world: World) -> None:
    """Two of alice and one of bob are posted here, one is cancelled; and one is posted elsewhere."""
    await world.video(prompt="A cat", duration=2)
    await world.advance(1)
    await world.video(prompt="=A fox", duration=3)
    await world.advance(1)
    await world.bob.slash(world.channel, "wan video", prompt="A dog", duration=2)
    await world.alice_elsewhere.slash(world.elsewhere_channel, "wan video", prompt="A secret", duration=2)
    await world.finish()
    cancelled = await world.alice.slash(world.channel, "wan video", prompt="A cow", duration=2)
    assert cancelled.response is not None
    await world.alice.click(cancelled.response, label="Cancel")
    await world.work()


async def test_a_moderator_sees_the_usage_in_words_as_a_picture_and_as_a_csv(world: World, tmp_path: Path) -> None:
    await videos_in_both_guilds(world)
    answer = await world.mona.slash(world.channel, "wan-admin usage")
    assert is_private(answer)
    assert text_of(answer).splitlines() == [
        "**Usage, 3 December 2025 to 1 January 2026** (UTC)",
        "Spent: 3 credits, for 3 videos",
        "Asked for: 4 videos, by 2 members",
        "How they ended: 3 posted · 0 failed · 1 cancelled · 0 open",
        "Success rate: 100% of those that were posted or failed",
        "Upstream cost: US$ 0.03, estimated; the credits spent are worth US$ 0.03",
        "**Top members**",
        f"1. <@{world.alice.id}>: 2 credits, 2 videos",
        f"2. <@{world.bob.id}>: 1 credit, 1 video",
        "",
        "`usage-2025-12-03-to-2026-01-01.csv` has a line for every job.",
    ]
    attached = files(answer)
    assert attached[".csv"].filename == "usage-2025-12-03-to-2026-01-01.csv"
    assert "Credits by model: demo 3." in str(attached[".png"].description)
    expected = await drawn(world, {world.alice.id: "alice", world.bob.id: "bob"}, tmp_path / "expected.png")
    assert pixels(await attached[".png"].read()) == expected


async def test_the_csv_adds_up_to_the_ledger(world: World) -> None:
    await videos_in_both_guilds(world)
    rows = await lines(await world.mona.slash(world.channel, "wan-admin usage", days=1))
    assert sum(int(row["credits_spent"]) for row in rows) == await spent_in(world, world.guild) == 3
    assert sum(int(row["quote"]) for row in rows) == 4
    assert [(row["state"], row["reason"]) for row in rows] == [("cancelled", "by_member"), *[("succeeded", "")] * 3]
    alice, bob = str(world.alice.id), str(world.bob.id)
    assert [(row["member_id"], row["seconds"]) for row in rows] == [
        (alice, "2"),
        (bob, "2"),
        (alice, "3"),
        (alice, "2"),
    ]
    assert sum(Decimal(row["upstream_usd"] or 0) for row in rows) == Decimal("0.03")
    assert {row["cost_estimated"] for row in rows if row["credits_spent"] == "1"} == {"yes"}
    assert sorted(row["job_id"] for row in rows if row["member_id"] == alice) == sorted(
        job.id for job in await world.jobs()
    )


async def test_two_guilds_that_ask_at_once_see_their_own_usage_only(world: World) -> None:
    await videos_in_both_guilds(world)
    nora = moderator_elsewhere(world)
    settle = world.env._settle_internal  # pyright: ignore[reportPrivateUsage] - an actor waits for its answer there

    async def go_on(*_: Any, **__: Any) -> None:
        """Let the next one ask before the first is answered."""

    world.env._settle_internal = go_on  # pyright: ignore[reportPrivateUsage]
    here = await world.mona.slash(world.channel, "wan-admin usage")
    there = await nora.slash(world.elsewhere_channel, "wan-admin usage")
    assert not here.acknowledged
    world.env._settle_internal = settle  # pyright: ignore[reportPrivateUsage]
    await world.env.settle()
    assert "Spent: 3 credits, for 3 videos\nAsked for: 4 videos, by 2 members" in text_of(here)
    assert "Spent: 1 credit, for 1 video\nAsked for: 1 video, by 1 member" in text_of(there)
    assert str(world.bob.id) in text_of(here)
    assert str(world.bob.id) not in text_of(there)
    ours, theirs = await lines(here), await lines(there)
    assert (len(ours), len(theirs)) == (4, 1)
    assert not {row["job_id"] for row in ours} & {row["job_id"] for row in theirs}
    for answer, guild in ((here, world.guild), (there, world.elsewhere)):
        spent = sum(int(row["credits_spent"]) for row in await lines(answer))
        assert spent == await spent_in(world, guild)
    assert pixels(await files(here)[".png"].read()) != pixels(await files(there)[".png"].read())


async def test_no_prompt_is_told(world: World) -> None:
    await videos_in_both_guilds(world)
    answer = await world.mona.slash(world.channel, "wan-admin usage")
    told = text_of(answer) + (await files(answer)[".csv"].read()).decode()
    assert not [word for word in ("cat", "fox", "dog", "cow", "secret") if word in told]


async def test_nobody_is_pinged(world: World) -> None:
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    answer = await world.mona.slash(world.channel, "wan-admin usage")
    assert answer.response is not None
    assert f"<@{world.alice.id}>" in answer.response.content
    allowed = answer.response._message.allowed_mentions  # pyright: ignore[reportPrivateUsage] - what was sent with it
    assert not allowed.allows_user(world.alice.id)


async def test_what_a_vendor_said_goes_before_what_is_expected(dojo: World, vendor: PixelDojoImitation) -> None:
    await dojo.video(prompt="A cat", model="pixeldojo/wan-2.2-standard")
    vendor.finish(vendor.submissions[0].job_id)
    await dojo.finish()
    await dojo.video(prompt="A cat", model="demo", duration=2)
    await dojo.finish()
    answer = await dojo.mona.slash(dojo.channel, "wan-admin usage")
    # 3 of the vendor's credits at US$ 0.05, and a demo
    assert "Upstream cost: US$ 0.16, US$ 0.01 of it estimated; the credits spent are worth US$ 0.16" in text_of(answer)
    demo, said = await lines(answer)
    columns = ("upstream_cost", "cost_unit", "cost_estimated", "upstream_usd", "credits_spent")
    assert [said[name] for name in columns] == ["3", "credits", "no", "0.15", "15"]
    assert [demo[name] for name in columns] == ["0.01", "usd", "yes", "0.01", "1"]


async def test_a_member_who_left_is_numbered_in_the_picture(world: World, tmp_path: Path) -> None:
    await videos_in_both_guilds(world)
    world.guild.remove_member(world.bob)
    answer = await world.mona.slash(world.channel, "wan-admin usage")
    assert f"2. <@{world.bob.id}>: 1 credit" in text_of(answer)
    expected = await drawn(world, {world.alice.id: "alice", world.bob.id: "member 2"}, tmp_path / "expected.png")
    assert pixels(await files(answer)[".png"].read()) == expected


async def test_a_discord_that_tells_no_names_is_no_reason_to_give_no_answer(world: World, tmp_path: Path) -> None:
    await videos_in_both_guilds(world)
    world.env.inject_error("GET", "/guilds/*/members/*", status=500, times=None)
    answer = await world.mona.slash(world.channel, "wan-admin usage")
    assert pixels(await files(answer)[".png"].read()) == await drawn(world, {}, tmp_path / "expected.png")


async def test_the_numbers_are_given_when_nothing_can_be_drawn(world: World) -> None:
    await videos_in_both_guilds(world)
    await world.app.services.charts._workers.close()  # pyright: ignore[reportPrivateUsage] - as if no child could start
    answer = await world.mona.slash(world.channel, "wan-admin usage")
    assert "Spent: 3 credits" in text_of(answer)
    assert text_of(answer).endswith("The charts can't be drawn at the moment.")
    assert list(files(answer)) == [".csv"]
    assert len(await lines(answer)) == 4


async def test_days_in_which_nothing_was_asked_for_are_told_in_a_sentence(world: World) -> None:
    await videos_in_both_guilds(world)
    await world.advance(3 * 24 * 3600)
    answer = await world.mona.slash(world.channel, "wan-admin usage", days=3)
    assert is_private(answer)
    assert text_of(answer) == "No video was asked for here, 2 January to 4 January 2026 (UTC)."
    assert files(answer) == {}
    assert "Asked for: 4 videos" in text_of(await world.mona.slash(world.channel, "wan-admin usage", days=4))


@pytest.mark.parametrize("days", [0, 367])
async def test_days_are_at_least_one_and_at_most_a_year(world: World, days: int) -> None:
    with pytest.raises(simcord.OptionError):
        await world.mona.slash(world.channel, "wan-admin usage", days=days)


async def test_who_may_not_manage_the_server_has_no_such_command(world: World) -> None:
    with pytest.raises(simcord.SetupError):
        await world.alice.slash(world.channel, "wan-admin usage")


async def test_nothing_is_left_behind(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    answer = await world.mona.slash(world.channel, "wan-admin usage")
    assert set(files(answer)) == {".png", ".csv"}
    assert list(folder.iterdir()) == []
