"""``/wan-admin usage``: what was made and spent here, as a picture, in words, and as a CSV."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import discord
from discord import app_commands

from bot.communities import usage_store
from bot.communities.usage import Costs, Days, MemberSpending, Usage, alternative_text, summary, usage_of
from bot.delivery import faults
from bot.delivery.messages import NO_MENTIONS, closing_files
from bot.delivery.words import LONGEST_MESSAGE, shortened
from bot.languages import _
from bot.media.errors import MediaFailed
from bot.services import Services
from cogs.feature import Feature

_MOST_DAYS: Final = 366
#: seconds for the names of all members that are shown
_PATIENCE: Final = 2.0
#: bytes; below every limit that Discord has for an upload
_LARGEST_CSV: Final = 8 << 20

Count = app_commands.Range[int, 1, _MOST_DAYS]


class UsageModeration(Feature):
    """Shows what a community has made, and what that cost."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        # one at a time: each holds a thread of the database, and writes megabytes of temporary files
        self._turn = asyncio.Semaphore(1)

    @app_commands.command(name="usage", description="What was made and spent here: charts, and every job as a CSV.")
    @app_commands.describe(days="How many days, with today as the last; left out: 30")
    async def usage(self, interaction: discord.Interaction[Any], days: Count = 30) -> None:
        """Show the usage of the last days, in UTC."""
        # drawing takes longer than Discord waits for an answer
        await interaction.response.defer(ephemeral=True, thinking=True)
        asked = Days.until(self.services.clock(), days)
        async with self._turn:
            with tempfile.TemporaryDirectory(prefix="wanbot-usage-") as folder:
                await self._answer(interaction, asked, Path(folder))

    async def _answer(self, interaction: discord.Interaction[Any], days: Days, folder: Path) -> None:
        table = folder / f"usage-{days.first}-to-{days.last}.csv"
        costs = Costs(pricing=self.services.pricing, specs=self.services.registry.every)
        count = partial(usage_store.report, guild_id=interaction.guild_id or 0, days=days, costs=costs, target=table)
        usage = usage_of(await self.services.database.read(count), days, costs)
        if not usage.outcomes.total:
            text = _("No video was asked for here, {days} (UTC).").format(days=days)
            await interaction.edit_original_response(content=text)
            return
        picture = await self._picture(interaction.guild, usage, folder / "usage.png")
        table = await asyncio.to_thread(packed, table)
        lines = [summary(usage), "", table_text(table.name, usage.outcomes.total)]
        if picture is None:
            lines.append(_("The charts can't be drawn at the moment."))
        with closing_files([*([] if picture is None else [picture]), discord.File(table)]) as files:
            await interaction.edit_original_response(
                content=shortened("\n".join(lines), LONGEST_MESSAGE), attachments=files, allowed_mentions=NO_MENTIONS
            )

    async def _picture(self, guild: discord.Guild | None, usage: Usage, target: Path) -> discord.File | None:
        """The charts; None when they can't be drawn, since the numbers alone are worth an answer."""
        names: Mapping[int, str] = {} if guild is None else await _names(guild, usage.top)
        title = "" if guild is None else guild.name
        try:
            await self.services.charts.draw_usage(usage, target, title=title, names=names)
        except MediaFailed:
            # the worker has logged it
            return None
        return discord.File(target, description=alternative_text(usage))


def packed(table: Path, largest: int = _LARGEST_CSV) -> Path:
    """The CSV, compressed in place of the plain one if that has more than ``largest`` bytes. In a thread."""
    if table.stat().st_size <= largest:
        return table
    smaller = table.with_name(f"{table.name}.gz")
    with table.open("rb") as plain, gzip.open(smaller, "wb") as file:
        shutil.copyfileobj(plain, file)
    table.unlink()
    return smaller


def table_text(name: str, jobs: int, most: int = usage_store.MOST_ROWS) -> str:
    """What is in the CSV."""
    text = _("`{name}` has a line for every job.")
    if jobs > most:
        text = _("`{name}` has a line for each of the latest {most} of {jobs} jobs.")
    sentences = [text.format(name=name, most=f"{most:,}", jobs=f"{jobs:,}")]
    if not name.endswith(".csv"):
        sentences.append(_("It was too large to be sent as it is: unpack it with gzip."))
    return " ".join(sentences)


async def _names(guild: discord.Guild, members: Iterable[MemberSpending]) -> Mapping[int, str]:
    """What the members are called here, of those of whom it can be learned soon."""
    known = [each.user_id for each in members if not each.is_deleted]
    tasks = {user_id: asyncio.create_task(_name(guild, user_id), name=f"name of {user_id}") for user_id in known}
    if not tasks:
        return {}
    try:
        done, _late = await asyncio.wait(tasks.values(), timeout=_PATIENCE)
    finally:
        for task in tasks.values():
            task.cancel()
    return {user_id: task.result() for user_id, task in tasks.items() if task in done}


async def _name(guild: discord.Guild, user_id: int) -> str:
    """The member's name; empty when the member is gone, or Discord doesn't tell."""
    member = guild.get_member(user_id)
    if member is not None:
        return member.display_name
    try:
        return (await guild.fetch_member(user_id)).display_name
    except faults.DISCORD_ERRORS:
        return ""
