"""How many requests a vendor gets: so many a minute, so many at once, submissions first.

Where several processes ask one vendor, each also asks a ``Tally``, which counts the requests of all of them.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

#: seconds in which a vendor counts requests
WINDOW = 60.0
#: seconds that a request takes at most, unless it is told
LONGEST = 120.0
#: seconds; a clock that is read a hair too early must not make the waiting spin
_SHORTEST_NAP = 0.001
#: seconds; a slot that was given longer ago, to a process that slept meanwhile, may not be free any more
FRESH = 10.0


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


class CannotCount(Exception):  # noqa: N818
    """Who counts the requests of all processes can't be reached. Nothing was sent, nothing was counted."""


@dataclass(frozen=True, slots=True)
class Wait:
    """There is no room now, and may be some after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a request asks of a tally."""

    priority: Priority
    #: seconds that it would wait
    patience: float
    #: seconds after which it is over, whatever happens
    lasts: float
    #: what all processes may do together within so many seconds; None: no limit
    requests_per_minute: int | None
    window: float
    #: and at the same time
    concurrency: int


class Tally(Protocol):
    """Counts the requests to one vendor, of all processes that share its limits."""

    async def begin(self, wanted: Wanted) -> int | Wait:
        """Count a request that is about to be sent, and give its number, or tell that there is no room.

        Answers within seconds; a caller that is cancelled has counted nothing. Raises ``CannotCount``.
        """
        ...

    def end(self, number: int, *, was_sent: bool = True) -> None:
        """Tell that a request has ended, or that it was never sent and doesn't count. Returns at once."""
        ...

    def hold(self, seconds: float) -> None:
        """Let no process in for so many seconds from now. Returns at once."""
        ...


@dataclass(order=True, slots=True)
class _Turn:
    """One request that waits. It is let in with its number in the tally, if there is one."""

    priority: Priority
    number: int
    patience: float = field(compare=False)
    #: seconds of the clock
    gives_up_at: float = field(compare=False)
    lasts: float = field(compare=False)
    let_in: asyncio.Future[int | None] = field(compare=False)


