"""One process for each SQLite file: a second one would take up the first one's jobs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url


class DatabaseInUse(OSError):  # noqa: N818 - it names what was found
    """Another process works with the same SQLite file."""


@contextmanager
def only_process(url: str) -> Generator[None]:
    """Keep a SQLite database to this process; on PostgreSQL several may work. Raises ``DatabaseInUse``.

    The kernel drops the lock with the process, however it ends. Backups and checks don't need it.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        yield
        return
    # by whatever name it is called: SQLite itself follows links
    path = Path(parsed.database).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read().strip() or "unknown"
            advice = "stop it first, or give this one a DATA_DIR of its own"
            raise DatabaseInUse(f"{path} is in use by another wanbot (process {who}): {advice}") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
