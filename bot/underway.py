"""What members have asked for and isn't seen to yet: at a stop it is finished, or the member is told.

discord.py begins the tasks that answer a command, a button or a form while it reads the event, and keeps none of them
in view. So it reads the event in here, and every task that begins meanwhile is kept until it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import discord

Interaction: TypeAlias = discord.Interaction[Any]


@dataclass(slots=True)
class _Asked:
    """One event, and what discord.py makes of it."""

    interaction: Interaction | None = None


class Underway:
    """One for each client."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], _Asked] = {}
        #: the event that is being read
        self._read: _Asked | None = None
        self._is_closed = False

    def keeping(self, parse: Callable[[Any], None]) -> Callable[[Any], None]:
        """Let an event be read in here; after ``close`` it is passed over."""

        def parse_and_keep(payload: Any) -> None:
            # nobody answers it: another session of the shard may, or the member is told that there was no answer
            if self._is_closed:
                return
            asked = self._read = _Asked()
            loop = asyncio.get_running_loop()
            factory = loop.get_task_factory()

            def begin(loop: asyncio.AbstractEventLoop, work: Any, /, **options: Any) -> Any:
                task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, **options)
                self._tasks[task] = asked
                task.add_done_callback(self._tasks.pop)
                return task

            loop.set_task_factory(begin)
            try:
                parse(payload)
            finally:
                loop.set_task_factory(factory)
                self._read = None

        return parse_and_keep

    def is_about(self, interaction: Interaction) -> None:
        """Hear what discord.py has made of the event that is being read."""
        if self._read is not None:
            self._read.interaction = interaction

    def close(self) -> None:
        """Pass over what members ask for from now on."""
        self._is_closed = True

    async def finish(self, *, patience: float, grace: float) -> list[Interaction]:
        """Wait ``patience`` seconds for what is under way, then break it off; gives what was broken off.

        ``grace`` are the seconds that it gets to clear away behind itself.
        """
        if not self._tasks:
            return []
        _, late = await asyncio.wait(self._tasks, timeout=patience)
        broken_off = {id(asked): asked.interaction for asked in map(self._tasks.__getitem__, late)}
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=grace)
        return [each for each in broken_off.values() if each is not None]
