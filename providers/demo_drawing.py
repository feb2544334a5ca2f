"""Draws a demo video. Run as its own process: ``python -m providers.demo_drawing SPEC.json OUT.mp4``.

Without a picture it is a landscape whose light and shape come from the seed; with one, a slow
camera move over it; with two, the first becomes the second. The prompt is the caption.
"""

from __future__ import annotations

import math
import os
import random
import sys
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import av
from av.video.reformatter import Colorspace
from PIL import Image, ImageColor, ImageDraw, ImageFont, ImageOps
from pydantic import TypeAdapter

from providers.demo import Drawing, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["Drawing", "draw", "size_of"]

_Colour = tuple[int, int, int]
_Size = tuple[int, int]


def draw(drawing: Drawing, path: Path, on_progress: Callable[[float], None] = lambda _: None) -> None:
    """Write the video to ``path``: MP4, H.264, its index in front.

    ``on_progress`` is told the part that is done, above 0.0 up to 1.0, after every frame.
    Raises ``OSError`` for a picture or a path that can't be opened.
    """
    film = _film(drawing)
    rate = drawing.frames_per_second
    count = max(1, round(drawing.duration_seconds * rate))
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = _stream(container, film.size, rate)
        for index in range(count):
            picture = film.at(index / max(count - 1, 1), index / rate)
            container.mux(stream.encode(_video_frame(picture, index, rate)))
            on_progress((index + 1) / count)
        container.mux(stream.encode(None))


# -- encoding


#: looking less far ahead keeps fewer frames in memory
_MODEST = {"rc-lookahead": "4", "bf": "2", "refs": "1"}


