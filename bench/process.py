"""Programs under measurement: each a process of its own, ended with its context."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

T = TypeVar("T")

ROOT: Final = Path(__file__).parents[1]
#: Python loads a module from here before every program
_AS_INSTALLED: Final = Path(__file__).with_name("as_installed")
#: seconds; for anything that should take a moment
PATIENCE: Final = 60.0
_KEPT: Final = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH")

#: ``wanbot run`` as it is, and the same with a watch on its event loop
WANBOT: Final = ("-m", "bot", "run")
WATCHED: Final = ("-m", "bench.watched", "run")


class Program:
    """A Python program in a child process, with nothing of our own environment but what it needs to start."""

    def __init__(self, *arguments: str, folder: Path, settings: Mapping[str, str]) -> None:
        self._arguments = arguments
        self._folder = folder
        self._settings = settings
        self._log = folder / f"{time.monotonic_ns()}.log"
        self._process: asyncio.subprocess.Process | None = None
        #: monotonic seconds
        self.started_at = 0.0

    async def __aenter__(self) -> Self:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        paths = os.pathsep.join((str(_AS_INSTALLED), str(ROOT)))
        environment = {**kept, "PYTHONPATH": paths, "LOG_FORMAT": "json", **self._settings}
        with self._log.open("wb") as log:
            self.started_at = time.monotonic()
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, *self._arguments),
                cwd=self._folder,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()
        if kind is not None:
            sys.stderr.write(f"--- {' '.join(self._arguments)}\n{self._log.read_text()[-5000:]}\n")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running.pid

    @property
    def text(self) -> str:
        """Everything it wrote so far."""
        return self._log.read_text()

    async def says(self, words: str, *, within: float = PATIENCE) -> None:
        """Wait until it has written these words. Raises ``RuntimeError`` when it ends before."""
        await until(lambda: words in self.text or self.is_over, within=within, what=f"{words!r} from {self._arguments}")
        if words not in self.text:
            raise RuntimeError(f"it ended before it said {words!r}: {self.text[-2000:]}")

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._running.returncode is not None

    async def over(self, *, within: float) -> None:
        """Wait for its own end."""
        async with asyncio.timeout(within):
            await self._running.wait()

    async def end(self) -> None:
        """Ask it to end, and after ten seconds see to it."""
        if self.is_over:
            return
        with contextlib.suppress(ProcessLookupError):
            self._running.send_signal(signal.SIGTERM)
        try:
            await self.over(within=10)
        except TimeoutError:
            self._running.kill()
            await self._running.wait()

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("it wasn't started")
        return self._process


async def until(predicate: Callable[[], T | None], *, what: str, within: float = PATIENCE, pace: float = 0.005) -> T:
    """Ask every ``pace`` seconds until there is an answer. Raises ``TimeoutError``."""
    deadline = time.monotonic() + within
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within} s: {what}")
        await asyncio.sleep(pace)
    return value
