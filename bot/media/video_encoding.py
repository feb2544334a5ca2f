"""Writing H.264 with AAC into an MP4 below a limit of bytes. Runs in the child processes only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError, InvalidDataError
from av.filter import Graph
from av.frame import Frame
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from bot.media.bitrates import Plan
from bot.media.errors import MediaFailed

#: samples per second, which every player knows
_AUDIO_RATE = 48_000
#: threads of the encoder; the bot itself needs the rest
_THREADS = 2
#: FFmpeg's container times
_MICROSECONDS = 1_000_000
#: FFmpeg's filters that undo a turn, in degrees anticlockwise
_UPRIGHT = {90: ("cclock",), 180: ("clock", "clock"), 270: ("clock",)}


def encode(container: InputContainer, video: VideoStream, target: str, plan: Plan, limit_bytes: int) -> bool:
    """Encode by the plan. False, with no file left, as soon as the limit is passed.

    Raises:
        MediaFailed: the encoder gave up.
    """
    try:
        written = _encode(container, video, target, plan, limit_bytes)
    except MemoryError:
        raise
    except (FFmpegError, ValueError, OSError, ArithmeticError) as error:
        raise MediaFailed(f"the encoder gave up: {type(error).__name__}: {error}") from error
    if written and Path(target).stat().st_size <= limit_bytes:
        return True
    Path(target).unlink()
    return False


def _encode(container: InputContainer, video: VideoStream, target: str, plan: Plan, limit_bytes: int) -> bool:
    sounds = (stream for stream in container.streams.audio if can_decode(stream))
    audio = next(sounds, None) if plan.audio_rate else None
    with av.open(target, "w", format="mp4", options={"movflags": "+faststart"}) as out:
        encoders: dict[int, _Encoder] = {video.index: _VideoEncoder(out, video, plan)}
        if audio is not None:
            encoders[audio.index] = _AudioEncoder(out, plan.audio_rate)
        return _pump(container, [stream for stream in (video, audio) if stream], encoders, out, limit_bytes)


def can_decode(stream: VideoStream | AudioStream) -> bool:
    """Whether FFmpeg knows the codec; PyAV has no context for a stream of another."""
    return cast(object, stream.codec_context) is not None


def _pump(
    container: InputContainer,
    streams: Sequence[VideoStream | AudioStream],
    encoders: dict[int, _Encoder],
    out: OutputContainer,
    limit_bytes: int,
) -> bool:
    """Move everything from the one container to the other. False as soon as it is too much."""
    size = 0
    for stream, frame in _frames(container, streams):
        for packet in encoders[stream.index].encode(frame):
            size += packet.size
            out.mux(packet)
        if size > limit_bytes:
            return False
    return True


def _frames(
    container: InputContainer,
    streams: Sequence[VideoStream | AudioStream],
) -> Iterator[tuple[VideoStream | AudioStream, Frame | None]]:
    """All frames, from the container's beginning at time zero; at last None for each stream."""
    start = Fraction(container.start_time or 0, _MICROSECONDS)
    by_index = {stream.index: stream for stream in streams}
    for packet in container.demux(*streams):
        # At the end come empty packets, of which only `stream` tells whose they are.
        stream = by_index[packet.stream.index]
        for frame in _decoded(stream, packet):
            if frame.pts is not None and frame.time_base:
                frame.pts -= round(start / frame.time_base)
            yield stream, frame
    yield from ((stream, None) for stream in streams)


def _decoded(stream: VideoStream | AudioStream, packet: Packet) -> Sequence[Frame]:
    try:
        return stream.decode(packet)
    except InvalidDataError:
        # One bad packet is a flicker, no reason to lose the video.
        return []


class _Encoder:
    def encode(self, frame: Frame | None) -> Sequence[Packet]:
        """Packets for one frame; None at the end."""
        raise NotImplementedError


class _VideoEncoder(_Encoder):
    """Upright frames of one size, with the times that they had."""

    def __init__(self, out: OutputContainer, source: VideoStream, plan: Plan) -> None:
        self._plan = plan
        self._turn: Graph | None = None
        self._last: int | None = None
        self._source = source
        # The options bound the rate in every second, or a short clip would overshoot.
        options = {"preset": "veryfast", "maxrate": str(plan.video_rate), "bufsize": str(plan.video_rate)}
        self._stream = out.add_stream(  # pyright: ignore[reportUnknownMemberType] - its **kwargs have no type
            "libx264",
            rate=source.average_rate or 24,
            options=options,
        )
        self._stream.pix_fmt = "yuv420p"
        self._stream.width, self._stream.height = plan.width, plan.height
        context = self._stream.codec_context
        context.bit_rate, context.thread_count = plan.video_rate, _THREADS
        if source.time_base:
            context.time_base = source.time_base

    def encode(self, frame: Frame | None) -> Sequence[Packet]:
        if frame is None:
            return self._stream.encode(None)
        upright = self._upright(cast(VideoFrame, frame))
        if upright.pts is None or (self._last is not None and upright.pts <= self._last):
            # Two frames for one moment: the encoder would refuse, and nobody could see both.
            return []
        self._last = upright.pts
        scaled = upright.reformat(width=self._plan.width, height=self._plan.height, format="yuv420p")
        scaled.pict_type = 0
        return self._stream.encode(scaled)

    def _upright(self, frame: VideoFrame) -> VideoFrame:
        turns = _UPRIGHT.get(frame.rotation % 360, ())
        if not turns:
            return frame
        if self._turn is None:
            self._turn = _turning(self._source, turns)
        self._turn.vpush(frame)
        return self._turn.vpull()


def _turning(source: VideoStream, turns: Sequence[str]) -> Graph:
    graph = Graph()
    nodes = [graph.add_buffer(template=source)]
    nodes += [graph.add("transpose", turn) for turn in turns]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


class _AudioEncoder(_Encoder):
    def __init__(self, out: OutputContainer, rate: int) -> None:
        self._stream = out.add_stream(  # pyright: ignore[reportUnknownMemberType] - its **kwargs have no type
            "aac",
            rate=_AUDIO_RATE,
            layout="stereo",
        )
        self._stream.codec_context.bit_rate = rate

    def encode(self, frame: Frame | None) -> Sequence[Packet]:
        return self._stream.encode(cast("AudioFrame | None", frame))
