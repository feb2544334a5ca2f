"""Answers the buttons on cards and results, also hours later and after a restart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

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
from cogs.admin.records import KeepButton, audit_page
from cogs.feature import cancel_job
from cogs.forms import Form, Forms, open_form
from cogs.making import making_of
from cogs.own_button import OwnButton
from cogs.paging import PAGE_TEMPLATE, PageOf, turn_page
from cogs.privacy import PrivacyButton
from cogs.remaking import ask_to_delete, delete, edit, extend, make_again, refresh, use_other
from cogs.reports import ReportForm
from cogs.status import history_page
from cogs.video_forms import AnimateForm, ComposeForm, EditForm, ExtendForm

log = structlog.stdlib.get_logger(__name__)

_TEMPLATE = r"wan:(?P<action>[a-z]+):(?P<job>[0-9a-z]{12})"


class JobButton(OwnButton, template=_TEMPLATE):
    """Every button about a job: what it does, and for which."""

    async def act(self, interaction: discord.Interaction[Any], services: Services) -> None:
        """See ``OwnButton``."""
        act = _ACTIONS.get(self.said["action"])
        if act is None:
            raise Refusal(_("This button is of an older version; it does nothing any more."))
        await act(interaction, services, self.said["job"])


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


class PageButton(OwnButton, template=PAGE_TEMPLATE):
    """Turns to another page of a list."""

    async def act(self, interaction: discord.Interaction[Any], services: Services) -> None:
        """See ``OwnButton``."""
        what, argument, skip = self.said["what"], self.said["argument"], int(self.said["skip"])
        page = await _LISTS[what](interaction, services, argument, skip)
        await turn_page(interaction, page, what=what, argument=argument, skip=skip)


async def setup(bot: commands.Bot) -> None:
    """Answer every button of ours."""
    assert isinstance(bot, WanBot)  # noqa: S101 - for the type alone
    bot.add_dynamic_items(JobButton, PageButton, PrivacyButton, KeepButton)
    await bot.add_cog(Forms({form.kind: form for form in _FORMS}), override=True)
