"""A bot in a simulated Discord that serves its operator over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from bot.operations import overview, readiness, serving
from tests.discord.worlds import World, open_world
from tests.scraping import Metrics, scrape

#: loads what is served; the port is chosen when it is opened
_ANY_PORT: Final = "9"


def look_anew(patch: pytest.MonkeyPatch) -> None:
    """Let every request see what is there now: a story asks faster than Prometheus."""
    patch.setattr(serving, "_FRESH", 0.0)
    patch.setattr(overview, "_FRESH", 0.0)
    patch.setattr(readiness, "_DATABASE_FRESH", 0.0)


@asynccontextmanager
async def open_watched(
    folder: Path, environment: Mapping[str, str] | None = None, **options: Any
) -> AsyncGenerator[World]:
    """Start a bot that can be watched."""
    async with open_world(folder, {"HTTP_PORT": _ANY_PORT, **(environment or {})}, **options) as world:
        yield world


@asynccontextmanager
async def watched(world: World) -> AsyncGenerator[str]:
    """Serve the operator within the block; gives the address."""
    operations = world.app.operations
    assert operations is not None
    settings = world.settings.model_copy(update={"http_port": 0})
    async with operations.serving(settings, world.app.services, world.app.bot) as port:
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def scraped(world: World) -> AsyncGenerator[tuple[str, Metrics]]:
    """Serve the operator; gives the address, and the first scrape."""
    async with watched(world) as url:
        yield url, await scrape(url)


async def get(url: str, path: str, **options: Any) -> tuple[int, str, Mapping[str, str]]:
    """Ask once: the status, the body, the headers."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}{path}", **options) as answer:
        return answer.status, await answer.text(), answer.headers
