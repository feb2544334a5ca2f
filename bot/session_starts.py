"""When a session with Discord's gateway may begin: so many a day, and one in five seconds for each bucket of shards.

Discord takes the token away from a bot that begins too many, and ends one that begins too soon. discord.py knows only
of its own process; where several share a PostgreSQL, they take turns there (bot/database/pacing.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import discord
import structlog

from bot.database import pacing
from bot.database.engine import Database
from bot.delivery import faults

if TYPE_CHECKING:
    from discord.types.gateway import SessionStartLimit

log = structlog.stdlib.get_logger(__name__)

#: Discord wants five seconds between two of a bucket; the rest is for what networks add to one and not to the other
_BETWEEN: Final = timedelta(seconds=5.5)
#: seconds that a shard waits for its turn with its socket open; discord.py's gives up after a minute
_PATIENCE: Final = 45.0
#: seconds after which a database that was away is asked again
_AFTER_FAULT: Final = 2.0
#: seconds for which holds what Discord has told of the limit; nothing once there are few left
_FRESH: Final = 60.0
_FEW: Final = 50
#: seconds for the question
_QUESTION_TIME: Final = 10.0
#: seconds between two questions when nothing is left: an operator may have had it reset
_LONGEST_PAUSE: Final = 600.0


class NoSessionsLeft(OSError):  # noqa: N818 - it names what was found; discord.py tries again after an OSError
    """Discord lets no more sessions begin for now."""


@dataclass(slots=True)
class _Limit:
    """What Discord has told, and what was used since."""

    remaining: int
    max_concurrency: int
    #: by the monotonic clock
    told_at: float
    resets_at: float


class SessionStarts:
    """Says to each shard when it may identify."""

    def __init__(
        self,
        *,
        database: Database,
        ask: Callable[[], Awaitable[SessionStartLimit]],
        monotonic: Callable[[], float] = time.monotonic,
        between: timedelta = _BETWEEN,
    ) -> None:
        """``ask`` gives Discord's own words about the limit."""
        self._database = database
        self._ask = ask
        self._monotonic = monotonic
        self._between = between
        self._limit: _Limit | None = None

    def told(self, limit: SessionStartLimit) -> None:
        """Take over what Discord says of the limit."""
        now = self._monotonic()
        if 0 < limit["remaining"] < _FEW:
            log.warning("Discord lets few more sessions begin today", left=limit["remaining"], of=limit["total"])
        self._limit = _Limit(limit["remaining"], limit["max_concurrency"], now, now + limit["reset_after"] / 1000)

    async def wait_until_possible(self) -> None:
        """Wait, a day perhaps, while Discord lets no session begin."""
        while (limit := await self._current()) is not None and limit.remaining <= 0:
            seconds = max(1.0, limit.resets_at - self._monotonic())
            log.error("Discord lets no more sessions begin for now; waiting", seconds=round(seconds))
            await asyncio.sleep(min(seconds, _LONGEST_PAUSE))

    async def take(self, shard_id: int, *, bot_id: int) -> bool:
        """Wait until it is the shard's turn to identify; False: no other process is there, so turns aren't kept here.

        Raises ``NoSessionsLeft``, and ``TimeoutError`` when the turn doesn't come soon enough for an open socket.
        """
        limit = await self._current()
        if limit is not None and limit.remaining <= 0:
            raise NoSessionsLeft("Discord lets no more sessions begin for now")
        bucket = shard_id % (1 if limit is None else max(1, limit.max_concurrency))
        is_kept = await self._turn(f"identify {bot_id}/{bucket}", shard_id)
        if limit is not None:
            limit.remaining -= 1
        return is_kept

    async def _turn(self, name: str, shard_id: int) -> bool:
        take = partial(pacing.take_turn, name=name, between=self._between)
        async with asyncio.timeout(_PATIENCE):
            while True:
                try:
                    wait = await self._database.write(take)
                except Exception as error:  # noqa: BLE001 - whatever it is, identifying too soon costs more
                    log.warning("a shard waits for the database before it identifies", shard=shard_id, why=str(error))
                    wait = _AFTER_FAULT
                if not wait:
                    return wait is not None
                await asyncio.sleep(wait)

    async def _current(self) -> _Limit | None:
        """What holds now; None: Discord has never told."""
        known, now = self._limit, self._monotonic()
        if known is not None and known.remaining >= _FEW and now - known.told_at < _FRESH:
            return known
        try:
            async with asyncio.timeout(_QUESTION_TIME):
                self.told(await self._ask())
        except (*faults.DISCORD_ERRORS, discord.GatewayNotFound) as error:
            log.warning("Discord doesn't say how many sessions may begin", why=str(error))
        return self._limit
