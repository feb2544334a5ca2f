"""Drawing charts with matplotlib. Runs in the child processes only.

matplotlib is imported when the first chart is drawn: children that never draw one do without its hundred
megabytes.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import unicodedata
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

_MODULES: Final = ("matplotlib.backends.backend_agg", "matplotlib.figure", "matplotlib.patches", "matplotlib.ticker")

#: pixels
SIZE: Final = (1200, 900)
_DPI: Final = 100
_MARGIN: Final = 20
_GAP: Final = 14
#: characters
_LONGEST_NAME: Final = 20
_LONGEST_TITLE: Final = 40
_LONGEST_MODEL: Final = 27

# Discord's dark theme
_PAGE, _PANEL, _LINE = "#1e1f22", "#2b2d31", "#4a4d55"
_TEXT, _QUIET = "#f2f3f5", "#b5bac1"
# The colours of Okabe and Ito, which the colour-blind can tell apart; without those too dark for this page.
_SKY, _ORANGE, _GREEN, _YELLOW, _PINK, _RED = "#56B4E9", "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#D55E00"
_GREY: Final = "#8e939c"
_MODEL_COLOURS: Final = (_SKY, _ORANGE, _GREEN, _YELLOW, _PINK, _GREY)
_OUTCOME_COLOURS: Final = (_GREEN, _RED, _GREY, _SKY)
# what isn't about a model has none of the models' colours
_ACCENT, _PALE = "#8a93f8", "#d5d8dd"
_COST_COLOURS: Final = (_ACCENT, _PALE)

# points, of which a pixel here is 0.72
_HUGE, _LARGE, _NORMAL, _SMALL = 25, 17, 14.5, 13.5

_WEIGHTS: Final = ("normal", "bold")
#: labels below the bars
_MOST_LABELS: Final = 7
#: a bar that stands alone isn't wider than if there were so many
_LEAST_BARS: Final = 7
#: pixels; the least that is seen of something
_SLIVER: Final = 4.0

#: matplotlib's own font, which every machine has
_FONT: Final = "DejaVu Sans"
#: fonts with Chinese letters, of which a machine has some or none
_CHINESE_FONTS: Final = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "PingFang SC",
    "Microsoft YaHei",
)

_STYLE: Final[dict[str, Any]] = {
    "font.size": _NORMAL,
    # a dollar sign in a name begins no formula
    "text.parse_math": False,
    "text.color": _TEXT,
    "axes.facecolor": "none",
    "axes.edgecolor": _LINE,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": _LINE,
    "grid.linewidth": 1.0,
    "xtick.color": _QUIET,
    "ytick.color": _QUIET,
    "xtick.labelsize": _SMALL,
    "ytick.labelsize": _SMALL,
    "ytick.major.size": 0,
    "hatch.linewidth": 3.0,
}


def draw_usage(arguments: dict[str, Any]) -> dict[str, Any]:
    """Write the charts of a community's usage to ``target``, a PNG.

    ``said``: the same in another language, drawn instead if there are fonts with its letters.
    """
    target = Path(arguments["target"])
    matplotlib = _matplotlib(target.parent)
    shown, fonts = _legible(matplotlib, arguments)
    words: dict[str, str] = shown["words"]
    with matplotlib.rc_context({**_STYLE, "font.family": fonts}):
        board = _Board(matplotlib, fonts)
        _draw_heading(board, arguments["title"], shown["period"], words)
        _draw_tiles(board, shown["tiles"])
        _draw_spending(board, shown["spending"], words)
        _draw_members(board, shown["members"], words)
        _draw_outcomes(board, shown["outcomes"], words)
        _draw_costs(board, shown["costs"], words)
        board.figure.savefig(target, format="png")
    return {"size": SIZE}


def _legible(matplotlib: Any, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What is drawn, and with which fonts."""
    said: dict[str, Any] | None = arguments.get("said")
    if said is None:
        return arguments, [_FONT]
    known = {each.name for each in matplotlib.font_manager.fontManager.ttflist}
    fonts = [_FONT, *(name for name in _CHINESE_FONTS if name in known)]
    needed = {ord(each) for text in _own_texts(said) for each in text}
    can_all = all(needed <= _glyphs(matplotlib, fonts, weight) for weight in _WEIGHTS)
    return (said, fonts) if can_all else (arguments, [_FONT])


def _own_texts(shown: dict[str, Any]) -> Iterator[str]:
    """Every text that isn't the name of somebody or something."""
    yield shown["period"]
    yield from shown["words"].values()
    yield from (label for _, label in shown["tiles"])
    yield from (shown["spending"]["title"], *shown["spending"]["labels"])
    yield from (name for name, _ in shown["outcomes"])
    yield from (text for text, _ in shown["costs"])


def _glyphs(matplotlib: Any, fonts: Sequence[str], weight: str) -> frozenset[int]:
    """The characters that these fonts can draw."""
    manager = matplotlib.font_manager
    glyphs: set[int] = set()
    for name in fonts:
        path = manager.findfont(manager.FontProperties(family=name, weight=weight))
        glyphs.update(manager.get_font(path).get_charmap())
    return frozenset(glyphs)


