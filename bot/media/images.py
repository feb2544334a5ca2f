"""Pictures of members, checked and fitted to what a model accepts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, JsonValue, TypeAdapter

from bot.media.errors import MediaFailed
from bot.media.workers import MediaWorkers, Task
from providers.types import ImageLimits

SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/bmp": ".bmp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A picture within a model's limits, without metadata, on disk.

    Sizes are in pixels, as people see the picture. ``was_changed`` tells whether a member would see
    a difference: another size, another file type, or white in place of transparency.
    """

    path: Path
    content_type: str
    width: int
    height: int
    original_width: int
    original_height: int
    was_changed: bool


class _Answer(BaseModel):
    content_type: str
    size: tuple[int, int]
    original_size: tuple[int, int]
    was_changed: bool


_ANSWER = TypeAdapter(_Answer)


class Images:
    """Checks and fits pictures, in child processes."""

    def __init__(self, *, workers: MediaWorkers) -> None:
        self._workers = workers

    async def fit(self, source: Path, target: Path, limits: ImageLimits) -> Fitted:
        """Write ``source``, fitted to ``limits``, beside ``target``: its suffix becomes that of the content type.

        Accepted are still pictures (PNG, JPEG, WEBP, BMP, GIF, AVIF where it can be read) of up to
        20 MiB and 50 megapixels, at least 64 pixels a side, up to 4:1. Nothing is left on failure.

        Raises:
            NotMedia: no still picture, or a damaged one. The reason is for members.
            MediaLimit: beyond the sizes above, or a shape that the limits don't allow. Also for members.
            MediaFailed: out of time or memory, or a crash.
        """
        part = target.with_suffix(".part")
        try:
            answer = await self._workers.run(_task(source, part, limits))
            return _finish(answer, part, target, limits)
        finally:
            part.unlink(missing_ok=True)


def _task(source: Path, part: Path, limits: ImageLimits) -> Task[_Answer]:
    stated: dict[str, JsonValue] = {**asdict(limits), "content_types": list(limits.content_types)}
    arguments: dict[str, JsonValue] = {"source": str(source), "target": str(part), "limits": stated}
    return Task(name="fit_image", arguments=arguments, answer=_ANSWER)


def _finish(answer: _Answer, part: Path, target: Path, limits: ImageLimits) -> Fitted:
    """Name the file after its type. The path is ours, whatever a child might answer."""
    if answer.content_type not in limits.content_types or answer.content_type not in SUFFIXES:
        raise MediaFailed(f"the child process wrote {answer.content_type}, which was not asked for")
    path = target.with_suffix(SUFFIXES[answer.content_type])
    part.replace(path)
    return Fitted(
        path=path,
        content_type=answer.content_type,
        width=answer.size[0],
        height=answer.size[1],
        original_width=answer.original_size[0],
        original_height=answer.original_size[1],
        was_changed=answer.was_changed,
    )
