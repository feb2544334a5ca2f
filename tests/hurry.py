"""Simulated time for real sockets: as soon as nobody has anything to do, it is the time of the next timer.

    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        runner.run(story())  # an hour in it is over in no time

Everything that takes its time from the loop is hurried along: sleeps, timeouts, and who asks ``loop.time``.
Sockets must have both ends in this process. Time stands still while threads of the loop's are at work.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, Final

#: seconds for which who works elsewhere is waited for at a time
_WHILE: Final = 0.1


class HurriedLoop(asyncio.SelectorEventLoop):
    """Begins at 0."""

    def __init__(self) -> None:
        #: seconds
        self.now = 0.0
        #: what happens where the loop can't see it
        self.elsewhere = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    @contextmanager
    def standing_still(self) -> Generator[None]:
        """Let no time pass while something happens in another thread or process."""
        self.elsewhere += 1
        try:
            yield
        finally:
            self.elsewhere -= 1

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self.elsewhere += 1
        future.add_done_callback(self._is_back)
        return future

    def _is_back(self, _: object) -> None:
        self.elsewhere -= 1


class _Selector(selectors.DefaultSelector):
    """Waits for nothing but sockets that have something to tell."""

    def __init__(self, loop: HurriedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(timeout)
        if timeout is None or self._loop.elsewhere:
            return super().select(None if timeout is None else _WHILE)
        ready = super().select(0)
        if not ready:
            self._loop.now += timeout
        return ready
