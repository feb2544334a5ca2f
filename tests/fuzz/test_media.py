"""Hostile pictures and videos in the real children: a refusal in good order, nothing left behind, nobody lost.

``tests/unit/test_media_images.py`` and ``test_media_videos.py`` put wrong bytes into files. Here whole parts of them
are cut out, doubled, filled and spliced, lengths lie, and checksums are made right again, so that a decoder gets deep.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import av
import httpx
import pytest
import pytest_asyncio
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from bot.media.errors import MediaError
from bot.media.images import Fitted, Images
from bot.media.videos import VideoFacts, Videos
from bot.media.workers import GRACE, MediaWorkers
from providers.types import ImageLimits
from tests.fuzz.inputs import inputs, patient

PICTURE_INPUTS: Final = 300
VIDEO_INPUTS: Final = 200
#: encoded anew, if they can still be read
FITTING_INPUTS: Final = 40

pytestmark = [patient, pytest.mark.asyncio(loop_scope="module")]

CHILDREN: Final = 2
#: seconds for a task in a child
TIME_LIMIT: Final = 10.0
#: seconds beyond it in which a child has been ended for sure, on a busy machine too
PATIENCE: Final = TIME_LIMIT + GRACE + 30


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[MediaWorkers]:
    made = MediaWorkers(count=CHILDREN, time_limit=TIME_LIMIT)
    yield made
    last = made.pids
    await made.close()
    for pid in last:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def images(workers: MediaWorkers) -> Images:
    return Images(workers=workers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def videos(workers: MediaWorkers) -> AsyncIterator[Videos]:
    async with httpx.AsyncClient() as client:
        yield Videos(workers=workers, client=client)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


# --- files as they should be --------------------------------------------------------------------------


def _picture(mode: str = "RGB") -> Image.Image:
    return Image.frombytes("RGB", (80, 70), random.Random(1).randbytes(80 * 70 * 3)).convert(mode)


def _saved(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    out = io.BytesIO()
    _picture(mode).save(out, kind, **options)
    return out.getvalue()


def _described() -> dict[str, Any]:
    """What a camera adds: how the picture was held, and what its colours mean."""
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - an object of the C library
    return {"exif": exif, "icc_profile": profile.tobytes()}


def _pictures() -> Sequence[bytes]:
    moving: dict[str, Any] = {"save_all": True, "append_images": [_picture(), _picture("L").convert("RGB")]}
    return (
        _saved("PNG", "RGBA", **_described()),
        _saved("PNG", "P", transparency=3),
        _saved("PNG", "I;16"),
        _saved("JPEG", progressive=True, **_described()),
        _saved("JPEG", "CMYK"),
        _saved("WEBP", "RGBA", lossless=True),
        _saved("WEBP", **_described()),
        _saved("WEBP", **moving),
        _saved("GIF", "P"),
        _saved("GIF", "P", **moving),
        _saved("BMP"),
    )


def _movie(kind: str, codec: str, folder: Path, **options: str) -> bytes:
    path = folder / f"made.{kind}"
    with av.open(str(path), "w", format=kind, options=options) as out:
        fast = {"preset": "ultrafast"} if codec == "libx264" else {"deadline": "realtime", "cpu-used": "8"}
        stream = out.add_stream(codec, rate=12, options=fast)  # pyright: ignore[reportUnknownMemberType] - its **kwargs have no type
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(12):
            frame = VideoFrame(96, 64, "yuv420p")
            for plane in frame.planes:
                plane.update(random.Random(number).randbytes(plane.buffer_size))
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    content = path.read_bytes()
    path.unlink()
    return content


@pytest.fixture(scope="module")
def pictures() -> Sequence[bytes]:
    return _pictures()


@pytest.fixture(scope="module")
def movies(folder: Path) -> Sequence[bytes]:
    return (
        _movie("mp4", "libx264", folder),
        _movie("mp4", "libx264", folder, movflags="faststart"),
        _movie("mp4", "libx264", folder, movflags="frag_keyframe+empty_moov"),
        _movie("mov", "libx264", folder),
        _movie("webm", "libvpx", folder),
        _movie("webm", "libvpx-vp9", folder),
    )


# --- and as they should not ---------------------------------------------------------------------------

_LENGTHS: Final = (0, 1, 7, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF)
_PNG: Final = b"\x89PNG\r\n\x1a\n"


def _slice(content: bytearray, chance: random.Random) -> slice:
    start = chance.randrange(len(content) + 1)
    return slice(start, start + chance.choice((1, 2, 4, 16, 100, 1000)))


def _cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content) + 1) :]


def _take_out(content: bytearray, chance: random.Random) -> None:
    del content[_slice(content, chance)]


def _double(content: bytearray, chance: random.Random) -> None:
    part = content[_slice(content, chance)]
    content[(at := chance.randrange(len(content) + 1)) : at] = part * chance.choice((1, 2, 50))


def _fill(content: bytearray, chance: random.Random) -> None:
    part = _slice(content, chance)
    content[part] = bytes([chance.choice((0, 0xFF, 0x41))]) * len(content[part])


def _lie(content: bytearray, chance: random.Random) -> None:
    """Write another number where one may stand: before or behind four letters, or anywhere."""
    names = [at for at in range(4, len(content) - 8) if content[at : at + 4].isalpha()]
    at = (
        chance.choice(names) + chance.choice((-4, 4))
        if names and chance.randrange(4)
        else chance.randrange(len(content))
    )
    content[at : at + 4] = struct.pack(chance.choice("<>") + "I", chance.choice(_LENGTHS))


_CHANGES: Final[Sequence[Callable[[bytearray, random.Random], None]]] = (
    _cut,
    _take_out,
    _double,
    _fill,
    _lie,
    _lie,
    _lie,
)


def _spoilt(originals: Sequence[bytes], seed: int) -> bytes:
    chance = random.Random(seed)
    content = bytearray(chance.choice(originals))
    if chance.randrange(8) == 0:
        other = chance.choice(originals)
        content[chance.randrange(len(content)) :] = other[chance.randrange(len(other)) :]
    for _ in range(chance.choice((1, 1, 2, 5))):
        if content:
            chance.choice(_CHANGES)(content, chance)
    return _with_checksums(bytes(content)) if chance.randrange(2) else bytes(content)


def _with_checksums(content: bytes) -> bytes:
    """A PNG whose checksums fit what stands there now; anything else as it is."""
    if not content.startswith(_PNG):
        return content
    made, at = bytearray(_PNG), len(_PNG)
    while at + 8 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        name_and_rest = content[at + 4 : at + 8 + length]
        made += content[at : at + 4] + name_and_rest + struct.pack(">I", zlib.crc32(name_and_rest))
        at += 12 + length
    return bytes(made)


_seeds: Final = st.integers(0, 2**64 - 1)


@inputs(PICTURE_INPUTS)
@given(seed=_seeds)
async def test_no_picture_does_harm(
    workers: MediaWorkers, images: Images, folder: Path, pictures: Sequence[bytes], seed: int
) -> None:
    content = await _written(folder, _spoilt(pictures, seed))
    await _ends_in_good_order(workers, folder, images.fit(content, folder / "out.any", ImageLimits(min_side=32)))


@inputs(VIDEO_INPUTS)
@given(seed=_seeds)
async def test_no_video_does_harm(
    workers: MediaWorkers, videos: Videos, folder: Path, movies: Sequence[bytes], seed: int
) -> None:
    content = await _written(folder, _spoilt(movies, seed))
    await _ends_in_good_order(workers, folder, videos.check(content))


@inputs(FITTING_INPUTS)
@given(seed=_seeds)
async def test_no_video_does_harm_when_it_is_made_smaller(
    workers: MediaWorkers, videos: Videos, folder: Path, movies: Sequence[bytes], seed: int
) -> None:
    content = await _written(folder, _spoilt(movies, seed))
    size = await asyncio.to_thread(lambda: content.stat().st_size)
    await _ends_in_good_order(workers, folder, videos.fit(content, folder / "out.mp4", max(1, size * 2 // 3)))


async def _written(folder: Path, content: bytes) -> Path:
    path = folder / "source"
    await asyncio.to_thread(path.write_bytes, content)
    return path


async def _ends_in_good_order(workers: MediaWorkers, folder: Path, work: Awaitable[Fitted | VideoFacts | None]) -> None:
    """Do the work: it gives something or one of our errors, in time, and leaves no more than what it gave."""
    result: Fitted | VideoFacts | None = None
    with suppress(MediaError):
        async with asyncio.timeout(PATIENCE):
            result = await work
    left = [path for path in folder.iterdir() if path.name != "source"]
    # a look leaves nothing, a fitted file stands where it was asked for
    assert len(left) <= (result is not None)
    assert not isinstance(result, Fitted) or left == [result.path]
    for path in left:
        path.unlink()
    assert len(workers.pids) <= CHILDREN
