"""Child processes for media work: few, started when needed, replaced when anything goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError

from bot.languages import spoken
from bot.media.errors import MediaError, MediaFailed, MediaLimit, NotMedia

log = logging.getLogger(__name__)

Result = TypeVar("Result")

#: ``-P``: nothing is imported from the folder that the bot happens to run in
COMMAND = (sys.executable, "-P", "-m", "bot.media.worker_process")
#: seconds that an idle child has to end by itself
GRACE = 2.0
#: CPU seconds per second of the time limit, since codecs use several threads
CPU_SHARE = 4

_ERRORS: Mapping[str, type[MediaError]] = {kind.__name__: kind for kind in (NotMedia, MediaLimit, MediaFailed)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Generic[Result]):
    """Something to do in a child: its name there, its arguments, and what a good answer looks like."""

    name: str
    arguments: Mapping[str, JsonValue]
    answer: TypeAdapter[Result]


class _Answer(BaseModel):
    id: int
    error: Literal["", "NotMedia", "MediaLimit", "MediaFailed"] = ""
    reason: str = Field(default="", max_length=500)
    result: JsonValue = None


class MediaWorkers:
    """Runs tasks in at most ``count`` child processes.

    Args:
        count: children at the same time; further tasks wait their turn.
        time_limit: seconds for one task, waiting for a free child not counted.
        memory_limit: bytes that a child may have in writable memory.
        idle: seconds without work after which a child is ended.
        tasks_per_child: after so many tasks a child is replaced, so that leaks stay small.
        command: how to start a child; the limits are appended as arguments.
    """

    def __init__(
        self,
        *,
        count: int = 2,
        time_limit: float = 120.0,
        memory_limit: int = 1024**3,
        idle: float = 60.0,
        tasks_per_child: int = 200,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._slots = asyncio.Semaphore(count)
        self._time_limit = time_limit
        self._idle = idle
        self._tasks_per_child = tasks_per_child
        self._command = (*command, str(memory_limit), str(max(1, int(time_limit * CPU_SHARE))))
        self._children: set[_Child] = set()
        self._free: list[_Child] = []
        self._endings: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the living children."""
        return tuple(child.pid for child in self._children)

    async def run(self, task: Task[Result]) -> Result:
        """Run a task in a child. If the caller is cancelled, so is the work.

        Raises:
            NotMedia: the file is not what it should be.
            MediaLimit: the file is beyond a limit.
            MediaFailed: out of time or memory, crashed, a senseless answer, or `close` was called.
        """
        async with self._slots:
            child = await self._take()
            try:
                result = await self._ask(child, task)
            except (NotMedia, MediaLimit):
                self._put_back(child)
                raise
            except BaseException as error:
                # Its state is unknown, or it still works on what nobody waits for any more.
                self._discard(child, task.name, error)
                raise
            self._put_back(child)
            return result

    async def close(self) -> None:
        """End all children: those that work are stopped, their callers get `MediaFailed`."""
        self._closed = True
        for child in tuple(self._children):
            self._retire(child, terminate=True)
        while self._endings:
            await asyncio.wait(self._endings)

    async def _ask(self, child: _Child, task: Task[Result]) -> Result:
        try:
            async with asyncio.timeout(self._time_limit):
                answer = await child.ask(task)
            if answer.error:
                raise _ERRORS[answer.error](answer.reason)
            return task.answer.validate_python(answer.result)
        except TimeoutError as error:
            raise MediaFailed(f"took longer than {self._time_limit:g} seconds") from error
        except ValidationError as error:
            raise MediaFailed("the child process gave a senseless answer") from error

    async def _take(self) -> _Child:
        if self._closed:
            raise MediaFailed("media work has been closed")
        while self._free:
            child = self._free.pop()
            child.stop_clock()
            if child.is_alive:
                return child
            self._retire(child)
        try:
            child = await _Child.start(self._command)
        except OSError as error:
            raise MediaFailed(f"a child process can't be started: {error}") from error
        self._children.add(child)
        if self._closed:
            self._retire(child)
            raise MediaFailed("media work has been closed")
        return child

    def _put_back(self, child: _Child) -> None:
        if self._closed or child.tasks >= self._tasks_per_child:
            self._retire(child)
            return
        self._free.append(child)
        child.start_clock(self._idle, self._end_idle)

    def _end_idle(self, child: _Child) -> None:
        self._free.remove(child)
        self._retire(child)

    def _discard(self, child: _Child, task: str, error: BaseException) -> None:
        if not self._closed:
            why = error.reason if isinstance(error, MediaError) else type(error).__name__
            log.warning("Media child %d is replaced; its task %s ended with: %s", child.pid, task, why)
        child.kill()
        self._retire(child)

    def _retire(self, child: _Child, *, terminate: bool = False) -> None:
        """See a child off in the background: nobody has to wait for it but `close`."""
        if child not in self._children:
            return
        self._children.discard(child)
        ending = asyncio.create_task(child.end(terminate=terminate))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)


class _Child:
    """One child process: one task at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self.tasks = 0
        self._process = process
        self._numbers = itertools.count(1)
        self._clock: asyncio.TimerHandle | None = None

    @classmethod
    async def start(cls, command: Sequence[str]) -> _Child:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(),
            # A Ctrl-C in the terminal is for the bot, which ends its children in order.
            start_new_session=True,
        )
        log.debug("Media child %d started", process.pid)
        return cls(process)

    @property
    def is_alive(self) -> bool:
        """Whether it can take a task; the end of its output is heard of before the end of its process."""
        is_talking = self._process.stdout is not None and not self._process.stdout.at_eof()
        return is_talking and self._process.returncode is None

    async def ask(self, task: Task[Result]) -> _Answer:
        assert self._process.stdin is not None  # noqa: S101 - both were asked for as pipes
        assert self._process.stdout is not None  # noqa: S101 - as above
        number = next(self._numbers)
        self.tasks += 1
        arguments = dict(task.arguments)
        request = {"id": number, "task": task.name, "arguments": arguments, "language": spoken()}
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            await self._process.stdin.drain()
            line = await self._process.stdout.readline()
        except (OSError, ValueError) as error:
            # ValueError: a line without an end, longer than the reader's limit
            raise MediaFailed(f"the child process can't be talked to: {error}") from error
        if not line.endswith(b"\n"):
            raise MediaFailed(f"the child process ended ({await self._ending()})")
        answer = _Answer.model_validate_json(line)
        if answer.id != number:
            raise MediaFailed("the child process answered another task")
        return answer

    async def _ending(self) -> str:
        """How it ended, in words of the operator."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await self._process.wait()
        code = self._process.returncode
        if code is None:
            return "without closing its process"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def start_clock(self, seconds: float, when_over: Callable[[_Child], None]) -> None:
        self._clock = asyncio.get_running_loop().call_later(seconds, when_over, self)

    def stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self, *, terminate: bool) -> None:
        """Close its input, on which it ends when it is idle; kill it if it doesn't."""
        self.stop_clock()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if terminate:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        try:
            async with asyncio.timeout(GRACE):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()


def _environment() -> dict[str, str]:
    """What a child may know: no token, no key, only what is needed to start Python here."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "LANG", "LC_ALL")
    package_root = Path(__file__).parents[2]
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONPATH": str(package_root),
        # Each arena of glibc's allocator reserves 64 MiB of address space per thread.
        "MALLOC_ARENA_MAX": "2",
        # Bytes: smaller buffers come from memory that is kept. Else each frame's is fetched from the system and given
        # back, page by page, which takes a third of a look at a video.
        "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(4 << 20),
    }
