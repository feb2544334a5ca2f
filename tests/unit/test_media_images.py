"""Pictures: what is refused, with which words, and how the others are fitted."""

from __future__ import annotations

import asyncio
import io
import random
import struct
import zlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageDraw

from bot.media.errors import MediaFailed, MediaLimit, NotMedia
from bot.media.images import Fitted, Images
from bot.media.shapes import fitted_size
from bot.media.workers import MediaWorkers
from providers.types import ImageLimits

LIMITS = ImageLimits()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def images() -> AsyncIterator[Images]:
    workers = MediaWorkers()
    yield Images(workers=workers)
    await workers.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


def picture(width: int = 320, height: int = 240, mode: str = "RGB") -> Image.Image:
    """The left half red, the right half blue; the top left corner white."""
    made = Image.new("RGB", (width, height), "red")
    draw = ImageDraw.Draw(made)
    draw.rectangle((width // 2, 0, width, height), fill="blue")
    draw.rectangle((0, 0, width // 8, height // 8), fill="white")
    return made.convert(mode)


def noise(width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), random.Random(1).randbytes(width * height * 3))


def saved(made: Image.Image, path: Path, kind: str | None = None, **options: Any) -> Path:
    made.save(path, kind, **options)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pixel(fitted: Fitted, x: int, y: int) -> tuple[int, ...]:
    with Image.open(fitted.path) as opened:
        value = opened.getpixel((x, y))
    assert isinstance(value, tuple)
    return value


def near(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(a - b) < 24 for a, b in zip(one, other, strict=True))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG that says of itself what it likes."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("kind", "mode", "content_type", "was_changed"),
    [
        ("PNG", "RGB", "image/png", False),
        ("PNG", "RGBA", "image/png", False),
        ("PNG", "P", "image/png", False),
        ("PNG", "L", "image/png", False),
        ("PNG", "1", "image/png", False),
        ("PNG", "LA", "image/png", False),
        ("JPEG", "RGB", "image/jpeg", False),
        ("JPEG", "L", "image/jpeg", False),
        ("JPEG", "CMYK", "image/jpeg", False),
        ("WEBP", "RGB", "image/webp", False),
        ("BMP", "RGB", "image/png", True),
        ("GIF", "P", "image/png", True),
    ],
)
async def test_still_pictures_are_taken(
    images: Images,
    tmp_path: Path,
    kind: str,
    mode: str,
    content_type: str,
    *,
    was_changed: bool,
) -> None:
    source = saved(picture(mode=mode), tmp_path / "source", kind)
    fitted = await images.fit(source, tmp_path / "out.any", LIMITS)
    assert (fitted.width, fitted.height) == (fitted.original_width, fitted.original_height) == (320, 240)
    assert (fitted.content_type, fitted.was_changed) == (content_type, was_changed)
    with Image.open(fitted.path) as opened:
        assert opened.size == (320, 240)
        assert Image.MIME[str(opened.format)] == content_type
    assert names(tmp_path) == sorted(["source", fitted.path.name])


async def test_avif_is_taken_where_it_can_be_read(images: Images, tmp_path: Path) -> None:
    fitted = await images.fit(saved(picture(), tmp_path / "source", "AVIF"), tmp_path / "out", LIMITS)
    assert (fitted.content_type, fitted.was_changed) == ("image/png", True)


async def test_a_wrong_suffix_does_not_matter(images: Images, tmp_path: Path) -> None:
    fitted = await images.fit(saved(picture(), tmp_path / "photo.png", "JPEG"), tmp_path / "out", LIMITS)
    assert fitted.path == tmp_path / "out.jpg"


async def test_lossless_pictures_stay_lossless(images: Images, tmp_path: Path) -> None:
    made = noise(200, 100)
    fitted = await images.fit(saved(made, tmp_path / "a.png"), tmp_path / "out", LIMITS)
    with Image.open(fitted.path) as opened:
        assert opened.tobytes() == made.tobytes()


async def test_16_bit_grey_keeps_its_tones(images: Images, tmp_path: Path) -> None:
    made = Image.frombytes("I;16", (64, 64), struct.pack("<H", 0x8000) * 64 * 64)
    fitted = await images.fit(saved(made, tmp_path / "a.png"), tmp_path / "out", LIMITS)
    assert near(pixel(fitted, 9, 9), (128, 128, 128))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("turn", range(1, 9))
async def test_exif_orientation_is_applied(images: Images, tmp_path: Path, turn: int, kind: str) -> None:
    upright = picture(320, 240)
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[turn]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = turn
    source = saved(stored, tmp_path / "a", kind, exif=exif)
    fitted = await images.fit(source, tmp_path / "out", ImageLimits(max_side=160))
    assert (fitted.width, fitted.height) == (160, 120)
    assert (fitted.original_width, fitted.original_height) == (320, 240)
    assert near(pixel(fitted, 4, 4), (255, 255, 255))
    assert near(pixel(fitted, 40, 100), (254, 0, 0))
    assert near(pixel(fitted, 140, 100), (0, 0, 254))


async def test_turning_alone_is_no_change_for_the_member(images: Images, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    fitted = await images.fit(saved(picture(), tmp_path / "a.jpg", exif=exif), tmp_path / "out", LIMITS)
    assert (fitted.width, fitted.height, fitted.was_changed) == (240, 320, False)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_metadata_is_dropped(images: Images, tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "GPS of home"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - an untyped object of the C library
    source = saved(picture(), tmp_path / "a", kind, exif=exif, icc_profile=profile)
    assert b"GPS of home" in source.read_bytes()
    fitted = await images.fit(source, tmp_path / "out", LIMITS)
    with Image.open(fitted.path) as opened:
        assert not opened.getexif()
        assert "icc_profile" not in opened.info
    assert b"GPS of home" not in fitted.path.read_bytes()
    assert not fitted.was_changed


async def test_a_broken_profile_and_broken_exif_do_no_harm(images: Images, tmp_path: Path) -> None:
    source = saved(picture(), tmp_path / "a.jpg", icc_profile=b"no profile", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert (await images.fit(source, tmp_path / "out", LIMITS)).width == 320


async def test_a_phones_photo_with_a_second_picture_inside_is_a_photo(images: Images, tmp_path: Path) -> None:
    source = saved(picture(), tmp_path / "a.jpg", "MPO", save_all=True, append_images=[picture(64, 64)])
    fitted = await images.fit(source, tmp_path / "out", LIMITS)
    assert (fitted.content_type, fitted.was_changed, fitted.width) == ("image/jpeg", False, 320)


async def test_alpha_stays_where_the_model_takes_it(images: Images, tmp_path: Path) -> None:
    made = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    fitted = await images.fit(saved(made, tmp_path / "a.png"), tmp_path / "out", LIMITS)
    assert not fitted.was_changed
    assert pixel(fitted, 5, 5)[3] == 0


@pytest.mark.parametrize(
    "limits",
    [ImageLimits(alpha=False), ImageLimits(content_types=("image/jpeg",))],
    ids=["alpha", "jpeg"],
)
async def test_alpha_becomes_white_where_it_does_not(images: Images, tmp_path: Path, limits: ImageLimits) -> None:
    made = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    fitted = await images.fit(saved(made, tmp_path / "a.png"), tmp_path / "out", limits)
    assert fitted.was_changed
    assert pixel(fitted, 5, 5) == (255, 255, 255)


async def test_an_opaque_alpha_channel_is_no_transparency(images: Images, tmp_path: Path) -> None:
    made = Image.new("RGBA", (100, 100), (255, 0, 0, 255))
    fitted = await images.fit(saved(made, tmp_path / "a.png"), tmp_path / "out", ImageLimits(alpha=False))
    assert not fitted.was_changed


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        ((2000, 1000), ImageLimits(max_side=1000), (1000, 500)),
        ((1000, 2000), ImageLimits(max_side=1000), (500, 1000)),
        ((100, 150), ImageLimits(min_side=300), (300, 450)),
        ((500, 501), ImageLimits(min_side=240, max_side=8000), (500, 501)),
    ],
)
async def test_sizes_are_fitted(
    images: Images,
    tmp_path: Path,
    size: tuple[int, int],
    limits: ImageLimits,
    expected: tuple[int, int],
) -> None:
    fitted = await images.fit(saved(picture(*size), tmp_path / "a.png"), tmp_path / "out", limits)
    assert (fitted.width, fitted.height) == expected
    assert (fitted.original_width, fitted.original_height) == size
    assert fitted.was_changed == (size != expected)


async def test_a_shape_that_the_limits_exclude_is_named(images: Images, tmp_path: Path) -> None:
    source = saved(picture(900, 300), tmp_path / "a.png")
    with pytest.raises(MediaLimit, match=r"shape is 3\.0:1.*up to 2\.0:1"):
        await images.fit(source, tmp_path / "out", ImageLimits(min_side=500, max_side=1000))


async def test_too_many_bytes_become_fewer_by_quality_first(images: Images, tmp_path: Path) -> None:
    source = saved(noise(600, 400), tmp_path / "a.jpg", quality=95)
    limits = ImageLimits(max_bytes=int(source.stat().st_size * 0.8))
    fitted = await images.fit(source, tmp_path / "out", limits)
    assert fitted.path.stat().st_size <= limits.max_bytes
    assert (fitted.width, fitted.content_type, fitted.was_changed) == (600, "image/jpeg", False)


async def test_then_by_another_type(images: Images, tmp_path: Path) -> None:
    source = saved(noise(600, 400), tmp_path / "a.png")
    fitted = await images.fit(source, tmp_path / "out", ImageLimits(max_bytes=400_000))
    assert (fitted.width, fitted.content_type, fitted.was_changed) == (600, "image/jpeg", True)


@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg", "image/webp", "image/bmp"])
async def test_then_by_size(images: Images, tmp_path: Path, content_type: str) -> None:
    source = saved(noise(600, 400), tmp_path / "a.png")
    limits = ImageLimits(content_types=(content_type,), max_bytes=40_000)
    fitted = await images.fit(source, tmp_path / "out", limits)
    assert fitted.path.stat().st_size <= limits.max_bytes
    assert fitted.width < 600
    assert fitted.was_changed
    assert abs(fitted.width / fitted.height - 1.5) < 0.02


async def test_what_never_fits_is_refused(images: Images, tmp_path: Path) -> None:
    source = saved(noise(600, 400), tmp_path / "a.png")
    with pytest.raises(MediaLimit, match="can't be made to fit"):
        await images.fit(source, tmp_path / "out", ImageLimits(max_bytes=1000, min_side=300))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a picture"),
        (b"hello", "not a picture"),
        (b"%PDF-1.7 and so on", "not a picture"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 400, "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + b"\0" * 400, "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0" + b"\0" * 400, "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0" + b"\0" * 400, "is a video"),
        (b"\x1a\x45\xdf\xa3" + b"\0" * 400, "is a video"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "not a picture"),
        (b"P6 100 100 255 " + b"\0" * 30000, "not a picture"),
        (png(100, 100), "damaged"),
        # a chunk that says it has a gigabyte
        (png(100, 100)[:33] + b"\x3e\0\0\x08IDAT" + bytes(50), "damaged"),
        (png(0, 100), "not a picture|damaged|pixels"),
    ],
)
async def test_what_is_no_picture_is_refused(images: Images, tmp_path: Path, content: bytes, words: str) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(content)
    with pytest.raises((NotMedia, MediaLimit), match=words):
        await images.fit(source, tmp_path / "out", LIMITS)
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "AVIF"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
async def test_what_was_cut_off_is_refused(images: Images, tmp_path: Path, kind: str, share: float) -> None:
    source = saved(noise(200, 200), tmp_path / "a", kind)
    content = source.read_bytes()
    source.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(NotMedia):
        await images.fit(source, tmp_path / "out", LIMITS)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
async def test_animated_pictures_are_refused(images: Images, tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (100, 100), color) for color in ("red", "green", "blue")]
    source = saved(frames[0], tmp_path / "a", kind, save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(NotMedia, match="animated"):
        await images.fit(source, tmp_path / "out", LIMITS)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((63, 200), "63 x 200 pixels. Each side must have at least 64"),
        ((500, 124), "500 x 124 pixels. The longer side may be at most 4 times"),
    ],
)
async def test_small_and_long_ones_are_refused(
    images: Images,
    tmp_path: Path,
    size: tuple[int, int],
    words: str,
) -> None:
    source = saved(picture(*size), tmp_path / "a.png")
    with pytest.raises(MediaLimit, match=words):
        await images.fit(source, tmp_path / "out", LIMITS)


