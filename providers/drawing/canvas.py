"""What every part of a film is made with: sizes, colours, and the cutting and scaling of pictures."""

from __future__ import annotations

from typing import Protocol

from PIL import Image

Colour = tuple[int, int, int]
Size = tuple[int, int]


class Scene(Protocol):
    """What can be looked at. ``part`` runs from 0.0 to 1.0, ``seconds`` counts from the start."""

    def at(self, part: float, seconds: float) -> Image.Image:
        """Give a new picture of the size of the film."""
        ...


def ease(part: float, start: float, end: float) -> float:
    """Go from 0.0 at ``start`` to 1.0 at ``end``, without a jerk at either."""
    along = min(max((part - start) / (end - start), 0.0), 1.0)
    return along * along * (3.0 - 2.0 * along)


def scaled(
    image: Image.Image,
    size: Size,
    box: tuple[float, float, float, float] | None = None,
    method: Image.Resampling = Image.Resampling.BICUBIC,
) -> Image.Image:
    """Bring a picture, or the part of it in ``box``, to another size."""
    return image.resize(size, method, box)  # pyright: ignore[reportUnknownMemberType] - numpy's types are not here


def window(image: Image.Image, corner: tuple[float, float], size: Size) -> Image.Image:
    """Cut out a part whose corner lies between pixels, so that slow movement doesn't tick."""
    left, top = corner
    return scaled(image, size, (left, top, left + size[0], top + size[1]), Image.Resampling.BILINEAR)
