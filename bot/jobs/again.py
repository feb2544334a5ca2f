"""What an old job asked for, to be asked for once more. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot.jobs.job import Job, Request
from bot.members.presets import OPTIONS, PresetOptions
from providers.options import Wish
from providers.types import ParameterValue


@dataclass(frozen=True, slots=True)
class Shape:
    """What one choice of a form sets; None: the model's own default."""

    resolution: str | None = None
    aspect_ratio: str | None = None
    duration: int | None = None

    def __str__(self) -> str:
        """``720p/16:9/5``: the value of the choice."""
        return f"{self.resolution or ''}/{self.aspect_ratio or ''}/{self.duration or ''}"

    @classmethod
    def read(cls, value: str) -> Shape:
        """Read the value of a choice."""
        resolution, aspect_ratio, duration = value.split("/")
        return cls(resolution or None, aspect_ratio or None, int(duration) if duration else None)


def wish_of(request: Request) -> Wish:
    """The same wish again, with another seed."""
    return Wish(
        prompt=request.prompt,
        has_image=request.image is not None,
        has_last_image=request.last_image is not None,
        has_video=request.video is not None,
        resolution=request.resolution,
        aspect_ratio=request.aspect_ratio,
        duration=request.duration,
        negative_prompt=request.negative_prompt,
        enhance_prompt=request.enhance_prompt,
        settings=settings_text(request.parameters),
    )


def wish_again(request: Request) -> Wish:
    """The same wish once more, with its seed: nothing was made of it."""
    return replace(wish_of(request), seed=request.seed)


def preset_options(job: Job) -> PresetOptions:
    """What a job was asked to be, without what it was asked to show."""
    wish = wish_again(job.request)
    return PresetOptions(model=job.model, **{name: getattr(wish, name) for name in OPTIONS})


def settings_text(parameters: Mapping[str, ParameterValue]) -> str | None:
    """``steps=40 fps=24``, as members write them."""
    words = [f"{key}={_value(value)}" for key, value in parameters.items()]
    return " ".join(words) or None


def _value(value: ParameterValue) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"
