"""``/wan report`` and the buttons Report and Remove."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import discord
from discord import app_commands

from bot.jobs import store
from bot.languages import _
from bot.services import Services
from bot.tree import answer_privately
from cogs.admin.deciding import actor_of
from cogs.feature import Feature
from cogs.forms import Form
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
        # what stands in other channels may not be theirs to see
        here = {"guild_id": interaction.guild_id or 0, "channel_id": interaction.channel_id or 0}
        read = partial(store.posted_in, **here, most=_MOST_CHOICES)
        jobs = await self.services.database.read(read)
        return [job_choice(job) for job in jobs if typed.lower() in f"{job.id} {job.request.prompt}".lower()]


class ReportForm(Form):
    """Asks what is wrong; its argument is the job's id."""

    kind = "report"

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id, title=_("Report this video"))
        self.reason = discord.ui.TextInput[ReportForm](
            custom_id="reason",
            placeholder=_("The moderators read this, and who you are."),
            required=False,
            max_length=_LONGEST,
            style=discord.TextStyle.paragraph,
        )
        self.add_item(discord.ui.Label[ReportForm](text=_("What is wrong with it?"), component=self.reason))

    @classmethod
    def reopened(cls, services: Services, argument: str) -> ReportForm:
        """See ``Form``."""
        del services
        return cls(argument)

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Report it."""
        await _report(interaction, interaction.client.services, self.argument, self.reason.value)


async def _report(interaction: discord.Interaction[Any], services: Services, job_id: str, reason: str) -> None:
    is_told = await services.results.report(actor_of(interaction), job_id, reason)
    told, noted = _("Thank you. The moderators have it."), _("Thank you. The moderators find it in their audit.")
    await answer_privately(interaction, told if is_told else noted)
