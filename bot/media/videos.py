"""Videos: checked, fitted to the size of an upload, fetched from where a vendor left them."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import JsonValue, TypeAdapter

from bot.media.workers import MediaWorkers, Task
from providers.addresses import Resolve, system_resolve
from providers.links import Links

#: bytes; far more than any vendor's video has
LARGEST_RESULT = 512 * 1024 * 1024
#: seconds for one whole download
FETCH_TIME = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """What a look at a video tells. Sizes are in pixels, as people see it; ``codec`` is FFmpeg's name."""

    width: int
    height: int
    seconds: float
    codec: str
    has_audio: bool
    bytes: int


_FACTS = TypeAdapter(VideoFacts)
_NOTHING: TypeAdapter[None] = TypeAdapter(None)
_FACTS_OR_NONE: TypeAdapter[VideoFacts | None] = TypeAdapter(VideoFacts | None)


class Videos:
    """Checks and fits videos in child processes, and fetches them.

    Args:
        workers: where files are opened.
        client: carries no key, cookie or other credential, since links lead anywhere.
        trusted_hosts: names (no ports) whose addresses may be private.
        resolve: the addresses of a host.
    """

    def __init__(
        self,
        *,
        workers: MediaWorkers,
        client: httpx.AsyncClient,
        trusted_hosts: Collection[str] = (),
        resolve: Resolve = system_resolve,
    ) -> None:
        self._workers = workers
        self._links = Links(client=client, trusted_hosts=trusted_hosts, resolve=resolve)

    def trust(self, hosts: Collection[str]) -> None:
        """Also fetch from these hosts when their addresses are private."""
        self._links.trust(hosts)

    async def check(self, path: Path) -> VideoFacts:
        """Open an MP4, MOV or WebM, decode a picture of it, and read it to its end.

        Raises:
            NotMedia: not such a video, or damaged. The reason is for members.
            MediaLimit: under 0.1 s, over 10 minutes, or over 4096 pixels a side. Also for members.
            MediaFailed: out of time or memory, or a crash.
        """
        return await self._workers.run(Task(name="check_video", arguments={"path": str(path)}, answer=_FACTS))

    async def fit(self, path: Path, target: Path, limit_bytes: int) -> VideoFacts | None:
        """Make ``target`` a video of at most ``limit_bytes``; returns what it is.

        A file that fits already is taken over as it is (as a link to the same bytes where the disk can do that);
        a larger one becomes H.264 with AAC in an MP4. None, and no file, if it would be below 150 kbit/s.

        Raises:
            NotMedia, MediaLimit, MediaFailed: as `check`.
        """
        if _size(path) <= limit_bytes:
            facts = await self.check(path)
            await asyncio.to_thread(_take_over, path, target)
            return facts
        part = target.with_name(f"{target.name}.part")
        try:
            facts = await self._workers.run(_fit_task(path, part, limit_bytes))
            if facts is not None:
                part.replace(target)
            return facts
        finally:
            part.unlink(missing_ok=True)

    async def last_frame(self, path: Path, target: Path) -> None:
        """Write the last picture of a video as a PNG. Raises as ``check``."""
        arguments = {"path": str(path), "target": str(target)}
        await self._workers.run(Task(name="last_frame", arguments=arguments, answer=_NOTHING))

    async def frame(self, path: Path, target: Path, *, box: tuple[int, int]) -> None:
        """Write a picture of a video, of up to so many pixels, as a JPEG. Raises as ``check``."""
        part = target.with_name(f"{target.name}.part")
        arguments: dict[str, JsonValue] = {"path": str(path), "target": str(part), "box": list(box)}
        try:
            await self._workers.run(Task(name="frame", arguments=arguments, answer=_NOTHING))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    async def fetch(
        self,
        url: str,
        target: Path,
        *,
        max_bytes: int = LARGEST_RESULT,
        seconds: float = FETCH_TIME,
        allow_file: bool = False,
    ) -> int:
        """See ``Links.fetch``."""
        return await self._links.fetch(url, target, max_bytes=max_bytes, seconds=seconds, allow_file=allow_file)


def _fit_task(path: Path, part: Path, limit_bytes: int) -> Task[VideoFacts | None]:
    return Task(
        name="fit_video",
        arguments={"path": str(path), "target": str(part), "limit_bytes": limit_bytes},
        answer=_FACTS_OR_NONE,
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        # The check in the child says so in its own words.
        return 0


def _take_over(path: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
