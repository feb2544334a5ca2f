"""The bot's next process in a story, on the same data."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from bot.app import App, open_app
from tests.discord.worlds import World, list_as_discord


@asynccontextmanager
async def restarted(world: World, *, clock_error: timedelta | None = None) -> AsyncGenerator[App]:
    """Start the bot again; Discord has forgotten its nonces. Its clock may be ahead of Discord's."""
    first, error = world.app, clock_error or timedelta()
    await first.stop()
    await first.bot.close()
    async with open_app(world.settings, clock=lambda: world.env.now() + error) as second:
        await world.env.restart_bot(second.bot)
        list_as_discord(second.bot)
        await second.resume()
        world.app = second
        yield second
        await second.stop()
        await second.bot.close()
        world.app = first
