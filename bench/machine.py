"""What the machine does beside the bench: memory of processes, and how steady it is."""

from __future__ import annotations

import asyncio
import os
import platform
import sqlite3
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

MB: Final = 1_000_000
_KIB: Final = 1024
#: seconds between two looks at the memory
_PACE: Final = 0.25
_SAMPLES: Final = 25
_BEFORE_COMMITS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "DROP TABLE IF EXISTS t",
    "CREATE TABLE t (n INTEGER)",
)


def pss(pid: int) -> int:
    """Bytes of memory of a process, with its part of what it shares with others; 0: it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * _KIB for line in lines if line.startswith("Pss:"))


def children(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


class Peaks:
    """The most memory that a process, and each of its children, was seen with."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peaks = defaultdict[int, int](int)

    @property
    def own(self) -> int:
        """Bytes of the process itself."""
        return self._peaks[self._pid]

    @property
    def children(self) -> list[int]:
        """Bytes of each child."""
        return [peak for pid, peak in self._peaks.items() if pid != self._pid]

    def look(self) -> None:
        """Look once."""
        for pid in (self._pid, *children(self._pid)):
            self._peaks[pid] = max(self._peaks[pid], pss(pid))


@asynccontextmanager
async def watched_memory(pid: int) -> AsyncGenerator[Peaks]:
    """Look at the memory of a process again and again within the block."""
    peaks = Peaks(pid)

    async def look_on() -> None:
        while True:
            peaks.look()
            await asyncio.sleep(_PACE)

    looking = asyncio.create_task(look_on())
    try:
        yield peaks
    finally:
        peaks.look()
        looking.cancel()


def cpu_seconds(pid: int) -> float:
    """Seconds that a process has computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def noise(folder: Path) -> dict[str, object]:
    """How fast the machine is, and by how much it differs from moment to moment."""
    loops = [_seconds_of_loop() for _ in range(_SAMPLES)]
    commits = _seconds_of_commits(folder / "noise.db")
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "loop_ms": 1000 * statistics.median(loops),
        "loop_spread": max(loops) / min(loops),
        "commit_ms": 1000 * statistics.median(commits),
        "commit_p95_ms": 1000 * sorted(commits)[int(0.95 * len(commits))],
    }


def _seconds_of_loop() -> float:
    begun = time.perf_counter()
    for _ in range(200_000):
        pass
    return time.perf_counter() - begun


def _seconds_of_commits(path: Path) -> list[float]:
    """Seconds of each of some durable commits."""
    seconds: list[float] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in _BEFORE_COMMITS:
            connection.execute(statement)
        for value in range(8 * _SAMPLES):
            begun = time.perf_counter()
            connection.execute("INSERT INTO t VALUES (?)", (value,))
            seconds.append(time.perf_counter() - begun)
    return seconds
