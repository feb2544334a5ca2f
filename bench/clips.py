"""Real videos of a wished size."""

from __future__ import annotations

import io
import random
from typing import Final

import av
import numpy as np

_WIDTH, _HEIGHT, _RATE = 640, 360, 16
#: the head of a box that players pass over
_BOX: Final = 8


def clip(size: int, *, seconds: int = 5) -> bytes:
    """An MP4 of noise of about ``size`` bytes, filled up to exactly that many."""
    least = _encoded(seconds, kbits=8 * size // seconds // 1000 * 9 // 10)
    if len(least) + _BOX > size:
        raise ValueError(f"{len(least)} bytes are more than {size}")
    rest = size - len(least)
    return least + rest.to_bytes(4, "big") + b"free" + bytes(rest - _BOX)


def _encoded(seconds: int, *, kbits: int) -> bytes:
    file, dice = io.BytesIO(), np.random.default_rng(random.Random(1).getrandbits(32))  # noqa: S311 - no secret
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=_RATE)  # pyright: ignore[reportUnknownMemberType] - its keywords
        stream.width, stream.height, stream.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        stream.bit_rate = 1000 * kbits
        stream.options = {"preset": "ultrafast", "maxrate": f"{kbits}k", "bufsize": f"{kbits}k"}
        for _ in range(seconds * _RATE):
            pixels = dice.integers(0, 256, (_HEIGHT, _WIDTH, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()
