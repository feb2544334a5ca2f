"""Questions that many may ask at once, and that cost something: asked once, answered for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class NoAnswer(Exception):  # noqa: N818 - it names what happened
    """There was none in time, or an error in its place."""


class Question(Generic[T]):
    """One question whose answer holds for a while. However many ask, it is under way once at most.

    A scrape every second and a reload held down cost the database no more than one query every ``fresh_for``
    seconds, and a database that hangs holds one of its threads, not all.
    """

    def __init__(
        self,
        ask: Callable[[], Coroutine[Any, Any, T]],
        *,
        fresh_for: float,
        patience: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``fresh_for`` and ``patience`` (how long somebody waits for an answer) are in seconds."""
        self._ask = ask
        self._fresh_for = fresh_for
        self._patience = patience
        self._now = now
        self._asking: asyncio.Task[T] | None = None
        self._answered_at = 0.0

    async def answer(self) -> T:
        """The answer of a moment ago, or a new one. Raises ``NoAnswer``."""
        if self._asking is None or (self._asking.done() and self._is_stale(self._asking)):
            self._asking = asyncio.create_task(self._asked(), name="question of an operator")
        asking = self._asking
        await asyncio.wait([asking], timeout=self._patience)
        if not asking.done():
            raise NoAnswer(f"no answer within {self._patience:g} s")
        if asking.cancelled():
            raise NoAnswer("it was given up")
        if (error := asking.exception()) is not None:
            raise NoAnswer(type(error).__name__) from error
        return asking.result()

    async def close(self) -> None:
        """Wait for no answer any more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _asked(self) -> T:
        try:
            return await self._ask()
        finally:
            self._answered_at = self._now()

    def _is_stale(self, asked: asyncio.Task[T]) -> bool:
        """Whether it should be asked anew; an error is no answer to keep."""
        is_good = not asked.cancelled() and asked.exception() is None
        return not is_good or self._now() - self._answered_at >= self._fresh_for
