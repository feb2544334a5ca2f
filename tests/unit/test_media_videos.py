"""Videos: checked, fitted to an upload, and fetched from links that nobody has to trust."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.video.frame import VideoFrame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.media.bitrates import LEAST_RATE, plans
from bot.media.errors import MediaFailed, MediaLimit, NotMedia
from bot.media.videos import Videos
from bot.media.workers import MediaWorkers
from providers.addresses import is_public, system_resolve
from providers.links import LinkDead, LinkFailed, LinkRefused
from providers.transport import AiohttpTransport
from tests.serving import served

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: of a 320 x 240 video of a second, roughly
MIB = 2**20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[MediaWorkers]:
    made = MediaWorkers()
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def videos(workers: MediaWorkers) -> AsyncIterator[Videos]:
    async with httpx.AsyncClient(transport=AiohttpTransport(repeats=True)) as client:
        yield Videos(workers=workers, client=client, trusted_hosts={"127.0.0.1"})


def frame(width: int, height: int, number: int, *, noisy: bool) -> VideoFrame:
    made = VideoFrame(width, height, "yuv420p")
    for plane in made.planes:
        level = bytes([number * 7 % 256])
        plane.update(random.Random(number).randbytes(plane.buffer_size) if noisy else level * plane.buffer_size)
    made.pts = number
    return made


def audio_stream(out: OutputContainer, codec: str) -> av.AudioStream:
    stream = out.add_stream(codec, rate=48000)  # pyright: ignore[reportUnknownMemberType] - its **kwargs have no type
    assert isinstance(stream, av.AudioStream)
    return stream


def add_audio(out: OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    for number in range(int(seconds * 48000 / 960)):
        samples = AudioFrame("s16", "stereo", 960)
        samples.planes[0].update(random.Random(number).randbytes(samples.planes[0].buffer_size))
        samples.sample_rate, samples.pts, samples.time_base = 48000, number * 960, Fraction(1, 48000)
        out.mux(stream.encode(samples))
    out.mux(stream.encode(None))


def movie(
    path: Path,
    *,
    width: int = 320,
    height: int = 240,
    seconds: float = 1.0,
    rate: int = 24,
    codec: str = "libx264",
    kind: str = "mp4",
    audio: str = "",
    noisy: bool = False,
    bits: int = 0,
    first: int = 0,
) -> Path:
    fast = {"libx264": {"preset": "ultrafast"}, "libvpx": {"deadline": "realtime", "cpu-used": "8"}}
    options = {**fast.get(codec, {}), **({} if bits else {"crf": "10"})}
    with av.open(str(path), "w", format=kind) as out:
        stream = out.add_stream(codec, rate=rate, options=options)  # pyright: ignore[reportUnknownMemberType] - as above
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if bits:
            stream.codec_context.bit_rate = bits
        sound = audio_stream(out, audio) if audio else None
        for number in range(max(1, int(seconds * rate))):
            made = frame(width, height, number, noisy=noisy)
            made.pts = number + first
            out.mux(stream.encode(made))
        out.mux(stream.encode(None))
        if sound is not None:
            add_audio(out, sound, seconds)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- check


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (("mp4", "libx264", "aac"), "h264"),
        (("mp4", "libx264", ""), "h264"),
        (("mov", "libx264", ""), "h264"),
        (("mp4", "mpeg4", ""), "mpeg4"),
        (("webm", "libvpx", "libopus"), "vp8"),
        (("webm", "libvpx-vp9", ""), "vp9"),
    ],
)
async def test_videos_are_taken(videos: Videos, tmp_path: Path, form: tuple[str, str, str], name: str) -> None:
    kind, codec, audio = form
    path = movie(tmp_path / "a.bin", kind=kind, codec=codec, audio=audio)
    facts = await videos.check(path)
    assert (facts.width, facts.height, facts.has_audio) == (320, 240, bool(audio))
    assert facts.codec == name
    assert abs(facts.seconds - 1.0) < 0.1
    assert facts.bytes == path.stat().st_size


async def test_one_picture_of_a_second_is_a_video(videos: Videos, tmp_path: Path) -> None:
    facts = await videos.check(movie(tmp_path / "a.mp4", seconds=1, rate=1))
    assert facts.seconds == 1.0


def turned(path: Path, matrix: Sequence[int]) -> Path:
    """As phones do it: the pictures as they are, and a matrix in the track's header."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 4 + 36
    content[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(content)
    return path


ONE = 1 << 16
#: the display turns the stored picture clockwise
CLOCKWISE = (0, ONE, 0, -ONE, 0, 0, 240 * ONE, 0, 1 << 30)


async def test_a_turned_video_is_measured_as_it_is_seen(videos: Videos, tmp_path: Path) -> None:
    facts = await videos.check(turned(movie(tmp_path / "a.mp4"), CLOCKWISE))
    assert (facts.width, facts.height) == (240, 320)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no video",
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/secret.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<?xml version='1.0'?><MPD/>",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
        b"RIFF\0\0\0\0AVI LIST",
        b"\x47" + b"\0" * 187,
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 400,
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + b"\0" * 400,
        b"\x1a\x45\xdf\xa3" + b"\0" * 400,
        b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm" + b"\0" * 400,
    ],
)
async def test_what_is_no_video_is_refused(videos: Videos, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(NotMedia, match=r"MP4, MOV and WebM\."):
        await videos.check(path)


@pytest.mark.parametrize(("kind", "codec"), [("matroska", "libx264"), ("avi", "mpeg4"), ("mpegts", "libx264")])
async def test_other_containers_are_refused(videos: Videos, tmp_path: Path, kind: str, codec: str) -> None:
    with pytest.raises(NotMedia, match="not a video that can be used"):
        await videos.check(movie(tmp_path / "a.mp4", kind=kind, codec=codec))


async def test_sound_alone_is_refused(videos: Videos, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w", format="mp4") as out:
        add_audio(out, audio_stream(out, "aac"), 1)
    with pytest.raises(NotMedia, match="no moving pictures"):
        await videos.check(tmp_path / "a.mp4")


def alias(path: Path) -> bytes:
    """A data reference as QuickTime writes it: the pictures are in that other file."""
    name = str(path).encode()
    name += bytes(len(name) % 2)
    record = bytes(10 + 1 + 27 + 12 + 1 + 63 + 16) + struct.pack(">HH", 1, 1) + bytes(16)
    record += struct.pack(">HH", 2, len(name)) + name + struct.pack(">HH", 0xFFFF, 0)
    return struct.pack(">I4sI", 12 + len(record), b"alis", 0) + record


async def test_a_reference_to_another_file_is_not_followed(videos: Videos, tmp_path: Path) -> None:
    own = b"\0\0\0\x0curl \0\0\0\x01"
    content = movie(tmp_path / "other.mp4").read_bytes()
    there = alias(tmp_path / "other.mp4")
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = content.index(name) - 4
        size = struct.unpack_from(">I", content, at)[0] + len(there) - len(own)
        content = content[:at] + struct.pack(">I", size) + content[at + 4 :]
    path = tmp_path / "a.mp4"
    path.write_bytes(content.replace(own, there))
    with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}) as opened:
        assert next(opened.decode(video=0)).width == 320, "the reference itself is good"
    with pytest.raises(NotMedia, match="damaged"):
        await videos.check(path)


