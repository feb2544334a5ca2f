"""Forms that make videos: a new one, an old one edited, an old one continued, a message's picture animated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final, TypeVar

import discord

from bot.communities.rules import Community
from bot.delivery.words import seconds_text, shortened
from bot.errors import Refusal
from bot.jobs import store
from bot.jobs.again import Shape, settings_text
from bot.jobs.job import Job, Request
from bot.languages import _, say
from bot.services import Services
from cogs import choices
from cogs.answering import on_time
from cogs.forms import Form
from cogs.making import making_of
from cogs.uploads import Source
from providers.options import Wish, allowed_durations, allowed_resolutions, describe, shapes_at
from providers.types import Mode, ModelSpec

_T = TypeVar("_T")

_LONGEST_PROMPT: Final = 4000
_LONGEST_NEGATIVE: Final = 1000
_LONGEST_SETTINGS: Final = 200
_MOST_FILES: Final = 2
_NOT_ENHANCED: Final = {"enhance_prompt": None}
#: Discord's own limits
_MOST_CHOICES: Final = 25
_TITLE: Final = 45
_PLACEHOLDER: Final = 100


class VideoForm(Form):
    """Five fields: what to show, what not, files, one choice of the shape, settings."""

    def __init__(self, argument: str, *, title: str) -> None:
        super().__init__(argument, title=shortened(title, _TITLE))
        self.prompt = discord.ui.TextInput[VideoForm](
            custom_id="prompt", style=discord.TextStyle.paragraph, max_length=_LONGEST_PROMPT, required=False
        )
        self.negative = discord.ui.TextInput[VideoForm](
            custom_id="negative_prompt", max_length=_LONGEST_NEGATIVE, required=False
        )
        self.files = discord.ui.FileUpload[VideoForm](
            custom_id="files", min_values=0, max_values=_MOST_FILES, required=False
        )
        self.shape = discord.ui.Select[VideoForm](custom_id="shape", min_values=0, max_values=1, required=False)
        self.settings = discord.ui.TextInput[VideoForm](
            custom_id="settings", max_length=_LONGEST_SETTINGS, required=False
        )

    def arrange(self, *, files: str) -> None:
        """Put the fields in their order; ``files`` says what files are for."""
        self.add_item(_label(_("Prompt"), self.prompt, _("What the video should show")))
        self.add_item(_label(_("Negative prompt"), self.negative, _("What it should not show")))
        self.add_item(_label(_("Files"), self.files, files))
        self.add_item(_label(_("Resolution, shape, seconds"), self.shape))
        self.add_item(_label(_("Settings"), self.settings, _("Extra settings of the model")))

    def offer(self, community: Community, specs: Sequence[ModelSpec], chosen: Shape | None = None) -> None:
        """Offer only what these models have here."""
        shapes = list(dict.fromkeys(shape for spec in specs for shape in shapes_of(community, spec)))
        if chosen is not None:
            shapes = [chosen, *(shape for shape in shapes if shape != chosen)]
        for shape in shapes[:_MOST_CHOICES]:
            self.shape.add_option(label=shape_text(shape), value=str(shape), default=shape == chosen)
        keys = {parameter.key: say(describe(parameter)) for spec in specs for parameter in spec.parameters}
        text = " ".join(_("{key}: {what}.").format(key=key, what=what) for key, what in keys.items())
        none = _("This model has none.")
        self.settings.placeholder = shortened(text.replace("`", ""), _PLACEHOLDER) if keys else none

    def fill_in(self, request: Request) -> None:
        """Show what was asked for before. Raises ``Refusal`` for what no form holds."""
        if len(request.prompt) > _LONGEST_PROMPT:
            text = _("This prompt is longer than the {most} characters of a form: use `/wan video`.")
            raise Refusal(text.format(most=f"{_LONGEST_PROMPT:,}"))
        self.prompt.default = request.prompt[:_LONGEST_PROMPT]
        self.negative.default = (request.negative_prompt or "")[:_LONGEST_NEGATIVE]
        self.settings.default = (settings_text(request.parameters) or "")[:_LONGEST_SETTINGS]

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Make a video of it."""
        services: Services = interaction.client.services
        async with on_time(interaction):
            before, model, kept = await self.basis(interaction, services)
        attached = sources_of(self.files.values) or kept
        shape = Shape.read(self.shape.values[0]) if self.shape.values else Shape()
        wish = Wish(
            prompt=self.prompt.value,
            has_image="image" in attached,
            has_last_image="last_image" in attached,
            has_video="video" in attached,
            resolution=shape.resolution,
            aspect_ratio=shape.aspect_ratio,
            duration=shape.duration,
            negative_prompt=self.negative.value or None,
            seed=None,
            enhance_prompt=None if before is None else before.enhance_prompt,
            settings=self.settings.value or None,
        )
        spoiler = before is not None and before.spoiler
        await making_of(interaction).make(interaction, wish, attached, model=model, spoiler=spoiler)

    async def basis(
        self, interaction: discord.Interaction[Any], services: Services
    ) -> tuple[Request | None, str | None, Mapping[str, Source]]:
        """What was asked for before, the model, and the files that are used when none is sent."""
        del interaction, services
        return None, self.argument or None, {}


