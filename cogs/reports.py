"""``/wan report`` and the buttons Report and Remove."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import discord
from discord import app_commands

from bot.delivery.messages import ERASE, buttons
from bot.errors import Refusal
from bot.jobs import store
from bot.services import Services
from bot.tree import answer_error, answer_privately
from cogs.admin.deciding import actor_of
from cogs.feature import Feature, is_moderator
from cogs.status import job_choice

_LONGEST: Final = 500
_MOST_CHOICES: Final = 25


class ReportCommands(Feature):
    """Tells moderators of videos."""

    @app_commands.command(name="report", description="Tell the moderators of a video that shouldn't be here.")
    @app_commands.describe(job="Which video: choose one of the suggestions", reason="What is wrong with it")
    async def report(
        self, interaction: discord.Interaction[Any], job: str, reason: app_commands.Range[str, 1, _LONGEST] = ""
    ) -> None:
        """Report a posted video."""
        await _report(interaction, self.services, job.strip().lower(), reason)

    @report.autocomplete("job")
    async def _posted(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        read = partial(store.posted_in, guild_id=interaction.guild_id or 0, most=_MOST_CHOICES)
        jobs = await self.services.database.read(read)
        return [job_choice(job) for job in jobs if typed.lower() in f"{job.id} {job.request.prompt}".lower()]


class ReportForm(discord.ui.Modal, title="Report this video"):
    """Asks what is wrong."""

    reason: discord.ui.TextInput[ReportForm] = discord.ui.TextInput(
        label="What is wrong with it?",
        custom_id="reason",
        placeholder="The moderators read this, and who you are.",
        required=False,
        max_length=_LONGEST,
        style=discord.TextStyle.paragraph,
    )

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self._job_id = job_id

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Report it."""
        await _report(interaction, interaction.client.services, self._job_id, self.reason.value)

    async def on_error(self, interaction: discord.Interaction[Any], error: Exception) -> None:
        """Answer what went wrong; discord.py would only log it."""
        await answer_error(interaction, error)


async def ask_to_remove(interaction: discord.Interaction[Any], job_id: str) -> None:
    """Ask once more: it can't be undone. Raises ``Refusal``."""
    _check_moderator(interaction)
    text = "The video and its card are deleted, and no copy is kept. Nobody gets credits back. It can't be undone."
    await answer_privately(interaction, text, view=buttons(job_id, ERASE))


async def remove(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    """Delete a posted video for good. Raises ``Refusal``."""
    _check_moderator(interaction)
    await services.results.remove(actor_of(interaction), job_id)
    await interaction.response.edit_message(content="The video was removed.", view=None)


async def _report(interaction: discord.Interaction[Any], services: Services, job_id: str, reason: str) -> None:
    is_told = await services.results.report(actor_of(interaction), job_id, reason)
    where = "The moderators have it." if is_told else "The moderators find it in their audit."
    await answer_privately(interaction, f"Thank you. {where}")


def _check_moderator(interaction: discord.Interaction[Any]) -> None:
    if not is_moderator(interaction):
        raise Refusal("Only moderators can remove videos: who may manage this server, or its messages.")
