"""Programs under measurement: each a process of its own, ended with its context."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from tests import programs
from tests.programs import ROOT

__all__ = ["PATIENCE", "ROOT", "WANBOT", "WATCHED", "Program", "until"]

T = TypeVar("T")

#: Python loads a module from here before every program
_AS_INSTALLED: Final = Path(__file__).with_name("as_installed")
#: seconds; for anything that should take a moment
PATIENCE: Final = 60.0
#: seconds that a program may take to end when it is asked to
_STOP: Final = 10.0

#: ``wanbot run`` as it is, and the same with a watch on its event loop
WANBOT: Final = ("-m", "bot", "run")
WATCHED: Final = ("-m", "bench.watched", "run")


class Program(programs.Program):
    """A program that finds no more libraries than it would in the image, and that may end in its own time."""

    _first_paths = (_AS_INSTALLED,)

    async def end(self) -> None:
        """Ask it to end, and after ten seconds see to it."""
        try:
            await self.terminate(_STOP)
        except TimeoutError:
            await self.kill()


async def until(predicate: Callable[[], T | None], *, what: str, within: float = PATIENCE, pace: float = 0.005) -> T:
    """Ask every ``pace`` seconds until there is an answer. Raises ``TimeoutError``."""
    return await programs.until(predicate, lambda: what, within=within, pace=pace)
