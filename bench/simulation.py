"""How good the looks at running jobs are, in simulated time: no clock, no network, no database.

One job at a time tells how long a finished video waits, and how many looks that takes, beside the best that could be
done by who knows how long jobs take. Jobs that begin together tell what it does to them that the short ones teach
first. Many jobs that share a small budget tell the same beside a fair round-robin.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from random import Random
from statistics import fmean, quantiles
from typing import Final

from bot.jobs.distribution import Observation
from bot.jobs.durations import Durations, kind_of
from bot.jobs.job import Job, Request, State
from bot.jobs.schedule import Situation, next_look
from bot.jobs.watches import Watch, Watches
from providers.types import Mode

#: draws how many seconds a job takes
Draw = Callable[[Random], float]

SHAPES: Final[Mapping[str, Draw]] = {
    "even": lambda dice: dice.uniform(20, 60),
    "narrow": lambda dice: dice.gauss(40, 3),
    "long-tailed": lambda dice: 30 * math.exp(dice.gauss(0, 0.5)),
    "two humps": lambda dice: dice.gauss(25, 2) if dice.random() < 0.6 else dice.gauss(80, 6),
}

#: requests a minute that are never used up
AMPLE: Final = 6000
#: seconds in which a vendor counts requests
_WINDOW: Final = 60.0
#: seconds; what a request takes
_REQUEST: Final = 0.05
#: seconds between the beginnings of two jobs of a crowd
_APART: Final = 0.03
_MODEL: Final = "vendor/model"
_REQUESTED: Final = Request(prompt="a fox", mode=Mode.TEXT, resolution="480p", duration=5)
_KIND: Final = kind_of(_MODEL, _REQUESTED)
_BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one job."""

    #: the one that found it done counts
    looks: int
    #: seconds from its end to that look
    lag: float
    observation: Observation


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of many. Seconds, but for the looks of each."""

    looks: float
    lag: float
    #: 95 of 100 waited no longer
    late: float

    @classmethod
    def of(cls, seen: Sequence[Seen]) -> Figures:
        """The figures of at least two jobs."""
        lags = [each.lag for each in seen]
        return cls(fmean(each.looks for each in seen), fmean(lags), quantiles(lags, n=20, method="inclusive")[-1])


# --- one job at a time ---------------------------------------------------------------------------


def watched(seconds: float, durations: Durations, dice: Random, *, requests_per_minute: int | None = AMPLE) -> Seen:
    """Look at a job that takes so long until it is found done."""
    age = aim = running_at = 0.0
    looks = 0
    outlook = durations.outlook(_KIND)
    while True:
        situation = Situation(
            age=age, looks=looks, outlook=outlook, aim=aim, requests_per_minute=requests_per_minute, running=1
        )
        look = next_look(situation, chance=dice.random())
        age, aim, looks = age + look.wait, look.aim, looks + 1
        if age >= seconds:
            return Seen(looks, age - seconds, (running_at, age))
        running_at = age


def taught(draw: Draw, dice: Random, count: int, *, requests_per_minute: int | None = AMPLE) -> Durations:
    """What so many jobs teach, each looked at as those before it have taught."""
    durations = Durations()
    for _ in range(count):
        seen = watched(draw(dice), durations, dice, requests_per_minute=requests_per_minute)
        durations.learn(_KIND, seen.observation)
    return durations


def drawn(draw: Draw, durations: Durations, dice: Random, count: int) -> list[Seen]:
    """What becomes of so many more jobs; each of them teaches as well."""
    seen: list[Seen] = []
    for _ in range(count):
        seen.append(watched(draw(dice), durations, dice))
        durations.learn(_KIND, seen[-1].observation)
    return seen


def evenly(low: float, high: float, dice: Random, *, block: int) -> Draw:
    """Draw blocks that are spread evenly from ``low`` to ``high``, in random order within each."""
    left: list[float] = []

    def draw(_: Random) -> float:
        if not left:
            left.extend(low + (high - low) * (number + 0.5) / block for number in range(block))
            dice.shuffle(left)
        return left.pop()

    return draw


def known(draw: Draw, dice: Random, *, points: int = 600) -> list[float]:
    """A distribution as that many durations, each as likely as the others, ascending."""
    drawn = sorted(draw(dice) for _ in range(points * 20))
    return drawn[10::20]


def crowd(
    seconds: Sequence[float], durations: Durations, dice: Random, *, requests_per_minute: int | None = AMPLE
) -> list[Seen]:
    """Look at jobs that begin closely one after another until each is found done, and teaches while others run."""
    looks = _Looks(durations, requests_per_minute, dice)
    begins = deque((number * _APART, number) for number in range(len(seconds)))
    counts, running_at = Counter[int](), [0.0] * len(seconds)
    seen: list[Seen] = []
    now = 0.0
    while len(seen) < len(seconds):
        while begins and begins[0][0] <= now:
            looks.begin(begins.popleft()[1], now)
        number = looks.next(now)
        if number is None:
            now = min(looks.next_at(now), begins[0][0] if begins else math.inf)
            continue
        counts[number] += 1
        age = now - number * _APART
        is_done = seconds[number] <= age
        looks.made(now, is_done=is_done)
        if is_done:
            seen.append(Seen(counts[number], age - seconds[number], (running_at[number], age)))
        else:
            running_at[number] = age
    return seen


# --- the best that can be done -------------------------------------------------------------------


def least_lag(seconds: Sequence[float], looks: float) -> float:
    """The least mean lag, in seconds, with so many looks on average, for who knows that jobs take ``seconds``.

    ``seconds`` are ascending, equally likely, and stand for all in between: nobody can look at the very moment of one.
    Dynamic programming gives the best schedule for a worth of a look;
    between two neighbouring schedules chance may choose, so that every number of looks can be had.
    """
    few, many = 1e4, 1e-4
    fewer, more = _best(seconds, few), _best(seconds, many)
    for _ in range(24):
        worth = math.sqrt(few * many)
        tried = _best(seconds, worth)
        if tried[0] > looks:
            many, more = worth, tried
        else:
            few, fewer = worth, tried
    if more[0] == fewer[0]:
        return fewer[1]
    part = min(1.0, max(0.0, (looks - fewer[0]) / (more[0] - fewer[0])))
    return fewer[1] + part * (more[1] - fewer[1])


def least_shared_lag(seconds: Sequence[float], *, in_flight: int, per_minute: int) -> float:
    """The least mean lag, in seconds, where so many jobs are always in flight and share a budget.

    With more looks at each it could be smaller, but for the budget: each job costs a submission besides its looks, so
    only so many end in a minute, and each of those in flight stays there for as long (Little's law).
    """

    def shared(looks: float) -> float:
        return in_flight * (1 + looks) * _WINDOW / per_minute - fmean(seconds)

    few, many = 1.0, float(per_minute)
    for _ in range(20):
        looks = (few + many) / 2
        if least_lag(seconds, looks) > shared(looks):
            few = looks
        else:
            many = looks
    return shared(many)


def _best(seconds: Sequence[float], worth: float) -> tuple[float, float]:
    """Looks and lag of the best schedule when a look is worth so many seconds of lag."""
    count = len(seconds)
    sums = [0.0, *accumulate(seconds)]
    #: the age at which to look to find the first so many done
    ages = [0.0, *((one + other) / 2 for one, other in pairwise(seconds)), 1.5 * seconds[-1] - 0.5 * seconds[-2]]
    #: the cost, the looks and the lag of those that still run when all before ``number`` are done
    costs, looks, lags = [0.0] * (count + 1), [0.0] * (count + 1), [0.0] * (count + 1)
    for number in range(count - 1, -1, -1):
        best, chosen = math.inf, count
        for other in range(number + 1, count + 1):
            # the look finds done what lies in between
            lag = ages[other] * (other - number) - (sums[other] - sums[number])
            if lag > best:
                break
            if lag + costs[other] < best:
                best, chosen = lag + costs[other], other
        costs[number] = best + worth * (count - number)
        looks[number] = looks[chosen] + count - number
        lags[number] = lags[chosen] + ages[chosen] * (chosen - number) - (sums[chosen] - sums[number])
    return looks[0] / count, lags[0] / count


# --- many jobs that share a budget ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rush:
    """What became of many jobs that share a budget. Seconds."""

    lag: float
    finished: int
    #: the most requests that a vendor saw in a minute
    busiest: int
    #: the longest that a submission waited for its request, the first ones apart
    submission: float
    #: the longest that a running job wasn't looked at
    unseen: float


class _Window:
    """Counts requests as a vendor does."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._made = deque[float]()
        self.busiest = 0

    def opens_at(self, now: float) -> float:
        """When the next request may be made."""
        self._forget(now)
        return now if len(self._made) < self._per_minute else self._made[0] + _WINDOW

    def make(self, now: float) -> None:
        self._forget(now)
        self._made.append(now)
        self.busiest = max(self.busiest, len(self._made))

    def _forget(self, now: float) -> None:
        while self._made and self._made[0] + _WINDOW <= now:
            self._made.popleft()


class _Looks:
    """What is looked at next: as the bot does it."""

    def __init__(self, durations: Durations, per_minute: int | None, dice: Random) -> None:
        self._watches = Watches(durations=durations, limits=lambda _: per_minute, chance=dice.random)
        self._asked = deque[Watch]()

    def begin(self, number: int, now: float) -> None:
        watch = Watch(_job(number, _instant(now)), taken_at=_instant(now))
        self._watches.keep(watch)
        self._watches.plan_look(watch, _instant(now))

    def next(self, now: float) -> int | None:
        """The job whose look is to be made now."""
        self._asked.extend(self._watches.take_due(_instant(now), busy=()))
        return int(self._asked[0].job.id) if self._asked else None

    def next_at(self, now: float) -> float:
        instant = self._watches.next_at(_instant(now))
        return math.inf if instant is None else (instant - _BEGINNING).total_seconds()

    def made(self, now: float, *, is_done: bool) -> None:
        """The look was made."""
        watch, instant = self._asked.popleft(), _instant(now)
        self._watches.leave(watch.job.id)
        watch.looks += 1
        watch.looked_at = watch.age(instant)
        if is_done:
            self._watches.learn(watch, instant)
            self._watches.forget(watch.job.id)
        else:
            watch.running_at = watch.looked_at
            self._watches.plan_look(watch, instant)


class _RoundRobin:
    """What is looked at next: everybody in turn, whenever the budget has room."""

    def __init__(self) -> None:
        self._turns = deque[int]()

    def begin(self, number: int, now: float) -> None:
        del now
        self._turns.append(number)

    def next(self, now: float) -> int | None:
        del now
        return self._turns[0] if self._turns else None

    def next_at(self, now: float) -> float:
        del now
        return math.inf

    def made(self, now: float, *, is_done: bool) -> None:
        del now
        number = self._turns.popleft()
        if not is_done:
            self._turns.append(number)


def rush(
    draw: Draw, dice: Random, *, durations: Durations | None, in_flight: int, per_minute: int, seconds: float
) -> Rush:
    """Keep so many jobs in flight for so long: each that is found done makes room for another.

    With ``durations`` they are looked at as the bot does, else by a fair round-robin.
    """
    window = _Window(per_minute)
    looks = _RoundRobin() if durations is None else _Looks(durations, per_minute, dice)
    ends: dict[int, float] = {}
    seen_at: dict[int, float] = {}
    waiting = deque([0.0] * in_flight)
    lags: list[float] = []
    now = submission = unseen = 0.0
    numbers = iter(range(1 << 30))
    while now < seconds:
        now = window.opens_at(now)
        if waiting:
            asked_at, number = waiting.popleft(), next(numbers)
            # the first all come at once
            submission = max(submission, now - asked_at if number >= in_flight else 0.0)
            ends[number], seen_at[number] = now + draw(dice), now
            looks.begin(number, now)
        else:
            number = looks.next(now)
            if number is None:
                now = looks.next_at(now)
                continue
            unseen = max(unseen, now - seen_at[number])
            seen_at[number] = now
            is_done = ends[number] <= now
            looks.made(now, is_done=is_done)
            if is_done:
                lags.append(now - ends.pop(number))
                waiting.append(now)
        window.make(now)
        now += _REQUEST
    return Rush(fmean(lags[in_flight:]), len(lags), window.busiest, submission, unseen)


def _instant(seconds: float) -> datetime:
    return _BEGINNING + timedelta(seconds=seconds)


def _job(number: int, now: datetime) -> Job:
    return Job(
        id=str(number),
        interaction_id=number,
        guild_id=1,
        channel_id=1,
        user_id=1,
        account_id=1,
        state=State.RUNNING,
        version=2,
        model=_MODEL,
        request=_REQUESTED,
        quote=1,
        upload_limit=1,
        created_at=now,
        submitted_at=now,
    )
