from __future__ import annotations

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.budget import WINDOW, NoSlotSoon, Priority, RequestBudget

if TYPE_CHECKING:
    from collections.abc import Coroutine


class VirtualTime:
    """A clock on which an hour passes at once: whenever everybody sleeps, it jumps to who wakes first."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), woken))
        await woken

    async def run(self, *jobs: Coroutine[object, object, object]) -> None:
        tasks = [asyncio.create_task(job) for job in jobs]
        await self.settle()
        while not all(task.done() for task in tasks):
            self._wake_first()
            await self.settle()
        await asyncio.gather(*tasks)

    async def settle(self) -> None:
        for _ in range(12):
            await asyncio.sleep(0)

    def _wake_first(self) -> None:
        assert self._sleepers, "everybody waits and nobody sleeps"
        moment, _, woken = heapq.heappop(self._sleepers)
        if not woken.done():
            self.now = max(self.now, moment)
            woken.set_result(None)


@dataclass
class Request:
    """One request of a run, and what became of it."""

    arrives: float
    priority: Priority
    takes: float
    gives_up_after: float | None = None
    started: float | None = field(default=None, compare=False)
    ended: float | None = field(default=None, compare=False)


async def send(time: VirtualTime, budget: RequestBudget, request: Request) -> None:
    await time.sleep(request.arrives)
    request.arrives = time.now
    task = asyncio.current_task()
    assert task is not None
    killer = asyncio.create_task(cancel_later(time, task, request)) if request.gives_up_after is not None else None
    try:
        async with budget.slot(request.priority):
            request.started = time.now
            await time.sleep(request.takes)
    except asyncio.CancelledError:
        task.uncancel()
    finally:
        request.ended = time.now
        if killer is not None:
            killer.cancel()


async def cancel_later(time: VirtualTime, task: asyncio.Task[object], request: Request) -> None:
    await time.sleep(request.gives_up_after or 0.0)
    if request.ended is None:
        task.cancel()


REQUESTS = st.lists(
    st.builds(
        Request,
        arrives=st.floats(0, 200, allow_nan=False),
        priority=st.sampled_from(Priority),
        takes=st.sampled_from([0.0, 0.2, 5.0, 61.0]),
        gives_up_after=st.none() | st.floats(0, 100),
    ),
    max_size=25,
)


def starts_of(requests: list[Request]) -> list[float]:
    return sorted(request.started for request in requests if request.started is not None)


@given(requests=REQUESTS, per_minute=st.integers(1, 6), concurrency=st.integers(1, 4))
def test_no_minute_sees_more_than_the_budget_and_submissions_go_first(
    requests: list[Request], per_minute: int, concurrency: int
) -> None:
    time = VirtualTime()

    async def run() -> RequestBudget:
        budget = RequestBudget(
            requests_per_minute=per_minute, concurrency=concurrency, clock=time.clock, sleep=time.sleep
        )
        await time.run(*(send(time, budget, request) for request in requests))
        return budget

    budget = asyncio.run(run())

    starts = starts_of(requests)
    assert all(later - earlier >= WINDOW - 1e-6 for earlier, later in zip(starts, starts[per_minute:], strict=False))
    assert_never_more_at_once(requests, concurrency)
    assert_submissions_first(requests)
    assert budget.in_flight == 0
    assert budget.waiting == 0
    assert all(request.started is not None or request.gives_up_after is not None for request in requests)


def assert_never_more_at_once(requests: list[Request], concurrency: int) -> None:
    for one in requests:
        running = [
            other
            for other in requests
            if other.started is not None
            and other.ended is not None
            and one.started is not None
            and other.started <= one.started < other.ended
        ]
        assert len(running) <= concurrency


def assert_submissions_first(requests: list[Request]) -> None:
    submissions = [request for request in requests if request.priority is Priority.SUBMIT]
    for poll in (request for request in requests if request.priority is Priority.POLL):
        if poll.started is None:
            continue
        overtaken = [s for s in submissions if s.arrives < poll.started and (s.started or s.ended or 0) > poll.started]
        assert not overtaken


@given(
    waiting=st.lists(st.sampled_from(Priority), max_size=12),
    per_minute=st.integers(1, 4),
    hold=st.none() | st.floats(0, 200),
)
def test_the_expected_wait_comes_true(waiting: list[Priority], per_minute: int, hold: float | None) -> None:
    time = VirtualTime()
    waits: list[tuple[float, float]] = []

    async def run() -> None:
        budget = RequestBudget(requests_per_minute=per_minute, clock=time.clock, sleep=time.sleep)
        if hold is not None:
            budget.hold_for(hold)
        # in the order in which they will go, or a later one would change what an earlier one was told
        others = [Request(0.0, priority, 0.0) for priority in sorted(waiting)]
        await time.run(*(send(time, budget, request) for request in others), ask(budget))

    async def ask(budget: RequestBudget) -> None:
        await time.sleep(0.0)
        begin, expected = time.now, budget.expected_wait(Priority.POLL)
        async with budget.slot(Priority.POLL):
            waits.append((expected, time.now - begin))

    asyncio.run(run())
    (expected, actual) = waits[0]
    assert actual == pytest.approx(expected, abs=0.01 * (len(waiting) + 2))


async def test_without_a_limit_nobody_waits() -> None:
    budget = RequestBudget(requests_per_minute=None, concurrency=3)
    for _ in range(100):
        async with budget.slot(Priority.POLL):
            assert budget.expected_wait() == 0


async def test_without_a_limit_there_is_still_one_at_a_time() -> None:
    time = VirtualTime()
    budget = RequestBudget(requests_per_minute=None, concurrency=1, clock=time.clock, sleep=time.sleep)
    requests = [Request(0.0, Priority.POLL, 2.0) for _ in range(3)]
    await time.run(*(send(time, budget, request) for request in requests))
    assert starts_of(requests) == [1000.0, 1002.0, 1004.0]


async def test_a_request_counts_from_its_end() -> None:
    time = VirtualTime()
    budget = RequestBudget(requests_per_minute=1, clock=time.clock, sleep=time.sleep)
    requests = [Request(0.0, Priority.POLL, 4.0), Request(1.0, Priority.POLL, 0.0)]
    await time.run(*(send(time, budget, request) for request in requests))
    assert starts_of(requests) == [1000.0, 1064.0]


async def test_a_hold_stops_everybody_and_is_never_shortened() -> None:
    time = VirtualTime()
    budget = RequestBudget(requests_per_minute=10, clock=time.clock, sleep=time.sleep)
    budget.hold_until(1030.0)
    budget.hold_until(1010.0)
    assert budget.expected_wait(Priority.SUBMIT) == 30.0
    requests = [Request(0.0, Priority.SUBMIT, 0.0), Request(0.0, Priority.POLL, 0.0)]
    await time.run(*(send(time, budget, request) for request in requests))
    assert starts_of(requests) == [1030.0, 1030.0]


async def test_a_hold_that_comes_while_somebody_waits_counts_too() -> None:
    time = VirtualTime()
    budget = RequestBudget(requests_per_minute=1, clock=time.clock, sleep=time.sleep)
    requests = [Request(0.0, Priority.POLL, 0.0), Request(0.0, Priority.POLL, 0.0)]

    async def hold() -> None:
        await time.sleep(59.0)
        budget.hold_for(100.0)

    await time.run(*(send(time, budget, request) for request in requests), hold())
    assert starts_of(requests) == [1000.0, 1159.0]


async def test_who_has_no_patience_is_told_at_once() -> None:
    time = VirtualTime()
    budget = RequestBudget(requests_per_minute=1, clock=time.clock, sleep=time.sleep)
    async with budget.slot(Priority.SUBMIT):
        pass
    with pytest.raises(NoSlotSoon) as told:
        async with budget.slot(Priority.SUBMIT, patience=10.0):
            pytest.fail("let in")
    assert told.value.seconds == 60.0
    assert budget.expected_wait() == 60.0


async def test_who_waits_already_is_sent_away_by_a_longer_hold() -> None:
    time = VirtualTime()
    budget = RequestBudget(requests_per_minute=None, concurrency=1, clock=time.clock, sleep=time.sleep)
    told: list[float] = []

    async def impatient() -> None:
        try:
            async with budget.slot(Priority.SUBMIT, patience=10.0):
                pytest.fail("let in")
        except NoSlotSoon as error:
            told.append(error.seconds)

    async def limited() -> None:
        async with budget.slot(Priority.SUBMIT):
            await time.sleep(1.0)
            budget.hold_for(30.0)

    await time.run(limited(), impatient())
    assert told == [30.0]


async def test_a_cancelled_wait_leaves_no_trace() -> None:
    budget = RequestBudget(requests_per_minute=1)
    async with budget.slot(Priority.POLL):
        waiting = asyncio.create_task(wait_for_slot(budget))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0)
    assert budget.waiting == 0
    assert budget.in_flight == 0
    assert len(asyncio.all_tasks()) == 1


async def test_a_slot_given_to_who_is_cancelled_in_the_same_instant_goes_to_the_next() -> None:
    budget = RequestBudget(requests_per_minute=None, concurrency=1)
    async with budget.slot(Priority.POLL):
        first = asyncio.create_task(wait_for_slot(budget))
        second = asyncio.create_task(wait_for_slot(budget))
        await asyncio.sleep(0)
        assert budget.waiting == 2
    await until_somebody_is_in(budget)
    first.cancel()
    await asyncio.wait_for(second, 1)
    assert first.cancelled()
    assert budget.in_flight == 0


async def test_who_gives_up_before_being_let_in_is_passed_over() -> None:
    budget = RequestBudget(requests_per_minute=None, concurrency=1)
    async with budget.slot(Priority.POLL):
        first = asyncio.create_task(wait_for_slot(budget))
        second = asyncio.create_task(wait_for_slot(budget))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    # the slot is free, but nobody has been told yet
    first.cancel()
    await asyncio.wait_for(second, 1)
    assert first.cancelled()
    assert budget.in_flight == 0


async def test_nobody_slips_in_before_who_waits() -> None:
    budget = RequestBudget(requests_per_minute=None, concurrency=1)
    order: list[str] = []
    async with budget.slot(Priority.POLL):
        waiting = asyncio.create_task(wait_for_slot(budget, order, "who waited"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    # the slot is free, but nobody has been told yet
    await wait_for_slot(budget, order, "who came later")
    await waiting
    assert order == ["who waited", "who came later"]


async def until_somebody_is_in(budget: RequestBudget) -> None:
    for _ in range(10):
        if budget.in_flight:
            return
        await asyncio.sleep(0)
    pytest.fail("nobody was let in")


async def wait_for_slot(budget: RequestBudget, order: list[str] | None = None, name: str = "") -> None:
    async with budget.slot(Priority.POLL):
        if order is not None:
            order.append(name)


@pytest.mark.parametrize(("per_minute", "concurrency"), [(0, 1), (1, 0), (-1, 1)])
def test_a_budget_of_nothing_is_a_mistake(per_minute: int, concurrency: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        RequestBudget(requests_per_minute=per_minute, concurrency=concurrency)
