"""Which models could make a video. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bot.communities.rules import Community, Place
from providers.types import Mode, ModelSpec


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
