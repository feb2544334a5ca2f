"""Opening and checking videos with PyAV. Runs in the child processes only."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, NoReturn, cast

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from bot.languages import N_, _
from bot.media import video_encoding
from bot.media.bitrates import plans
from bot.media.errors import MediaError, MediaLimit, NotMedia
from bot.media.plain_files import open_plain, size_of

#: seconds
SHORTEST, LONGEST = 0.1, 600.0
#: pixels
LARGEST_SIDE = 4096
ACCEPTED = N_("Accepted are MP4, MOV and WebM.")
DAMAGED = N_("This video is damaged or incomplete.")

_MOV_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_PICTURE_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis")
_EBML = b"\x1a\x45\xdf\xa3"
#: the element DocType with its length of four, as every WebM file has it
_WEBM = b"\x42\x82\x84webm"
#: packets that may be looked at for the first picture
_PATIENCE = 300
#: seconds before the end where the search for the last picture begins
_TAIL = 1.0
#: the share of a video before the picture that stands for it
_TELLING = 0.3
#: of a JPEG, from 0 to 95
_QUALITY = 80
#: FFmpeg's container times
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is reported of a video; see `bot.media.videos.VideoFacts`."""

    width: int
    height: int
    seconds: float
    codec: str
    has_audio: bool
    bytes: int


def check(arguments: dict[str, Any]) -> dict[str, Any]:
    """Look at the video at ``path``: open it, decode a picture, read to its end.

    Raises:
        NotMedia: no video of an accepted container, or damaged.
        MediaLimit: too short, too long, too large.
    """
    return asdict(_checked(arguments["path"]))


def fit(arguments: dict[str, Any]) -> dict[str, Any] | None:
    """Encode the video at ``path`` anew into ``target``, below ``limit_bytes``. None if that can't be.

    Raises:
        NotMedia: as `check`.
        MediaLimit: as `check`.
    """
    source, target, limit = arguments["path"], arguments["target"], arguments["limit_bytes"]
    facts = _checked(source)
    for plan in plans(
        width=facts.width,
        height=facts.height,
        seconds=facts.seconds,
        has_audio=facts.has_audio,
        limit_bytes=limit,
    ):
        with opened(source) as (container, _):
            if video_encoding.encode(container, video_stream(container), target, plan, limit):
                return asdict(_checked(target))
    return None


def last_frame(arguments: dict[str, Any]) -> None:
    """Write the last picture of the video at ``path`` as a PNG to ``target``. Raises as ``check``."""
    with opened(arguments["path"]) as (container, _size):
        stream = video_stream(container)
        _check_sides(stream.width, stream.height)
        # from the last picture that needs no other one before it
        container.seek(int(max(0.0, _stated(container, stream) - _TAIL) * _MICROSECONDS))
        last: VideoFrame | None = None
        for frame in container.decode(stream):
            last = frame
        if last is None:
            raise NotMedia(_with_accepted(_(DAMAGED)))
        picture = cast("Image.Image", last.to_image())  # pyright: ignore[reportUnknownMemberType] - its options
        picture.save(arguments["target"], "PNG")


def frame(arguments: dict[str, Any]) -> None:
    """Write a small picture of the video at ``path`` as a JPEG of up to ``box`` pixels to ``target``.

    It is from the first third: many videos begin in black. Raises as ``check``.
    """
    with opened(arguments["path"]) as (container, _):
        stream = video_stream(container)
        _check_sides(stream.width, stream.height)
        container.seek(int(_stated(container, stream) * _TELLING * _MICROSECONDS))
        first = next(container.decode(stream), None)
        if first is None:
            raise NotMedia(f"{DAMAGED} {ACCEPTED}")
        picture = cast("Image.Image", first.to_image())  # pyright: ignore[reportUnknownMemberType] - its options
        picture.thumbnail(tuple(arguments["box"]))
        picture.convert("RGB").save(arguments["target"], "JPEG", quality=_QUALITY)


def _checked(path: str) -> Facts:
    with opened(path) as (container, size):
        return _facts(container, size)


