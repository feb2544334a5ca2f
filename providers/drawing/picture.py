"""A still picture, and a camera that moves slowly over it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from providers.drawing.canvas import Size, scaled

if TYPE_CHECKING:
    from pathlib import Path

#: how much nearer the camera comes
_ZOOM = 1.14


@dataclass(frozen=True, slots=True)
class Picture:
    """A camera move over a still picture, which is held ``_ZOOM`` times as large as the film."""

    image: Image.Image
    size: Size
    #: how near the camera is at the start and at the end: 1.0 sees the whole picture
    zoom: tuple[float, float]
    #: where it looks, 0.0 to 1.0 in both directions
    focus: tuple[float, float]

    def at(self, part: float, seconds: float) -> Image.Image:
        """Give the picture at this moment."""
        del seconds
        start, end = self.zoom
        zoom = start + (end - start) * part
        width, height = self.image.width / zoom, self.image.height / zoom
        left = (self.image.width - width) * self.focus[0]
        top = (self.image.height - height) * self.focus[1]
        box = left, top, left + width, top + height
        # the picture is only ever made smaller, for which this is enough
        return scaled(self.image, self.size, box, Image.Resampling.BILINEAR)


def zoom_in(image: Image.Image, size: Size, chance: random.Random) -> Picture:
    """Come nearer to some place in it."""
    return Picture(_fitted(image, size), size, (1.0, _ZOOM), (chance.random(), chance.random()))


def zoom_out(image: Image.Image, size: Size) -> Picture:
    """Step back from its middle until all of it is seen."""
    return Picture(_fitted(image, size), size, (1.06, 1.0), (0.5, 0.5))


def _fitted(image: Image.Image, size: Size) -> Image.Image:
    larger = round(size[0] * _ZOOM), round(size[1] * _ZOOM)
    return ImageOps.fit(image, larger, Image.Resampling.LANCZOS)


def opened(path: Path) -> Image.Image:
    """Open a picture upright, and what shows through it on dark ground."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    layer = upright.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "#15171c")
    return Image.alpha_composite(ground, layer).convert("RGB")
