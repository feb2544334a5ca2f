"""Which models could make a video, and which of them comes nearest. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bot.communities.rules import Community, Limits, Place
from providers.options import (
    Options,
    OptionsRefused,
    Wish,
    allowed_durations,
    allowed_resolutions,
    check_options,
    parse_settings,
)
from providers.types import ImageStrategy, Mode, ModelSpec

_DIGITS: Final = 5
#: what a model may do otherwise than it was wished
_ADAPTED: Final = ("resolution", "duration", "settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another model for the same video."""

    spec: ModelSpec
    #: as near to what was wished as the model comes
    wish: Wish
    #: credits
    price: int
    #: what of the wish it can't do as it was wished: ``resolution``, ``duration``, ``settings``
    changed: tuple[str, ...] = ()


def able_models(
    models: Iterable[ModelSpec],
    *,
    mode: Mode,
    community: Community,
    place: Place,
    is_paused: Callable[[str], bool],
) -> list[ModelSpec]:
    """The models that may be used here, can start from this, and can be reached, in the catalogue's order."""
    return [
        spec
        for spec in models
        if mode in spec.modes
        and community.allows(spec, place)
        and community.can_make(spec)
        and not is_paused(spec.provider)
    ]


def nearest(
    models: Sequence[ModelSpec],
    wish: Wish,
    *,
    limits: Limits,
    price: int | None,
    price_of: Callable[[ModelSpec, Options], int | None],
) -> Alternative | None:
    """The model that comes nearest to a wish, then, from below first, to a price in credits (None: unknown).

    ``price_of`` gives None for what has no price. What a model has no word for at all, as a shape or a seed, isn't
    left out: such a model is none. Nor is one that is drawn here.
    """
    found = [
        (_distance(each, wish, price), each)
        for spec in models
        if not is_drawn_here(spec) and (each := _alternative(spec, wish, limits, price_of)) is not None
    ]
    return min(found, key=lambda pair: pair[0])[1] if found else None


def is_drawn_here(spec: ModelSpec) -> bool:
    """Whether no vendor makes its videos: a drawing stands in for none of theirs, however alike the options are."""
    return spec.image_strategy is ImageStrategy.LOCAL


def adapted(spec: ModelSpec, wish: Wish, limits: Limits) -> Wish:
    """The wish as near as a model comes to it, in resolution, duration and settings."""
    resolutions = allowed_resolutions(spec, limits.resolution)
    durations = allowed_durations(spec, limits.duration)
    if not resolutions or not durations:
        return wish
    return replace(
        wish,
        resolution=wish.resolution and min(resolutions, key=lambda name: _apart(name, wish.resolution)),
        duration=wish.duration and min(durations, key=lambda seconds: abs(seconds - (wish.duration or 0))),
        settings=_understood(spec, wish.settings),
    )


def changed(near: Wish, wish: Wish) -> tuple[str, ...]:
    """What of a wish isn't as it was wished any more: ``resolution``, ``duration``, ``settings``."""
    return tuple(name for name in _ADAPTED if getattr(near, name) != getattr(wish, name))


def _alternative(
    spec: ModelSpec, wish: Wish, limits: Limits, price_of: Callable[[ModelSpec, Options], int | None]
) -> Alternative | None:
    near = adapted(spec, wish, limits)
    try:
        options = check_options(spec, near, max_resolution=limits.resolution, max_duration=limits.duration)
    except OptionsRefused:
        return None
    price = price_of(spec, options)
    if price is None:
        return None
    return Alternative(spec=spec, wish=near, price=price, changed=changed(near, wish))


def _understood(spec: ModelSpec, settings: str | None) -> str | None:
    """Those settings that the model has too; as they are if it has them all."""
    words = (settings or "").replace(",", " ").split()
    known = [word for word in words if not parse_settings(spec, word)[1]]
    return settings if len(known) == len(words) else " ".join(known) or None


def _distance(alternative: Alternative, wish: Wish, price: int | None) -> tuple[int, int, bool, bool, int]:
    near = alternative.wish
    return (
        0 if wish.resolution is None else _apart(near.resolution or "0", wish.resolution),
        0 if wish.duration is None else abs((near.duration or 0) - wish.duration),
        near.settings != wish.settings,
        # nobody who was told one price wants to pay more for the same
        price is not None and alternative.price > price,
        0 if price is None else abs(alternative.price - price),
    )


def _apart(one: str, other: str | None) -> int:
    """How many lines are between two resolutions."""
    return abs(_lines(one) - _lines(other or ""))


def _lines(resolution: str) -> int:
    """Of ``720p``: 720; of what is no resolution: 0."""
    digits = resolution.rstrip("pP")
    return int(digits) if digits.isdecimal() and len(digits) <= _DIGITS else 0
