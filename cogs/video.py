"""``/wan video``: from the command to the card."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Literal

import discord
import structlog
from discord import app_commands

from bot.delivery import faults
from bot.delivery.messages import NO_MENTIONS, card_buttons, card_embed, card_files, closing_files
from bot.errors import AlreadyAccepted, Refusal
from bot.jobs import store
from bot.jobs.job import Job
from bot.jobs.requests import Ask
from bot.services import Services
from cogs import choices
from cogs.answering import on_time
from cogs.feature import Feature, check_permissions
from cogs.uploads import Uploads
from providers.options import Wish

log = structlog.stdlib.get_logger(__name__)

AspectRatio = Literal["16:9", "9:16", "1:1", "4:3", "3:4"]
#: characters; Discord's own limit of an option
_LONGEST: Final = 6000


class VideoCommands(Feature):
    """Makes videos."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        #: one for all commands: it bounds how much of them is in memory at a time
        self.uploads = Uploads(images=services.images, videos=services.videos, folder=services.inputs_folder)

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
        await self.make(interaction, wish, attached, model=model, spoiler=spoiler)

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

    async def make(
        self,
        interaction: discord.Interaction[Any],
        wish: Wish,
        attached: dict[str, discord.Attachment | None],
        *,
        model: str | None,
        spoiler: bool,
    ) -> None:
        """Check, hold, store, and answer with the card."""
        check_permissions(interaction)
        requests, uploads = self.services.requests, self.uploads
        ask = Ask(
            interaction_id=interaction.id,
            guild_id=interaction.guild_id or 0,
            user_id=interaction.user.id,
            place=choices.place_of(interaction),
            wish=wish,
            model=model,
            upload_limit=interaction.filesize_limit,
            spoiler=spoiler,
        )
        async with on_time(interaction):
            prepared = await requests.prepare(ask)
            clip_limit = (
                interaction.guild.filesize_limit if interaction.guild is not None else interaction.filesize_limit
            )
            media = await uploads.take(prepared.job_id, prepared.spec, attached, clip_limit=clip_limit)
            try:
                job = await requests.accept(prepared, media)
            except AlreadyAccepted as already:
                await uploads.discard(prepared.job_id)
                await self._adopt_card(interaction, already.job)
                return
            except Refusal:
                # on any other error the job may have been stored, and needs its pictures
                await uploads.discard(prepared.job_id)
                raise
        await self._show_card(interaction, job)

    async def _show_card(self, interaction: discord.Interaction[Any], job: Job) -> None:
        """Answer with the card; if Discord takes no answer any more, the job is given up."""
        try:
            message_id = await self._answer(interaction, job)
        except faults.DISCORD_ERRORS as error:
            if faults.code_of(error) == faults.UNKNOWN_INTERACTION:
                log.warning("a command came too late; its job is given up", job=job.id)
                await self.services.cancelling.withdraw(job)
            elif faults.code_of(error) == faults.ALREADY_ACKNOWLEDGED:
                await self._adopt_card(interaction, job)
            else:
                log.warning("the answer to a command got lost", job=job.id, why=str(error))
                # the card may stand or not; if not, the worker makes one in a while
                await self._adopt_card(interaction, job)
            return
        await self._remember_card(interaction, job, message_id)

    async def _answer(self, interaction: discord.Interaction[Any], job: Job) -> int:
        shown = self.services.presenter.card_of(job)
        self.services.presenter.answered(job, shown)
        embed, view = card_embed(shown), card_buttons(shown, job.id)
        with closing_files(card_files(job, self.services.inputs_folder)) as files:
            if interaction.response.is_done():
                message = await interaction.edit_original_response(
                    embed=embed, view=view, attachments=files, allowed_mentions=NO_MENTIONS
                )
                return message.id
            answer = await interaction.response.send_message(
                embed=embed, view=view, files=files, allowed_mentions=NO_MENTIONS
            )
        return answer.message_id or (await interaction.original_response()).id

    async def _adopt_card(self, interaction: discord.Interaction[Any], job: Job) -> None:
        """Somebody else answered this very command: its card is ours."""
        try:
            message = await interaction.original_response()
        except faults.DISCORD_ERRORS as error:
            log.warning("no card to take over yet", job=job.id, why=str(error))
            return
        if job.card_message_id is None and message.embeds:
            await self._remember_card(interaction, job, message.id)

    async def _remember_card(self, interaction: discord.Interaction[Any], job: Job, message_id: int) -> None:
        place = {"channel_id": interaction.channel_id or job.channel_id, "message_id": message_id}
        await self.services.database.write(partial(store.store_card, job_id=job.id, **place))
        self.services.worker.wake()
