"""The words that every provider and its callers share. All values are immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

#: a value of an extra parameter (``settings``)
ParameterValue = int | float | bool


class Mode(StrEnum):
    """What a video starts from. It follows from what is attached, nobody chooses it."""

    TEXT = "text"
    IMAGE = "image"
    FIRST_LAST = "first_last"
    EXTEND = "extend"


class ImageStrategy(StrEnum):
    """How an image reaches the vendor."""

    #: inside the request, base64
    DATA_URI = "data_uri"
    #: sent to the vendor's own store first
    UPLOAD = "upload"
    #: the vendor fetches a public link
    URL = "url"
    #: nothing leaves this machine
    LOCAL = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """An extra parameter of a model, as members write it in ``settings`` (``steps=40``)."""

    key: str
    kind: type[ParameterValue]
    default: ParameterValue
    #: inclusive bounds; both None for booleans
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLimits:
    """What a model accepts as a still picture."""

    #: MIME types, the preferred one first
    content_types: tuple[str, ...] = ("image/png", "image/jpeg", "image/webp")
    max_bytes: int = 10 * 1024 * 1024
    #: pixels, for the shorter and the longer side
    min_side: int = 64
    max_side: int = 4096
    alpha: bool = True


class CostUnit(StrEnum):
    """What a vendor counts in."""

    USD = "usd"
    CREDITS = "credits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What the vendor charges, before any rule of ours.

    Per video or per second of video, by resolution; the key ``*`` stands for every resolution not
    named. ``unit`` tells US dollars from the vendor's own credits, which are rounded up to a whole
    number before they are converted.
    """

    unit: CostUnit
    per_video: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    per_second: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])


@dataclass(frozen=True, slots=True)
class Cost:
    """What the vendor said that a job cost."""

    amount: Decimal
    unit: CostUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One offering of a provider: what it can do, within which limits, at what price. Data only."""

    #: ``provider/model``, or just ``demo``
    id: str
    provider: str
    name: str
    modes: tuple[Mode, ...]
    price: Price
    #: in characters; None: the vendor states none
    prompt_limit: int | None = None
    #: modes that work with an empty prompt
    prompt_optional: tuple[Mode, ...] = ()
    has_negative_prompt: bool = False
    negative_prompt_limit: int | None = None
    #: in ascending order, as members write them: ``480p``
    resolutions: tuple[str, ...] = ()
    default_resolution: str = ""
    aspect_ratios: tuple[str, ...] = ()
    default_aspect_ratio: str = ""
    #: modes in which the vendor heeds an aspect ratio
    aspect_ratio_modes: tuple[Mode, ...] = (Mode.TEXT,)
    #: by resolution and aspect ratio, the vendor's own word for the size, where only these pairs exist;
    #: empty: every pair does
    sizes: Mapping[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    #: seconds, ascending
    durations: tuple[int, ...] = (5,)
    default_duration: int = 5
    #: the vendor sets the length itself: it is told by the one entry of ``durations``, and never sent
    fixed_duration: bool = False
    has_seed: bool = True
    max_seed: int = 2**31 - 1
    #: whether the vendor rewrites prompts when it isn't told; None: it has no such option
    enhances_prompt: bool | None = None
    parameters: tuple[Parameter, ...] = ()
    image: ImageLimits = ImageLimits()
    image_strategy: ImageStrategy = ImageStrategy.URL
    #: the vendor says that this model makes adult content
    adult: bool = False
    #: after this time without a video the job is given up
    deadline: timedelta = timedelta(minutes=20)
    #: what to use instead, for a model that is offered no more
    successor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """A checked picture or clip: on disk, and, for vendors that fetch it themselves, under a link."""

    path: Path
    content_type: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What a provider is asked to make. Everything in it was checked against the model's spec.

    None means that nobody asked for it, so it isn't sent unless the vendor requires it.
    """

    model: ModelSpec
    mode: Mode
    prompt: str
    resolution: str
    duration: int
    negative_prompt: str | None = None
    aspect_ratio: str | None = None
    seed: int | None = None
    enhance_prompt: bool | None = None
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict[str, ParameterValue])
    image: Media | None = None
    last_image: Media | None = None
    video: Media | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The vendor took the request."""

    task_id: str
    estimated_seconds: float | None = None
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Still working. ``progress`` runs from 0.0 to 1.0 where the vendor tells it."""

    progress: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The video can be fetched at ``video_url`` (``file:`` only from a local provider)."""

    video_url: str
    cost: Cost | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The vendor gave up on the task. ``reason`` is its own text, not trusted."""

    reason: str
    #: our own sentence for the member, saying what to do; None: nothing more is known than that it failed
    advice: str | None = None


#: what a look at a task can tell
TaskStatus = Pending | Finished | Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTask:
    """A line of a vendor's own list of tasks."""

    task_id: str
    model: str
    prompt: str
    created_at: datetime