class ComposeForm(VideoForm):
    """A new video; the argument is the model's id, or empty."""

    kind = "compose"

    @classmethod
    def reopened(cls, services: Services, argument: str) -> ComposeForm:
        """See ``Form``."""
        del services
        form = cls(argument, title=_("New video"))
        form.arrange(files=_("A first image, a first and a last image, or a clip"))
        return form

    @classmethod
    def opened(cls, community: Community, specs: Sequence[ModelSpec], model: ModelSpec | None) -> ComposeForm:
        """A fresh one for these models."""
        form = cls("" if model is None else model.id, title=_("New video") if model is None else model.name)
        form.offer(community, [model] if model is not None else specs)
        form.arrange(files=_("A first image, a first and a last image, or a clip"))
        return form


class EditForm(VideoForm):
    """An old request, to be changed; the argument is its job's id."""

    kind = "edit"

    @classmethod
    def reopened(cls, services: Services, argument: str) -> EditForm:
        """See ``Form``."""
        del services
        form = cls(argument, title=_("Edit and rerun"))
        form.arrange(files=_("Without new files the old ones are used"))
        return form

    @classmethod
    def opened(cls, community: Community, spec: ModelSpec, job: Job) -> EditForm:
        """Filled with what the job asked for."""
        form = cls(job.id, title=_("Edit and rerun · {model}").format(model=spec.name))
        form.offer(community, [spec], _shape_of(job.request))
        form.fill_in(job.request)
        form.arrange(files=_("Without new files the old ones are used"))
        return form

    async def basis(
        self, interaction: discord.Interaction[Any], services: Services
    ) -> tuple[Request | None, str | None, Mapping[str, Source]]:
        """See ``VideoForm``."""
        job = await kept_job(services, interaction, self.argument)
        return job.request, job.model, kept_sources(services, job)


class ExtendForm(VideoForm):
    """What comes after an old video; the argument is ``job/model``."""

    kind = "extend"

    @classmethod
    def reopened(cls, services: Services, argument: str) -> ExtendForm:
        """See ``Form``."""
        del services
        form = cls(argument, title=_("Extend"))
        form.arrange(files=_("Leave this empty: the video itself is continued"))
        return form

    @classmethod
    def opened(cls, community: Community, spec: ModelSpec, job: Job) -> ExtendForm:
        """Filled with what the job asked for."""
        form = cls(f"{job.id}/{spec.id}", title=_("Extend · {model}").format(model=spec.name))
        form.offer(community, [spec])
        form.prompt.default = job.request.prompt[:_LONGEST_PROMPT]
        form.arrange(files=_("Leave this empty: the video itself is continued"))
        return form

    async def basis(
        self, interaction: discord.Interaction[Any], services: Services
    ) -> tuple[Request | None, str | None, Mapping[str, Source]]:
        """See ``VideoForm``: the clip, or its last picture for a model that continues none."""
        job_id, _slash, model = self.argument.partition("/")
        job = await kept_job(services, interaction, job_id)
        spec = services.registry.models.get(model)
        if spec is None:
            raise Refusal(_("This model isn't offered any more. Press Extend again."))
        video = kept_video(services, job)
        request = job.request if spec.enhances_prompt is not None else job.request.model_copy(update=_NOT_ENHANCED)
        if Mode.EXTEND in spec.modes:
            return request, model, {"video": _smallest(video)}
        frame = video.with_name(f"{job.id}.last.png")
        if not frame.is_file():
            await services.videos.last_frame(video, frame)
        return request, model, {"image": frame}


