"""One video from request to file, for programs that need no bot around it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from providers.contract import Provider
from providers.errors import ContractBroken, Unavailable
from providers.links import Links
from providers.types import Finished, GenerationRequest, ModelSpec, Pending, Rejected, Submission

#: bytes; far more than any vendor's video has
LARGEST_VIDEO: Final = 512 * 1024 * 1024
#: seconds for one download
DOWNLOAD_TIME: Final = 300.0
#: seconds between two looks at a task
_PACE: Final = 5.0
_LOCAL_PACE: Final = 0.5

#: Is told how far a task is, from 0.0 to 1.0; None: the vendor doesn't say.
OnProgress = Callable[[float | None], None]


class NotMade(Exception):  # noqa: N818 - it names what happened
    """The vendor gave up on the task, or took too long. The text says why."""


async def generate(
    provider: Provider,
    request: GenerationRequest,
    target: Path,
    *,
    links: Links,
    on_submitted: Callable[[Submission], None] = lambda _: None,
    on_progress: OnProgress = lambda _: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Finished:
    """Submit once, watch the task, save the video as ``target``.

    Raises ``NotMade``, any ``ProviderError`` of the submission, and any ``LinkError`` of the download.
    """
    submission = await provider.submit(request)
    on_submitted(submission)
    return await fetch(
        provider, submission.task_id, request.model, target, links=links, on_progress=on_progress, sleep=sleep
    )


async def fetch(
    provider: Provider,
    task_id: str,
    model: ModelSpec,
    target: Path,
    *,
    links: Links,
    on_progress: OnProgress = lambda _: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Finished:
    """Watch a task that was submitted before, and save its video. Raises as ``generate``."""
    finished = await _watch(provider, task_id, model, on_progress, sleep)
    await links.fetch(
        finished.video_url, target, max_bytes=LARGEST_VIDEO, seconds=DOWNLOAD_TIME, allow_file=provider.is_local
    )
    return finished


async def _watch(
    provider: Provider,
    task_id: str,
    model: ModelSpec,
    on_progress: OnProgress,
    sleep: Callable[[float], Awaitable[None]],
) -> Finished:
    pace = _LOCAL_PACE if provider.is_local else _PACE
    waited = timedelta()
    while waited < model.deadline:
        wait = pace
        try:
            status = await provider.status(task_id, model)
        except (Unavailable, ContractBroken) as error:
            # looking again is free; the deadline bounds it
            wait = max(pace, error.retry_after or 0.0) if isinstance(error, Unavailable) else pace
            status = Pending()
        match status:
            case Finished():
                return status
            case Rejected():
                raise NotMade(status.reason or "the vendor gives no reason")
            case Pending():
                on_progress(status.progress)
        await sleep(wait)
        waited += timedelta(seconds=wait)
    raise NotMade(f"no video after {model.deadline}; the task may still finish")
