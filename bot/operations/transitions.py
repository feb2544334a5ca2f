"""Follows the jobs' transitions in the database, whoever made them: the worker, a member, a moderator, a start."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from bot.database.engine import Database
from bot.operations import store
from bot.operations.store import Transition

#: rows that are read together
_BATCH: Final = 2000
#: rows that are read again: on PostgreSQL a lower number may be committed after a higher one
_LOOK_BACK: Final = 500


class Transitions:
    """Gives every transition stored since ``begin`` once; of several processes, to the one that had the job."""

    def __init__(self, *, database: Database, owner: str | None = None) -> None:
        self._database = database
        self._owner = owner
        self._seen = frozenset[int]()
        self._last = 0

    async def begin(self) -> None:
        """Count from now on: what was before is history."""
        self._last = await self._database.read(store.latest_transition)
        self._seen = frozenset(each.id for each in await self._batch())

    async def fresh(self) -> Sequence[Transition]:
        """Those that weren't given yet."""
        found: list[Transition] = []
        newest = await self._database.read(store.latest_transition)
        while True:
            batch = await self._batch()
            found += [each for each in batch if each.id not in self._seen]
            self._last = max([self._last, *(each.id for each in batch)])
            self._seen = frozenset(each.id for each in batch if each.id > self._last - _LOOK_BACK)
            if len(batch) < _BATCH:
                # past those of other processes, however many they are
                self._last = max(self._last, newest)
                return found

    async def _batch(self) -> Sequence[Transition]:
        after = self._last - _LOOK_BACK
        return await self._database.read(
            partial(store.transitions_after, event_id=after, owner=self._owner, most=_BATCH)
        )
