"""The demo provider keeps the contract, with real drawings in processes of their own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import av
import pytest
from PIL import Image

from providers.catalogue import DEMO
from providers.demo import DemoProvider
from providers.errors import ContractBroken, Unavailable
from providers.types import Finished, GenerationRequest, Media, Mode, Pending, Rejected, TaskStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

REQUEST = GenerationRequest(
    model=DEMO, mode=Mode.TEXT, prompt="a lake", resolution="480p", duration=2, aspect_ratio="1:1", seed=5
)


@dataclass(slots=True)
class Clock:
    time: datetime = datetime(2026, 5, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, **units: float) -> None:
        self.time += timedelta(**units)


@pytest.fixture
def clock() -> Clock:
    return Clock()


class CountingProvider(DemoProvider):
    """Counts the processes that draw at the same time."""

    running = 0
    most = 0

    async def _run(self, task_id: str) -> tuple[int | None, str]:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return await super()._run(task_id)
        finally:
            self.running -= 1


@asynccontextmanager
async def opened(folder: Path, clock: Clock, *, seconds: float = 8.0) -> AsyncGenerator[CountingProvider]:
    provider = CountingProvider(folder=folder / "demo", seconds=seconds, now=clock)
    try:
        yield provider
    finally:
        await provider.close()


@pytest.fixture
async def provider(tmp_path: Path, clock: Clock) -> AsyncIterator[CountingProvider]:
    async with opened(tmp_path, clock) as made:
        yield made


async def test_a_forgotten_task_leaves_nothing_and_is_unknown(provider: CountingProvider, tmp_path: Path) -> None:
    kept, gone = [(await provider.submit(REQUEST)).task_id for _ in range(2)]
    await provider.forget(gone)
    assert [folder.name for folder in (tmp_path / "demo").iterdir()] == [kept]
    with pytest.raises(ContractBroken):
        await provider.status(gone, DEMO)
    for strange in (gone, "unknown", "", ".", "..", f"../demo/{kept}"):
        await provider.forget(strange)
    assert [folder.name for folder in (tmp_path / "demo").iterdir()] == [kept]


async def test_old_tasks_go_also_when_nobody_asks_for_new_ones(
    provider: CountingProvider, clock: Clock, tmp_path: Path
) -> None:
    await provider.tidy()  # there is no folder yet
    await provider.submit(REQUEST)
    clock.pass_by(hours=24)
    await provider.tidy()
    assert len(list((tmp_path / "demo").iterdir())) == 1
    clock.pass_by(hours=1)
    await provider.tidy()
    assert list((tmp_path / "demo").iterdir()) == []


async def ended(provider: DemoProvider, task_id: str) -> TaskStatus:
    """Ask until the task has ended; the time of the jobs is over already."""
    async with asyncio.timeout(60):
        while True:
            status = await provider.status(task_id, DEMO)
            if not isinstance(status, Pending):
                return status
            await asyncio.sleep(0.02)


async def drawn(provider: DemoProvider, folder: Path, task_id: str) -> None:
    async with asyncio.timeout(60):
        while not (folder / "demo" / task_id / "video.mp4").exists():
            await provider.status(task_id, DEMO)
            await asyncio.sleep(0.02)


def path_of(status: TaskStatus) -> Path:
    assert isinstance(status, Finished)
    return Path(url2pathname(urlsplit(status.video_url).path))


def picture(path: Path, size: tuple[int, int] = (300, 200)) -> Media:
    Image.linear_gradient("L").resize(size).save(path)  # pyright: ignore[reportUnknownMemberType] - numpy's types
    return Media(path=path, content_type="image/png")


def size_and_seconds(path: Path) -> tuple[int, int, float]:
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        return stream.width, stream.height, stream.frames / 16


async def test_a_request_becomes_a_video_of_its_size_and_length(provider: DemoProvider, clock: Clock) -> None:
    submission = await provider.submit(REQUEST)
    assert submission.estimated_seconds == 8.0
    clock.pass_by(seconds=8)
    path = path_of(await ended(provider, submission.task_id))
    assert size_and_seconds(path) == (480, 480, 2.0)


async def test_progress_follows_the_clock_and_never_falls(provider: DemoProvider, clock: Clock, tmp_path: Path) -> None:
    task = (await provider.submit(REQUEST)).task_id
    seen: list[float] = []
    for _ in range(9):
        status = await provider.status(task, DEMO)
        assert isinstance(status, Pending)
        assert status.progress is not None
        seen.append(status.progress)
        clock.pass_by(seconds=0.875)
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert seen[4] == pytest.approx(3.5 / 8)
    await drawn(provider, tmp_path, task)
    assert isinstance(await provider.status(task, DEMO), Pending)
    clock.pass_by(seconds=1)
    assert isinstance(await provider.status(task, DEMO), Finished)


async def test_a_clock_that_is_set_back_does_no_harm(provider: DemoProvider, clock: Clock) -> None:
    task = (await provider.submit(REQUEST)).task_id
    clock.pass_by(hours=-1)
    assert await provider.status(task, DEMO) == Pending(0.0)


async def test_a_task_waits_for_its_drawing_when_its_time_is_over(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock, seconds=0) as provider:
        task = (await provider.submit(REQUEST)).task_id
        status = await provider.status(task, DEMO)
        assert isinstance(status, Pending)
        assert isinstance(await ended(provider, task), Finished)


async def test_a_task_outlives_the_provider_that_began_it(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock) as before:
        task = (await before.submit(REQUEST)).task_id
        while not before.running:  # noqa: ASYNC110 - the process tells nobody that it began
            await asyncio.sleep(0.01)
    assert before.running == 0
    assert not (tmp_path / "demo" / task / "video.mp4").exists()
    clock.pass_by(seconds=4)
    async with opened(tmp_path, clock) as after:
        assert await after.status(task, DEMO) == Pending(0.5)
        clock.pass_by(seconds=4)
        assert isinstance(await ended(after, task), Finished)


async def test_a_finished_task_is_not_drawn_again_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock, seconds=0) as before:
        task = (await before.submit(REQUEST)).task_id
        await ended(before, task)
    async with opened(tmp_path, clock, seconds=0) as after:
        assert isinstance(await after.status(task, DEMO), Finished)
        assert after.most == 0


async def test_one_video_is_drawn_at_a_time(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock, seconds=0) as provider:
        tasks = [(await provider.submit(REQUEST)).task_id for _ in range(3)]
        for task in tasks:
            assert isinstance(await ended(provider, task), Finished)
        assert provider.most == 1


async def test_pictures_may_be_deleted_once_the_task_is_taken(tmp_path: Path, clock: Clock) -> None:
    first, last = picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    asked = replace(REQUEST, mode=Mode.FIRST_LAST, image=first, last_image=last)
    async with opened(tmp_path, clock, seconds=0) as provider:
        task = (await provider.submit(asked)).task_id
        first.path.unlink()
        last.path.unlink()
        assert isinstance(await ended(provider, task), Finished)


async def test_a_standing_picture_makes_a_standing_video(tmp_path: Path, clock: Clock) -> None:
    media = picture(tmp_path / "a.png", size=(200, 300))
    async with opened(tmp_path, clock, seconds=0) as provider:
        task = (await provider.submit(replace(REQUEST, mode=Mode.IMAGE, image=media, aspect_ratio=None))).task_id
        assert size_and_seconds(path_of(await ended(provider, task))) == (480, 854, 2.0)


async def test_the_seed_decides_and_without_one_every_task_differs(tmp_path: Path, clock: Clock) -> None:
    videos: list[bytes] = []
    async with opened(tmp_path, clock, seconds=0) as provider:
        for seed in (5, 5, None, None):
            task = (await provider.submit(replace(REQUEST, seed=seed))).task_id
            videos.append(path_of(await ended(provider, task)).read_bytes())
    assert videos[0] == videos[1]
    assert len(set(videos)) == 3


async def test_a_cancelled_task_is_ended_and_forgotten(provider: CountingProvider, tmp_path: Path) -> None:
    task = (await provider.submit(REQUEST)).task_id
    while not provider.running:  # noqa: ASYNC110 - the process tells nobody that it began
        await asyncio.sleep(0.01)
    assert await provider.cancel(task)
    assert provider.running == 0
    assert list((tmp_path / "demo").iterdir()) == []
    with pytest.raises(ContractBroken):
        await provider.status(task, DEMO)
    assert await provider.cancel(task)


async def test_a_task_that_waits_for_its_turn_can_be_cancelled(provider: CountingProvider, clock: Clock) -> None:
    first, second = (await provider.submit(REQUEST)).task_id, (await provider.submit(REQUEST)).task_id
    assert await provider.cancel(second)
    clock.pass_by(seconds=8)
    assert isinstance(await ended(provider, first), Finished)


async def test_a_finished_task_can_not_be_cancelled(tmp_path: Path, clock: Clock) -> None:
    async with opened(tmp_path, clock, seconds=0) as provider:
        task = (await provider.submit(REQUEST)).task_id
        path = path_of(await ended(provider, task))
        assert not await provider.cancel(task)
        assert path.exists()


@pytest.mark.parametrize("task_id", ["0123456789abcdef", "", "..", "../demo", "a/b", "\x00", "x" * 400])
async def test_an_unknown_task_breaks_the_contract(provider: DemoProvider, task_id: str) -> None:
    with pytest.raises(ContractBroken):
        await provider.status(task_id, DEMO)


async def test_a_task_that_can_not_be_read_breaks_the_contract(provider: DemoProvider, tmp_path: Path) -> None:
    task = (await provider.submit(REQUEST)).task_id
    (tmp_path / "demo" / task / "task.json").write_text("{}")
    with pytest.raises(ContractBroken):
        await provider.status(task, DEMO)


async def test_what_can_not_be_drawn_is_tried_twice_and_rejected(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    media = Media(path=tmp_path / "no.png", content_type="image/png")
    async with opened(tmp_path, clock) as provider:
        task = (await provider.submit(replace(REQUEST, mode=Mode.IMAGE, image=media))).task_id
        assert await ended(provider, task) == Rejected(reason="the video could not be drawn")
        assert caplog.text.count("cannot identify image file") == 2
    async with opened(tmp_path, clock) as after:
        assert isinstance(await after.status(task, DEMO), Rejected)


async def test_nothing_is_left_of_a_task_that_can_not_be_stored(provider: DemoProvider, tmp_path: Path) -> None:
    media = Media(path=tmp_path / "gone.png", content_type="image/png")
    with pytest.raises(Unavailable):
        await provider.submit(replace(REQUEST, mode=Mode.IMAGE, image=media))
    assert list((tmp_path / "demo").iterdir()) == []


async def test_tasks_of_yesterday_are_removed_by_the_next_one(provider: DemoProvider, clock: Clock) -> None:
    old = (await provider.submit(REQUEST)).task_id
    clock.pass_by(hours=20)
    await ended(provider, old)
    recent = (await provider.submit(REQUEST)).task_id
    clock.pass_by(hours=5)
    await provider.submit(REQUEST)
    with pytest.raises(ContractBroken):
        await provider.status(old, DEMO)
    await provider.status(recent, DEMO)


async def test_the_drawing_process_sees_no_secrets(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\nenv > {seen}\nexit 1\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    monkeypatch.setenv("DISCORD_TOKEN", "very secret")
    async with opened(tmp_path, clock) as provider:
        assert isinstance(await ended(provider, (await provider.submit(REQUEST)).task_id), Rejected)
    assert "PATH=" in seen.read_text()
    assert "very secret" not in seen.read_text()


async def test_a_check_needs_nothing(provider: DemoProvider) -> None:
    await provider.check()


def test_the_provider_loads_neither_ffmpeg_nor_pillow() -> None:
    code = "import sys, providers.demo; sys.exit(bool({'av', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0  # noqa: S603 - ours