def _encoder(size: _Size) -> dict[str, str]:
    """Bound the rate, so that ten seconds at 1080p stay below 6 MiB whatever they show."""
    rate = str(min(4_000_000, 1_000_000 + size[0] * size[1] * 3 // 2))
    return {"preset": "veryfast", "crf": "20", "maxrate": rate, "bufsize": rate, "aq-mode": "3", **_MODEST}


def _stream(container: OutputContainer, size: _Size, rate: int) -> VideoStream:
    stream = container.add_stream(  # pyright: ignore[reportUnknownMemberType] - its keywords have no type
        "libx264", rate=rate, options=_encoder(size)
    )
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    # a number that follows the machine would give other bytes on another one
    stream.codec_context.thread_count = 1
    # untold, a player guesses by the size what the colours mean
    stream.codec_context.colorspace = Colorspace.ITU709
    stream.codec_context.color_primaries = stream.codec_context.color_trc = 1
    stream.codec_context.color_range = 1
    return stream


def _video_frame(picture: Image.Image, index: int, rate: int) -> VideoFrame:
    from_image = av.VideoFrame.from_image  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - bare
    frame = cast("VideoFrame", from_image(picture)).reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
    frame.pts, frame.time_base = index, Fraction(1, rate)
    return frame


# -- the film


class _Scene(Protocol):
    """What can be looked at. ``part`` runs from 0.0 to 1.0, ``seconds`` counts from the start."""

    def at(self, part: float, seconds: float) -> Image.Image:
        """Give a new picture of the size of the film."""
        ...


@dataclass(frozen=True, slots=True)
class _Film:
    """A scene under its caption. With a last picture, both give way to it."""

    size: _Size
    scene: _Scene
    caption: Image.Image
    last: _Scene | None = None

    def at(self, part: float, seconds: float) -> Image.Image:
        if self.last is None:
            return self._captioned(self.scene.at(part, seconds), 1.0)
        turned = _ease(part, 0.45, 0.92)
        if turned == 1.0:
            return self.last.at(part, seconds)
        picture = self._captioned(self.scene.at(part, seconds), 1.0 - _ease(part, 0.45, 0.65))
        return Image.blend(picture, self.last.at(part, seconds), turned) if turned else picture

    def _captioned(self, picture: Image.Image, strength: float) -> Image.Image:
        if strength == 0.0:
            return picture
        captioned = picture.copy() if strength < 1.0 else picture
        captioned.paste(self.caption, (0, picture.height - self.caption.height), self.caption)
        return captioned if strength == 1.0 else Image.blend(picture, captioned, strength)


def _film(drawing: Drawing) -> _Film:
    chance = random.Random(drawing.seed)  # noqa: S311 - a landscape is no secret
    first = drawing.image and _opened(drawing.image)
    size = drawing.width, drawing.height
    if drawing.turns_with_image and first and (first.width < first.height) != (size[0] < size[1]):
        size = drawing.height, drawing.width
    scene = _zoom_in(first, size, chance) if first else _landscape(size, drawing.duration_seconds, chance)
    last = _zoom_out(_opened(drawing.last_image), size) if drawing.last_image else None
    return _Film(size, scene, _caption(drawing, size), last)


def _ease(part: float, start: float, end: float) -> float:
    """Go from 0.0 at ``start`` to 1.0 at ``end``, without a jerk at either."""
    along = min(max((part - start) / (end - start), 0.0), 1.0)
    return along * along * (3.0 - 2.0 * along)


def _scaled(
    image: Image.Image,
    size: _Size,
    box: tuple[float, float, float, float] | None = None,
    method: Image.Resampling = Image.Resampling.BICUBIC,
) -> Image.Image:
    return image.resize(size, method, box)  # pyright: ignore[reportUnknownMemberType] - numpy's types are not here


def _window(image: Image.Image, corner: tuple[float, float], size: _Size) -> Image.Image:
    """Cut out a part whose corner lies between pixels, so that slow movement doesn't tick."""
    left, top = corner
    return _scaled(image, size, (left, top, left + size[0], top + size[1]), Image.Resampling.BILINEAR)


# -- a picture

#: how much nearer the camera comes
_ZOOM = 1.14


@dataclass(frozen=True, slots=True)
class _Picture:
    """A camera move over a still picture, which is held ``_ZOOM`` times as large as the film."""

    image: Image.Image
    size: _Size
    #: how near the camera is at the start and at the end: 1.0 sees the whole picture
    zoom: tuple[float, float]
    #: where it looks, 0.0 to 1.0 in both directions
    focus: tuple[float, float]

    def at(self, part: float, seconds: float) -> Image.Image:
        del seconds
        start, end = self.zoom
        zoom = start + (end - start) * part
        width, height = self.image.width / zoom, self.image.height / zoom
        left = (self.image.width - width) * self.focus[0]
        top = (self.image.height - height) * self.focus[1]
        box = left, top, left + width, top + height
        # the picture is only ever made smaller, for which this is enough
        return _scaled(self.image, self.size, box, Image.Resampling.BILINEAR)


def _zoom_in(image: Image.Image, size: _Size, chance: random.Random) -> _Picture:
    return _Picture(_fitted(image, size), size, (1.0, _ZOOM), (chance.random(), chance.random()))


def _zoom_out(image: Image.Image, size: _Size) -> _Picture:
    return _Picture(_fitted(image, size), size, (1.06, 1.0), (0.5, 0.5))


def _fitted(image: Image.Image, size: _Size) -> Image.Image:
    larger = round(size[0] * _ZOOM), round(size[1] * _ZOOM)
    return ImageOps.fit(image, larger, Image.Resampling.LANCZOS)


def _opened(path: Path) -> Image.Image:
    """Open a picture upright, and what shows through it on dark ground."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    layer = upright.convert("RGBA")
    ground = Image.new("RGBA", layer.size, "#15171c")
    return Image.alpha_composite(ground, layer).convert("RGB")


# -- a landscape


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
            sky.paste(colour, (0, 0), _window(mask, corner, sky.size))
        size = picture.width, math.ceil(picture.height * _HORIZON)
        picture.paste(_scaled(sky, size))
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
        shape = _window(self.shape, (self.start + self.speed * seconds, 0.0), self.colours.size)
        picture.paste(self.colours, (0, self.top), shape)


@dataclass(frozen=True, slots=True)
class _Landscape:
    size: _Size
    sky: _Sky
    hills: tuple[_Hill, ...]

    def at(self, part: float, seconds: float) -> Image.Image:
        del part
        picture = Image.new("RGB", self.size)
        self.sky.paint(picture, seconds)
        for hill in self.hills:
            hill.paint(picture, seconds)
        return picture


def _landscape(size: _Size, seconds: float, chance: random.Random) -> _Landscape:
    light = chance.choice(_LIGHTS)
    direction = chance.choice((-1, 1))
    sky = _sky(size, light, chance)
    hills = tuple(_hill(size, depth, light, direction * seconds, chance) for depth in range(_HILLS))
    return _Landscape(size, sky, hills)


def _sky(size: _Size, light: _Light, chance: random.Random) -> _Sky:
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
    shine = Image.radial_gradient("L").point(levels)  # pyright: ignore[reportUnknownMemberType] - as in _scaled
    mask = Image.new("L", (side, side))
    across = round(2 * radius)
    mask.paste(_scaled(shine, (across, across)), ((side - across) // 2, (side - across) // 2))
    return mask


def _disc(side: int, radius: float) -> Image.Image:
    mask = Image.new("L", (2 * side, 2 * side))
    ImageDraw.Draw(mask).circle((side, side), 2 * radius, fill=255)
    return mask.reduce(2)


def _stars(size: _Size, chance: random.Random) -> Image.Image:
    """Scatter stars, fewer and fainter towards the horizon."""
    width, height = size[0], round(size[1] * 0.45)
    mask = Image.new("L", (2 * width, 2 * height))
    pen = ImageDraw.Draw(mask)
    for _ in range(130):
        across, down = chance.random() * 2 * width, chance.random() ** 1.5
        radius = min(size) / 480 * chance.uniform(0.8, 2.4)
        pen.circle((across, down * 2 * height), radius, fill=round(235 * (1 - down) * chance.uniform(0.4, 1.0)))
    return mask.reduce(2)


def _gradient(size: _Size, colours: Sequence[str | _Colour]) -> Image.Image:
    """Run from the first colour at the top to the last one at the bottom, in even steps."""
    column = Image.new("RGB", (1, len(colours)))
    for row, colour in enumerate(colours):
        column.paste(colour, (0, row, 1, row + 1))
    # from the middle of the first row to the middle of the last, since colours stay flat outside
    box = 0.0, 0.5, 1.0, len(colours) - 0.5
    return _scaled(_scaled(column, (1, size[1]), box, Image.Resampling.BILINEAR), size)


def _mixed(first: str, second: str, part: float) -> _Colour:
    pairs = zip(ImageColor.getrgb(first)[:3], ImageColor.getrgb(second)[:3], strict=True)
    red, green, blue = (round(one + (other - one) * part) for one, other in pairs)
    return red, green, blue


def _hill(size: _Size, depth: int, light: _Light, way: float, chance: random.Random) -> _Hill:
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


def _shape(size: _Size, unit: int, near: float, chance: random.Random) -> Image.Image:
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


# -- the caption

#: heights of letters as parts of the shorter side, and how many lines each may take
_LETTERS = ((0.088, 2), (0.07, 3), (0.056, 4), (0.045, 6))
#: title-safe: screens may cut what is outside
_MARGIN = 0.06
#: how high the edge of the shade behind it is
_TWILIGHT = 0.24
#: from one line to the next, as a part of the height of its letters: below the heading, below others
_HEADING, _LEADING = 1.7, 1.24
#: tried in turn for letters that Pillow's own font lacks
_FONTS = (
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
    "PingFang.ttc",
    "Arial Unicode.ttf",
    "msyh.ttc",
)


def _caption(drawing: Drawing, size: _Size) -> Image.Image:
    """Write the prompt on a shade that lies over the bottom of the film, with what made it above."""
    unit = min(size)
    margin = round(unit * _MARGIN)
    prompt, font_name = _writable(" ".join(drawing.prompt.split()))
    lines, font = _laid_out(prompt, font_name, (size[0] - 2 * margin, unit))
    small = _font(None, round(unit * 0.034))
    height = round(small.size * _HEADING + len(lines) * font.size * _LEADING)
    twilight = round(unit * _TWILIGHT)
    is_dark_already = drawing.image is None and len(lines) <= _LETTERS[0][1]
    caption = _shade((size[0], twilight + height + margin), twilight, 80 if is_dark_already else 165)
    pen = ImageDraw.Draw(caption)
    heading = f"DEMO  /  {size[0]} x {size[1]}  /  SEED {drawing.seed}"
    pen.text((margin, twilight), heading, (255, 255, 255, 205), small)
    for row, line in enumerate(lines):
        top = twilight + small.size * _HEADING + row * font.size * _LEADING
        pen.text((margin, round(top)), line, "white", font)
    return caption


def _shade(size: _Size, twilight: int, depth: int) -> Image.Image:
    """Grow dark over the first rows (``twilight``), so that white letters can be read below them."""
    levels = [round(depth * _ease(row, 0, twilight) + 45 * row / size[1]) for row in range(size[1])]
    column = Image.frombytes("L", (1, size[1]), bytes(levels))
    shade = Image.new("RGBA", size, (8, 9, 14, 0))
    shade.putalpha(_scaled(column, size))
    return shade


def _laid_out(text: str, font_name: str | None, room: _Size) -> tuple[list[str], ImageFont.FreeTypeFont]:
    """Break a text into lines, in the largest letters that hold all of it; cut it in the smallest."""
    width, unit = room
    lines, font, most = list[str](), _font(font_name, 1), 0
    for part, most in _LETTERS:
        font = _font(font_name, round(unit * part))
        lines = _wrapped(text, font, width)
        if len(lines) <= most:
            return lines, font
    return [*lines[: most - 1], _cut(lines[most - 1], font, width)], font


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break between words, and inside those that are wider than a line."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        pieces = _pieces(word, font, width)
        lines[-1:] = [line for line in (lines[-1], *pieces) if line]
    return lines


def _pieces(word: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and font.getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _cut(line: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    while line and font.getlength(f"{line}...") > width:
        line = line[:-1]
    return f"{line.rstrip(' ,.;:')}..."


def _writable(text: str) -> tuple[str, str | None]:
    """Choose the font that has most of the letters; leave out those that it lacks."""
    best: tuple[set[str], str | None] = _missing(text, None), None
    for name in _FONTS:
        if not best[0]:
            break
        missing = _missing(text, name)
        best = min(best, (missing, name), key=lambda choice: len(choice[0]))
    lacking, name = best
    return "".join(letter for letter in text if letter not in lacking), name


def _missing(text: str, font_name: str | None) -> set[str]:
    try:
        font = _font(font_name, 20)
    except OSError:
        return set(text)
    # U+FFFF is no letter in any font, so it looks as missing ones do
    unknown = _look(font, "￿")
    return {letter for letter in set(text) if not letter.isspace() and _look(font, letter) == unknown}


def _look(font: ImageFont.FreeTypeFont, letter: str) -> bytes:
    image = Image.new("L", (40, 40))
    ImageDraw.Draw(image).text((6, 6), letter, 255, font)
    return image.tobytes()


@cache
def _font(name: str | None, size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size) if name is None else ImageFont.truetype(name, size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("this Pillow was built without FreeType")
    return font


# -- the process


def main(arguments: Sequence[str]) -> None:
    """Draw what the file ``arguments[0]`` says; ``arguments[1]`` appears when it is whole."""
    spec, target = (Path(argument) for argument in arguments)
    if sys.platform != "win32":
        os.nice(10)
    drawing = TypeAdapter(Drawing).validate_json(spec.read_bytes())
    # a process of a bot that was killed may still be at the same drawing
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        draw(drawing, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1:])
