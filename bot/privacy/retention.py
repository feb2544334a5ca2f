"""Deletes by itself what was kept for long enough."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from bot.clock import Clock
from bot.database.engine import Database
from bot.jobs import recovery
from bot.jobs.files import JobFiles
from bot.privacy import store
from bot.privacy.departed import BATCH, DepartedGuilds
from bot.privacy.erasing import Erasing
from bot.privacy.keeping import cut_off
from providers.contract import Provider

log = structlog.stdlib.get_logger(__name__)

_EVERY: Final = timedelta(hours=1)
#: no answer takes longer, so a file made for one isn't needed any more
_ANSWERED: Final = timedelta(hours=1)


class Retention:
    """Looks every hour. ``run`` goes on until cancelled; tests call ``run_once``."""

    def __init__(
        self,
        *,
        database: Database,
        erasing: Erasing,
        departed: DepartedGuilds,
        files: JobFiles,
        exports: Path,
        providers: Sequence[Provider],
        is_first: Callable[[], bool],
        keep_days: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._erasing = erasing
        self._departed = departed
        self._files = files
        self._exports = exports
        self._providers = providers
        #: whether this is the one, of several processes, that does what one of them must do
        self._is_first = is_first
        #: for guilds that haven't decided
        self._keep_days = keep_days
        self._clock = clock

    async def run(self) -> None:
        """Delete what is due, again and again."""
        while True:
            try:
                await self.run_once()
            except Exception:
                log.exception("what is kept no longer can't be deleted; trying again")
            await asyncio.sleep(_EVERY.total_seconds())

    async def run_once(self) -> None:
        """Delete everything that is due now."""
        now, is_first, jobs = self._clock(), self._is_first(), 0
        if is_first:
            for keep_days in await self._database.read(store.keep_days_in_use):
                jobs += await self._purge(keep_days)
        # each process knows for its own shards in which guilds the bot is
        guilds = await self._departed.forget_due()
        grants = await self._delete_rest(now) if is_first else 0
        if jobs or guilds or grants:
            log.info("deleted what is kept no longer", jobs=jobs, guilds=guilds, grants=grants)

    async def _delete_rest(self, now: datetime) -> int:
        """Grants whose period is over (gives how many), and files that nobody will ask for."""
        grants = await self._database.write(partial(store.delete_ended_grants, now=now))
        await recovery.sweep(database=self._database, files=self._files, now=now)
        await asyncio.to_thread(_delete_older, self._exports, (now - _ANSWERED).timestamp())
        for provider in self._providers:
            await provider.tidy()
        return grants

    async def _purge(self, keep_days: int | None) -> int:
        """Purge the jobs of all guilds that keep for so long (None: as the operator says), batch after batch."""
        now, purged = self._clock(), 0
        before = cut_off(now, self._keep_days if keep_days is None else keep_days)
        purge = partial(store.scrub_old, before=before, keep_days=keep_days, most=BATCH, now=now)
        while batch := await self._database.write(purge):
            await self._erasing.erase(batch)
            purged += len(batch)
        return purged


def _delete_older(folder: Path, before: float) -> None:
    """Delete the folders that were last changed before then, in seconds since 1970. In a thread."""
    for each in folder.iterdir():
        # or somebody else was faster
        with suppress(FileNotFoundError):
            if each.stat().st_mtime < before:
                shutil.rmtree(each, ignore_errors=True)
