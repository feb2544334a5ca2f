"""The bot without Discord: what accepts requests, carries decisions out and books, over a real database."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from bot.app import open_app
from bot.communities.decisions import Actor
from bot.communities.rules import Place
from bot.jobs import lifecycle
from bot.jobs.job import Job, Reason, State
from bot.jobs.lifecycle import Money, Step
from bot.jobs.requests import Ask, Prepared
from bot.services import Services
from bot.settings import Settings
from providers.options import Wish
from tests.clocks import Clock

MODEL: Final = "demo"
MODERATOR: Final = 99


class Counting(random.Random):
    """Chance that doesn't repeat itself, so that jobs of one instant have ids of their own."""

    def __init__(self) -> None:
        super().__init__(1)
        self._numbers = count(1)

    def getrandbits(self, k: int, /) -> int:
        """The next number."""
        return next(self._numbers) % (1 << k)


@dataclass(frozen=True, kw_only=True)
class Office:
    """The bot's own objects, and what their callers bring along."""

    services: Services
    clock: Clock
    #: of interactions
    numbers: count[int] = field(default_factory=lambda: count(1))

    async def prepare(self, guild_id: int, member: int, roles: Collection[int] = ()) -> Prepared:
        """A member asks for a video. Raises ``Refusal``."""
        return await self.services.requests.prepare(
            Ask(
                interaction_id=next(self.numbers),
                guild_id=guild_id,
                user_id=member,
                place=Place(channel_id=1, role_ids=frozenset(roles)),
                wish=Wish(prompt="A fox in the snow"),
                model=MODEL,
                upload_limit=10 << 20,
            )
        )

    async def accept(self, prepared: Prepared) -> Job:
        """Its job. Raises ``Refusal`` and ``AlreadyAccepted``."""
        return await self.services.requests.accept(prepared, {})

    async def ask(self, guild_id: int, member: int, roles: Collection[int] = ()) -> Job:
        """A member asks for a video and gets its job. Raises ``Refusal``."""
        return await self.accept(await self.prepare(guild_id, member, roles))

    def actor(self, guild_id: int) -> Actor:
        """A moderator with a new interaction."""
        return Actor(guild_id=guild_id, user_id=MODERATOR, interaction_id=next(self.numbers))


@asynccontextmanager
async def open_office(url: str, folder: Path, clock: Clock) -> AsyncGenerator[Office]:
    """Open it over a database. Without a decision members receive nothing."""
    environment = {"DATABASE_URL": url, "DATA_DIR": str(folder), "DEFAULT_ALLOWANCE": "0", "DEMO_PROVIDER": "true"}
    async with open_app(Settings.load(environment), clock=clock, chance=Counting()) as app:
        yield Office(services=app.services, clock=clock)


def step_to(state: State) -> Step:
    """The step to a state, with what it does to the hold."""
    if state is State.SUCCEEDED:
        return Step(state=state, money=Money.SETTLE)
    return Step(state=state) if state.is_open else lifecycle.ended(state, Reason.NOT_MADE)
