"""Contact sheets: one picture of many videos."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from pydantic import JsonValue, TypeAdapter

from bot.media.errors import MediaError
from bot.media.videos import Videos
from bot.media.workers import MediaWorkers, Task

_NOTHING: TypeAdapter[None] = TypeAdapter(None)
#: pixels
TILE: Final = (320, 180)
#: beside its video, and named by the same job, so that it goes with it
_SUFFIX: Final = ".frame.jpg"

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One video on a sheet."""

    #: by which it is found in the list beside the sheet
    number: int
    #: None: it isn't shown
    video: Path | None
    #: what its grey tile says
    word: str = ""


class Sheets:
    """Makes sheets in child processes, one at a time. The frames are kept beside their videos."""

    def __init__(self, *, videos: Videos, workers: MediaWorkers) -> None:
        self._videos = videos
        self._workers = workers
        self._turn = asyncio.Semaphore(1)

    async def draw(self, tiles: Sequence[Tile], target: Path) -> Sequence[Tile]:
        """Write a JPEG of these videos; gives those that are on it.

        One of which no frame can be had is left out; without any there is no file. Raises ``MediaError``.
        """
        async with self._turn:
            frames = [(tile, None if tile.video is None else await self._frame(tile.video)) for tile in tiles]
            shown = [(tile, frame) for tile, frame in frames if tile.video is None or frame is not None]
            if shown:
                await self._workers.run(_task(shown, target))
        return [tile for tile, _frame in shown]

    async def _frame(self, video: Path) -> Path | None:
        frame = video.with_name(f"{video.name.partition('.')[0]}{_SUFFIX}")
        if frame.is_file():
            return frame
        try:
            await self._videos.frame(video, frame, box=TILE)
        except MediaError as error:
            log.warning("no frame of a video", video=video.name, why=error.reason)
            return None
        if not video.is_file():
            # it was deleted meanwhile, and everything of it with it
            frame.unlink(missing_ok=True)
            return None
        return frame


def _task(shown: Sequence[tuple[Tile, Path | None]], target: Path) -> Task[None]:
    tiles: list[JsonValue] = [
        {"number": tile.number, "path": None if frame is None else str(frame), "word": tile.word}
        for tile, frame in shown
    ]
    arguments: dict[str, JsonValue] = {"target": str(target), "size": list(TILE), "tiles": tiles}
    return Task(name="contact_sheet", arguments=arguments, answer=_NOTHING)
