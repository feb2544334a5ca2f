"""Puts together what operators have of a bot, and keeps it going beside the bot's own work."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Final

import aiohttp
import structlog

from bot.client import WanBot
from bot.communities.usage import Costs
from bot.jobs.job import State
from bot.operations import store
from bot.operations.book_check import BookCheck
from bot.operations.discord_trace import trace_of
from bot.operations.door import Door
from bot.operations.loop_delay import watch_loop
from bot.operations.meters import Meters
from bot.operations.overview import Overviews
from bot.operations.page import overview_page
from bot.operations.questions import NoAnswer, Question
from bot.operations.readiness import Readiness
from bot.operations.recent_lines import RecentLines
from bot.operations.server import Server
from bot.operations.store import OpenJobs
from bot.operations.transitions import Transitions
from bot.services import Services
from bot.settings import Settings

log = structlog.stdlib.get_logger(__name__)

#: seconds for which what was read for a scrape holds, and that the database has for it
_FRESH: Final = 5.0
_PATIENCE: Final = 5.0
#: characters; a shorter token can be guessed in spite of the waits
_SHORT: Final = 16


class Operations:
    """Made before everything that it watches; ``serving`` is for the time when that is open."""

    def __init__(self) -> None:
        self.meters = Meters()
        self.lines = RecentLines(count=self.meters.line_was_logged)

    def trace(self) -> aiohttp.TraceConfig:
        """What Discord's client hands its requests to."""
        return trace_of(self.meters)

    @asynccontextmanager
    async def serving(self, settings: Settings, services: Services, bot: WanBot) -> AsyncGenerator[int]:
        """Serve on ``HTTP_PORT`` within the block; gives the port. Raises ``OSError`` when it is taken."""
        meters, database, clock = self.meters, services.database, services.clock
        readiness = Readiness(
            database=database,
            is_connected=partial(_is_connected, bot),
            looked_at=lambda: services.worker.looked_at,
            clock=clock,
        )
        overviews = Overviews(
            database=database,
            registry=services.registry,
            pauses=services.pauses,
            costs=Costs(pricing=services.pricing, specs=services.registry.every),
            requests=meters.requests,
            failures=meters.failures,
            lines=self.lines.latest,
            name_of=partial(_name_of, bot),
            clock=clock,
        )
        scrape = Scrape(meters=meters, services=services, bot=bot, readiness=readiness)
        await scrape.begin()

        async def page() -> str:
            return overview_page(await overviews.overview(await readiness.parts()))

        server = Server(metrics=scrape.text, parts=readiness.parts, page=page, door=_door(settings, services))
        books = BookCheck(database=database, observer=meters, clock=clock)
        tasks = [
            asyncio.create_task(watch_loop(meters.loop_was_late), name="event loop delay"),
            asyncio.create_task(books.run(), name="book check"),
        ]
        try:
            with self.lines.listening():
                async with server.listening(settings.http_address, settings.http_port or 0) as port:
                    yield port
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for each in (readiness, overviews, scrape):
                await each.close()


class Scrape:
    """Brings the metrics up to date when somebody asks for them."""

    def __init__(self, *, meters: Meters, services: Services, bot: WanBot, readiness: Readiness) -> None:
        self._meters = meters
        self._services = services
        self._bot = bot
        self._readiness = readiness
        self._transitions = Transitions(database=services.database, owner=services.leases.name)
        self._survey = Question(self._surveyed, fresh_for=_FRESH, patience=_PATIENCE)

    async def begin(self) -> None:
        """Count from now on."""
        await self._transitions.begin()

    async def text(self) -> bytes:
        """Everything, as Prometheus reads it. Without a database there is still the rest."""
        try:
            await self._survey.answer()
        except NoAnswer as error:
            log.warning("the metrics of jobs can't be read", why=str(error))
        registry, pauses = self._services.registry, self._services.pauses
        # each time: a reload may have brought a provider
        self._meters.begin(providers=registry.providers, models=registry.every)
        self._meters.show_parts(
            {part.name: part.trouble is None for part in await self._readiness.parts()},
            paused={name: pauses.is_paused(name) for name in registry.providers},
            guilds=len(self._bot.guilds),
        )
        return self._meters.text()

    async def close(self) -> None:
        """Wait for no answer any more."""
        await self._survey.close()

    async def _surveyed(self) -> None:
        found = await self._services.database.read(store.open_jobs)
        self._meters.jobs_moved(await self._transitions.fresh())
        self._meters.show_open_jobs(
            found, models=self._services.registry.models, queue_age=queue_age(found, self._services.clock())
        )


def queue_age(found: Sequence[OpenJobs], now: datetime) -> float:
    """How many seconds the oldest waiting job has waited; 0: none waits."""
    waiting = [each.oldest for each in found if each.state is State.QUEUED]
    return max(0.0, (now - min(waiting)).total_seconds()) if waiting else 0.0


def _door(settings: Settings, services: Services) -> Door | None:
    if settings.web_token is None:
        log.info("there is no web page: WANBOT_WEB_TOKEN isn't set")
        return None
    token = settings.web_token.get_secret_value()
    if len(token) < _SHORT:
        log.warning("WANBOT_WEB_TOKEN is short, so somebody may guess it: make a longer one", shorter_than=_SHORT)
    return Door(token=token, clock=services.clock, new_key=lambda: secrets.token_urlsafe(32))


def _is_connected(bot: WanBot) -> bool:
    """Whether every shard has a connection: what discord.py calls ready stays so while one is made anew."""
    return bot.is_ready() and not bot.is_closed() and not any(shard.is_closed() for shard in bot.shards.values())


def _name_of(bot: WanBot, guild_id: int) -> str | None:
    guild = bot.get_guild(guild_id)
    return None if guild is None else guild.name