class AnimateForm(VideoForm):
    """A picture of somebody's message; the argument is the key under which it is remembered."""

    kind = "animate"

    @classmethod
    def reopened(cls, services: Services, argument: str) -> AnimateForm:
        """See ``Form``."""
        del services
        form = cls(argument, title=_("Animate with Wan"))
        form.arrange(files=_("Leave this empty: the message's picture is animated"))
        return form

    @classmethod
    def opened(cls, community: Community, specs: Sequence[ModelSpec], key: str) -> AnimateForm:
        """A fresh one for these models."""
        form = cls(key, title=_("Animate with Wan"))
        form.offer(community, specs)
        form.arrange(files=_("Leave this empty: the message's picture is animated"))
        return form

    async def basis(
        self, interaction: discord.Interaction[Any], services: Services
    ) -> tuple[Request | None, str | None, Mapping[str, Source]]:
        """See ``VideoForm``."""
        del services
        picture = making_of(interaction).picture_of(self.argument)
        if picture is None:
            raise Refusal(_("This form is too old. Choose **Animate with Wan** from the message's menu again."))
        return None, None, {"image": picture}


def shapes_of(community: Community, spec: ModelSpec) -> list[Shape]:
    """What a model makes within the community's limits: everything, or the most useful part of it."""
    resolutions = allowed_resolutions(spec, community.limits.resolution)
    durations = allowed_durations(spec, community.limits.duration)
    if not resolutions or not durations:
        return []
    resolution = _nearest(spec.default_resolution, resolutions)
    seconds = _nearest(spec.default_duration, durations)
    useful = [
        Shape(resolution, None, seconds),
        *(Shape(each, None, seconds) for each in resolutions),
        *(Shape(resolution, None, each) for each in durations),
        *(Shape(resolution, ratio, seconds) for ratio in shapes_at(spec, resolution)),
        *(Shape(each, None, length) for each, length in product(resolutions, durations)),
    ]
    return list(dict.fromkeys(useful))[:_MOST_CHOICES]


def shape_text(shape: Shape) -> str:
    """``720p · 16:9 · 5 s``."""
    seconds = None if shape.duration is None else seconds_text(shape.duration)
    parts = (shape.resolution, shape.aspect_ratio, seconds)
    return " · ".join(part for part in parts if part)


def sources_of(files: Sequence[discord.Attachment]) -> dict[str, Source]:
    """What the files of a form are for. Raises ``Refusal``."""
    clips = [file for file in files if (file.content_type or "").startswith("video/")]
    if clips and len(files) > 1:
        raise Refusal(_("**files**: send either one clip, or one or two images."))
    return {"video": clips[0]} if clips else dict(zip(("image", "last_image"), files, strict=False))


async def kept_job(services: Services, interaction: discord.Interaction[Any], job_id: str) -> Job:
    """A job of this guild of which everything is kept. Raises ``Refusal``."""
    job = await services.database.read(partial(store.load, job_id=job_id))
    if job is None or job.guild_id != interaction.guild_id or job.purged_at is not None or job.removed_at is not None:
        raise Refusal(_("Nothing is kept of this video any more. `/wan video` makes a new one."))
    return job


def kept_sources(services: Services, job: Job) -> dict[str, Source]:
    """What was attached to a job."""
    request = job.request
    media = {"image": request.image, "last_image": request.last_image, "video": request.video}
    return {name: services.inputs_folder / each.path for name, each in media.items() if each is not None}


def kept_video(services: Services, job: Job) -> Path:
    """Our copy of a job's video. Raises ``Refusal``."""
    path = None if job.video_path is None else services.videos_folder / job.video_path
    if path is None or not path.is_file():
        raise Refusal(_("This video isn't kept any more."))
    return path


async def extending_model(services: Services, interaction: discord.Interaction[Any], job: Job) -> ModelSpec:
    """The model that continues a video: its own, another that continues clips, or one that starts from an image."""
    community = await services.communities.of(job.guild_id)
    place = choices.place_of(interaction)
    usable = [spec for spec in services.chooser.usable(community, place) if community.can_make(spec)]
    ready = [spec for spec in usable if not services.pauses.is_paused(spec.provider)]
    own_first = sorted(ready, key=lambda spec: spec.id != job.model)
    for mode in (Mode.EXTEND, Mode.IMAGE):
        for spec in own_first:
            if mode in spec.modes:
                return spec
    raise Refusal(_("No model that may be used here continues a video or starts from an image."))


def _smallest(video: Path) -> Path:
    """The copy that was made to fit the channel, if there is one."""
    fitted = video.with_name(f"{video.stem}.fitted.mp4")
    return fitted if fitted.is_file() else video


def _nearest(default: _T, allowed: Sequence[_T]) -> _T:
    return default if default in allowed else allowed[-1]


def _shape_of(request: Request) -> Shape:
    return Shape(request.resolution, request.aspect_ratio, request.duration)


def _label(text: str, field: discord.ui.Item[Any], description: str | None = None) -> discord.ui.Label[Any]:
    return discord.ui.Label(text=text, component=field, description=description)
