"""``/wan-admin preset``: options under a name, for everybody."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands

from bot.languages import _
from cogs import choices
from cogs.admin.deciding import Deciding, actor_of
from cogs.presets import Name, TypedName, own_jobs, preset_of_job


class PresetModeration(Deciding):
    """Decides which presets everybody may use."""

    preset_group = app_commands.Group(name="preset", description="Options under a name that everybody may use here.")

    @preset_group.command(name="offer", description="Offer the options of your last video to everybody, under a name.")
    @app_commands.describe(name="What it is called", job="Of which video of yours; left out: your last one here")
    async def offer_preset(self, interaction: discord.Interaction[Any], name: Name, job: str | None = None) -> None:
        """Offer the options of a video."""
        preset = await preset_of_job(self.services, interaction, name, job)
        change = await self.services.decisions.offer_preset(actor_of(interaction), preset)
        await self.decided(interaction, change, _("Preset"))

    @offer_preset.autocomplete("job")
    async def _own_jobs(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await own_jobs(self.services, interaction, typed)

    @preset_group.command(name="remove", description="Offer a preset no more.")
    @app_commands.describe(name="Which one")
    async def remove_preset(self, interaction: discord.Interaction[Any], name: TypedName) -> None:
        """Offer a preset no more."""
        change = await self.services.decisions.remove_preset(actor_of(interaction), name)
        await self.decided(interaction, change, _("Preset"))

    @remove_preset.autocomplete("name")
    async def _offered(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await choices.offered_presets(self.services, interaction, typed)
