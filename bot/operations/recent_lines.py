"""The latest warnings and errors of the log, for the operator's page, and how many there were."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, cast

#: lines that are kept
MOST: Final = 50
#: of what a line carries, ids and names of ours; not ``why``, where a vendor may quote anything
_IDS: Final = ("job", "guild", "interaction", "provider")
#: characters of one value
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log, without what others wrote into it."""

    at: datetime
    #: ``warning`` or ``error``
    level: str
    event: str
    #: such as ``job 0abc…``
    about: str


class RecentLines(logging.Handler):
    """Listens beside the log's own handler. Lines come from any thread."""

    def __init__(self, *, count: Callable[[str], None], most: int = MOST) -> None:
        """``count`` is told of the level of each line."""
        super().__init__(logging.WARNING)
        self._count = count
        self._lines = deque[Line](maxlen=most)

    @contextmanager
    def listening(self) -> Generator[None]:
        """Hear every logger's lines within the block."""
        root = logging.getLogger()
        root.addHandler(self)
        try:
            yield
        finally:
            root.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line. ``logging`` holds the handler's lock meanwhile."""
        level = "error" if record.levelno >= logging.ERROR else "warning"
        event, about = _told(record)
        self._lines.append(Line(datetime.fromtimestamp(record.created, UTC), level, event, about))
        self._count(level)

    def latest(self) -> list[Line]:
        """The lines that are kept, the newest first."""
        self.acquire()
        try:
            return list(reversed(self._lines))
        finally:
            self.release()


def _told(record: logging.LogRecord) -> tuple[str, str]:
    """What happened, and to what. A library's line is taken before its values are filled in."""
    message: object = record.msg
    if not isinstance(message, dict):
        return _cut(message), _cut(record.name)
    line = cast("Mapping[str, object]", message)
    about = ", ".join(f"{name} {line[name]}" for name in _IDS if line.get(name) is not None)
    return _cut(line.get("event", "")), _cut(about)


def _cut(value: object) -> str:
    return str(value)[:_LONGEST]