@contextmanager
def opened(path: str) -> Generator[tuple[InputContainer, int]]:
    """Open a video by what its first bytes say; gives the container and its size in bytes.

    The file is handed over as a file object and the demuxer is named, so FFmpeg guesses no playlist
    and opens nothing by name. Whatever goes wrong inside becomes `NotMedia`.
    """
    with open_plain(path) as file:
        kind = _demuxer(file)
        try:
            with av.open(file, "r", format=kind, metadata_errors="replace", io_open=_refuse) as container:
                yield container, size_of(file)
        except (MediaError, MemoryError):
            raise
        except (FFmpegError, ValueError, OSError, ArithmeticError) as error:
            raise NotMedia(_with_accepted(_(DAMAGED))) from error


def _refuse(*_: object) -> NoReturn:
    raise PermissionError("a video may not refer to another file")


def _demuxer(file: BinaryIO) -> str:
    """The name of the demuxer for these first bytes."""
    start = file.read(64)
    file.seek(0)
    if start[4:8] in _MOV_BOXES and start[8:12] not in _PICTURE_BRANDS:
        return "mov"
    if start.startswith(_EBML) and _WEBM in start:
        return "matroska"
    raise NotMedia(_with_accepted(_("This file is not a video that can be used.")))


def video_stream(container: InputContainer) -> VideoStream:
    """The first stream of moving pictures; a cover picture isn't one."""
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue
        if not video_encoding.can_decode(stream):
            raise NotMedia(_("This video is packed in a way that can't be read. Please use H.264, VP8, VP9 or AV1."))
        return stream
    raise NotMedia(_with_accepted(_("This file has no moving pictures.")))


def _facts(container: InputContainer, size: int) -> Facts:
    stream = video_stream(container)
    _check_sides(stream.width, stream.height)
    first, start, end = _read(container, stream)
    _check_sides(first.width, first.height)
    sideways = first.rotation % 180 != 0
    return Facts(
        width=first.height if sideways else first.width,
        height=first.width if sideways else first.height,
        seconds=_seconds(container, stream, start, end),
        codec=stream.codec_context.name,
        has_audio=bool(container.streams.audio),
        bytes=size,
    )


def _check_sides(width: int, height: int) -> None:
    """Checked before anything is decoded: the frames of a huge video would fill the memory."""
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
        text = _("This video has {width} x {height} pixels. At most {most} a side are accepted.")
        raise MediaLimit(text.format(width=width, height=height, most=LARGEST_SIDE))


def _read(container: InputContainer, stream: VideoStream) -> tuple[VideoFrame, float, float]:
    """Decode the first picture, read on to the end. Returns the picture, and when pictures begin and end."""
    first: VideoFrame | None = None
    start, end = math.inf, 0.0
    # not as a fraction: to reckon with those takes longer than to read a packet
    unit = float(stream.time_base or 0)
    for number, packet in enumerate(container.demux(stream)):
        if first is None and number < _PATIENCE:
            first = _decoded(stream, packet)
        if packet.pts is not None:
            start = min(start, packet.pts * unit)
            end = max(end, (packet.pts + (packet.duration or 0)) * unit)
    if first is None:
        raise NotMedia(_with_accepted(_(DAMAGED)))
    return first, min(start, end), end


def _decoded(stream: VideoStream, packet: av.Packet) -> VideoFrame | None:
    try:
        frames = stream.decode(packet)
    except FFmpegError:
        # A stream may begin in the middle of a group of pictures.
        return None
    return frames[0] if frames else None


def _seconds(container: InputContainer, stream: VideoStream, start: float, end: float) -> float:
    """The length of the pictures, if there are as many as the file states.

    Raises:
        NotMedia: less than half of it is there.
        MediaLimit: too short or too long.
    """
    stated = _stated(container, stream)
    if end < stated / 2:
        text = _("It should last {stated} seconds, but only {there} are there.")
        raise NotMedia(f"{_(DAMAGED)} {text.format(stated=f'{stated:.1f}', there=f'{end:.1f}')}")
    # WebM states where its last picture ends, whenever the first one begins.
    length = end - start or stated
    if not SHORTEST <= length <= LONGEST:
        text = _("This video lasts {length} seconds. Accepted are {least} to {most}.")
        raise MediaLimit(text.format(length=f"{length:.1f}", least=f"{SHORTEST:g}", most=f"{LONGEST:g}"))
    return round(length, 3)


def _with_accepted(sentence: str) -> str:
    return f"{sentence} {_(ACCEPTED)}"


def _stated(container: InputContainer, stream: VideoStream) -> float:
    """What the file says of its length; 0.0 if it says nothing, as recordings of browsers do."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / _MICROSECONDS
