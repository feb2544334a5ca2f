"""Draws a demo video. Run as its own process: ``python -m providers.demo_drawing SPEC.json OUT.mp4``.

Without a picture it is a landscape whose light and shape come from the seed; with one, a slow
camera move over it; with two, the first becomes the second. The prompt is the caption.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import av
from pydantic import TypeAdapter

from providers.demo import Drawing, size_of
from providers.drawing.encoding import new_stream, video_frame
from providers.drawing.film import film_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Drawing", "draw", "size_of"]


def draw(drawing: Drawing, path: Path, on_progress: Callable[[float], None] = lambda _: None) -> None:
    """Write the video to ``path``: MP4, H.264, its index in front.

    ``on_progress`` is told the part that is done, above 0.0 up to 1.0, after every frame.
    Raises ``OSError`` for a picture or a path that can't be opened.
    """
    film = film_of(drawing)
    rate = drawing.frames_per_second
    count = max(1, round(drawing.duration_seconds * rate))
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = new_stream(container, film.size, rate)
        for index in range(count):
            picture = film.at(index / max(count - 1, 1), index / rate)
            container.mux(stream.encode(video_frame(picture, index, rate)))
            on_progress((index + 1) / count)
        container.mux(stream.encode(None))


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
