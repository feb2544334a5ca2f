"""The buttons of cards and results that lead on: Refresh, Again, Edit, Extend, Delete."""

from __future__ import annotations

from functools import partial
from typing import Any

import discord

from bot.delivery.messages import ERASE, NO_MENTIONS, buttons, card_buttons, card_embed
from bot.delivery.threads import take_name
from bot.delivery.words import member_text
from bot.errors import Refusal
from bot.jobs import store
from bot.jobs.again import wish_again, wish_of
from bot.jobs.alternatives import adapted
from bot.jobs.job import Job
from bot.languages import _
from bot.services import Services
from bot.tree import answer_privately
from cogs import choices
from cogs.admin.deciding import actor_of
from cogs.feature import check_permissions, moderates
from cogs.forms import open_form
from cogs.making import making_of
from cogs.video_forms import EditForm, ExtendForm, extending_model, kept_job, kept_sources, kept_video


async def make_again(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    """The same with another seed, for whoever pressed the button, with their credits. Raises ``Refusal``."""
    job = await kept_job(services, interaction, job_id)
    sources = kept_sources(services, job)
    wish, spoiler = wish_of(job.request), job.request.spoiler
    await making_of(interaction).make(interaction, wish, sources, model=job.model, spoiler=spoiler)


async def use_other(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    """Go on with the model that a card offers in place of one that can't be reached. Raises ``Refusal``."""
    job = await kept_job(services, interaction, job_id)
    if job.user_id != interaction.user.id:
        text = _("This is {member}'s video; only they can choose another model for it.")
        raise Refusal(text.format(member=member_text(job.user_id)))
    spec = services.registry.models.get(job.offer_model or "")
    if spec is None or not job.offers_another:
        raise Refusal(await _why_no_other(services, job))
    limits = (await services.communities.of(job.guild_id)).limits
    wish = adapted(spec, wish_again(job.request), limits)
    await making_of(interaction).make(
        interaction,
        wish,
        kept_sources(services, job),
        model=spec.id,
        spoiler=job.request.spoiler,
        instead_of=job,
    )


async def edit(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    """A form filled with the request. Raises ``Refusal``."""
    check_permissions(interaction)
    job = await kept_job(services, interaction, job_id)
    community = await services.communities.of(job.guild_id)
    spec = services.chooser.named(job.model, community, choices.place_of(interaction))
    await open_form(interaction, EditForm.opened(community, spec, job))


async def extend(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    """A form for what comes next. Raises ``Refusal``."""
    check_permissions(interaction)
    job = await kept_job(services, interaction, job_id)
    kept_video(services, job)
    spec = await extending_model(services, interaction, job)
    community = await services.communities.of(job.guild_id)
    await open_form(interaction, ExtendForm.opened(community, spec, job))


async def refresh(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    """Show the card as it is now, without waiting for its next edit. Raises ``Refusal``."""
    job = await services.database.read(partial(store.load, job_id=job_id))
    if job is None or job.guild_id != interaction.guild_id:
        raise Refusal(_("Nothing is kept of this video any more."))
    shown = services.presenter.card_of(job, services.worker.sight_of(job))
    await interaction.response.edit_message(
        embed=card_embed(shown), view=card_buttons(shown, job.id), allowed_mentions=NO_MENTIONS
    )


async def ask_to_delete(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    """Ask once more: it can't be undone. Raises ``Refusal``."""
    await _own_or_moderated(interaction, services, job_id)
    text = _(
        "The video and its card are deleted, and no copy is kept. The credits spent on it don't come back. "
        "It can't be undone."
    )
    await answer_privately(interaction, text, view=buttons(job_id, ERASE))


async def delete(interaction: discord.Interaction[Any], services: Services, job_id: str) -> None:
    """Delete a posted video for good. Raises ``Refusal``."""
    await _own_or_moderated(interaction, services, job_id)
    job = await services.results.remove(actor_of(interaction), job_id)
    await interaction.response.edit_message(content=_("The video was removed."), view=None)
    community = await services.communities.of(job.guild_id)
    with services.presenter.speaking_in(job.guild_id):
        thread = _("A video that was removed")
        what = _("{member}'s video in {channel}, job {job}").format(
            member=f"<@{job.user_id}>", channel=f"<#{job.channel_id}>", job=job.id
        )
    told = f"<@{interaction.user.id}> · **results remove** · {what}"
    await services.presenter.tell_moderators(community, told)
    await take_name(interaction.client, job, thread)


async def _why_no_other(services: Services, job: Job) -> str:
    """Why a job offers no other model: its card may still have the button."""
    if await services.database.read(partial(store.replacement_of, job_id=job.id)) is not None:
        return _("It goes on with another model already, on a card of its own.")
    if job.state.is_open:
        return _("It went on in this very moment; nothing was changed.")
    return _("It has ended already.")


async def _own_or_moderated(interaction: discord.Interaction[Any], services: Services, job_id: str) -> Job:
    """The job, if whoever asks may delete its video. Raises ``Refusal``."""
    job = await services.database.read(partial(store.load, job_id=job_id))
    if job is None or job.guild_id != interaction.guild_id:
        raise Refusal(_("Nothing is kept of this video any more."))
    if job.user_id != interaction.user.id and not moderates(interaction, job):
        text = _("This is {member}'s video. Only they can delete it, and moderators.")
        raise Refusal(text.format(member=f"<@{job.user_id}>"))
    return job
