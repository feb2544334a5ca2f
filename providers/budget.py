"""How many requests a vendor gets: so many a minute, so many at once, submissions first."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

#: seconds in which a vendor counts requests
WINDOW = 60.0
#: seconds; a clock that is read a hair too early must not make the waiting spin
_SHORTEST_NAP = 0.001


class Priority(IntEnum):
    """Who goes first when several wait; among equals, who came first."""

    SUBMIT = 0
    POLL = 1


class NoSlotSoon(Exception):  # noqa: N818 - it is an answer rather than a fault
    """The wait would be longer than the caller's patience. Nothing was sent, nothing was counted."""

    def __init__(self, seconds: float) -> None:
        """Tell in how many seconds a slot may be free."""
        super().__init__(f"no slot within {seconds:.0f} s")
        self.seconds = seconds


@dataclass(order=True, slots=True)
class _Turn:
    """One request that waits."""

    priority: Priority
    number: int
    patience: float = field(compare=False)
    let_in: asyncio.Future[None] = field(compare=False)


class RequestBudget:
    """Slots for the requests to one vendor, submissions and polls together.

    The vendor counts a request when it arrives, which is somewhere between its start and its end.
    So a request counts from its start until a minute after its end: whatever the network does, no
    60 s of the vendor's own clock see more than ``requests_per_minute``.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None,
        concurrency: int = 4,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Set the limits.

        Args:
            requests_per_minute: 1 or more; None: as many as fit through ``concurrency``.
            concurrency: requests at the same time, 1 or more.
            clock: monotonic seconds.
            sleep: waits so many seconds of that clock.

        Raises:
            ValueError: a limit is below 1.
        """
        if concurrency < 1 or (requests_per_minute is not None and requests_per_minute < 1):
            raise ValueError("a budget needs at least one request")
        self.requests_per_minute = requests_per_minute
        self._concurrency = concurrency
        self._clock = clock
        self._sleep = sleep
        self._in_flight = 0
        #: when the requests of the last minute ended, oldest first
        self._ended: deque[float] = deque()
        self._held_until = -math.inf
        self._waiting: list[_Turn] = []
        self._numbers = itertools.count()
        self._left = asyncio.Event()
        self._doorkeeper: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """How many requests run now."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """How many requests wait for their slot."""
        return len(self._waiting)

    @asynccontextmanager
    async def slot(self, priority: Priority, *, patience: float = math.inf) -> AsyncGenerator[None]:
        """Wait until a request may go, and count it. One ``async with`` is one request.

        Raises:
            NoSlotSoon: the wait is, or by a later ``hold_until`` becomes, longer than ``patience`` seconds.
        """
        await self._enter(priority, patience)
        try:
            yield
        finally:
            self._leave()

    def hold_until(self, moment: float) -> None:
        """Let nobody in before ``moment`` (seconds of the clock). An earlier moment than the last changes nothing."""
        self._held_until = max(self._held_until, moment)
        wait = self._held_until - self._clock()
        for turn in self._waiting:
            if wait > turn.patience and not turn.let_in.done():
                turn.let_in.set_exception(NoSlotSoon(wait))
        self._waiting = [turn for turn in self._waiting if not turn.let_in.done()]
        heapq.heapify(self._waiting)
        self._dismiss_doorkeeper()

    def hold_for(self, seconds: float) -> None:
        """Let nobody in for so many seconds from now."""
        self.hold_until(self._clock() + seconds)

    def expected_wait(self, priority: Priority = Priority.POLL) -> float:
        """Tell how many seconds a new request would wait now; 0.0: none.

        Counted are the minute's budget, a hold, and who waits already and goes before. Not counted is
        the wait for running requests to end, which nobody can know.
        """
        now = self._clock()
        self._forget(now)
        earliest = max(now, self._held_until)
        if self.requests_per_minute is None:
            return earliest - now
        ahead = sum(turn.priority <= priority for turn in self._waiting)
        times = [*self._ended, *[now] * self._in_flight]
        for _ in range(ahead + 1):
            counted = len(times) - self.requests_per_minute
            times.append(earliest if counted < 0 else max(earliest, times[counted] + WINDOW))
        return times[-1] - now

    async def _enter(self, priority: Priority, patience: float) -> None:
        wait = self.expected_wait(priority)
        if wait > patience:
            raise NoSlotSoon(wait)
        if not self._waiting and self._delay() == 0:
            self._in_flight += 1
            return
        await self._queue(_Turn(priority, next(self._numbers), patience, asyncio.get_running_loop().create_future()))

    async def _queue(self, turn: _Turn) -> None:
        heapq.heappush(self._waiting, turn)
        if self._doorkeeper is None or self._doorkeeper.done():
            self._doorkeeper = asyncio.create_task(self._keep_door())
        try:
            await turn.let_in
        except asyncio.CancelledError:
            self._give_up(turn)
            raise

    def _give_up(self, turn: _Turn) -> None:
        """Leave the queue, or hand back a slot that was given in the same instant and never used."""
        self._waiting = [other for other in self._waiting if other is not turn]
        heapq.heapify(self._waiting)
        if turn.let_in.done() and not turn.let_in.cancelled() and turn.let_in.exception() is None:
            self._in_flight -= 1
            self._left.set()
        self._dismiss_doorkeeper()

    def _leave(self) -> None:
        self._in_flight -= 1
        if self.requests_per_minute is not None:
            self._ended.append(self._clock())
        self._left.set()

    def _forget(self, now: float) -> None:
        while self._ended and self._ended[0] + WINDOW <= now:
            self._ended.popleft()

    def _delay(self) -> float | None:
        """Seconds until the next request may go; None: not before a running one has ended."""
        now = self._clock()
        self._forget(now)
        if self._in_flight >= self._concurrency:
            return None
        held = max(0.0, self._held_until - now)
        if self.requests_per_minute is None or len(self._ended) + self._in_flight < self.requests_per_minute:
            return held
        if not self._ended:
            return None
        return max(held, self._ended[0] + WINDOW - now)

    async def _keep_door(self) -> None:
        """Let in who waits, one by one, until nobody does."""
        while self._waiting:
            delay = self._delay()
            if delay is None:
                self._left.clear()
                await self._left.wait()
            elif delay > 0:
                # nothing makes this wait shorter; what made it longer is seen afterwards
                await self._sleep(max(delay, _SHORTEST_NAP))
            else:
                self._admit(heapq.heappop(self._waiting))

    def _admit(self, turn: _Turn) -> None:
        # a turn may have been cancelled already without having left the queue yet
        if not turn.let_in.done():
            self._in_flight += 1
            turn.let_in.set_result(None)

    def _dismiss_doorkeeper(self) -> None:
        """Don't leave a task asleep for a queue that is empty."""
        if not self._waiting and self._doorkeeper is not None:
            self._doorkeeper.cancel()
            self._doorkeeper = None
