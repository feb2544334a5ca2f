"""The child process in which media files are opened, so that a hostile one can at worst kill a child.

One JSON object per line: a task comes on standard input, its answer goes to standard output. The
process ends when its input ends, so it never outlives the bot by more than one task.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from bot.languages import speaking
from bot.media import chart_work, image_work, sheet_work, video_work
from bot.media.errors import MediaError, MediaFailed

#: a task takes and returns what JSON can hold
Work = Callable[[dict[str, Any]], dict[str, Any] | None]

TASKS: Mapping[str, Work] = {
    "fit_image": image_work.fit,
    "check_video": video_work.check,
    "fit_video": video_work.fit,
    "last_frame": video_work.last_frame,
    "frame": video_work.frame,
    "contact_sheet": sheet_work.contact_sheet,
    "draw_usage": chart_work.draw_usage,
}

#: bytes; no result of ours is larger, and a full disk would hurt the database
FILE_SIZE_LIMIT = 1024**3


def serve(tasks: Mapping[str, Work], arguments: list[str]) -> None:
    """Answer tasks until standard input ends.

    Args:
        tasks: by name, what to run.
        arguments: the memory limit in bytes, then the CPU limit of one task in seconds.
    """
    memory_limit, cpu_seconds = int(arguments[0]), int(arguments[1])
    answers = _own_output()
    _step_back()
    _limit(memory_limit)
    for line in sys.stdin.buffer:
        _allow_cpu(cpu_seconds)
        answers.write(json.dumps(_answer(tasks, line)).encode() + b"\n")
        answers.flush()


def _own_output() -> BinaryIO:
    """Keep the answers' pipe, and lead everything that a codec library prints elsewhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    logging.disable()
    return answers


def _step_back() -> None:
    """Compute when the bot has nothing to do, and don't push it aside whenever a task comes."""
    os.nice(5)
    # Linux alone has it; the other systems go by the niceness
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _limit(memory_limit: int) -> None:
    """Bound the memory by what is writable (RLIMIT_DATA), and the address space as a second wall."""
    _set_limit(resource.RLIMIT_DATA, memory_limit)
    _set_limit(resource.RLIMIT_AS, _address_space() + 2 * memory_limit)
    _set_limit(resource.RLIMIT_FSIZE, FILE_SIZE_LIMIT)
    _set_limit(resource.RLIMIT_CORE, 0)


def _address_space() -> int:
    """What the process occupies already, in bytes; most of it is code of libraries."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def _set_limit(which: int, value: int) -> None:
    # Some systems (macOS) know a limit and refuse to set it; the time limit still holds there.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(which, (value, value))


def _allow_cpu(seconds: int) -> None:
    """Move the limit of CPU time ahead of what was used: it is per process, but meant per task."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _answer(tasks: Mapping[str, Work], line: bytes) -> dict[str, Any]:
    """Run one task; whatever it raises becomes an answer."""
    request: dict[str, Any] = json.loads(line)
    answer: dict[str, Any] = {"id": request["id"]}
    try:
        # what is wrong with a file is said to whoever sent it
        with speaking(request["language"]):
            answer["result"] = tasks[request["task"]](request["arguments"])
    except MediaError as error:
        answer |= {"error": type(error).__name__, "reason": error.reason}
    except MemoryError:
        answer |= {"error": MediaFailed.__name__, "reason": "out of memory"}
    except Exception as error:  # noqa: BLE001 - libraries raise anything on a hostile file
        answer |= {"error": MediaFailed.__name__, "reason": f"{type(error).__name__}: {error}"[:200]}
    return answer


if __name__ == "__main__":
    serve(TASKS, sys.argv[1:])
