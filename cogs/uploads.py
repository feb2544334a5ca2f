"""What members attach: fetched, checked, fitted to the model, kept."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import discord

from bot.delivery import faults
from bot.errors import Refusal
from bot.jobs.fitting import CONVERTED, SCALED
from bot.jobs.job import StoredMedia
from bot.languages import _, say_name
from bot.media.errors import MediaError, MediaFailed
from bot.media.images import Fitted, Images
from bot.media.videos import Videos
from providers.links import LinkError
from providers.types import ModelSpec

_MIB: Final = 1024 * 1024
_LARGEST_IMAGE: Final = 20 * _MIB
_EXTENSIONS: Final = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/bmp": "bmp"}
_CLIPS: Final = {"video/mp4": "mp4", "video/webm": "webm", "video/quicktime": "mov"}
#: seconds for a picture that is only linked
_LINK_TIME: Final = 20.0
#: how many attachments are in memory at a time
_AT_ONCE: Final = 4


#: where a picture or clip comes from: from Discord, from what is kept of an earlier job, or from a link
Source = discord.Attachment | Path | str


class Uploads:
    """Takes attachments in. Every failure names the option it belongs to."""

    def __init__(self, *, images: Images, videos: Videos, folder: Path) -> None:
        self._images = images
        self._videos = videos
        self._folder = folder
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def take(
        self, job_id: str, spec: ModelSpec, attached: Mapping[str, Source | None], *, clip_limit: int
    ) -> dict[str, StoredMedia]:
        """Keep a checked copy of everything attached, under the job. Raises ``Refusal``."""
        stored: dict[str, StoredMedia] = {}
        try:
            for option, attachment in attached.items():
                if attachment is not None:
                    async with self._slots:
                        stored[option] = await self._one(job_id, spec, option, attachment, clip_limit)
        except BaseException:
            await self.discard(job_id)
            raise
        return stored

    async def discard(self, job_id: str) -> None:
        """Forget what was attached to a job that didn't come to be."""
        await asyncio.to_thread(shutil.rmtree, self._folder / job_id, ignore_errors=True)

    async def _one(self, job_id: str, spec: ModelSpec, option: str, source: Source, clip_limit: int) -> StoredMedia:
        is_clip = option == "video"
        limit = clip_limit if is_clip else _LARGEST_IMAGE
        raw = self._folder / job_id / f"{option}.upload"
        await asyncio.to_thread(raw.parent.mkdir, parents=True, exist_ok=True)
        await self._fetch(source, raw, option, limit)
        try:
            return await (self._clip(raw, option) if is_clip else self._image(raw, option, spec))
        except MediaFailed as error:
            raise Refusal(_named(option, _("it couldn't be read in time. Try another file."))) from error
        except MediaError as error:
            raise Refusal(_named(option, error.reason)) from error
        finally:
            raw.unlink(missing_ok=True)

    async def _fetch(self, source: Source, raw: Path, option: str, limit: int) -> None:
        """Bring the file here. Raises ``Refusal``."""
        if isinstance(source, str):
            try:
                await self._videos.fetch(source, raw, max_bytes=limit, seconds=_LINK_TIME)
            except LinkError as error:
                text = _("the link of this picture gives nothing. Send the picture itself.")
                raise Refusal(_named(option, text)) from error
            return
        if isinstance(source, Path) and not source.is_file():
            raise Refusal(_named(option, _("it isn't kept any more. Send it again.")))
        size = source.stat().st_size if isinstance(source, Path) else source.size
        if size > limit:
            text = _("it has {size} MiB; up to {limit} MiB are accepted.")
            raise Refusal(_named(option, text.format(size=_mib(size), limit=_mib(limit))))
        if isinstance(source, Path):
            await asyncio.to_thread(shutil.copyfile, source, raw)
        else:
            await asyncio.to_thread(raw.write_bytes, await _read(source, option))

    async def _image(self, raw: Path, option: str, spec: ModelSpec) -> StoredMedia:
        fitted = await self._images.fit(raw, raw.with_suffix(".fitted"), spec.image)
        name = f"{option}.{_EXTENSIONS[fitted.content_type]}"
        fitted.path.rename(raw.with_name(name))
        note = _note(fitted) if fitted.was_changed else None
        path = f"{raw.parent.name}/{name}"
        return StoredMedia(path=path, content_type=fitted.content_type, filename=name, note=note)

    async def _clip(self, raw: Path, option: str) -> StoredMedia:
        await self._videos.check(raw)
        content_type = _clip_type(raw)
        name = f"{option}.{_CLIPS[content_type]}"
        raw.rename(raw.with_name(name))
        return StoredMedia(path=f"{raw.parent.name}/{name}", content_type=content_type, filename=name)


async def _read(attachment: discord.Attachment, option: str) -> bytes:
    try:
        return await attachment.read()
    except faults.DISCORD_ERRORS as error:
        raise Refusal(_named(option, _("Discord doesn't hand it over. Attach it again."))) from error


def _named(option: str, text: str) -> str:
    """What is wrong, with the option that it is wrong with."""
    return _("**{option}**: {problem}").format(option=say_name(option), problem=text)


def _clip_type(path: Path) -> str:
    """What a clip that was checked is, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(12)
    if start.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm"
    return "video/quicktime" if start[8:10] == b"qt" else "video/mp4"


def _note(fitted: Fitted) -> str:
    """What was done to a picture, as it is kept: cards say it in any language."""
    before = f"{fitted.original_width} x {fitted.original_height}"
    after = f"{fitted.width} x {fitted.height}"
    return SCALED.format(before=before, after=after) if before != after else CONVERTED


def _mib(size: int) -> str:
    return f"{size / _MIB:.1f}".removesuffix(".0")
