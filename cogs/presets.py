"""``/wan preset`` and ``/wan settings``: what members choose for themselves."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import discord
from discord import app_commands

from bot.delivery.words import fitting_lines
from bot.errors import Refusal
from bot.jobs import store
from bot.jobs.again import preset_options
from bot.jobs.job import Job
from bot.languages import _
from bot.members.presets import LONGEST, Preset, line, list_text, normalised
from bot.members.settings import MemberSettings, settings_text
from bot.services import Services
from bot.tree import answer_privately
from cogs import choices
from cogs.feature import Feature
from cogs.status import job_choice

_MOST_CHOICES: Final = 25
#: of a name that is sought; a few more than one can have, so that what is wrong can be said
_LONGEST_TYPED: Final = 100

Name = app_commands.Range[str, 1, LONGEST]
TypedName = app_commands.Range[str, 1, _LONGEST_TYPED]


class PresetCommands(Feature):
    """Keeps options under a name."""

    preset_group = app_commands.Group(name="preset", description="Options that you use again and again, under a name.")

    @preset_group.command(name="save", description="Keep the options of your last video under a name.")
    @app_commands.describe(name="What you will call it", job="Of which video; left out: your last one here")
    async def save_preset(self, interaction: discord.Interaction[Any], name: Name, job: str | None = None) -> None:
        """Keep the options of a video."""
        preset = await preset_of_job(self.services, interaction, name, job)
        is_replaced = await self.services.members.save_preset(interaction.guild_id or 0, interaction.user.id, preset)
        text = _("Saved in place of the old one: {preset}") if is_replaced else _("Saved: {preset}")
        use = _("Choose it in the option `preset` of `/wan video`; what you type there wins over it.")
        await answer_privately(interaction, f"{text.format(preset=line(preset))}\n{use}")

    @save_preset.autocomplete("job")
    async def _own_jobs(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await own_jobs(self.services, interaction, typed)

    @preset_group.command(name="delete", description="Delete one of your presets.")
    @app_commands.describe(name="Which one")
    async def delete_preset(self, interaction: discord.Interaction[Any], name: TypedName) -> None:
        """Delete a preset."""
        preset = await self.services.members.delete_preset(interaction.guild_id or 0, interaction.user.id, name)
        await answer_privately(interaction, _("Deleted: {preset}").format(preset=line(preset)))

    @delete_preset.autocomplete("name")
    async def _own_names(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await choices.own_presets(self.services, interaction, typed)

    @preset_group.command(name="list", description="Your presets, and those that everybody may use here.")
    async def list_presets(self, interaction: discord.Interaction[Any]) -> None:
        """List what may be used here."""
        guild_id = interaction.guild_id or 0
        own = await self.services.members.presets_of(guild_id, interaction.user.id)
        offered = (await self.services.communities.of(guild_id)).presets
        await answer_privately(interaction, fitting_lines(list_text(own, offered)))

    @app_commands.command(name="settings", description="Your settings here: whether your finished videos mention you.")
    @app_commands.describe(notify="Whether the message with your finished video mentions you")
    async def settings(self, interaction: discord.Interaction[Any], notify: bool | None = None) -> None:  # noqa: FBT001 - an option
        """Show the member's settings, after changing those that are given."""
        member = (interaction.guild_id or 0, interaction.user.id)
        if notify is not None:
            await self.services.members.keep_settings(*member, MemberSettings(notify=notify))
        await answer_privately(interaction, settings_text(await self.services.members.settings_of(*member)))


async def preset_of_job(
    services: Services, interaction: discord.Interaction[Any], name: str, job_id: str | None
) -> Preset:
    """The options of a member's video, or of the last one, under a name. Raises ``Refusal``."""
    plain = normalised(name)
    member = {"guild_id": interaction.guild_id or 0, "user_id": interaction.user.id}
    if job_id is None:
        job = next(iter(await services.database.read(partial(store.latest_of, **member, most=1))), None)
        if job is None:
            raise Refusal(_("You have made no video here yet. `/wan video` makes one."))
        if job.purged_at is not None:
            raise Refusal(_("Your last video's options aren't kept any more."))
    else:
        job = await services.database.read(partial(store.load, job_id=job_id.strip().lower()))
    if job is None or job.purged_at is not None or (job.guild_id, job.user_id) != tuple(member.values()):
        raise Refusal(_("**job**: there is no such video of yours here, or its options aren't kept any more."))
    return Preset(plain, preset_options(job))


async def own_jobs(
    services: Services, interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[str]]:
    """The member's latest videos here whose options are kept."""
    member = {"guild_id": interaction.guild_id or 0, "user_id": interaction.user.id}
    jobs = await services.database.read(partial(store.latest_of, **member, most=_MOST_CHOICES))
    return [job_choice(job) for job in jobs if job.purged_at is None and _is_sought(job, typed)]


def _is_sought(job: Job, typed: str) -> bool:
    return typed.lower() in f"{job.id} {job.request.prompt}".lower()
