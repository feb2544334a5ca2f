"""The provider that needs no key: every video is drawn on this machine, by a process of its own.

All that is known about a task is in its folder, so a task outlives the provider that started it:

    folder/{task id}/task.json     the drawing, and when it was asked for
                     image.png     copies of the pictures
                     video.mp4     appears whole, when it is drawn
                     failed        appears when it can't be drawn
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from providers.contract import BeforeSending, Provider, at_once
from providers.errors import ContractBroken, Unavailable
from providers.types import Finished, Pending, Rejected, Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from providers.types import GenerationRequest, Media, ModelSpec, TaskStatus

_LOG = logging.getLogger(__name__)

#: how long a task is kept, finished or not
KEEP = timedelta(days=1)

#: old tasks are looked for no more often than this
_SWEEP_EVERY = timedelta(hours=1)

#: how often a drawing is tried before its task is rejected
_ATTEMPTS = 2

#: what a task tells until it has ended
_MOST_PROGRESS = 0.99

#: the only variables that the drawing process sees: it opens strangers' pictures, so it holds no key of ours
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "HOME", "XDG_DATA_HOME", "XDG_DATA_DIRS")
_ENVIRONMENT_OF_WINDOWS = ("SYSTEMROOT", "WINDIR", "LOCALAPPDATA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Everything that a video depends on: the same drawing gives the same frames.

    It is here rather than beside the drawing itself, because that loads FFmpeg and Pillow.
    """

    prompt: str
    #: pixels, both even
    width: int
    height: int
    duration_seconds: float
    frames_per_second: int = 16
    seed: int
    image: Path | None = None
    last_image: Path | None = None
    #: nobody chose a shape, so the video stands when its first image does
    turns_with_image: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task(Drawing):
    """A drawing that somebody waits for."""

    started_at: AwareDatetime


_TASK = TypeAdapter(_Task)
#: its files, beside copies of its pictures
_TASK_FILE, _VIDEO_FILE, _FAILED_FILE = "task.json", "video.mp4", "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the folder says of a task."""

    task: _Task
    is_drawn: bool
    has_failed: bool


def size_of(resolution: str, aspect_ratio: str) -> tuple[int, int]:
    """Give width and height in pixels, both even. ``480p`` is the length of the shorter side.

    Raises ``ValueError`` for what isn't written like ``480p`` and ``16:9``.
    """
    shorter = int(resolution.removesuffix("p"))
    across, down = (int(part) for part in aspect_ratio.split(":"))
    scale = shorter / min(across, down)
    return _even(across * scale), _even(down * scale)


def _even(length: float) -> int:
    return 2 * round(length / 2)


