"""Putting small pictures side by side. Runs in the child processes only."""

from __future__ import annotations

from math import ceil
from typing import Any, Final

from PIL import Image, ImageDraw, ImageFont

#: pixels around a tile
_GAP: Final = 8
#: tiles beside each other
_COLUMNS: Final = 4
# Discord's dark theme
_PAGE, _GREY, _TEXT, _SHADE = "#1e1f22", "#4a4d55", "#f2f3f5", "#000000"
_NUMBER, _WORD = 26, 30
_QUALITY: Final = 85


def contact_sheet(arguments: dict[str, Any]) -> None:
    """Write a JPEG of tiles of ``size`` pixels, one for each of ``tiles``, to ``target``.

    They are ``{number, path, word}``: a tile shows the picture at its path, or (None) its word on grey.
    """
    tiles: list[dict[str, Any]] = arguments["tiles"]
    width, height = arguments["size"]
    columns = min(_COLUMNS, len(tiles))
    rows = ceil(len(tiles) / columns)
    sheet = Image.new("RGB", (columns * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP), _PAGE)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        sheet.paste(_tile(tile, (width, height)), (_GAP + column * (width + _GAP), _GAP + row * (height + _GAP)))
    sheet.save(arguments["target"], "JPEG", quality=_QUALITY)


def _tile(tile: dict[str, Any], size: tuple[int, int]) -> Image.Image:
    made = Image.new("RGB", size, _GREY if tile["path"] is None else _SHADE)
    draw = ImageDraw.Draw(made)
    width, height = size
    if tile["path"] is None:
        draw.text((width / 2, height / 2), tile["word"], fill=_TEXT, font=ImageFont.load_default(_WORD), anchor="mm")
    else:
        with Image.open(tile["path"], formats=["JPEG"]) as picture:
            picture.thumbnail(size)
            made.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    font = ImageFont.load_default(_NUMBER)
    draw.text((10, 6), str(tile["number"]), fill=_TEXT, font=font, stroke_width=3, stroke_fill=_SHADE)
    return made