@pytest.mark.parametrize("kind", ["mp4", "webm"])
@pytest.mark.parametrize("share", [0.1, 0.4])
async def test_what_was_cut_off_is_refused(videos: Videos, tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / "a"
    movie(path, kind=kind, codec="libx264" if kind == "mp4" else "libvpx", noisy=True)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(NotMedia, match="damaged"):
        await videos.check(path)


async def test_a_cut_off_video_with_its_index_in_front_is_refused(videos: Videos, tmp_path: Path) -> None:
    big = movie(tmp_path / "big.mp4", noisy=True, seconds=2)
    limit = big.stat().st_size // 2
    assert await videos.fit(big, tmp_path / "a.mp4", limit) is not None
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    (tmp_path / "a.mp4").write_bytes(content[: len(content) // 3])
    with pytest.raises(NotMedia, match=r"should last 2\.0 seconds"):
        await videos.check(tmp_path / "a.mp4")


async def test_pictures_that_can_not_be_decoded_are_refused(videos: Videos, tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    at = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[at:end] = b"\xff" * (end - at)
    path.write_bytes(content)
    with pytest.raises(NotMedia, match="damaged"):
        await videos.check(path)


@pytest.mark.parametrize(("seconds", "rate"), [(601, 1), (0.02, 50)])
async def test_too_long_and_too_short_are_refused(videos: Videos, tmp_path: Path, seconds: float, rate: int) -> None:
    path = movie(tmp_path / "a.mp4", width=64, height=64, seconds=seconds, rate=rate)
    with pytest.raises(MediaLimit, match=r"Accepted are 0\.1 to 600"):
        await videos.check(path)


async def test_an_unknown_codec_is_refused(videos: Videos, tmp_path: Path) -> None:
    path = movie(tmp_path / "a.webm", kind="webm", codec="libvpx")
    path.write_bytes(path.read_bytes().replace(b"V_VP8", b"V_XYZ"))
    with pytest.raises(NotMedia, match=r"can't be read\. Please use H\.264"):
        await videos.check(path)


async def test_too_many_pixels_are_refused(videos: Videos, tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", width=4098, height=64, seconds=0.2)
    with pytest.raises(MediaLimit, match=r"4098 x 64 pixels\. At most 4096"):
        await videos.check(path)


#: as many as take a second or two
MANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def samples(folder: Path) -> tuple[Path, Path]:
    mp4 = movie(folder / "a.mp4", width=64, height=64, seconds=0.3, audio="aac")
    webm = movie(folder / "a.webm", width=64, height=64, seconds=0.3, kind="webm", codec="libvpx")
    return mp4, webm


@MANY
@given(
    which=st.integers(0, 1),
    changes=st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 255)), max_size=30),
)
async def test_damaged_videos_are_taken_or_refused_in_good_order(
    videos: Videos,
    folder: Path,
    samples: tuple[Path, Path],
    which: int,
    changes: list[tuple[int, int]],
) -> None:
    content = bytearray(await asyncio.to_thread(samples[which].read_bytes))
    for position, value in changes:
        content[position % len(content)] = value
    await check_or_refuse(videos, folder / "fuzz", bytes(content))


@MANY
@given(
    start=st.sampled_from([b"\0\0\0\x18ftypisom", b"\0\0\0\x08moov", b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm"]),
    rest=st.binary(max_size=500),
)
async def test_any_bytes_are_refused_in_good_order(videos: Videos, folder: Path, start: bytes, rest: bytes) -> None:
    await check_or_refuse(videos, folder / "fuzz", start + rest)


async def check_or_refuse(videos: Videos, path: Path, content: bytes) -> None:
    await asyncio.to_thread(path.write_bytes, content)
    try:
        await videos.check(path)
    except (NotMedia, MediaLimit):
        return


# --- fit


async def test_what_fits_is_taken_over_as_it_is(videos: Videos, tmp_path: Path) -> None:
    path = movie(tmp_path / "a.webm", kind="webm", codec="libvpx")
    facts = await videos.fit(path, tmp_path / "out", path.stat().st_size)
    assert facts == await videos.check(path)
    assert (tmp_path / "out").read_bytes() == path.read_bytes()
    path.unlink()
    assert (tmp_path / "out").exists()


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1])
@pytest.mark.parametrize("audio", ["aac", ""])
async def test_what_is_too_large_is_encoded_to_fit(videos: Videos, tmp_path: Path, share: float, audio: str) -> None:
    path = movie(tmp_path / "a.mp4", seconds=3, noisy=True, audio=audio)
    limit = int(path.stat().st_size * share)
    facts = await videos.fit(path, tmp_path / "out.mp4", limit)
    assert facts is not None
    assert facts == await videos.check(tmp_path / "out.mp4")
    assert facts.bytes <= limit
    assert (facts.codec, facts.has_audio) == ("h264", bool(audio))
    assert abs(facts.seconds - 3) < 0.15
    content = (tmp_path / "out.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert names(tmp_path) == ["a.mp4", "out.mp4"]


async def test_the_limit_is_used_well(videos: Videos, tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", seconds=5, noisy=True)
    limit = path.stat().st_size // 4
    facts = await videos.fit(path, tmp_path / "out.mp4", limit)
    assert facts is not None
    assert facts.bytes > limit * 0.5


@pytest.mark.parametrize(("kind", "codec"), [("webm", "libvpx"), ("mp4", "mpeg4"), ("mov", "libx264")])
async def test_other_codecs_become_h264_when_too_large(
    videos: Videos,
    tmp_path: Path,
    kind: str,
    codec: str,
) -> None:
    path = movie(tmp_path / "a", kind=kind, codec=codec, noisy=True, seconds=2, bits=8_000_000)
    facts = await videos.fit(path, tmp_path / "out.mp4", path.stat().st_size // 3)
    assert facts is not None
    assert (facts.codec, facts.width, facts.height) == ("h264", 320, 240)


async def test_too_few_bits_for_the_size_make_it_smaller(videos: Videos, tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", width=1920, height=1080, seconds=2, noisy=True)
    facts = await videos.fit(path, tmp_path / "out.mp4", 100_000)
    assert facts is not None
    assert facts.height < 1080
    assert facts.bytes <= 100_000


async def test_odd_sides_become_even(videos: Videos, tmp_path: Path) -> None:
    path = movie(tmp_path / "a.webm", width=321, height=241, kind="webm", codec="libvpx", noisy=True, bits=8_000_000)
    facts = await videos.fit(path, tmp_path / "out.mp4", path.stat().st_size // 2)
    assert facts is not None
    assert facts.width % 2 == facts.height % 2 == 0


async def test_a_turned_video_comes_out_upright(videos: Videos, tmp_path: Path) -> None:
    path = turned(movie(tmp_path / "a.mp4", noisy=True), CLOCKWISE)
    facts = await videos.fit(path, tmp_path / "out.mp4", path.stat().st_size // 2)
    assert facts is not None
    assert (facts.width, facts.height) == (240, 320)
    with av.open(str(tmp_path / "out.mp4")) as opened:
        shown = next(opened.decode(video=0))
    assert (shown.width, shown.height, shown.rotation) == (240, 320, 0)


async def test_a_late_beginning_is_moved_to_zero(videos: Videos, tmp_path: Path) -> None:
    path = movie(tmp_path / "a.webm", kind="webm", codec="libvpx", noisy=True, bits=4_000_000, first=240)
    facts = await videos.fit(path, tmp_path / "out.mp4", path.stat().st_size // 2)
    assert facts is not None
    assert abs(facts.seconds - 1) < 0.1


async def test_what_would_be_too_bad_to_watch_is_not_made(videos: Videos, tmp_path: Path) -> None:
    path = movie(tmp_path / "a.mp4", seconds=10, noisy=True)
    assert await videos.fit(path, tmp_path / "out.mp4", 10 * LEAST_RATE // 8) is None
    assert names(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize(("limit", "seconds"), [(20 * MIB, 5), (20 * MIB, 600), (10 * MIB, 60), (MIB, 5)])
async def test_plans_stay_within_the_limit(limit: int, seconds: float) -> None:
    tried = list(plans(width=1920, height=1080, seconds=seconds, has_audio=True, limit_bytes=limit))
    assert tried
    assert all((plan.video_rate + plan.audio_rate) * seconds / 8 <= limit * 0.981 for plan in tried)
    assert all(plan.width % 2 == plan.height % 2 == 0 for plan in tried)
    assert [plan.height for plan in tried] == sorted((plan.height for plan in tried), reverse=True)


async def present(path: Path) -> None:
    for _ in range(500):
        if await asyncio.to_thread(path.exists):
            return
        await asyncio.sleep(0.02)


async def test_a_child_killed_while_it_encodes_leaves_nothing(tmp_path: Path) -> None:
    workers = MediaWorkers()
    async with httpx.AsyncClient(transport=AiohttpTransport(repeats=True)) as client:
        own = Videos(workers=workers, client=client)
        path = movie(tmp_path / "a.mp4", width=1280, height=720, seconds=4, noisy=True)
        running = asyncio.create_task(own.fit(path, tmp_path / "out.mp4", path.stat().st_size // 2))
        await present(tmp_path / "out.mp4.part")
        os.kill(workers.pids[0], signal.SIGKILL)
        with pytest.raises(MediaFailed, match="SIGKILL"):
            await running
        assert names(tmp_path) == ["a.mp4"]
        assert (await own.check(path)).width == 1280
    await workers.close()


async def test_too_little_time_leaves_nothing(tmp_path: Path) -> None:
    workers = MediaWorkers(time_limit=1.0)
    async with httpx.AsyncClient(transport=AiohttpTransport(repeats=True)) as client:
        path = movie(tmp_path / "a.mp4", width=1920, height=1080, seconds=5, noisy=True)
        with pytest.raises(MediaFailed, match="longer than 1 seconds"):
            await Videos(workers=workers, client=client).fit(path, tmp_path / "out.mp4", path.stat().st_size // 2)
    await workers.close()
    assert names(tmp_path) == ["a.mp4"]


# --- fetch


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: what the server sends as a video
CONTENT = random.Random(5).randbytes(3 * MIB + 17)


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(65536))


async def slow(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"x")
    await asyncio.sleep(5)
    return response


async def cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"only this")
    assert request.transport is not None
    request.transport.close()
    return response


async def chunks_cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(b"only this")
    assert request.transport is not None
    request.transport.close()
    return response


async def video(_: web.Request) -> web.StreamResponse:
    return web.Response(body=CONTENT)


async def packed(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"whatever", headers={"Content-Encoding": "gzip"})


async def status(request: web.Request) -> web.StreamResponse:
    return web.Response(status=int(request.match_info["code"]))


async def redirect(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": request.query["to"]})


async def times(request: web.Request) -> web.StreamResponse:
    left = int(request.match_info["left"])
    return web.Response(status=307, headers={"Location": f"/times/{left - 1}" if left > 1 else "/video"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[str]:
    app = web.Application()
    handlers: dict[str, Handler] = {
        "/video": video,
        "/endless": endless,
        "/slow": slow,
        "/cut": cut_off,
        "/chunks": chunks_cut_off,
        "/packed": packed,
        "/status/{code}": status,
        "/redirect": redirect,
        "/times/{left}": times,
    }
    for path, handler in handlers.items():
        app.router.add_get(path, handler)
    async with served(app) as url:
        yield url


async def test_a_link_is_saved(videos: Videos, server: str, tmp_path: Path) -> None:
    assert await videos.fetch(f"{server}/video", tmp_path / "a.mp4") == len(CONTENT)
    assert (tmp_path / "a.mp4").read_bytes() == CONTENT
    assert names(tmp_path) == ["a.mp4"]


async def test_three_redirects_are_followed(videos: Videos, server: str, tmp_path: Path) -> None:
    assert await videos.fetch(f"{server}/times/3", tmp_path / "a.mp4") == len(CONTENT)


async def test_a_fourth_is_not(videos: Videos, server: str, tmp_path: Path) -> None:
    with pytest.raises(LinkFailed, match="more than 3 times"):
        await videos.fetch(f"{server}/times/4", tmp_path / "a.mp4")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "to",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[fd00:ec2::254]/",
        "http://localhost:1/",
        "http://2130706434/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://user:password@127.0.0.1/",
        "http://xn--a/",
        "http://127.0.0.1:99999/",
        "data:video/mp4,x",
    ],
)
async def test_no_redirect_leads_inside(videos: Videos, server: str, tmp_path: Path, to: str) -> None:
    with pytest.raises(LinkRefused):
        await videos.fetch(httpx.URL(f"{server}/redirect", params={"to": to}).__str__(), tmp_path / "a.mp4")
    assert names(tmp_path) == []


async def test_a_private_address_is_refused_without_a_connection(
    workers: MediaWorkers,
    server: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with httpx.AsyncClient(transport=AiohttpTransport(repeats=True)) as client:
        with pytest.raises(LinkRefused, match="not public"):
            await Videos(workers=workers, client=client).fetch(f"{server}/video?signature=abc", tmp_path / "a.mp4")
    assert "Refused a link to 127.0.0.1" in caplog.text
    assert "abc" not in caplog.text


@pytest.mark.parametrize("code", [400, 403, 404, 410, 429])
async def test_4xx_is_a_dead_link(videos: Videos, server: str, tmp_path: Path, code: int) -> None:
    with pytest.raises(LinkDead) as caught:
        await videos.fetch(f"{server}/status/{code}", tmp_path / "a.mp4")
    assert caught.value.status == code
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/status/500", "HTTP status 500"),
        ("/status/204", "HTTP status 204"),
        ("/status/200", "empty"),
        ("/cut", "RemoteProtocolError"),
        ("/chunks", "RemoteProtocolError"),
        ("/packed", "packed"),
        ("/endless", "larger than 4 MiB"),
    ],
)
async def test_other_trouble_is_a_failed_link(
    videos: Videos,
    server: str,
    tmp_path: Path,
    path: str,
    words: str,
) -> None:
    with pytest.raises(LinkFailed, match=words) as caught:
        await videos.fetch(f"{server}{path}", tmp_path / "a.mp4", max_bytes=4 * MIB)
    assert not isinstance(caught.value, LinkRefused)
    assert names(tmp_path) == []


async def test_an_announced_length_is_refused_before_it_comes(videos: Videos, server: str, tmp_path: Path) -> None:
    with pytest.raises(LinkFailed, match="larger than 1 MiB"):
        await videos.fetch(f"{server}/video", tmp_path / "a.mp4", max_bytes=MIB)


async def test_what_is_exactly_as_long_as_allowed_is_kept(videos: Videos, server: str, tmp_path: Path) -> None:
    assert await videos.fetch(f"{server}/video", tmp_path / "a.mp4", max_bytes=len(CONTENT)) == len(CONTENT)


async def test_a_slow_link_ends_in_time(videos: Videos, server: str, tmp_path: Path) -> None:
    with pytest.raises(LinkFailed, match=r"longer than 0\.3 seconds"):
        await videos.fetch(f"{server}/slow", tmp_path / "a.mp4", seconds=0.3)
    assert names(tmp_path) == []


async def test_a_cancelled_download_leaves_nothing(videos: Videos, server: str, tmp_path: Path) -> None:
    running = asyncio.create_task(videos.fetch(f"{server}/slow", tmp_path / "a.mp4"))
    await asyncio.sleep(0.2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert names(tmp_path) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://no-such-host.invalid/", f"http://{'a' * 70}.example/"])
async def test_nobody_there_is_a_failed_link(videos: Videos, tmp_path: Path, url: str) -> None:
    with pytest.raises(LinkFailed):
        await videos.fetch(url, tmp_path / "a.mp4")


@pytest.mark.parametrize(
    "url",
    [
        *("", "video.mp4", "http://", "data:video/mp4;base64,AAAA", "http://[::1", "http://a:b:c/"),
        *(
            "http://xn--a/",
            "http://a:99999/",
            "http://127.0.0.1:99999/",
            "http://a:0/",
            "http://\ud800/",
            "http://a/\0",
        ),
    ],
)
async def test_what_is_no_link_is_refused(videos: Videos, tmp_path: Path, url: str) -> None:
    with pytest.raises(LinkFailed):
        await videos.fetch(url, tmp_path / "a.mp4")


async def test_the_connection_goes_to_the_checked_address(workers: MediaWorkers, tmp_path: Path) -> None:
    asked: list[tuple[str, int]] = []
    sent: list[httpx.Request] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    async def body() -> AsyncIterator[bytes]:
        yield b"video"

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, content=body())

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        own = Videos(workers=workers, client=client, resolve=rebinding)
        assert await own.fetch("https://cdn.example:8443/a?b=c", tmp_path / "a.mp4") == 5
    assert asked == [("cdn.example", 8443)]
    assert str(sent[0].url) == "https://93.184.216.34:8443/a?b=c"
    assert sent[0].headers["Host"] == "cdn.example:8443"
    assert sent[0].extensions["sni_hostname"] == "cdn.example"


async def test_one_private_address_among_public_ones_is_refused(workers: MediaWorkers, tmp_path: Path) -> None:
    async def both(_: str, __: int) -> Sequence[str]:
        return ["93.184.216.34", "192.168.1.1"]

    async with httpx.AsyncClient(transport=AiohttpTransport(repeats=True)) as client:
        with pytest.raises(LinkRefused):
            await Videos(workers=workers, client=client, resolve=both).fetch("https://a.example/", tmp_path / "a.mp4")


async def test_the_next_address_is_tried(workers: MediaWorkers, server: str, tmp_path: Path) -> None:
    async def two(_: str, __: int) -> Sequence[str]:
        return ["::1", "127.0.0.1"]

    async with httpx.AsyncClient(transport=AiohttpTransport(repeats=True)) as client:
        own = Videos(workers=workers, client=client, resolve=two, trusted_hosts={"LOCALHOST"})
        link = server.replace("127.0.0.1", "localhost")
        assert await own.fetch(f"{link}/video", tmp_path / "a.mp4") == len(CONTENT)


async def test_a_trusted_host_is_trusted_by_name_and_on_any_port(
    workers: MediaWorkers,
    server: str,
    tmp_path: Path,
) -> None:
    async with httpx.AsyncClient(transport=AiohttpTransport(repeats=True)) as client:
        own = Videos(workers=workers, client=client, trusted_hosts={"localhost"}, resolve=only_ipv4)
        link = server.replace("127.0.0.1", "localhost")
        assert await own.fetch(f"{link}/video", tmp_path / "a.mp4") == len(CONTENT)
        with pytest.raises(LinkRefused):
            await own.fetch(f"{server}/video", tmp_path / "a.mp4")


async def only_ipv4(host: str, port: int) -> Sequence[str]:
    return [address for address in await system_resolve(host, port) if ":" not in address]


async def test_files_are_for_local_providers_only(videos: Videos, tmp_path: Path) -> None:
    source = tmp_path / "made here.mp4"
    source.write_bytes(CONTENT)
    with pytest.raises(LinkRefused):
        await videos.fetch(source.as_uri(), tmp_path / "a.mp4")
    assert await videos.fetch(source.as_uri(), tmp_path / "a.mp4", allow_file=True) == len(CONTENT)
    assert (tmp_path / "a.mp4").read_bytes() == CONTENT
    with pytest.raises(LinkFailed, match="larger"):
        await videos.fetch(source.as_uri(), tmp_path / "b.mp4", allow_file=True, max_bytes=MIB)
    with pytest.raises(LinkFailed, match="No such file"):
        await videos.fetch(f"{source.as_uri()}x", tmp_path / "b.mp4", allow_file=True)
    assert names(tmp_path) == ["a.mp4", "made here.mp4"]


async def test_no_signature_is_logged(
    videos: Videos,
    server: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "providers")
    await videos.fetch(f"{server}/video?signature=abc", tmp_path / "a.mp4")
    own = [record.getMessage() for record in caplog.records if record.name.startswith("providers.")]
    assert any(line.startswith("Fetched 3.0 MiB") for line in own)
    assert not any("abc" in line for line in own)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "100.100.100.200"),
        *("0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "198.18.0.1", "192.0.2.1", "192.0.0.192"),  # noqa: S104
        *("168.63.129.16", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "no address", ""),
    ],
)
async def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"],
)
async def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)
