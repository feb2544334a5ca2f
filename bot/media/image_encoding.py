"""Writing pictures within a limit of bytes. Runs in the child processes only."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from bot.languages import _
from bot.media.errors import MediaFailed, MediaLimit
from bot.media.shapes import smaller
from providers.types import ImageLimits

#: what can be written, by content type, with Pillow's options
_FORMATS: dict[str, tuple[str, dict[str, int]]] = {
    "image/png": ("PNG", {"compress_level": 4}),
    "image/jpeg": ("JPEG", {"optimize": 1}),
    "image/webp": ("WEBP", {"method": 2}),
    "image/bmp": ("BMP", {}),
}
_LOSSY = ("image/jpeg", "image/webp")
_OPAQUE = ("image/jpeg", "image/bmp")
#: visually the same as the original
_BEST = 95
#: then less, before the picture itself becomes smaller
_LADDER = (90, 85, 75)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture as it goes out."""

    content: bytes
    content_type: str
    #: pixels
    size: tuple[int, int]
    #: whether transparency had to become white
    was_flattened: bool


def has_alpha(pixels: Image.Image) -> bool:
    """Whether anything shows through; an alpha channel that is opaque everywhere doesn't count."""
    return pixels.mode == "RGBA" and pixels.getchannel("A").getextrema() != (255, 255)


def on_white(pixels: Image.Image) -> Image.Image:
    """The picture as it looks on white paper."""
    paper = Image.new("RGB", pixels.size, "white")
    paper.paste(pixels, mask=pixels.getchannel("A"))
    return paper


def scaled(pixels: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture in another size, in pixels."""
    return pixels.resize(  # pyright: ignore[reportUnknownMemberType] - names numpy, which isn't there
        size,
        Image.Resampling.LANCZOS,
        reducing_gap=3.0,
    )


def encode(pixels: Image.Image, own_type: str, limits: ImageLimits) -> Encoded:
    """Write RGB or RGBA pixels: in their own type where it is accepted, as good as the bytes allow.

    Raises:
        MediaLimit: even the smallest accepted size has too many bytes.
    """
    unwanted = has_alpha(pixels) and not limits.alpha
    pixels = on_white(pixels) if unwanted else pixels
    for content_type, quality, candidate in _candidates(pixels, own_type, limits):
        flattened = candidate.mode == "RGBA" and content_type in _OPAQUE
        content = _written(on_white(candidate) if flattened else candidate, content_type, quality)
        if len(content) <= limits.max_bytes:
            return Encoded(content, content_type, candidate.size, unwanted or flattened)
    text = _("This picture can't be made to fit into the {most} MiB of this model.")
    raise MediaLimit(text.format(most=f"{limits.max_bytes / 2**20:.1f}"))


def _candidates(pixels: Image.Image, own_type: str, limits: ImageLimits) -> Iterator[tuple[str, int, Image.Image]]:
    """Content type, quality and pixels, the best first."""
    accepted = [content_type for content_type in limits.content_types if content_type in _FORMATS]
    if not accepted:
        raise MediaFailed(f"none of {limits.content_types} can be written")
    first = _first_type(pixels, own_type, accepted)
    yield first, _BEST, pixels
    compact = _compact_type(pixels, first, accepted)
    if compact in _LOSSY:
        yield from ((compact, quality, pixels) for quality in _LADDER)
    size = smaller(pixels.size, limits)
    while size is not None:
        yield compact, _LADDER[1], scaled(pixels, size)
        size = smaller(size, limits)


def _first_type(pixels: Image.Image, own_type: str, accepted: list[str]) -> str:
    """The picture's own type if it may stay, else the preferred one that keeps transparency."""
    if own_type in accepted:
        return own_type
    keeping = [content_type for content_type in accepted if pixels.mode == "RGB" or content_type not in _OPAQUE]
    return (keeping or accepted)[0]


def _compact_type(pixels: Image.Image, first: str, accepted: list[str]) -> str:
    """The type with which fewer bytes are possible."""
    if first in _LOSSY:
        return first
    order = _LOSSY if pixels.mode == "RGB" else tuple(reversed(_LOSSY))
    return next((content_type for content_type in order if content_type in accepted), first)


def _written(pixels: Image.Image, content_type: str, quality: int) -> bytes:
    kind, options = _FORMATS[content_type]
    out = io.BytesIO()
    if content_type in _LOSSY:
        options = {**options, "quality": quality}
    # A fresh copy of the pixels alone: encoders would write profile, EXIF and comments from `info`.
    bare = pixels.copy()
    bare.info = {}
    bare.save(out, kind, **options)
    return out.getvalue()
