"""One video in the terminal, through the whole bot, no token needed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import simcord

from bot.delivery.cards import WORDS
from bot.jobs.job import State
from bot.playground import at_work, open_world
from bot.settings import Settings

#: the card is looked at this often, in seconds
_STEP: Final = 0.2
_WITHOUT_VIDEO: Final = frozenset(WORDS[state] for state in State if not state.is_open) - {WORDS[State.SUCCEEDED]}


async def demo(settings: Settings, *, options: Mapping[str, object], out: Path) -> bool:
    """Run ``/wan video``, print the card as it changes, write the posted MP4; tells whether there was one."""
    async with open_world(settings) as world, at_work(world.app):
        answer = await world.member.slash(world.channel, "wan video", **options)
        title, printed = "", ""
        while title != WORDS[State.SUCCEEDED]:
            title, text = _card(answer)
            if text != printed:
                print(text, flush=True)  # noqa: T201 - it is what the command is for
                printed = text
            if not title or title in _WITHOUT_VIDEO:
                return False
            await asyncio.sleep(_STEP)
        video = next(message for message in reversed(world.channel.history()) if message.id != _id_of(answer))
        await asyncio.to_thread(out.write_bytes, await video.attachments[0].read())
        print(f"The posted video is in {out}.")  # noqa: T201
        return True


def _card(answer: simcord.InteractionResult) -> tuple[str, str]:
    """The card's title (empty: it was a refusal), and its text as a terminal shows it."""
    message = answer.response
    if message is None or not message.embeds:
        return "", "" if message is None else message.content.replace("**", "").replace("`", "")
    embed = message.embeds[0]
    title = embed.title or ""
    prompt, _, status = (embed.description or "").partition("\n\n")
    facts = [f"  {f'{field.name}:':9} {field.value}" for field in embed.fields]
    if title == WORDS[State.QUEUED]:
        return title, "\n".join([prompt, *facts, title])
    # timestamps and links are for Discord's own clients
    plain = [line for line in status.splitlines() if "<t:" not in line and "](" not in line]
    return title, f"{title}  {' '.join(plain)}".rstrip()


def _id_of(answer: simcord.InteractionResult) -> int:
    return 0 if answer.response is None else answer.response.id
