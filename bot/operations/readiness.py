"""Whether the bot does its work: its connection to Discord, its database, its worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from bot.clock import Clock
from bot.database.engine import Database
from bot.operations import store
from bot.operations.questions import NoAnswer, Question

#: the worker looks at its queue every half minute
_WORKER_PATIENCE: Final = timedelta(minutes=2)
#: seconds that the database has for one row, and for which its answer holds
_DATABASE_PATIENCE: Final = 2.0
_DATABASE_FRESH: Final = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the bot; ``trouble`` says what is wrong with it, None: nothing."""

    name: str
    trouble: str | None

    @property
    def line(self) -> str:
        """As health checks show it."""
        return f"{self.name}: {self.trouble or 'ok'}"


class Readiness:
    """Looks at every part when somebody asks."""

    def __init__(
        self,
        *,
        database: Database,
        is_connected: Callable[[], bool],
        looked_at: Callable[[], datetime | None],
        clock: Clock,
    ) -> None:
        """``looked_at`` says when the worker last looked for what is due."""
        self._ping = Question(
            partial(database.read, store.ping), fresh_for=_DATABASE_FRESH, patience=_DATABASE_PATIENCE
        )
        self._is_connected = is_connected
        self._looked_at = looked_at
        self._clock = clock

    async def parts(self) -> Sequence[Part]:
        """Every part, always in the same order."""
        return (
            Part("discord", None if self._is_connected() else "no connection that is ready"),
            Part("database", await self._database_trouble()),
            Part("worker", worker_trouble(self._looked_at(), self._clock())),
        )

    async def close(self) -> None:
        """Wait for no answer any more."""
        await self._ping.close()

    async def _database_trouble(self) -> str | None:
        try:
            await self._ping.answer()
        except NoAnswer as error:
            return str(error)
        return None


def worker_trouble(looked_at: datetime | None, now: datetime) -> str | None:
    """What is wrong with a worker that last looked for due jobs then."""
    if looked_at is None:
        return "hasn't begun"
    silent = now - looked_at
    return f"hasn't looked at its jobs for {silent.total_seconds():.0f} s" if silent > _WORKER_PATIENCE else None
