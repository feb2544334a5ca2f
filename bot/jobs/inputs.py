"""What a job starts from, made ready for a provider. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bot.jobs.job import Request, StoredMedia
from providers.types import GenerationRequest, ImageStrategy, Media, ModelSpec


def needs_links(request: Request, spec: ModelSpec) -> bool:
    """Whether the vendor fetches what is attached by itself."""
    return bool(request.media) and spec.image_strategy is ImageStrategy.URL


def generation_request(
    request: Request, spec: ModelSpec, *, path_of: Callable[[str], Path], links: Mapping[str, str]
) -> GenerationRequest:
    """The request in the provider's words."""

    def media(stored: StoredMedia | None) -> Media | None:
        if stored is None:
            return None
        return Media(path=path_of(stored.path), content_type=stored.content_type, url=links.get(stored.filename))

    return GenerationRequest(
        model=spec,
        mode=request.mode,
        prompt=request.prompt,
        resolution=request.resolution,
        duration=request.duration,
        negative_prompt=request.negative_prompt,
        aspect_ratio=request.aspect_ratio,
        seed=request.seed,
        enhance_prompt=request.enhance_prompt,
        parameters=request.parameters,
        image=media(request.image),
        last_image=media(request.last_image),
        video=media(request.video),
    )
