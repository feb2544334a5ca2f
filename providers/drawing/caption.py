"""The caption: the prompt in the largest letters that hold it, on a shade over the bottom of the film."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from providers.drawing.canvas import Size, ease, scaled

if TYPE_CHECKING:
    from providers.demo import Drawing

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


def write_caption(drawing: Drawing, size: Size) -> Image.Image:
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


def _shade(size: Size, twilight: int, depth: int) -> Image.Image:
    """Grow dark over the first rows (``twilight``), so that white letters can be read below them."""
    levels = [round(depth * ease(row, 0, twilight) + 45 * row / size[1]) for row in range(size[1])]
    column = Image.frombytes("L", (1, size[1]), bytes(levels))
    shade = Image.new("RGBA", size, (8, 9, 14, 0))
    shade.putalpha(scaled(column, size))
    return shade


def _laid_out(text: str, font_name: str | None, room: Size) -> tuple[list[str], ImageFont.FreeTypeFont]:
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
