"""What people attach who mean no good: it is refused by the name of its option, or kept as a picture and no more."""

from __future__ import annotations

import functools
import io
import resource
import struct
import sys
import zipfile
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import ExifTags, Image

from tests.discord.steps import refused
from tests.discord.traces import files_below
from tests.discord.worlds import World, open_world, picture
from tests.imitations.pixeldojo import small_video

MIB: Final = 1 << 20
#: bytes that one hostile picture would fill if anybody unpacked it in this process
BOMB: Final = 600 * MIB


def chunk(name: bytes, content: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG that says to be so large, in RGB, and holds what is given."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *chunks, chunk(b"IEND", b"")])


@functools.cache
def packed_bomb() -> bytes:
    """Zeros, a thousand times smaller than unpacked."""
    packer = zlib.compressobj(9)
    return b"".join([*(packer.compress(bytes(MIB)) for _ in range(BOMB // MIB)), packer.flush()])


def moving(kind: str) -> bytes:
    frames = [Image.new("RGB", (100, 100), colour) for colour in ("red", "green", "blue")]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=100)
    return file.getvalue()


def iso(brand: bytes) -> bytes:
    """The beginning of a file of the family of MP4, as telephones write pictures too."""
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"mif1" + brand + bytes(1000)


REFUSED: Final[Mapping[str, tuple[str, Callable[[], bytes], str]]] = {
    "a bomb of pixels": (
        "a.png",
        lambda: png(60_000, 60_000, chunk(b"IDAT", zlib.compress(bytes(1000)))),
        "megapixels",
    ),
    "a bomb in a row": ("a.png", lambda: png(2**31 - 1, 1, chunk(b"IDAT", packed_bomb())), "pixels"),
    "a bomb of text": ("a.png", lambda: png(100, 100, chunk(b"zTXt", b"a\0\0" + packed_bomb())), "damaged"),
    "a drawing": (
        "a.svg",
        lambda: b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        "SVG",
    ),
    "a drawing named png": ("a.png", lambda: b"<svg onload='alert(1)' xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "a telephone's picture": ("a.heic", lambda: iso(b"heic"), "HEIC"),
    "one of its row": ("a.jpg", lambda: iso(b"hevc"), "HEIC"),
    "a moving GIF": ("a.gif", lambda: moving("GIF"), "animated"),
    "a moving WEBP": ("a.webp", lambda: moving("WEBP"), "animated"),
    "a moving PNG": ("a.png", lambda: moving("PNG"), "animated"),
    "half a PNG": ("a.png", lambda: picture(colour="red")[:-200], "damaged"),
    "half a JPEG": ("a.jpg", lambda: picture(kind="JPEG")[:700], "damaged"),
    "a beginning": ("a.png", lambda: b"\x89PNG\r\n\x1a\n", "picture"),
    "a document": ("a.png", lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n", "not a picture"),
    "a page": ("a.jpg", lambda: b"<!DOCTYPE html><script>alert(1)</script>", "not a picture"),
    "a program": ("a.png", lambda: b"\x7fELF" + bytes(500), "not a picture"),
    "an archive": ("a.png", lambda: b"PK\x03\x04" + bytes(500), "not a picture"),
    "a clip": ("a.png", small_video, "a video, not a picture"),
    "nothing": ("a.png", lambda: b"", "picture"),
    "too much": ("a.png", lambda: picture() + bytes(21 * MIB), "up to 20 MiB"),
}


@pytest.fixture
async def roomy(tmp_path: Path) -> AsyncGenerator[World]:
    """A world where members may attach large files."""
    async with open_world(tmp_path, upload_limit=30 * MIB) as world:
        yield world


async def test_whatever_is_attached_in_place_of_a_picture_is_refused_by_the_name_of_the_option(roomy: World) -> None:
    await refused(roomy, image=("a.txt", b"the child process that opens files is there now"))
    before = resident()
    for what, (name, content, says) in REFUSED.items():
        for option in ("image", "last_image"):
            given: dict[str, Any] = {"image": ("first.png", picture()), option: (name, content())}
            # nothing was charged, and nothing is left on the disk
            said = await refused(roomy, **given)
            assert said.startswith(f"**{option}**: "), f"{what}: {said}"
            assert says in said, f"{what}: {said}"
    assert resident() - before < BOMB // 4
    assert files_below(roomy.settings.data_dir) == []


def resident() -> int:
    """The bytes of memory that this process has needed at most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def tailed(content: bytes) -> bytes:
    """A picture that is an archive as well, and a page."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("evil.html", "<script>alert(1)</script>")
    return content + b"<script>alert(1)</script>" + file.getvalue()


def turned(turn: int) -> bytes:
    """A photo that was taken upright and stored lying, with a place in it."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    exif[ExifTags.Base.ImageDescription] = "a secret place"
    file = io.BytesIO()
    Image.new("RGB", (640, 480), "teal").save(file, "JPEG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "size"),
    [
        ("a.exe", picture(), (640, 480)),
        ("a.gif", picture(kind="JPEG"), (640, 480)),
        ("../../etc/passwd.png", picture(), (640, 480)),
        ("a.png", tailed(picture()), (640, 480)),
        ("a.jpg", turned(6), (480, 640)),
        ("a.png", png(64, 64, chunk(b"IDAT", zlib.compress(bytes(64 * 193) + bytes(50 * MIB)))), (64, 64)),
    ],
    ids=["a wrong ending", "another kind", "a path", "two files in one", "a turned photo", "more than its rows"],
)
async def test_a_picture_is_kept_without_whatever_else_it_was(
    roomy: World, name: str, content: bytes, size: tuple[int, int]
) -> None:
    answer = await roomy.video(prompt="A cat", image=(name, content), duration=2)
    (kept,) = files_below(roomy.app.services.inputs_folder)
    stored = (roomy.app.services.inputs_folder / kept).read_bytes()
    assert b"script" not in stored
    assert b"secret" not in stored
    with Image.open(io.BytesIO(stored)) as opened:
        assert opened.size == size
        assert not opened.getexif()
    assert answer.response is not None
    assert [each.filename for each in answer.response.attachments] == [kept.rpartition("/")[2]]
    assert kept.rpartition("/")[2] in {"image.png", "image.jpg"}
    await roomy.finish()


@pytest.mark.parametrize(
    "content",
    [
        *(
            b"",
            b"%PDF-1.7",
            b"#!/bin/sh\nid",
            picture(),
            small_video()[:-300],
            iso(b"isom"),
            b"\x1a\x45\xdf\xa3" + bytes(99),
        ),
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    ],
    ids=[
        "nothing",
        "a document",
        "a script",
        "a picture",
        "half a clip",
        "a beginning",
        "another",
        "a list",
        "a list of files",
    ],
)
async def test_whatever_is_attached_in_place_of_a_clip_is_refused_by_the_name_of_the_option(
    dojo: World, content: bytes
) -> None:
    said = await refused(dojo, model="pixeldojo/wan-2.7-i2v", video=("clip.mp4", content))
    assert said.startswith("**video**: ")
    assert said.endswith(".")
    assert "root" not in said
    assert files_below(dojo.settings.data_dir) == []


async def test_a_file_that_discord_does_not_hand_over_is_asked_for_again(roomy: World) -> None:
    roomy.env.backend.cdn.get = lambda url: None
    said = await refused(roomy, image=("a.png", picture()))
    assert said == "**image**: Discord doesn't hand it over. Attach it again."