class DemoProvider(Provider):
    """Videos drawn here. A job takes a chosen time, as it would elsewhere, and can be cancelled."""

    name: ClassVar[str] = "demo"
    title: ClassVar[str] = "Demo"
    can_cancel: ClassVar[bool] = True
    is_local: ClassVar[bool] = True

    def __init__(self, *, folder: Path, seconds: float, now: Callable[[], datetime]) -> None:
        """Keep tasks in ``folder`` (made when needed); ``seconds`` is how long a job takes at least.

        ``now`` gives the time with its zone.
        """
        self._folder = folder.absolute()
        self._seconds = seconds
        self._now = now
        self._drawings: dict[str, asyncio.Task[None]] = {}
        #: drawing takes a whole core, so one at a time
        self._turn = asyncio.Lock()
        #: a sweep must not meet a task that is half stored
        self._storing = asyncio.Lock()
        self._next_sweep = datetime.min.replace(tzinfo=UTC)

    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        """Store the task and begin to draw it.

        Raises ``Unavailable`` when the task can't be stored.
        """
        task_id = secrets.token_hex(8)
        await before_sending()
        try:
            async with self._storing:
                await asyncio.to_thread(self._store, task_id, request)
                await asyncio.to_thread(self._sweep)
        except OSError as error:
            await asyncio.to_thread(_remove, self._folder / task_id)
            raise Unavailable(f"the demo can't store a task: {error}") from error
        self._begin(task_id)
        return Submission(task_id=task_id, estimated_seconds=self._seconds)

    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        """Look at a task, and begin its drawing anew when an earlier provider left it unfinished.

        Raises ``ContractBroken`` for an unknown task, ``Unavailable`` when its folder can't be read.
        """
        del model
        found = await self._look(task_id)
        if found.has_failed:
            return Rejected(reason="the video could not be drawn")
        if self._is_over(found):
            return Finished(video_url=(self._folder / task_id / _VIDEO_FILE).as_uri())
        if not found.is_drawn:
            self._begin(task_id)
        elapsed = max(self._elapsed(found.task), 0.0)
        return Pending(min(elapsed / max(self._seconds, 0.001), _MOST_PROGRESS))

    async def check(self) -> None:
        """Return: there is no key that could be wrong."""

    async def cancel(self, task_id: str) -> bool:
        """Stop a task and forget it; false when it has finished.

        True for a task that is gone: nothing will be charged, and asking twice gives the same answer.
        """
        try:
            found = await self._look(task_id)
        except ContractBroken:
            return True
        if self._is_over(found):
            return False
        await self._drop(task_id)
        return True

    async def forget(self, task_id: str) -> None:
        """Delete a task with its prompt and pictures."""
        if _is_task_id(task_id):
            await self._drop(task_id)

    async def tidy(self) -> None:
        """Remove tasks that are older than ``KEEP``."""
        async with self._storing:
            await asyncio.to_thread(self._sweep)

    async def close(self) -> None:
        """End what is being drawn. It begins anew when its status is asked for again."""
        await asyncio.gather(*(self._end(task_id) for task_id in list(self._drawings)))

    async def _drop(self, task_id: str) -> None:
        await self._end(task_id)
        await asyncio.to_thread(_remove, self._folder / task_id)

    # -- the folder

    def _elapsed(self, task: _Task) -> float:
        return (self._now() - task.started_at).total_seconds()

    def _is_over(self, found: _Found) -> bool:
        return found.is_drawn and self._elapsed(found.task) >= self._seconds

    def _store(self, task_id: str, request: GenerationRequest) -> None:
        folder = self._folder / task_id
        folder.mkdir(parents=True)
        task = self._task(folder, request)
        part = folder / f"{_TASK_FILE}.part"
        part.write_bytes(_TASK.dump_json(task))
        # from here on the task exists
        part.replace(folder / _TASK_FILE)

    def _task(self, folder: Path, request: GenerationRequest) -> _Task:
        shape = request.aspect_ratio or request.model.default_aspect_ratio
        width, height = size_of(request.resolution, shape)
        return _Task(
            prompt=request.prompt,
            width=width,
            height=height,
            duration_seconds=request.duration,
            seed=int(folder.name[:7], 16) if request.seed is None else request.seed,
            image=_copied(request.image, folder / "image"),
            last_image=_copied(request.last_image, folder / "last_image"),
            turns_with_image=request.aspect_ratio is None,
            started_at=self._now(),
        )

    async def _look(self, task_id: str) -> _Found:
        if not _is_task_id(task_id):
            raise ContractBroken("the demo knows no such task")
        try:
            return await asyncio.to_thread(_find, self._folder / task_id)
        except FileNotFoundError as error:
            raise ContractBroken("the demo knows no such task") from error
        except ValidationError as error:
            raise ContractBroken("the demo can't read its own task") from error
        except OSError as error:
            raise Unavailable(f"the demo can't read its folder: {error}") from error

    def _sweep(self) -> None:
        """Remove old tasks, so that the folder stays small. A submission doesn't fail with it."""
        now = self._now()
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SWEEP_EVERY
        with contextlib.suppress(OSError):
            for folder in self._folder.iterdir():
                if _started_at(folder) < now - KEEP:
                    _remove(folder)

    # -- the process

    def _begin(self, task_id: str) -> None:
        if task_id not in self._drawings:
            drawing = asyncio.create_task(self._draw(task_id), name=f"demo {task_id}")
            self._drawings[task_id] = drawing
            drawing.add_done_callback(lambda _: self._drawings.pop(task_id, None))

    async def _end(self, task_id: str) -> None:
        drawing = self._drawings.get(task_id)
        if drawing is not None:
            drawing.cancel()
            await asyncio.wait([drawing])

    async def _draw(self, task_id: str) -> None:
        async with self._turn:
            for _ in range(_ATTEMPTS):
                # what led here was a look at the folder, which may be older than an end
                if not await asyncio.to_thread(_is_wanted, self._folder / task_id):
                    return
                await self._attempt(task_id)
            if await asyncio.to_thread(_is_wanted, self._folder / task_id):
                await asyncio.to_thread((self._folder / task_id / _FAILED_FILE).touch)

    async def _attempt(self, task_id: str) -> None:
        try:
            code, errors = await self._run(task_id)
        except OSError as error:
            code, errors = -1, str(error)
        if code:
            _LOG.error("demo task %s could not be drawn (exit code %d): %s", task_id, code, errors[-2000:])

    async def _run(self, task_id: str) -> tuple[int | None, str]:
        """Draw in another process; give its exit code and what it complained of."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "providers.demo_drawing"),
            *(self._folder / task_id / _TASK_FILE, self._folder / task_id / _VIDEO_FILE),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=dict(_environment()),
            # Ctrl-C is for the bot, which then ends its drawings itself
            start_new_session=True,
        )
        try:
            _, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        return process.returncode, errors.decode(errors="replace").strip()


def _is_task_id(text: str) -> bool:
    """An id becomes a path, so it is made of nothing but letters and digits."""
    return text.isascii() and text.isalnum()


def _copied(media: Media | None, target: Path) -> Path | None:
    """Copy a picture next to its task, since the original may be deleted first."""
    if media is None:
        return None
    path = target.with_suffix(media.path.suffix)
    shutil.copyfile(media.path, path)
    return path


def _read(folder: Path) -> _Task:
    return _TASK.validate_json((folder / _TASK_FILE).read_bytes())


def _find(folder: Path) -> _Found:
    is_drawn, has_failed = (folder / _VIDEO_FILE).exists(), (folder / _FAILED_FILE).exists()
    return _Found(task=_read(folder), is_drawn=is_drawn, has_failed=has_failed)


def _is_wanted(folder: Path) -> bool:
    ends = (folder / _VIDEO_FILE).exists() or (folder / _FAILED_FILE).exists()
    return (folder / _TASK_FILE).exists() and not ends


def _started_at(folder: Path) -> datetime:
    """Tell how old a folder is, even when nothing in it can be read."""
    try:
        return _read(folder).started_at
    except (OSError, ValidationError):
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _environment() -> Iterator[tuple[str, str]]:
    for name in _ENVIRONMENT + _ENVIRONMENT_OF_WINDOWS:
        if name in os.environ:
            yield name, os.environ[name]
