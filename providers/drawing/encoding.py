"""From pictures to H.264: how frames are written into a file."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
from av.video.reformatter import Colorspace

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL import Image

    from providers.drawing.canvas import Size

#: looking less far ahead keeps fewer frames in memory
_MODEST = {"rc-lookahead": "4", "bf": "2", "refs": "1"}


def _encoder(size: Size) -> dict[str, str]:
    """Bound the rate, so that ten seconds at 1080p stay below 6 MiB whatever they show."""
    rate = str(min(4_000_000, 1_000_000 + size[0] * size[1] * 3 // 2))
    return {"preset": "veryfast", "crf": "20", "maxrate": rate, "bufsize": rate, "aq-mode": "3", **_MODEST}


def new_stream(container: OutputContainer, size: Size, rate: int) -> VideoStream:
    """Add the track of pictures to a file: H.264, one thread, colours by ITU-R BT.709."""
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


def video_frame(picture: Image.Image, index: int, rate: int) -> VideoFrame:
    """Make the frame with this number of a picture."""
    from_image = av.VideoFrame.from_image  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - bare
    frame = cast("VideoFrame", from_image(picture)).reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
    frame.pts, frame.time_base = index, Fraction(1, rate)
    return frame
