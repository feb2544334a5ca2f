"""The contact sheet beside a page of ``/wan history``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from bot.delivery.words import one_line, shortened
from bot.jobs.job import Job
from bot.languages import _
from bot.media.errors import MediaError
from bot.media.sheets import Sheets, Tile
from bot.services import Services
from cogs.paging import Picture, PictureOf

#: characters; Discord's own limit
_ALT_TEXT: Final = 1024
_PROMPT: Final = 120
#: drawn on a tile with letters of Latin scripts alone, so it is said in English
_HIDDEN: Final = "Spoiler"

log = structlog.stdlib.get_logger(__name__)


def sheet_of(services: Services, jobs: Sequence[Job], *, first: int) -> PictureOf | None:
    """What makes the sheet of these jobs, numbered from ``first``; None: none of their videos is kept and shown."""
    numbered = {number: job for number, job in enumerate(jobs, start=first) if _kept(services, job) is not None}
    if all(job.request.spoiler for job in numbered.values()):
        return None
    tiles = [
        Tile(number=number, video=None, word=_HIDDEN)
        if job.request.spoiler
        else Tile(number=number, video=_kept(services, job))
        for number, job in numbered.items()
    ]
    return partial(_drawn, services.sheets, tiles, numbered)


def text_of_sheet(jobs: dict[int, Job]) -> str:
    """The sheet in words; of hidden videos they tell nothing."""
    parts = [_("{number}: {what}").format(number=number, what=_what(job)) for number, job in jobs.items()]
    return shortened(_("Pictures of your videos. {list}").format(list="; ".join(parts)), _ALT_TEXT)


async def _drawn(sheets: Sheets, tiles: Sequence[Tile], jobs: dict[int, Job], folder: Path) -> Picture | None:
    target = folder / "videos.jpg"
    try:
        shown = await sheets.draw(tiles, target)
    except MediaError as error:
        log.warning("a contact sheet can't be made", why=error.reason)
        return None
    if not shown:
        return None
    return Picture(target, text_of_sheet({tile.number: jobs[tile.number] for tile in shown}))


def _kept(services: Services, job: Job) -> Path | None:
    """Our copy of a video, if it may be shown."""
    if job.video_path is None or job.removed_at is not None or job.purged_at is not None:
        return None
    path = services.videos_folder / job.video_path
    return path if path.is_file() else None


def _what(job: Job) -> str:
    if job.request.spoiler:
        return _("hidden behind a spoiler")
    return one_line(job.request.prompt, _PROMPT) or _("no prompt")
