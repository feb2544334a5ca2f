"""The film: a scene under its caption, or one picture that becomes another."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from providers.drawing.canvas import Scene, Size, ease
from providers.drawing.caption import write_caption
from providers.drawing.landscape import landscape
from providers.drawing.picture import opened, zoom_in, zoom_out

if TYPE_CHECKING:
    from providers.demo import Drawing


@dataclass(frozen=True, slots=True)
class Film:
    """A scene under its caption. With a last picture, both give way to it."""

    size: Size
    scene: Scene
    caption: Image.Image
    last: Scene | None = None

    def at(self, part: float, seconds: float) -> Image.Image:
        """Give the picture at this moment."""
        if self.last is None:
            return self._captioned(self.scene.at(part, seconds), 1.0)
        turned = ease(part, 0.45, 0.92)
        if turned == 1.0:
            return self.last.at(part, seconds)
        picture = self._captioned(self.scene.at(part, seconds), 1.0 - ease(part, 0.45, 0.65))
        return Image.blend(picture, self.last.at(part, seconds), turned) if turned else picture

    def _captioned(self, picture: Image.Image, strength: float) -> Image.Image:
        if strength == 0.0:
            return picture
        captioned = picture.copy() if strength < 1.0 else picture
        captioned.paste(self.caption, (0, picture.height - self.caption.height), self.caption)
        return captioned if strength == 1.0 else Image.blend(picture, captioned, strength)


def film_of(drawing: Drawing) -> Film:
    """Gather what a drawing shows. Raises ``OSError`` for a picture that can't be opened."""
    chance = random.Random(drawing.seed)  # noqa: S311 - a landscape is no secret
    first = drawing.image and opened(drawing.image)
    size = drawing.width, drawing.height
    if drawing.turns_with_image and first and (first.width < first.height) != (size[0] < size[1]):
        size = drawing.height, drawing.width
    scene = zoom_in(first, size, chance) if first else landscape(size, drawing.duration_seconds, chance)
    last = zoom_out(opened(drawing.last_image), size) if drawing.last_image else None
    return Film(size, scene, write_caption(drawing, size), last)
