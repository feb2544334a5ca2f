"""What a start finds of the last run."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from bot.database.engine import Connection, Database
from bot.jobs import store
from bot.jobs.durations import Durations, kind_of, observation_of
from bot.jobs.files import JobFiles

#: what is older than this is nobody's work any more, whoever shares the folder
_HALF_DONE: Final = timedelta(hours=1)
#: so many ids are asked for at once
_CHUNK: Final = 500

#: how long jobs take is learned from so many, found among so many transitions
_LESSONS: Final = 2_000
_TRANSITIONS: Final = 20_000


async def teach(*, database: Database, durations: Durations) -> None:
    """Learn how long jobs take from those that finished before this start."""
    finished = partial(store.finished_lately, most=_LESSONS, among=_TRANSITIONS)
    for run in await database.read(finished):
        durations.learn(kind_of(run.model, run.request), observation_of(run.seconds, run.note))


async def sweep(*, database: Database, files: JobFiles, now: datetime) -> None:
    """Delete what a death has left half done.

    These are pictures of jobs that were never stored, downloads cut short, and files of which the database knows
    that they are kept no longer.
    """
    old = frozenset(await asyncio.to_thread(_old_names_in, files.inputs, now - _HALF_DONE))
    found = sorted(await asyncio.to_thread(files.job_ids))
    for start in range(0, len(found), _CHUNK):
        chunk = found[start : start + _CHUNK]
        existing, purged = await database.read(partial(_standing, job_ids=chunk))
        if purged:
            await asyncio.to_thread(files.delete, purged)
        for name in chunk:
            if name in old and name not in existing:
                await asyncio.to_thread(shutil.rmtree, files.inputs / name, ignore_errors=True)
    await asyncio.to_thread(_delete_unfinished, files.videos, now - _HALF_DONE)


def _standing(connection: Connection, job_ids: Sequence[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Which of these are jobs, and of which of them nothing is kept any more."""
    return store.existing(connection, job_ids), store.purged(connection, job_ids)


def _old_names_in(folder: Path, before: datetime) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.is_dir() and _is_older(each, before))


def _delete_unfinished(folder: Path, before: datetime) -> None:
    for pattern in ("*.part", "*.new.mp4"):
        for path in folder.glob(pattern):
            if _is_older(path, before):
                path.unlink(missing_ok=True)


def _is_older(path: Path, instant: datetime) -> bool:
    try:
        return path.stat().st_mtime < instant.timestamp()
    except FileNotFoundError:
        return False  # somebody has just finished it
