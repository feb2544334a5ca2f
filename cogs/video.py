"""``/wan video``."""

from __future__ import annotations

from typing import Any, Final, Literal

import discord
from discord import app_commands

from bot.members.presets import PresetUse, applied
from bot.services import Services
from cogs import choices
from cogs.feature import Feature
from cogs.making import Making
from providers.options import Wish

AspectRatio = Literal["16:9", "9:16", "1:1", "4:3", "3:4"]
#: characters; Discord's own limit of an option
_LONGEST: Final = 6000


class VideoCommands(Feature):
    """Makes videos."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.making = Making(services)

    @app_commands.command(name="video", description="Make a video from a text, images, or a clip.")
    @app_commands.describe(
        prompt="What the video should show",
        image="The first frame",
        last_image="The last frame (with image)",
        video="A clip to continue",
        model="Which model makes it; the list shows what you may use here",
        resolution="How sharp it is",
        aspect_ratio="Its shape",
        duration="How long it is, in seconds",
        negative_prompt="What it should not show",
        seed="The same number with the same options gives a similar video",
        enhance_prompt="Let the model rewrite your prompt",
        settings="Extra settings of the model; they appear as you type",
        preset="Options that were saved under a name; what you type here wins over them",
        spoiler="Hide the video behind a spoiler",
    )
    async def video(  # noqa: PLR0917 - Discord names them
        self,
        interaction: discord.Interaction[Any],
        prompt: app_commands.Range[str, 1, _LONGEST],
        image: discord.Attachment | None = None,
        last_image: discord.Attachment | None = None,
        video: discord.Attachment | None = None,
        model: str | None = None,
        resolution: str | None = None,
        aspect_ratio: AspectRatio | None = None,
        duration: int | None = None,
        negative_prompt: str | None = None,
        seed: int | None = None,
        enhance_prompt: bool | None = None,  # noqa: FBT001 - an option of the command
        settings: str | None = None,
        preset: str | None = None,
        spoiler: bool = False,  # noqa: FBT001, FBT002 - an option of the command
    ) -> None:
        """Make a video."""
        attached = {"image": image, "last_image": last_image, "video": video}
        wish = Wish(
            prompt=prompt,
            has_image=image is not None,
            has_last_image=last_image is not None,
            has_video=video is not None,
            resolution=resolution,
            aspect_ratio=aspect_ratio,
            duration=duration,
            negative_prompt=negative_prompt,
            seed=seed,
            enhance_prompt=enhance_prompt,
            settings=settings,
        )
        use: PresetUse | None = None
        if preset is not None:
            wish, model, use = applied(wish, model, await choices.preset_named(self.services, interaction, preset))
        await self.making.make(interaction, wish, attached, model=model, spoiler=spoiler, preset=use)

    @video.autocomplete("model")
    async def _models(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await choices.models(self.services, interaction, typed)

    @video.autocomplete("resolution")
    async def _resolutions(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await choices.resolutions(self.services, interaction, typed)

    @video.autocomplete("duration")
    async def _durations(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[int]]:
        return await choices.durations(self.services, interaction, str(typed))

    @video.autocomplete("settings")
    async def _settings(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await choices.settings(self.services, interaction, typed)

    @video.autocomplete("preset")
    async def _presets(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await choices.presets(self.services, interaction, typed)
