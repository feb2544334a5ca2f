"""Videos on their way: every byte, once, and in large blocks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from bot.delivery.uploads import Video
from tests.serving import served

MIB = 1 << 20


@dataclass
class Taken:
    """What the server was sent."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list[bytes])
    lengths: list[int | None] = field(default_factory=list["int | None"])

    async def take(self, request: web.Request) -> web.Response:
        self.lengths.append(request.content_length)
        form = await request.multipart()
        part = await form.next()
        assert isinstance(part, aiohttp.BodyPartReader)
        self.bodies.append(bytes(await part.read()))
        return web.Response()


@pytest.fixture
async def server() -> AsyncIterator[Taken]:
    taken = Taken()
    application = web.Application(client_max_size=16 * MIB)
    application.router.add_post("/", taken.take)
    async with served(application) as taken.url:
        yield taken


def opened(folder: Path, content: bytes) -> Video:
    path = folder / "made.mp4"
    path.write_bytes(content)
    return Video(path, filename="video.mp4", spoiler=False, description="a fox")


async def send(server: Taken, video: Video) -> None:
    form = aiohttp.FormData()
    form.add_field("files[0]", video.fp, filename=video.filename, content_type="application/octet-stream")
    async with aiohttp.ClientSession() as session, session.post(server.url, data=form) as response:
        response.raise_for_status()


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7])
async def test_all_of_it_arrives_and_its_length_is_announced(server: Taken, tmp_path: Path, size: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    video = opened(tmp_path, content[:size])
    await send(server, video)
    video.close()
    assert server.bodies == [content[:size]]
    assert server.lengths[0] is not None


async def test_a_second_try_sends_it_from_the_beginning(server: Taken, tmp_path: Path) -> None:
    video = opened(tmp_path, b"x" * (MIB + 1))
    await send(server, video)
    # as discord.py does it
    video.reset(seek=True)
    await send(server, video)
    video.close()
    assert [len(body) for body in server.bodies] == [MIB + 1, MIB + 1]
    assert video.fp.closed


class Blocks(AbstractStreamWriter):
    """Notes how long each block is."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    async def write(self, chunk: bytes | bytearray | memoryview[int] | memoryview[bytes]) -> None:
        self.lengths.append(len(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None: ...

    async def drain(self) -> None: ...

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None: ...

    def enable_chunking(self) -> None: ...

    async def write_headers(self, status_line: str, headers: object) -> None: ...


@pytest.mark.parametrize(
    ("most", "lengths"), [(None, [MIB, MIB, 5]), (MIB + 1, [MIB, 1]), (9 * MIB, [MIB, MIB, 5]), (0, [])]
)
async def test_it_goes_in_large_blocks(tmp_path: Path, most: int | None, lengths: list[int]) -> None:
    video, blocks = opened(tmp_path, b"x" * (2 * MIB + 5)), Blocks()
    await aiohttp.get_payload(video.fp).write_with_length(blocks, most)
    video.close()
    assert blocks.lengths == lengths


def test_a_video_that_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Video(tmp_path / "gone.mp4", filename="video.mp4", spoiler=False, description="")
