"""``wanbot``, with a watch on its event loop, its commits and its plans: ``python -m bench.watched run``.

Every second it appends a line of JSON to the file that WATCH names. It stands outside of the code that it
watches: it wraps asyncio's callbacks, the database's ``write`` and the agenda's ``put``.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
import time
from asyncio import events
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

#: seconds between two lines
_PACE: Final = 1.0
#: so many of the longest callbacks are named
_NAMED: Final = 5


class Watch:
    """What was seen since the last line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writes = 0
        #: the longest callbacks: seconds by the clock, of them computed by this thread, what it was
        self._longest: list[tuple[float, float, str]] = []
        #: monotonic seconds at which a job is to be looked at
        self._plans: list[tuple[str, float]] = []

    def begin(self) -> None:
        """Put the probes in place, and write on in a thread."""
        from bot.database.engine import SqliteDatabase  # noqa: PLC0415 - the program decides when it imports
        from bot.jobs.agenda import Agenda  # noqa: PLC0415

        events.Handle._run = self._timed(events.Handle._run)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - there is no other way to see every callback
        SqliteDatabase.write = self._counted(SqliteDatabase.write)
        Agenda.put = self._planned(Agenda.put)
        threading.Thread(target=self._go_on, daemon=True).start()

    def _timed(self, run: Callable[[Any], None]) -> Callable[[Any], None]:
        def timed(handle: Any) -> None:
            begun, worked = time.perf_counter(), time.thread_time()
            run(handle)
            seconds = time.perf_counter() - begun
            if len(self._longest) < _NAMED or seconds > self._longest[-1][0]:
                self._longest.append((seconds, time.thread_time() - worked, _name_of(handle)))
                self._longest.sort(reverse=True)
                del self._longest[_NAMED:]

        return timed

    def _counted(self, write: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        @functools.wraps(write)
        async def counted(*arguments: Any) -> Any:
            self._writes += 1
            return await write(*arguments)

        return counted

    def _planned(self, put: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(put)
        def planned(agenda: Any, job_id: str, when: datetime) -> None:
            put(agenda, job_id, when)
            self._plans.append((job_id, time.monotonic() + (when - datetime.now(UTC)).total_seconds()))

        return planned

    def _go_on(self) -> None:
        while True:
            time.sleep(_PACE)
            longest, self._longest = self._longest, []
            plans, self._plans = self._plans, []
            line = {"at": time.monotonic(), "writes": self._writes, "longest": longest, "plans": plans}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def _name_of(handle: Any) -> str:
    return repr(getattr(handle, "_callback", handle))[:300]


def main() -> int:
    """Watch a command of ours."""
    from bot.__main__ import main as command  # noqa: PLC0415 - after the clock of the start has begun

    Watch(Path(os.environ["WATCH"])).begin()
    return command()


if __name__ == "__main__":
    sys.exit(main())
