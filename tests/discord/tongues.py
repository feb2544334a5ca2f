"""Who reads which language in a story: in the simulation everybody's client is English."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import simcord

from bot.playground import let_read
from tests.discord.worlds import World

CHINESE: Final = "zh-CN"

#: what stands in English in every language: `code`, links, mentions, timestamps, and names of models
_NOT_WORDS: Final = re.compile(r"`[^`]*`|https?://\S+|<[^>]*>|\*\*[\w.]+\*\*|Wan \d[\w. ]*|Demo|Discord|UTC|MiB|CSV")


def reads(world: World, who: simcord.MemberActor, locale: str) -> None:
    """Set the language of a member's client."""
    let_read(world.env, who, locale)


def community_reads(world: World, locale: str) -> None:
    """Set the language of the community, as its settings do."""
    world.env.backend.edit_guild(world.guild.id, {"preferred_locale": locale})
    backend, emit = world.env.backend, world.env.backend.emit

    def in_its_language(event: str, payload: Mapping[str, Any]) -> None:
        is_there = event == "INTERACTION_CREATE" and payload.get("guild_id") == str(world.guild.id)
        emit(event, {**payload, "guild_locale": locale} if is_there else payload)

    backend.emit = in_its_language


def english_in(text: str) -> list[str]:
    """Where a Chinese text has two English words or more in a row."""
    return re.findall(r"[A-Za-z']{2,} [A-Za-z']{2,}", _NOT_WORDS.sub("·", text))
