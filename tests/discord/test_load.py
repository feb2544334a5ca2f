"""Many commands at once: nobody gets more than can be paid for, and everybody gets an answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import simcord

from tests.discord.worlds import World, is_private, open_world, text_of
from tests.imitations.pixeldojo import PixelDojoImitation

WAN_22, PRICE = "pixeldojo/wan-2.2-standard", 15
CLICKS, PAID = 20, 5


async def at_once(world: World, times: int, **options: Any) -> Sequence[simcord.InteractionResult]:
    """Let alice send the same command so often before the bot has answered any of them."""
    # the simulation would wait after each until the bot has nothing more to do
    env: Any = world.env
    settle, env._settle_internal = env._settle_internal, _do_not_wait
    answers = [await world.alice.slash(world.channel, "wan video", **options) for _ in range(times)]
    assert not any(answer.acknowledged for answer in answers)
    env._settle_internal = settle
    await world.env.settle()
    return answers


async def _do_not_wait(*_: Any, **__: Any) -> None:
    """Return at once."""


async def test_twenty_clicks_with_credits_for_five_are_five_videos(tmp_path: Path, vendor: PixelDojoImitation) -> None:
    environment = {
        "PIXELDOJO_API_KEY": "pd_test",
        "PIXELDOJO_BASE_URL": vendor.base_url,
        "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
        "DEFAULT_ALLOWANCE": str(PAID * PRICE),
    }
    async with open_world(tmp_path, environment) as world:
        answers = await at_once(world, CLICKS, prompt="A cat", model=WAN_22)
        cards = [answer for answer in answers if not is_private(answer)]
        assert len(cards) == PAID
        assert {text_of(card).splitlines()[0] for card in cards} == {"Queued"}
        refusals = [text_of(answer) for answer in answers if is_private(answer)]
        assert len(refusals) == CLICKS - PAID
        for text in refusals:
            held = f"and {PAID * PRICE} held for videos under way"
            assert text.startswith(f"This costs {PRICE} credits; you have 0, {held}. More come <t:")
        account = await world.account()
        assert (account.available, account.held) == (0, PAID * PRICE)

        vendor.polls = 0
        await world.finish()
        assert len(vendor.submissions) == len(world.posted()) == len(await world.jobs()) == PAID
        assert {text_of(card).splitlines()[0] for card in cards} == {"Done"}
        account = await world.account()
        assert (account.available, account.held) == (0, 0)
