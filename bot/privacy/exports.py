"""Gives members what is kept of them, as a file."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import zipfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bot.clock import Clock
from bot.communities.member_keys import MemberKeys
from bot.database.engine import Database
from bot.errors import Refusal
from bot.jobs.job import StoredMedia
from bot.languages import _
from bot.privacy import export_store
from bot.privacy.export_store import Subject, Written, picture_name

_NAME: Final = "my-wan-data"
#: so many at a time: each holds a thread of the database, and writes megabytes of temporary files
_AT_ONCE: Final = 2
_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A file, and what is in it. It is deleted once it was sent."""

    path: Path
    videos: int
    entries: int
    #: in the file
    pictures: int
    #: kept, but too large to be in it
    pictures_left_out: int


class Exports:
    """Makes the files, in a folder of its own: what a death leaves there is deleted by ``Retention``."""

    def __init__(
        self, *, database: Database, member_keys: MemberKeys, inputs: Path, folder: Path, clock: Clock
    ) -> None:
        self._database = database
        self._member_keys = member_keys
        self._inputs = inputs
        self._folder = folder
        self._clock = clock
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def of(self, guild_id: int, user_id: int, *, limit: int) -> AsyncGenerator[Export]:
        """Lend a file of at most ``limit`` bytes with everything that is kept of a member in a guild.

        Raises ``Refusal`` when it would be larger.
        """
        async with self._turns:
            folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._folder))
            try:
                yield await self._made(guild_id, user_id, folder, limit)
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _made(self, guild_id: int, user_id: int, folder: Path, limit: int) -> Export:
        document = folder / f"{_NAME}.json"
        subject = Subject(guild_id=guild_id, user_id=user_id, member_key=self._member_keys.of(guild_id, user_id))
        write = partial(export_store.write, subject=subject, target=document, now=self._clock())
        written = await self._database.read(write)
        return await asyncio.to_thread(_export, document, written, self._inputs, limit)


def _export(document: Path, written: Written, inputs: Path, limit: int) -> Export:
    """The document with its pictures if that is small enough, else without; packed only if it must be."""
    pictures = [each for each in written.pictures if (inputs / each.path).is_file()]
    packed = document.with_suffix(".zip")
    path, included = document, 0
    if pictures and _size(pictures, inputs) < limit:
        _pack(packed, document, pictures, inputs)
        if packed.stat().st_size <= limit:
            path, included = packed, len(pictures)
    if path.stat().st_size > limit:
        _pack(packed, document, [], inputs)
        path = packed
    if path.stat().st_size > limit:
        size = path.stat().st_size // _MIB
        text = _(
            "What is kept of you has {size} MiB, more than can be sent here. Ask the people who run this bot for it."
        )
        raise Refusal(text.format(size=f"{size:,}"))
    return Export(
        path=path,
        videos=written.videos,
        entries=written.entries,
        pictures=included,
        pictures_left_out=len(pictures) - included,
    )


def _size(pictures: Sequence[StoredMedia], inputs: Path) -> int:
    return sum((inputs / each.path).stat().st_size for each in pictures)


def _pack(target: Path, document: Path, pictures: Sequence[StoredMedia], inputs: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        archive.write(document, document.name)
        for each in pictures:
            # they are compressed already
            archive.write(inputs / each.path, picture_name(each), zipfile.ZIP_STORED)
