"""Frames of videos and the sheets made of them, in a real child process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from PIL import Image

from bot.media.errors import MediaFailed, MediaLimit, NotMedia
from bot.media.sheets import TILE, Sheets, Tile
from bot.media.videos import Videos
from bot.media.workers import MediaWorkers
from tests.unit.test_media_videos import movie

pytestmark = pytest.mark.asyncio(loop_scope="module")

GAP = 8


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[MediaWorkers]:
    made = MediaWorkers(count=1, time_limit=30)
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def videos(workers: MediaWorkers) -> AsyncIterator[Videos]:
    async with httpx.AsyncClient() as client:
        yield Videos(workers=workers, client=client)


@pytest.fixture
def sheets(videos: Videos, workers: MediaWorkers) -> Sheets:
    return Sheets(videos=videos, workers=workers)


@pytest.mark.parametrize(("width", "height"), [(854, 480), (480, 854), (64, 64), (2048, 128)])
async def test_a_frame_keeps_the_shape_of_its_video_within_the_box(
    videos: Videos, tmp_path: Path, width: int, height: int
) -> None:
    movie(tmp_path / "a.mp4", width=width, height=height)
    target = tmp_path / "a.frame.jpg"
    await videos.frame(tmp_path / "a.mp4", target, box=TILE)
    with Image.open(target) as picture:
        assert picture.format == "JPEG"
        assert picture.width <= TILE[0]
        assert picture.height <= TILE[1]
        scale = min(TILE[0] / width, TILE[1] / height, 1)
        assert abs(picture.width - width * scale) <= 1
        assert abs(picture.height - height * scale) <= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.frame.jpg", "a.mp4"]


@pytest.mark.parametrize("content", [b"", b"no video", b"\0\0\0\x18ftypisom" + b"\0" * 500])
async def test_of_what_is_no_video_there_is_no_frame_and_nothing_is_left(
    videos: Videos, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises((NotMedia, MediaLimit, MediaFailed)):
        await videos.frame(tmp_path / "a.mp4", tmp_path / "a.frame.jpg", box=TILE)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(("number", "columns", "rows"), [(1, 1, 1), (3, 3, 1), (4, 4, 1), (5, 4, 2), (9, 4, 3)])
async def test_a_sheet_has_four_tiles_beside_each_other(
    sheets: Sheets, tmp_path: Path, number: int, columns: int, rows: int
) -> None:
    video = tmp_path / "a.mp4"
    movie(video)
    tiles = [Tile(number=each, video=video if each % 2 else None, word="Spoiler") for each in range(1, number + 1)]
    assert await sheets.draw(tiles, tmp_path / "sheet.jpg") == tiles
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.format == "JPEG"
        assert sheet.size == (columns * (TILE[0] + GAP) + GAP, rows * (TILE[1] + GAP) + GAP)


async def test_a_frame_is_cut_once(sheets: Sheets, tmp_path: Path) -> None:
    video = tmp_path / "job.mp4"
    movie(video)
    tiles = [Tile(number=1, video=video)]
    await sheets.draw(tiles, tmp_path / "one.jpg")
    frame = tmp_path / "job.frame.jpg"
    Image.new("RGB", TILE, "#ff0000").save(frame, "JPEG")
    await sheets.draw(tiles, tmp_path / "two.jpg")
    with Image.open(tmp_path / "two.jpg") as sheet:
        colour = sheet.convert("RGB").getpixel((GAP + 200, GAP + 100))
    assert isinstance(colour, tuple)
    assert colour[0] > 200
    assert max(colour[1:]) < 60


async def test_without_a_frame_there_is_no_sheet_and_a_broken_one_is_an_error(sheets: Sheets, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    assert await sheets.draw([Tile(number=1, video=broken)], tmp_path / "sheet.jpg") == []
    assert not (tmp_path / "sheet.jpg").exists()
    (tmp_path / "broken.frame.jpg").write_bytes(b"no picture")
    with pytest.raises(MediaFailed):
        await sheets.draw([Tile(number=1, video=broken)], tmp_path / "sheet.jpg")
