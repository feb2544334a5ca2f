"""A landscape at some hour, all of it from one seed: a sky whose sun rises, and hills that pass by."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageColor, ImageDraw

from providers.drawing.canvas import Colour, Size, scaled, window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class _Light:
    """The colours of an hour: of the sky from above to the horizon, of its light, of the hills."""

    sky: tuple[str, str, str]
    sun: str
    glow: str
    hills: tuple[str, str]
    has_stars: bool = False


_LIGHTS = (
    _Light(("#27305f", "#a4557f", "#ffb07c"), "#fff3d1", "#ffc98f", ("#c0747f", "#17122b")),
    _Light(("#4f86c6", "#a9c8e8", "#ffe3c4"), "#fffdf0", "#fff1d0", ("#a3bbd6", "#14293c")),
    _Light(("#070c26", "#182a5c", "#4a6ca6"), "#f6f3e2", "#8fb0e8", ("#38538a", "#050815"), has_stars=True),
    _Light(("#0d3f52", "#3a8d94", "#f6e7bd"), "#fffdf2", "#fff0c2", ("#74b0a8", "#06212a")),
    _Light(("#3d2258", "#cf5f7c", "#ffd3a3"), "#fff6df", "#ffd9a0", ("#d9818a", "#1d0f2b")),
    _Light(("#c9663a", "#f0a85c", "#ffe6a8"), "#fffbe4", "#fff0b8", ("#d79a63", "#2a1216")),
    _Light(("#0c1430", "#3a2a6b", "#a45f9a"), "#fdeeff", "#d79be0", ("#6a4488", "#0a0a1c"), has_stars=True),
)

#: the sky is soft, so it is painted this much smaller
_SKY_SCALE = 2
#: where it ends, as a part of the height
_HORIZON = 0.58
_HILLS = 5


@dataclass(frozen=True, slots=True)
class _Sky:
    """A sky with a sun or moon that rises. All but the stars is held ``_SKY_SCALE`` times smaller."""

    ground: Image.Image
    #: its halo, then the thing itself: colours and masks
    sun: tuple[tuple[str, Image.Image], ...]
    #: where the masks are cut at the start, and by how much that moves each second
    start: tuple[float, float]
    rise: float
    stars: Image.Image | None

    def paint(self, picture: Image.Image, seconds: float) -> None:
        sky = self.ground.copy()
        corner = self.start[0], self.start[1] + self.rise * seconds
        for colour, mask in self.sun:
            sky.paste(colour, (0, 0), window(mask, corner, sky.size))
        size = picture.width, math.ceil(picture.height * _HORIZON)
        picture.paste(scaled(sky, size))
        if self.stars:
            picture.paste("white", (0, 0), self.stars)


@dataclass(frozen=True, slots=True)
class _Hill:
    colours: Image.Image
    #: its shape, wider than the film by the way that it goes
    shape: Image.Image
    top: int
    #: pixels: where the film's left side is at the start, and how it moves each second
    start: float
    speed: float

    def paint(self, picture: Image.Image, seconds: float) -> None:
        shape = window(self.shape, (self.start + self.speed * seconds, 0.0), self.colours.size)
        picture.paste(self.colours, (0, self.top), shape)


@dataclass(frozen=True, slots=True)
class Landscape:
    """Hills under a sky, the farthest first."""

    size: Size
    sky: _Sky
    hills: tuple[_Hill, ...]

    def at(self, part: float, seconds: float) -> Image.Image:
        """Give the picture at this moment."""
        del part
        picture = Image.new("RGB", self.size)
        self.sky.paint(picture, seconds)
        for hill in self.hills:
            hill.paint(picture, seconds)
        return picture


def landscape(size: Size, seconds: float, chance: random.Random) -> Landscape:
    """Make up a landscape that lasts so many seconds."""
    light = chance.choice(_LIGHTS)
    direction = chance.choice((-1, 1))
    sky = _sky(size, light, chance)
    hills = tuple(_hill(size, depth, light, direction * seconds, chance) for depth in range(_HILLS))
    return Landscape(size, sky, hills)


def _sky(size: Size, light: _Light, chance: random.Random) -> _Sky:
    width, height = size[0] // _SKY_SCALE, math.ceil(size[1] * _HORIZON / _SKY_SCALE)
    unit = min(size) / _SKY_SCALE
    # so large that it covers the sky wherever the sun is
    side = 2 * max(width, height)
    sun = ((light.glow, _halo(side, 1.1 * unit)), (light.sun, _disc(side, 0.075 * unit)))
    across, down = width * chance.uniform(0.25, 0.75), height * chance.uniform(0.42, 0.56)
    start = side / 2 - across, side / 2 - down
    stars = _stars(size, chance) if light.has_stars else None
    return _Sky(_gradient((width, height), light.sky), sun, start, unit / 150, stars)


def _halo(side: int, radius: float) -> Image.Image:
    """Shine in the middle and less and less around it."""
    # Pillow's gradient reaches 255 in the corners, and 180 at the sides
    levels = [round(225 * max(1 - level / 180, 0.0) ** 2.2) for level in range(256)]
    shine = Image.radial_gradient("L").point(levels)  # pyright: ignore[reportUnknownMemberType] - as in scaled
    mask = Image.new("L", (side, side))
    across = round(2 * radius)
    mask.paste(scaled(shine, (across, across)), ((side - across) // 2, (side - across) // 2))
    return mask


def _disc(side: int, radius: float) -> Image.Image:
    mask = Image.new("L", (2 * side, 2 * side))
    ImageDraw.Draw(mask).circle((side, side), 2 * radius, fill=255)
    return mask.reduce(2)


def _stars(size: Size, chance: random.Random) -> Image.Image:
    """Scatter stars, fewer and fainter towards the horizon."""
    width, height = size[0], round(size[1] * 0.45)
    mask = Image.new("L", (2 * width, 2 * height))
    pen = ImageDraw.Draw(mask)
    for _ in range(130):
        across, down = chance.random() * 2 * width, chance.random() ** 1.5
        radius = min(size) / 480 * chance.uniform(0.8, 2.4)
        pen.circle((across, down * 2 * height), radius, fill=round(235 * (1 - down) * chance.uniform(0.4, 1.0)))
    return mask.reduce(2)


def _gradient(size: Size, colours: Sequence[str | Colour]) -> Image.Image:
    """Run from the first colour at the top to the last one at the bottom, in even steps."""
    column = Image.new("RGB", (1, len(colours)))
    for row, colour in enumerate(colours):
        column.paste(colour, (0, row, 1, row + 1))
    # from the middle of the first row to the middle of the last, since colours stay flat outside
    box = 0.0, 0.5, 1.0, len(colours) - 0.5
    return scaled(scaled(column, (1, size[1]), box, Image.Resampling.BILINEAR), size)


def _mixed(first: str, second: str, part: float) -> Colour:
    pairs = zip(ImageColor.getrgb(first)[:3], ImageColor.getrgb(second)[:3], strict=True)
    red, green, blue = (round(one + (other - one) * part) for one, other in pairs)
    return red, green, blue


def _hill(size: Size, depth: int, light: _Light, way: float, chance: random.Random) -> _Hill:
    """Make one range of hills: ``depth`` 0 is the farthest; ``way`` is signed seconds of travel."""
    width, height = size
    near = depth / (_HILLS - 1)
    speed = math.copysign(min(size) * (0.004 + 0.03 * near**2), way)
    travel = abs(speed * way)
    top = round(height * (0.33 + 0.33 * near**1.15))
    tall = height - top if depth == _HILLS - 1 else round(height * 0.34)
    shape = _shape((width + math.ceil(travel) + 1, tall), min(size), near, chance)
    colour = _mixed(*light.hills, near**0.8)
    misty = _mixed(light.sky[2], light.hills[1], 0.25 + 0.75 * near)
    colours = _gradient((width, tall), (colour, misty))
    return _Hill(colours, shape, top, 0.0 if speed > 0 else travel, speed)


def _shape(size: Size, unit: int, near: float, chance: random.Random) -> Image.Image:
    """Draw the outline of a range, twice as large first so that its edge is smooth: peaks far away, trees near."""
    width, height = 2 * size[0], 2 * size[1]
    mask = Image.new("L", (width, height))
    pen = ImageDraw.Draw(mask)
    crest = _crest(near, chance)
    deep = 2 * unit * (0.22 - 0.13 * near)
    line = [(x, deep * (1 - crest(x / unit / 2)) + 2 * unit * 0.07 * near) for x in range(0, width + 4, 4)]
    pen.polygon([(0, height), *line, (width, height)], fill=255)
    if near >= _TREES_FROM:
        _plant(pen, line, 2 * unit * 0.075 * near, chance)
    return mask.reduce(2)


#: how near a range must be for its trees to be seen
_TREES_FROM = 0.7


def _crest(near: float, chance: random.Random) -> Callable[[float], float]:
    """Give the height of a range, about 0.0 to 1.0, along a way that is measured in frame heights."""
    waves = [(0.8 * 2.3**n, 0.5 * 0.5**n, chance.random() * math.tau) for n in range(6)]

    def height(along: float) -> float:
        turns = ((math.sin(rate * along * 2.6 + phase), weight) for rate, weight, phase in waves)
        return sum(weight * ((1 - abs(turn)) * (1 - near) + (0.5 + turn / 2) * near) for turn, weight in turns)

    return height


def _plant(pen: ImageDraw.ImageDraw, line: Sequence[tuple[float, float]], tall: float, chance: random.Random) -> None:
    """Draw fir trees along a line: three cones each, the lower the wider."""
    x = 0.0
    while x < line[-1][0]:
        foot = line[min(int(x / 4), len(line) - 1)][1] + tall * 0.1
        height = tall * chance.uniform(0.35, 1.0)
        for cone in range(3):
            top, bottom = foot - height * (1 - cone * 0.25), foot - height * (0.55 - cone * 0.28)
            half = height * (0.09 + 0.06 * cone)
            pen.polygon([(x, top), (x - half, bottom), (x + half, bottom)], fill=255)
        x += tall * chance.choice((0.16, 0.22, 0.3, 0.6))