@pytest.mark.parametrize("size", [(64, 64), (256, 64), (64, 256)])
async def test_the_smallest_and_the_longest_are_taken(images: Images, tmp_path: Path, size: tuple[int, int]) -> None:
    fitted = await images.fit(saved(picture(*size), tmp_path / "a.png"), tmp_path / "out", LIMITS)
    assert (fitted.width, fitted.height) == size


@pytest.mark.parametrize("size", [(30000, 30000), (8000, 6251), (2**31 - 1, 2**31 - 1)])
async def test_bombs_are_refused_by_their_header(images: Images, tmp_path: Path, size: tuple[int, int]) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(png(*size, rows=bytes(10_000_000)))
    async with asyncio.timeout(5):
        with pytest.raises(MediaLimit, match="50 megapixels"):
            await images.fit(source, tmp_path / "out", LIMITS)


async def test_50_megapixels_are_taken(images: Images, tmp_path: Path) -> None:
    source = saved(Image.new("RGB", (8000, 6250), "red"), tmp_path / "a.jpg")
    fitted = await images.fit(source, tmp_path / "out", ImageLimits(max_side=2000))
    assert (fitted.width, fitted.original_width, fitted.was_changed) == (2000, 8000, True)


async def test_50_megapixels_with_alpha_stay_within_the_memory(images: Images, tmp_path: Path) -> None:
    source = saved(Image.new("RGBA", (8000, 6250), (255, 0, 0, 9)), tmp_path / "a.png", compress_level=1)
    fitted = await images.fit(source, tmp_path / "out", ImageLimits(max_side=2000, alpha=False))
    assert fitted.width == 2000