class RequestBudget:
    """Slots for the requests to one vendor, submissions and polls together.

    The vendor counts a request when it arrives, which is somewhere between its start and its end.
    So a request counts from its start until a minute after its end: whatever the network does, no
    60 s of the vendor's own clock see more than ``requests_per_minute``.

    With a tally the limits are those of all processes together: who may go here asks it, and waits
    for the others as well.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None,
        concurrency: int = 4,
        tally: Tally | None = None,
        window: float = WINDOW,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Set the limits.

        Args:
            requests_per_minute: 1 or more; None: as many as fit through ``concurrency``.
            concurrency: requests at the same time, 1 or more.
            tally: counts the requests of other processes, too; None: there are none.
            window: seconds in which the vendor counts.
            clock: monotonic seconds.
            sleep: waits so many seconds of that clock.

        Raises:
            ValueError: a limit is below 1.
        """
        if concurrency < 1 or (requests_per_minute is not None and requests_per_minute < 1):
            raise ValueError("a budget needs at least one request")
        self.requests_per_minute = requests_per_minute
        self._concurrency = concurrency
        self._tally = tally
        self._window = window
        self._clock = clock
        self._sleep = sleep
        self._in_flight = 0
        #: when the requests of the last minute ended, oldest first
        self._ended: deque[float] = deque()
        self._held_until = -math.inf
        self._waiting: list[_Turn] = []
        self._numbers = itertools.count()
        self._left = asyncio.Event()
        #: somebody else stands first now
        self._overtaken = asyncio.Event()
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
    async def slot(
        self, priority: Priority, *, patience: float = math.inf, lasts: float = LONGEST
    ) -> AsyncGenerator[None]:
        """Wait until a request may go, and count it. One ``async with`` is one request.

        Args:
            priority: who goes first.
            patience: seconds.
            lasts: seconds; the block is left earlier, if its process doesn't die.

        Raises:
            NoSlotSoon: the wait is, or by a later ``hold_until`` becomes, longer than ``patience`` seconds.
            CannotCount: the tally can't be reached.
        """
        number = await self._enter(priority, patience, lasts)
        try:
            yield
        finally:
            self._leave(number)

    def hold_until(self, moment: float) -> None:
        """Let nobody in before ``moment`` (seconds of the clock). An earlier moment than the last changes nothing."""
        if self._tally is not None and moment > self._held_until:
            self._tally.hold(moment - self._clock())
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

        Counted are the minute's budget, a hold, and who waits already and goes before. Not counted are
        the wait for running requests to end, which nobody can know, and other processes.
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
            times.append(earliest if counted < 0 else max(earliest, times[counted] + self._window))
        return times[-1] - now

    async def _enter(self, priority: Priority, patience: float, lasts: float) -> int | None:
        wait = self.expected_wait(priority)
        if wait > patience:
            raise NoSlotSoon(wait)
        if self._tally is None and not self._waiting and self._delay() == 0:
            self._in_flight += 1
            return None
        let_in: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        gives_up_at = self._clock() + patience
        return await self._queue(_Turn(priority, next(self._numbers), patience, gives_up_at, lasts, let_in))

    async def _queue(self, turn: _Turn) -> int | None:
        heapq.heappush(self._waiting, turn)
        if self._waiting[0] is turn:
            self._overtaken.set()
        if self._doorkeeper is None or self._doorkeeper.done():
            self._doorkeeper = asyncio.create_task(self._keep_door())
        try:
            return await turn.let_in
        except asyncio.CancelledError:
            self._give_up(turn)
            raise

    def _give_up(self, turn: _Turn) -> None:
        """Leave the queue, or hand back a slot that was given in the same instant and never used."""
        self._forget_turn(turn)
        if turn.let_in.done() and not turn.let_in.cancelled() and turn.let_in.exception() is None:
            self._tell_end(turn.let_in.result(), was_sent=False)
            self._in_flight -= 1
            self._left.set()
        self._dismiss_doorkeeper()

    def _leave(self, number: int | None) -> None:
        self._tell_end(number)
        self._in_flight -= 1
        if self.requests_per_minute is not None:
            self._ended.append(self._clock())
        self._left.set()

    def _tell_end(self, number: int | None, *, was_sent: bool = True) -> None:
        if self._tally is not None and number is not None:
            self._tally.end(number, was_sent=was_sent)

    def _forget_turn(self, turn: _Turn) -> None:
        self._waiting = [other for other in self._waiting if other is not turn]
        heapq.heapify(self._waiting)

    def _forget(self, now: float) -> None:
        while self._ended and self._ended[0] + self._window <= now:
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
        return max(held, self._ended[0] + self._window - now)

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
            elif self._tally is None:
                self._admit(heapq.heappop(self._waiting))
            else:
                await self._ask(self._tally, self._waiting[0])

    def _admit(self, turn: _Turn, number: int | None = None) -> None:
        # a turn may have been cancelled already without having left the queue yet
        if not turn.let_in.done():
            self._in_flight += 1
            turn.let_in.set_result(number)

    async def _ask(self, tally: Tally, turn: _Turn) -> None:
        """Let in who is first, unless the other processes leave no room: then wait for some."""
        if turn.let_in.done():
            self._forget_turn(turn)
            return
        self._overtaken.clear()
        asked_at = self._clock()
        try:
            answer = await tally.begin(self._wanted(turn, asked_at))
        except CannotCount as error:
            self._send_everybody_away(error)
            return
        now = self._clock()
        if isinstance(answer, Wait):
            if now + answer.seconds > turn.gives_up_at:
                self._send_away(turn, NoSlotSoon(answer.seconds))
            else:
                await self._nap(answer.seconds)
        elif turn.let_in.done() or self._delay() != 0 or now - asked_at > FRESH:
            # who asked is gone, a vendor has said 429 meanwhile, or we have slept
            tally.end(answer, was_sent=False)
        else:
            self._forget_turn(turn)
            self._admit(turn, answer)

    def _wanted(self, turn: _Turn, now: float) -> Wanted:
        return Wanted(
            priority=turn.priority,
            patience=turn.gives_up_at - now,
            lasts=turn.lasts,
            requests_per_minute=self.requests_per_minute,
            window=self._window,
            concurrency=self._concurrency,
        )

    async def _nap(self, seconds: float) -> None:
        """Wait for room, but not while somebody else stands first."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, _SHORTEST_NAP)):
                await self._overtaken.wait()

    def _send_away(self, turn: _Turn, error: Exception) -> None:
        self._forget_turn(turn)
        if not turn.let_in.done():
            turn.let_in.set_exception(error)

    def _send_everybody_away(self, error: CannotCount) -> None:
        for turn in list(self._waiting):
            self._send_away(turn, CannotCount(*error.args))

    def _dismiss_doorkeeper(self) -> None:
        """Don't leave a task asleep for a queue that is empty."""
        if not self._waiting and self._doorkeeper is not None:
            self._doorkeeper.cancel()
            self._doorkeeper = None
