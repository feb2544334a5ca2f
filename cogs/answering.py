"""Answers that are never late: Discord wants one within three seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import discord
import structlog

from bot.delivery import faults

log = structlog.stdlib.get_logger(__name__)

#: seconds; work that takes longer is announced first
_PATIENCE: Final = 1.0


@asynccontextmanager
async def on_time(interaction: discord.Interaction[Any]) -> AsyncGenerator[None]:
    """Show that work goes on if it takes over a second, so that the answer may come later."""
    begun = asyncio.Event()

    async def announce() -> None:
        await asyncio.sleep(_PATIENCE)
        if interaction.response.is_done():
            return  # it was announced before
        begun.set()
        try:
            await interaction.response.defer(thinking=True)
        except faults.DISCORD_ERRORS as error:
            # the answer itself meets the same trouble, and knows what to do about it
            log.warning("a command can't be deferred", interaction=interaction.id, why=str(error))

    announcing = asyncio.create_task(announce(), name=f"defer {interaction.id}")
    try:
        yield
    finally:
        # before Discord was told, it needn't be; once the telling has begun, it must be finished
        if not begun.is_set():
            announcing.cancel()
        await asyncio.wait([announcing])
