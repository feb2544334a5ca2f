"""Sizes of pictures and videos: what is refused, and what fits a model's limits. Pure."""

from __future__ import annotations

from bot.languages import _
from bot.media.errors import MediaLimit
from providers.types import ImageLimits

#: pixels; below it a side shows nothing that a model could work with
SMALLEST_SIDE = 64
#: the longer side, in shorter sides
WIDEST_SHAPE = 4
LARGEST_MEGAPIXELS = 50


def check_size(width: int, height: int) -> None:
    """Refuse what no model takes.

    Raises:
        MediaLimit: under 64 pixels a side, beyond 4:1, or more than 50 megapixels.
    """
    short, long = sorted((width, height))
    if short < SMALLEST_SIDE:
        text = _("This picture has {width} x {height} pixels. Each side must have at least {least}.")
        raise MediaLimit(text.format(width=width, height=height, least=SMALLEST_SIDE))
    if width * height > LARGEST_MEGAPIXELS * 1_000_000:
        text = _("This picture has {width} x {height} pixels. At most {most} megapixels are accepted.")
        raise MediaLimit(text.format(width=width, height=height, most=LARGEST_MEGAPIXELS))
    if long > WIDEST_SHAPE * short:
        text = _(
            "This picture has {width} x {height} pixels. The longer side may be at most {most} times the shorter one."
        )
        raise MediaLimit(text.format(width=width, height=height, most=WIDEST_SHAPE))


def fitted_size(width: int, height: int, limits: ImageLimits) -> tuple[int, int]:
    """The size nearest to the picture's own, of its shape, that a model accepts.

    Raises:
        MediaLimit: no size of this shape is within the limits.
    """
    short, long = sorted((width, height))
    factor = max(min(1.0, limits.max_side / long), limits.min_side / short)
    if round(long * factor) > limits.max_side:
        widest = limits.max_side / limits.min_side
        text = _("This picture's shape is {shape}:1. This model accepts shapes up to {widest}:1.")
        raise MediaLimit(text.format(shape=f"{long / short:.1f}", widest=f"{widest:.1f}"))
    return _within(width * factor, limits), _within(height * factor, limits)


def smaller(size: tuple[int, int], limits: ImageLimits) -> tuple[int, int] | None:
    """A size of the same shape with four fifths of the sides; None where the model takes none so small."""
    short = min(size)
    if short <= limits.min_side:
        return None
    factor = max(0.8, limits.min_side / short)
    return _within(size[0] * factor, limits), _within(size[1] * factor, limits)


def _within(side: float, limits: ImageLimits) -> int:
    """Rounded, and within the limits that rounding may have left by a pixel."""
    return min(max(round(side), limits.min_side), limits.max_side)
