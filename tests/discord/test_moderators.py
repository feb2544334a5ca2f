"""What moderators decide holds in their guild, and nowhere else."""

from __future__ import annotations

import pytest
import simcord
from sqlalchemy import select

from bot.database.tables import audit
from tests.discord.worlds import World, is_private, text_of


async def test_a_moderator_gives_and_takes_credits(world: World) -> None:
    answer = await world.mona.slash(
        world.channel, "wan-admin credits grant", member=world.alice, amount=50, reason="For the poster"
    )
    assert is_private(answer)
    assert "has **150** credits available now (100 before)" in text_of(answer)
    answer = await world.mona.slash(world.channel, "wan-admin credits revoke", member=world.alice, amount=1000)
    assert "Took 150 credits of the 1,000 asked for" in text_of(answer)
    answer = await world.mona.slash(world.channel, "wan-admin credits show", member=world.alice)
    assert "Available: 0" in text_of(answer)
    rows = await world.app.services.database.read(lambda c: c.execute(select(audit)).all())
    assert [(row.action, row.before, row.after, row.reason) for row in rows] == [
        ("credits.grant", "100", "150", "For the poster"),
        ("credits.revoke", "150", "0", ""),
    ]
    assert all(row.entry_id is not None for row in rows)


async def test_taking_never_touches_what_is_held(world: World) -> None:
    await world.video(prompt="A cat", duration=2)
    await world.mona.slash(world.channel, "wan-admin credits revoke", member=world.alice, amount=1000)
    account = await world.account()
    assert (account.available, account.held) == (0, 1)
    await world.finish()
    assert (await world.account()).held == 0


async def test_credits_of_one_guild_never_touch_another(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin credits grant", member=world.alice, amount=900)
    here = await world.alice.slash(world.channel, "wan balance")
    there = await world.alice_elsewhere.slash(world.elsewhere_channel, "wan balance")
    assert "Available: 1,000" in text_of(here)
    assert "Available: 100" in text_of(there)


async def test_rules_of_one_guild_never_touch_another(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin models deny", model="demo")
    there = await world.alice_elsewhere.slash(world.elsewhere_channel, "wan video", prompt="A cat", duration=2)
    assert there.response is not None
    assert there.response.embeds[0].title == "Queued"
    await world.finish()


async def test_a_model_is_denied_and_allowed_for_a_role(world: World) -> None:
    vip = world.guild.create_role("VIP")
    carol = world.guild.add_member(world.env.create_user("carol"), roles=[vip])
    await world.mona.slash(world.channel, "wan-admin models deny", model="demo")
    answer = await world.mona.slash(world.channel, "wan-admin models allow", model="demo", role=vip)
    assert f"Now: denied, allowed for <@&{vip.id}>" in text_of(answer)
    assert "denied, allowed for" in text_of(await world.mona.slash(world.channel, "wan-admin models list"))
    assert is_private(await world.alice.slash(world.channel, "wan video", prompt="A cat"))
    allowed = await carol.slash(world.channel, "wan video", prompt="A cat", duration=2)
    assert allowed.response is not None
    assert allowed.response.embeds[0].title == "Queued"
    await world.finish()


async def test_a_model_with_very_many_rules_is_still_answered_for(world: World) -> None:
    answer = None
    for number in range(60):
        role = world.guild.create_role(f"Role {number}")
        answer = await world.mona.slash(world.channel, "wan-admin models deny", model="demo", role=role)
    assert answer is not None
    assert "Now: allowed, denied for" in text_of(answer)
    assert "allowed, denied for" in text_of(await world.mona.slash(world.channel, "wan-admin models list"))


async def test_all_of_it_can_be_repeated_without_harm(world: World) -> None:
    for _ in range(3):
        answer = await world.mona.slash(world.channel, "wan-admin models deny", model="demo")
        assert "Now: denied" in text_of(answer)


async def test_who_may_not_manage_the_server_has_no_such_command(world: World) -> None:
    with pytest.raises(simcord.SetupError):
        await world.alice.slash(world.channel, "wan-admin credits grant", member=world.alice, amount=5)


async def test_models_are_suggested_while_typing(world: World) -> None:
    found = await world.mona.autocomplete(world.channel, "wan-admin models deny", "model", "de")
    assert [each["value"] for each in found] == ["demo"]


async def test_bots_have_no_credits(world: World) -> None:
    robot = world.guild.add_member(world.env.create_user("robot", bot=True))
    answer = await world.mona.slash(world.channel, "wan-admin credits grant", member=robot, amount=5)
    assert "bots make no videos" in text_of(answer)
