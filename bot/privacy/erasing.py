"""Deletes the files of jobs of which the database keeps no more than numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bot.jobs.files import JobFiles
from bot.privacy.store import Scrubbed
from providers.registry import Registry


class Erasing:
    """Called after the commit. What a death keeps from it, the sweep does later."""

    def __init__(self, *, files: JobFiles, registry: Registry) -> None:
        self._files = files
        self._registry = registry

    async def erase(self, scrubbed: Sequence[Scrubbed]) -> None:
        """Delete pictures and videos, and what a provider of this machine keeps."""
        if not scrubbed:
            return
        await asyncio.to_thread(self._files.delete, frozenset(job.id for job in scrubbed))
        for job in scrubbed:
            spec = self._registry.every.get(job.model)
            if spec is not None and job.task_id is not None:
                await self._registry.provider_of(spec).forget(job.task_id)
