"""Answers the buttons on cards and results, also hours later and after a restart."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Self

import discord
import structlog
from discord.ext import commands

from bot.client import WanBot
from bot.delivery.cards import FOOTER, WORDS, kept_options, prompt_text
from bot.delivery.messages import NO_MENTIONS
from bot.delivery.words import credits_text, seconds_text
from bot.errors import Refusal
from bot.jobs import store
from bot.jobs.job import Job
from bot.languages import _
from bot.services import Services
from bot.tree import answer_error
from cogs.admin.records import KeepButton, audit_page
from cogs.feature import cancel_job
from cogs.forms import Form, Forms, open_form
from cogs.making import making_of
from cogs.paging import PAGE_TEMPLATE, PageOf, turn_page
from cogs.privacy import PrivacyButton
from cogs.remaking import ask_to_delete, delete, edit, extend, make_again, refresh, use_other
from cogs.reports import ReportForm
from cogs.status import history_page
from cogs.video_forms import AnimateForm, ComposeForm, EditForm, ExtendForm

log = structlog.stdlib.get_logger(__name__)

_TEMPLATE = r"wan:(?P<action>[a-z]+):(?P<job>[0-9a-z]{12})"


class JobButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=_TEMPLATE):
    """Every button of ours: what it does, and for which job, stands in its custom id."""

    def __init__(self, button: discord.ui.Button[discord.ui.View], *, action: str, job_id: str) -> None:
        super().__init__(button)
        self.action = action
        self.job_id = job_id

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the custom id."""
        del interaction
        assert isinstance(item, discord.ui.Button)  # noqa: S101 - for the type alone
        return cls(item, action=match["action"], job_id=match["job"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do what the button says; discord.py would only log an error."""
        try:
            await self._act(interaction, interaction.client.services)
        except Exception as error:  # noqa: BLE001 - every error becomes an answer, ours a line in the log
            await answer_error(interaction, error)

    async def _act(self, interaction: discord.Interaction[Any], services: Services) -> None:
        act = _ACTIONS.get(self.action)
        if act is None:
            raise Refusal(_("This button is of an older version; it does nothing any more."))
        await act(interaction, services, self.job_id)


async def _cancel(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    await cancel_job(services, interaction, job_id)


async def _go(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    del services
    await making_of(interaction).go(interaction, job_id)


async def _stop(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    del services
    await making_of(interaction).stop(interaction, job_id)


async def _report(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    del services
    await open_form(interaction, ReportForm(job_id))


async def _details(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    job = await services.database.read(partial(store.load, job_id=job_id))
    if job is None or job.guild_id != interaction.guild_id:
        raise Refusal(_("Nothing is kept of this video any more."))
    spec = services.registry.every.get(job.model)
    embed = details_embed(job, job.model if spec is None else spec.name)
    await interaction.response.send_message(embed=embed, ephemeral=True, allowed_mentions=NO_MENTIONS)


#: what a button does for its job
_Act = Callable[[discord.Interaction[Any], Services, str], Awaitable[None]]
_ACTIONS: Final[Mapping[str, _Act]] = {
    "again": make_again,
    "cancel": _cancel,
    "delete": ask_to_delete,
    "details": _details,
    "edit": edit,
    "erase": delete,
    "extend": extend,
    "go": _go,
    "refresh": refresh,
    "remove": ask_to_delete,
    "report": _report,
    "stop": _stop,
    "use": use_other,
}


def details_embed(job: Job, model_name: str) -> discord.Embed:
    """Everything that is known of a job."""
    embed = discord.Embed(title=_(WORDS[job.state]), description=prompt_text(job, 2000) or _("No prompt."))
    embed.add_field(name=_("Model"), value=model_name)
    embed.add_field(name=_("Price"), value=credits_text(job.quote))
    embed.add_field(name=_("Options"), value=kept_options(job), inline=False)
    if job.ended_at is not None:
        seconds = int((job.ended_at - job.created_at).total_seconds())
        embed.add_field(name=_("Took"), value=seconds_text(seconds))
    return embed.set_footer(text=_(FOOTER).format(job=job.id))


#: every form that can be sent in
_FORMS: Final[tuple[type[Form], ...]] = (ReportForm, ComposeForm, EditForm, ExtendForm, AnimateForm)
#: every list that has pages
_LISTS: Final[Mapping[str, PageOf]] = {"audit": audit_page, "history": history_page}


class PageButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=PAGE_TEMPLATE):
    """Turns to another page of a list."""

    def __init__(self, button: discord.ui.Button[discord.ui.View], *, what: str, skip: int, argument: str) -> None:
        super().__init__(button)
        self.what, self.skip, self.argument = what, skip, argument

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        """Read the custom id."""
        del interaction
        assert isinstance(item, discord.ui.Button)  # noqa: S101 - for the type alone
        return cls(item, what=match["what"], skip=int(match["skip"]), argument=match["argument"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the other page."""
        try:
            page = await _LISTS[self.what](interaction, interaction.client.services, self.argument, self.skip)
            await turn_page(interaction, page, what=self.what, argument=self.argument, skip=self.skip)
        except Exception as error:  # noqa: BLE001 - every error becomes an answer, ours a line in the log
            await answer_error(interaction, error)


async def setup(bot: commands.Bot) -> None:
    """Answer every button of ours."""
    assert isinstance(bot, WanBot)  # noqa: S101 - for the type alone
    bot.add_dynamic_items(JobButton, PageButton, PrivacyButton, KeepButton)
    await bot.add_cog(Forms({form.kind: form for form in _FORMS}), override=True)
