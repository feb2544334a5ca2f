"""Programs as processes of their own, for tests and measurements: nothing of ours in their surroundings.

async with Program("-m", "bot", "check", folder=folder, settings=settings) as program:
    await program.says("ready")
    assert await program.exit_code() == 0
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")

ROOT: Final = Path(__file__).parents[1]
#: seconds; long enough for a machine that does much else
PATIENCE: Final = 40.0
#: what a child must know of where it runs; nothing of the settings of whoever runs it
_KEPT: Final = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


async def until(
    predicate: Callable[[], T | None], what: Callable[[], object], *, within: float = PATIENCE, pace: float = 0.02
) -> T:
    """Ask every ``pace`` seconds until there is an answer. Raises ``TimeoutError``, which tells what there is."""
    deadline = time.monotonic() + within
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within} s: {what()}")
        await asyncio.sleep(pace)
    return value


class Program:
    """A Python program in a child process; it ends with its context, if it didn't end before."""

    #: folders of modules that come before ours
    _first_paths: Sequence[Path] = ()

    def __init__(self, *arguments: str, folder: Path, settings: Mapping[str, str], log: Path | None = None) -> None:
        """``folder`` is where it runs, ``settings`` its environment; what it writes goes to ``log``."""
        self._arguments = arguments
        self._folder = folder
        self._settings = settings
        self._log = log or folder / f"{time.monotonic_ns()}.log"
        self._process: asyncio.subprocess.Process | None = None
        #: where its input comes from; a terminal, perhaps
        self.stdin = asyncio.subprocess.DEVNULL
        #: monotonic seconds
        self.started_at = 0.0

    async def __aenter__(self) -> Self:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # its folder has no .env, and it must find the code all the same
        paths = os.pathsep.join(map(str, (*self._first_paths, ROOT)))
        environment = {**kept, "PYTHONPATH": paths, "LOG_FORMAT": "json", **self._settings}
        with self._log.open("wb") as log:
            self.started_at = time.monotonic()
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, *self._arguments),
                cwd=self._folder,
                env=environment,
                stdin=self.stdin,
                stdout=log,
                stderr=log,
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()
        if kind is not None:
            # pytest shows it with the failure
            sys.stdout.write(f"--- {self._log.name}\n{self.text}\n")

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
        await until(lambda: words in self.text or self.is_over, lambda: self.text[-2000:], within=within)
        if words not in self.text:
            raise RuntimeError(f"it ended before it said {words!r}: {self.text[-2000:]}")

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._running.returncode is not None

    async def exit_code(self, within: float = PATIENCE) -> int:
        """Wait for its end."""
        async with asyncio.timeout(within):
            return await self._running.wait()

    async def terminate(self, within: float = PATIENCE) -> tuple[int, float]:
        """Send SIGTERM and wait; gives the exit code and the seconds that it took."""
        begun = time.monotonic()
        self.send(signal.SIGTERM)
        return await self.exit_code(within), time.monotonic() - begun

    async def kill(self) -> None:
        """End it at once, as ``kill -9`` does; nothing happens if it has ended already."""
        self.send(signal.SIGKILL)
        await self._running.wait()

    async def end(self) -> None:
        """How its context ends it."""
        await self.kill()

    def send(self, number: signal.Signals) -> None:
        """Send a signal and wait for nothing; nothing happens if it has ended already."""
        if self._running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                # not through asyncio: it would look whether the process has ended, and so be the one to hear of it
                os.kill(self._running.pid, number)

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("it wasn't started")
        return self._process
