"""Snowflakes: ids that tell their time, and their shard."""

from __future__ import annotations

import datetime as dt
import time

DISCORD_EPOCH = 1_420_070_400_000
# Divisible by every small shard count, so the first guild lands on shard 0, the second on shard 1, …
FIRST_GUILD = 2520 * 40_000_000


class Snowflakes:
    """Hands out ids that always grow."""

    def __init__(self) -> None:
        self._last = 0
        self._guilds = 0

    def next(self) -> int:
        now = (int(time.time() * 1000) - DISCORD_EPOCH) << 22
        self._last = max(self._last + 1, now)
        return self._last

    def next_guild(self) -> int:
        self._guilds += 1
        return (FIRST_GUILD + self._guilds - 1) << 22


def time_of(snowflake: int) -> dt.datetime:
    seconds = ((snowflake >> 22) + DISCORD_EPOCH) / 1000
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def shard_of(guild_id: int, shards: int) -> int:
    return (guild_id >> 22) % shards