def drawable(text: str, glyphs: Container[int], most: int) -> str:
    """What of a text can be written with these glyphs, on one line, cut at ``most`` characters.

    Empty when no letter and no digit is left of it.
    """
    composed = unicodedata.normalize("NFC", text)
    familiar = "".join(each if ord(each) in glyphs else unicodedata.normalize("NFKC", each) for each in composed)
    kept = "".join(each for each in familiar if each.isspace() or _is_drawn(each, glyphs))
    line = " ".join(kept.split())
    if not any(each.isalnum() for each in line):
        return ""
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def _is_drawn(character: str, glyphs: Container[int]) -> bool:
    # neither what is invisible or turns the direction, nor marks, of which a name can pile up hundreds
    return ord(character) in glyphs and unicodedata.category(character)[0] not in "CM"


def _matplotlib(folder: Path) -> Any:
    """Import matplotlib, which wants a folder to write to, and one thread for its algebra, not one for each core."""
    if "matplotlib" not in sys.modules:
        # each thread reserves memory, and with many cores that would be more than a child may have
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        with tempfile.TemporaryDirectory(dir=folder) as private:
            os.environ["MPLCONFIGDIR"] = private
            for name in _MODULES:
                importlib.import_module(name)
        # whatever a file of the user or of the present folder says
        sys.modules["matplotlib"].rcdefaults()
    return sys.modules["matplotlib"]


class _Board:
    """The page. Places are in pixels from its upper left corner."""

    def __init__(self, matplotlib: Any, fonts: Sequence[str]) -> None:
        self.matplotlib = matplotlib
        width, height = SIZE
        self.figure = matplotlib.figure.Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor=_PAGE)
        matplotlib.backends.backend_agg.FigureCanvasAgg(self.figure)
        self._glyphs = {weight: _glyphs(matplotlib, fonts, weight) for weight in _WEIGHTS}

    def legible(self, text: str, most: int, *, weight: str = "normal") -> str:
        """See ``drawable``."""
        return drawable(text, self._glyphs[weight], most)

    def write(self, x: float, y: float, text: str, *, room: float = SIZE[0], **style: Any) -> None:
        """Put a text, its baseline at ``y``, smaller if it needs more ``room``."""
        width, height = SIZE
        written = self.figure.text(x / width, 1 - y / height, text, **{"va": "baseline", **style})
        if (needed := written.get_window_extent().width) > room:
            written.set_fontsize(written.get_fontsize() * room / needed)

    def box(self, left: float, top: float, width: float, height: float, **style: Any) -> None:
        """Put a box."""
        patches, pixels = self.matplotlib.patches, self.matplotlib.transforms.IdentityTransform()
        corner = (left, SIZE[1] - top - height)
        style = {"boxstyle": "square,pad=0", "edgecolor": "none", "linewidth": 0, **style}
        self.figure.add_artist(patches.FancyBboxPatch(corner, width, height, transform=pixels, **style))

    def panel(self, left: float, top: float, right: float, bottom: float, title: str = "") -> None:
        """Put a rounded box for others to lie on, with its title inside."""
        corners = "round,pad=0,rounding_size=12"
        self.box(left, top, right - left, bottom - top, facecolor=_PANEL, boxstyle=corners, zorder=-1)
        self.write(left + 18, top + 33, title, size=_LARGE, weight="bold")

    def axes(self, left: float, top: float, right: float, bottom: float) -> Any:
        """Axes whose inner area is this."""
        width, height = SIZE
        place = (left / width, 1 - bottom / height, (right - left) / width, (bottom - top) / height)
        return self.figure.add_axes(place)


def _draw_heading(board: _Board, title: str, period: str, words: dict[str, str]) -> None:
    shown = board.legible(title, _LONGEST_TITLE, weight="bold")
    heading = words["usage_in"].format(community=shown) if shown else words["usage"]
    board.write(_MARGIN + 4, 52, heading, room=SIZE[0] - 2 * _MARGIN, size=_HUGE, weight="bold")
    board.write(_MARGIN + 4, 84, period, size=_NORMAL, color=_QUIET)


def _draw_tiles(board: _Board, tiles: Sequence[tuple[str, str]]) -> None:
    step = (SIZE[0] - 2 * _MARGIN + _GAP) / len(tiles)
    for number, (value, label) in enumerate(tiles):
        left = _MARGIN + number * step
        board.panel(left, 102, left + step - _GAP, 202)
        board.write(left + 18, 150, value, room=step - _GAP - 36, size=_HUGE, weight="bold")
        board.write(left + 18, 183, label, size=_NORMAL, color=_QUIET)


