"""How to make a video fit: bits per second and frame size, from its length and the limit. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: bits per second, sound included; below it a video is not worth watching
LEAST_RATE = 150_000
#: of the limit; the rest is for the container and for what the encoder overshoots
_USED = 0.98
#: of the first bit rate: the first try, then two lower ones
_SHARES = (1.0, 0.8, 0.6)
#: pixels of the shorter side, after the video's own
_STEPS = (720, 480, 360)
#: bits per pixel below which a smaller picture looks better
_DENSE_ENOUGH = 0.015
#: bits per second in all, from which sound gets its better rate
_ROOMY = 800_000
#: pixels of the longer side that the encoder may be given, which bounds its memory
_LONGEST_SIDE = 2560


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One way to encode: sizes in pixels (even), rates in bits per second."""

    width: int
    height: int
    video_rate: int
    audio_rate: int


def plans(*, width: int, height: int, seconds: float, has_audio: bool, limit_bytes: int) -> Iterator[Plan]:
    """What to try, the best first; nothing where the limit is too tight for the length."""
    total = int(limit_bytes * 8 * _USED / seconds)
    if total < LEAST_RATE:
        return
    audio = _audio_rate(total) if has_audio else 0
    sizes = _sizes(width, height, total - audio)
    for share in _SHARES:
        yield _plan(sizes[0], total, audio, share)
    for size in sizes[1:]:
        yield _plan(size, total, audio, _SHARES[-1])


def _plan(size: tuple[int, int], total: int, audio: int, share: float) -> Plan:
    return Plan(width=size[0], height=size[1], video_rate=int((total - audio) * share), audio_rate=audio)


def _audio_rate(total: int) -> int:
    """Sound gets little where there is little."""
    return 96_000 if total >= _ROOMY else 48_000


def _sizes(width: int, height: int, video_rate: int) -> list[tuple[int, int]]:
    """The sizes to try, largest first, without those that the bit rate can't fill (but the last)."""
    short, long = sorted((width, height))
    first = min(1.0, _LONGEST_SIDE / long)
    factors = [first, *(step / short for step in _STEPS if step < short * first)]
    sizes = [(_even(width * factor), _even(height * factor)) for factor in factors]
    # 24 frames per second: what these models make; only the order of magnitude matters here
    dense = [size for size in sizes if video_rate / (size[0] * size[1] * 24) >= _DENSE_ENOUGH]
    return dense or sizes[-1:]


def _even(side: float) -> int:
    """H.264 with half the colour resolution needs even sides."""
    return max(2, round(side / 2) * 2)