async def test_more_than_20_mib_are_refused(images: Images, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(png(100, 100) + bytes(20 * 2**20))
    with pytest.raises(MediaLimit, match=r"20\.0 MiB. At most 20 MiB"):
        await images.fit(source, tmp_path / "out", LIMITS)


async def test_only_plain_files_are_opened(images: Images, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(saved(picture(), tmp_path / "a.png"))
    for source in (tmp_path / "link", tmp_path, tmp_path / "missing", Path("/dev/zero")):
        with pytest.raises(NotMedia):
            await images.fit(source, tmp_path / "out", LIMITS)


async def test_too_little_memory_is_a_failure_not_a_crash(tmp_path: Path) -> None:
    workers = MediaWorkers(memory_limit=100 * 2**20)
    source = saved(Image.new("RGB", (8000, 6250), "red"), tmp_path / "a.png")
    with pytest.raises(MediaFailed, match="out of memory"):
        await Images(workers=workers).fit(source, tmp_path / "out", LIMITS)
    await workers.close()
    assert names(tmp_path) == ["a.png"]


@settings(deadline=None)
@given(width=st.integers(64, 9000), height=st.integers(64, 9000), low=st.integers(1, 700), high=st.integers(64, 9000))
@example(width=64, height=256, low=64, high=256)
async def test_fitted_sizes_are_within_the_limits(width: int, height: int, low: int, high: int) -> None:
    # asynchronous only because of the mark that all tests here share
    limits = ImageLimits(min_side=low, max_side=max(low, high))
    try:
        fitted = fitted_size(width, height, limits)
    except MediaLimit:
        assert max(width, height) / min(width, height) > limits.max_side / (limits.min_side + 1)
        return
    assert all(low <= side <= limits.max_side for side in fitted)
    assert abs(fitted[0] - width * fitted[1] / height) <= width / height + 1


async def fit_or_refuse(images: Images, folder: Path, content: bytes) -> Fitted | None:
    """None if it was refused in good order; any other failure is the test's."""
    source = folder / "fuzz"
    await asyncio.to_thread(source.write_bytes, content)
    try:
        return await images.fit(source, folder / "out", LIMITS)
    except (NotMedia, MediaLimit):
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


MAGIC = (
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"GIF89a",
    b"BM",
    b"RIFF\x20\0\0\0WEBPVP8 ",
    b"\0\0\0\x18ftypavif",
)
#: as many as take a second or two
MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(start=st.sampled_from(MAGIC), rest=st.binary(max_size=600))
async def test_any_bytes_are_refused_in_good_order(images: Images, folder: Path, start: bytes, rest: bytes) -> None:
    await fit_or_refuse(images, folder, start + rest)


@MANY
@given(
    kind=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP", "AVIF"]),
    changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=20),
)
async def test_damaged_pictures_are_taken_or_refused_in_good_order(
    images: Images,
    folder: Path,
    kind: str,
    changes: list[tuple[int, int]],
) -> None:
    out = io.BytesIO()
    noise(80, 70).save(out, kind)
    content = bytearray(out.getvalue())
    for position, value in changes:
        content[position % len(content)] = value
    fitted = await fit_or_refuse(images, folder, bytes(content))
    assert fitted is None or fitted.path.stat().st_size > 0