def _draw_spending(board: _Board, spending: dict[str, Any], words: dict[str, str]) -> None:
    labels: list[str] = spending["labels"]
    models: list[tuple[str, list[int]]] = spending["models"]
    board.panel(_MARGIN, 216, SIZE[0] - _MARGIN, 562, spending["title"])
    if not models:
        board.write(SIZE[0] / 2, 400, words["nothing_spent"], size=_LARGE, color=_QUIET, ha="center")
        return
    axes = board.axes(105, 272, 815, 522)
    _stack(axes, [credits_of for _, credits_of in models])
    step = -(-len(labels) // _MOST_LABELS)
    ticks = range((len(labels) - 1) % step, len(labels), step)
    axes.set_xticks(ticks, [labels[tick] for tick in ticks])
    room = max(0, _LEAST_BARS - len(labels)) / 2
    axes.set_xlim(-0.6 - room, len(labels) - 0.4 + room)
    axes.yaxis.set_major_locator(board.matplotlib.ticker.MaxNLocator(nbins=4, integer=True))
    axes.yaxis.set_major_formatter(board.matplotlib.ticker.FuncFormatter(_amount))
    axes.grid(visible=True, axis="y")
    _draw_keys(board, [(name, sum(credits_of)) for name, credits_of in models])


def _amount(value: float, _place: int) -> str:
    for size, letter in ((10**9, "B"), (10**6, "M")):
        if value >= size:
            return f"{value / size:,.4g}{letter}"
    return f"{value:,.0f}"


def _stack(axes: Any, series: Sequence[Sequence[int]]) -> None:
    heights = [0] * len(series[0])
    for credits_of, colour in zip(series, _MODEL_COLOURS, strict=False):
        axes.bar(range(len(heights)), credits_of, width=0.82, linewidth=0, bottom=heights, color=colour)
        heights = [below + each for below, each in zip(heights, credits_of, strict=True)]


def _draw_keys(board: _Board, models: Sequence[tuple[str, int]]) -> None:
    left = 845
    for number, ((name, amount), colour) in enumerate(zip(models, _MODEL_COLOURS, strict=False)):
        top = 258 + 48 * number
        board.box(left, top + 6, 18, 18, facecolor=colour)
        shown = board.legible(name, _LONGEST_MODEL) or "?"
        board.write(left + 28, top + 21, shown, room=290, size=_SMALL)
        board.write(left + 28, top + 42, f"{amount:,}", room=290, size=_SMALL, color=_QUIET)


def _draw_members(board: _Board, members: Sequence[tuple[str, int]], words: dict[str, str]) -> None:
    board.panel(_MARGIN, 576, 593, 880, words["members"])
    if not members:
        board.write(306, 735, words["nobody"], size=_LARGE, color=_QUIET, ha="center")
        return
    left, longest = 275, 215
    most = max(amount for _, amount in members)
    for number, (name, amount) in enumerate(members):
        top = 622 + 31 * number
        shown = board.legible(name, _LONGEST_NAME) or words["member"].format(place=number + 1)
        board.write(left - 12, top + 21, shown, room=225, size=_SMALL, ha="right")
        length = max(_SLIVER, longest * amount / most)
        board.box(left, top + 4, length, 23, facecolor=_ACCENT)
        board.write(left + length + 9, top + 21, f"{amount:,}", room=85, size=_SMALL, color=_QUIET)


def _draw_outcomes(board: _Board, outcomes: Sequence[tuple[str, int]], words: dict[str, str]) -> None:
    board.panel(607, 576, SIZE[0] - _MARGIN, 722, words["outcomes"])
    lengths = _lengths([count for _, count in outcomes], 537)
    left = 625.0
    for number, ((name, count), colour) in enumerate(zip(outcomes, _OUTCOME_COLOURS, strict=True)):
        board.box(left, 621, lengths[number], 30, facecolor=colour)
        left += lengths[number]
        column, top = 625 + 268 * (number % 2), 663 + 29 * (number // 2)
        board.box(column, top, 16, 16, facecolor=colour)
        board.write(column + 26, top + 15, f"{name}: {count:,}", room=230, size=_SMALL)


def _lengths(counts: Sequence[int], length: float) -> list[float]:
    """Share a length, so that whatever is there can be seen."""
    total = max(1, sum(counts))
    wanted = [max(_SLIVER, length * count / total) if count else 0.0 for count in counts]
    return [each * length / max(1.0, sum(wanted)) for each in wanted]


def _draw_costs(board: _Board, costs: Sequence[tuple[str, Sequence[float]]], words: dict[str, str]) -> None:
    board.panel(607, 736, SIZE[0] - _MARGIN, 880, words["costs"])
    most = max(sum(parts) for _, parts in costs) or 1
    for number, ((text, parts), colour) in enumerate(zip(costs, _COST_COLOURS, strict=True)):
        left, top = 625.0, 776 + 49 * number
        board.write(left, top + 20, text, room=537, size=_SMALL)
        for part, hatch in zip(parts, ("", "//"), strict=True):
            length = 537 * part / most
            board.box(left, top + 28, length, 14, facecolor=colour, edgecolor=_PANEL, hatch=hatch)
            left += length
