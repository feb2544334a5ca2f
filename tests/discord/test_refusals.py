"""What can't be had is said at once, privately, and costs nothing."""

from __future__ import annotations

from typing import Any

import discord
import pytest

from tests.discord.worlds import World, is_private, picture, text_of

NOTHING_SPENT = (100, 0)


async def refused(world: World, **options: Any) -> str:
    """The private answer to a command that must be refused; nothing may have been spent."""
    answer = await world.alice.slash(world.channel, "wan video", **options)
    assert is_private(answer)
    assert await world.jobs() == []
    account = await world.account()
    assert (account.available, account.held) in {NOTHING_SPENT, (0, 0)}
    assert list((world.settings.data_dir / "inputs").iterdir()) == []
    return text_of(answer)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "pixeldojo/wan-9"}, ("model", "pixeldojo/wan-9", "`demo`")),
        ({"duration": 60}, ("duration", "60 seconds", "2 to 10 seconds")),
        ({"resolution": "8k"}, ("resolution", "8k", "480p, 720p or 1080p")),
        ({"prompt": "x" * 2001}, ("prompt", "2,000", "2,001")),
        ({"prompt": "   "}, ("prompt", "Say in a few words")),
        ({"settings": "steps=40"}, ("settings", "no extra settings")),
        ({"negative_prompt": "rain"}, ("negative_prompt", "leave it out")),
        ({"enhance_prompt": True}, ("enhance_prompt", "leave this out")),
        ({"seed": -1}, ("seed", "0 to 2147483647")),
        ({"last_image": ("end.png", picture())}, ("last_image", "attach `image` too")),
        ({"video": ("clip.mp4", b"x")}, ("video", "No model here continues a clip")),
        ({"image": ("cat.txt", b"not a picture")}, ("image", "PNG")),
        ({"image": ("cat.png", picture(40, 40))}, ("image", "64")),
        ({"image": ("cat.png", picture(1000, 100))}, ("image", "4")),
        ({"image": ("cat.png", picture()[:200])}, ("image",)),
        ({"image": ("cat.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")}, ("image", "PNG")),
    ],
)
async def test_a_mistake_is_named_and_what_would_be_accepted(
    world: World, options: dict[str, Any], says: tuple[str, ...]
) -> None:
    text = await refused(world, **{"prompt": "A cat", **options})
    for part in says:
        assert part in text


async def test_every_mistake_is_told_in_one_answer(world: World) -> None:
    text = await refused(world, prompt="A cat", duration=60, resolution="8k", settings="steps=1")
    assert text.count("**") == 2 * 3


async def test_who_has_too_little_sees_price_and_balance(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin credits revoke", member=world.alice, amount=100)
    answer = await world.alice.slash(world.channel, "wan video", prompt="A cat")
    assert is_private(answer)
    assert "This costs 1 credit; you have 0. More come <t:" in text_of(answer)
    assert "<t:" in text_of(answer)
    assert await world.jobs() == []


@pytest.mark.parametrize(
    ("permission", "title"),
    [
        ("attach_files", "Attach Files"),
        ("embed_links", "Embed Links"),
        ("read_message_history", "Read Message History"),
    ],
)
async def test_a_permission_that_the_bot_lacks_is_named(world: World, permission: str, title: str) -> None:
    assert world.env.bot.user is not None
    closed = world.guild.create_text_channel(
        "closed", overwrites={world.env.bot.user: discord.PermissionOverwrite(**{permission: False})}
    )
    answer = await world.alice.slash(closed, "wan video", prompt="A cat")
    assert is_private(answer)
    assert f"**{title}**" in text_of(answer)
    assert await world.jobs() == []


async def test_a_denied_model_is_refused_by_name(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin models deny", model="demo")
    text = await refused(world, prompt="A cat", model="demo")
    assert "`demo` isn't allowed here" in text
    assert "No model may be used here" in await refused(world, prompt="A cat")


async def test_who_has_twenty_waiting_must_wait(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin credits grant", member=world.alice, amount=1000)
    for _ in range(20):
        await world.alice.slash(world.channel, "wan video", prompt="A cat", duration=2)
    answer = await world.alice.slash(world.channel, "wan video", prompt="A cat", duration=2)
    assert is_private(answer)
    assert "20 videos waiting" in text_of(answer)
