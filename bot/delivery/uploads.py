"""Videos on their way to Discord.

aiohttp reads a file in a thread, a quarter of a MiB at a time. What a thread's turn costs is more than the reading, so
a video is read in larger blocks.
"""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Final

import aiohttp
import discord
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import PAYLOAD_REGISTRY, Order

#: bytes; so many of each video under way are in memory
_BLOCK: Final = 1024 * 1024


class Video(discord.File):
    """A file that is sent in large blocks, and closed with the message that it belongs to."""

    def __init__(self, path: Path, *, filename: str, spoiler: bool, description: str) -> None:
        """Open it. Raises ``OSError``."""
        super().__init__(_Blocks(io.FileIO(path)), filename=filename, spoiler=spoiler, description=description)

    def close(self) -> None:
        """Close it: what it was not given as a path, discord.py leaves open."""
        super().close()
        self.fp.close()


class _Blocks(io.BufferedReader):
    pass


class _BlocksPayload(aiohttp.BufferedReaderPayload):
    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        left = self.size or 0
        if content_length is not None:
            left = min(left, content_length)
        while block := await asyncio.to_thread(self._value.read, min(left, _BLOCK)):
            await writer.write(block)
            left -= len(block)


PAYLOAD_REGISTRY.register(_BlocksPayload, _Blocks, order=Order.try_first)
