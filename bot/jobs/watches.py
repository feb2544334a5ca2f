"""What memory knows of the jobs that were started, and which of them wants attention next.

Nothing of it is lost with the process: a start finds the jobs in the database, and looks at all of them.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from bot.jobs.agenda import Agenda
from bot.jobs.durations import Durations, Outlook, kind_of
from bot.jobs.expecting import Expectation, expectation_of
from bot.jobs.job import Job, State
from bot.jobs.lines import Lines, Pace
from bot.jobs.presenting import Sight
from bot.jobs.schedule import Situation, next_look, worth_of_look
from providers.errors import ProviderError
from providers.types import Submission

#: so many looks, and so many deliveries, for each provider at once: it has its budget, we have our sockets
_AT_ONCE: Final = 16
#: with a limit: so many looks are asked for at once, by requests a minute. What has been asked for can't be
#: overtaken any more by a job that is likelier to be done.
_UNANSWERED: Final = (2, 15)
#: the part of a minute's requests that looks may use at once after a rest: what comes together stays together in the
#: vendor's window, and whatever is asked next waits for as long as that took
_RESTED: Final = 0.02
_IN_LINE: Final = frozenset({State.RUNNING, State.DELIVERING})
#: past its deadline a job waits so long for its last look, and for the answer
LAST_LOOK: Final = timedelta(seconds=30)
#: a job that is busy although it is due
_BUSY: Final = timedelta(seconds=5)
#: who is due, and wasn't looked at while all could have had so many looks, goes first
_FORGOTTEN: Final = 4
#: of a long line so large a part is put in order at a time
_ORDERED: Final = 16


@dataclass(slots=True)
class Watch:
    """An open job that was started, and what only memory knows of it. Ages are seconds."""

    job: Job
    looks: int = 0
    failures: int = 0
    estimate: float | None = None
    retry_after: float | None = None
    progress: float | None = None
    #: when the vendor took it; None: not in this process
    taken_at: datetime | None = None
    #: the planned age of the last look, before chance moved it
    aim: float = 0.0
    #: the age at the last look
    looked_at: float = 0.0
    #: what is known of its kind; once that is well known, what was known then
    outlook: Outlook | None = None
    #: the age at the last look that found it running
    running_at: float | None = None
    delivering_since: datetime | None = None
    #: more may be stored of the job than this tells
    is_old: bool = False
    #: its deadline has passed while it waited to be looked at
    is_too_late: bool = False
    #: what the vendor said to the submission, until it is stored: nobody says it twice
    answer: Submission | ProviderError | None = None

    @property
    def provider(self) -> str:
        """The name of its provider."""
        return self.job.model.partition("/")[0]

    @property
    def started_at(self) -> datetime:
        """When the vendor took it, as far as that is known."""
        return self.taken_at or self.job.submitted_at or self.job.created_at

    def age(self, now: datetime) -> float:
        """Seconds for which the vendor has had it."""
        return max(0.0, (now - self.started_at).total_seconds())


class Watches:
    """The jobs that were started. Nothing waits here, and nothing is asked of anybody."""

    def __init__(
        self, *, durations: Durations, limits: Callable[[str], int | None], chance: Callable[[], float]
    ) -> None:
        """Begin with none. ``limits`` tells a provider's requests a minute; None: no limit."""
        self._durations = durations
        self._limits = limits
        self._chance = chance
        self._watches: dict[str, Watch] = {}
        #: how many of them each provider has
        self._running = Counter[str]()
        self._agenda = Agenda()
        #: when what a card says about time isn't true any more
        self._stale_at = Agenda()
        #: due jobs that wait until there is room for them
        self._lines = Lines(at_once=_AT_ONCE)
        #: with the limits that they are for: settings change, and other processes get their share
        self._paces: dict[str, tuple[int, Pace]] = {}
        #: the best of each long line, worst first
        self._ordered: dict[str, list[str]] = {}

    @property
    def job_ids(self) -> Collection[str]:
        """The jobs that are watched."""
        return list(self._watches)

    def find(self, job_id: str) -> Watch | None:
        """The watch of a job that was started."""
        return self._watches.get(job_id)

    def keep(self, watch: Watch) -> None:
        """Watch a job from now on."""
        if watch.job.id not in self._watches:
            self._running[watch.provider] += 1
        self._watches[watch.job.id] = watch

    def take_up(self, watch: Watch, now: datetime) -> None:
        """Watch a job that an earlier process has started: it is due at once."""
        self.attend(watch, now)
        expectation = self._expectation(watch)
        if expectation is not None and watch.job.state is State.RUNNING:
            # nobody knows what its card says about time
            self._stale_at.put(watch.job.id, watch.started_at + timedelta(seconds=expectation.early))

    def forget(self, job_id: str) -> None:
        """Watch a job no more. Nothing happens when it isn't watched."""
        watch = self._watches.pop(job_id, None)
        if watch is not None:
            self._running[watch.provider] -= 1
        self._agenda.discard(job_id)
        self._stale_at.discard(job_id)
        self._lines.leave(job_id)

    def attend(self, watch: Watch, when: datetime) -> None:
        """See to a job then, and not before."""
        self.keep(watch)
        self._agenda.put(watch.job.id, when)

    def plan_look(self, watch: Watch, now: datetime) -> None:
        """Look at a running job when it is best looked at; at its deadline at the latest."""
        pace = self._pace(watch.provider)
        if pace is not None and not watch.looks:
            # its submission has just taken the place of a look; else both would use the budget up, and wait for it
            pace.take()
        situation = Situation(
            age=watch.age(now),
            looks=watch.looks,
            estimate=watch.estimate,
            outlook=self._outlook(watch),
            aim=watch.aim,
            failures=watch.failures,
            retry_after=watch.retry_after,
            requests_per_minute=self._limits(watch.provider),
            running=self._running[watch.provider],
        )
        look = next_look(situation, chance=self._chance())
        watch.aim = look.aim
        wait = look.wait
        if watch.taken_at is None and watch.looks == 1 and not watch.failures and situation.outlook is None:
            # a start has looked at all of them at once: without this they would march in step ever after
            wait *= 1 - self._chance()
        when, deadline = now + timedelta(seconds=wait), watch.job.deadline
        self.attend(watch, when if deadline is None else min(when, max(deadline, now)))

    def take_due(self, now: datetime, *, busy: Container[str]) -> list[Watch]:
        """Take those whose time has come, and for whom there is room; ``busy`` jobs are left where they are."""
        watches = [self._watches[job_id] for job_id in self._agenda.pop_due(now) if job_id in self._watches]
        due = [watch for watch in watches if self._is_let_go(watch, now, busy)]
        gone = self._lines.let_go(
            room=lambda line: self._room(line, now),
            choice=lambda line, waiting, count: self._chosen(line, waiting, count, now),
        )
        for job_id in gone:
            watch = self._watches[job_id]
            pace = self._pace(watch.provider) if watch.job.state is State.RUNNING else None
            if pace is not None:
                pace.take()
            due.append(watch)
        return due

    def leave(self, job_id: str) -> None:
        """What a job was due for is over."""
        self._lines.leave(job_id)

    def all_due(self, now: datetime) -> None:
        """See to every job now: what was planned counts no more."""
        self._agenda.put_all(now)

    def next_at(self, now: datetime) -> datetime | None:
        """When somebody has to be seen to next, or shown; None: nobody."""
        instants = [self._agenda.next_at(), self._stale_at.next_at()]
        instants += [self._opens_at(line, now) for line in self._lines.busy()]
        return min((instant for instant in instants if instant is not None), default=None)

    # --- time ----------------------------------------------------------------------------------

    def sight_of(self, watch: Watch, now: datetime) -> Sight:
        """What its card can show beyond the job itself."""
        expectation = self._expectation(watch)
        if expectation is None:
            return Sight(progress=watch.progress)
        return expectation.sight(started_at=watch.started_at, age=watch.age(now), progress=watch.progress)

    def note_sight(self, watch: Watch, now: datetime) -> Sight:
        """The same for a card that is shown now; ``take_stale`` tells when it isn't true any more."""
        expectation = self._expectation(watch) if watch.job.state is State.RUNNING else None
        change = None if expectation is None else expectation.change_after(watch.age(now))
        if change is None:
            self._stale_at.discard(watch.job.id)
        else:
            self._stale_at.put(watch.job.id, watch.started_at + timedelta(seconds=change))
        return self.sight_of(watch, now)

    def take_stale(self, now: datetime) -> list[Watch]:
        """Take the running jobs whose cards say something about time that isn't true any more."""
        found = (self._watches.get(job_id) for job_id in self._stale_at.pop_due(now))
        return [watch for watch in found if watch is not None and watch.job.state is State.RUNNING]

    def learn(self, watch: Watch, now: datetime) -> None:
        """A look has just found the job done."""
        if watch.running_at is None and watch.taken_at is None:
            return  # it may have been done for hours before this process began
        kind = kind_of(watch.job.model, watch.job.request)
        self._durations.learn(kind, (watch.running_at or 0.0, watch.age(now)))

    def _outlook(self, watch: Watch) -> Outlook | None:
        """What is known of a job's kind.

        Of jobs that began together the short ones end first: what those teach, taken alone, would move the looks at
        the others for the worse.
        """
        if watch.outlook is None or not watch.outlook.is_settled:
            watch.outlook = self._durations.outlook(kind_of(watch.job.model, watch.job.request))
        return watch.outlook

    def _expectation(self, watch: Watch) -> Expectation | None:
        if watch.job.state is State.DELIVERING or not watch.job.state.is_open:
            return None  # and a rush of videos that are done has nothing to wait for
        return expectation_of(self._outlook(watch), watch.estimate)

    # --- lines ---------------------------------------------------------------------------------

    def _is_let_go(self, watch: Watch, now: datetime, busy: Container[str]) -> bool:
        """Whether a job goes on without standing in line; those that stand there are heard of when it is too late."""
        job = watch.job
        if job.id in busy:
            # it planned ahead before its step was over
            self._agenda.put(job.id, now + _BUSY)
            return False
        if job.state not in _IN_LINE:
            return True
        watch.is_too_late = self._lines.is_waiting(job.id) and job.deadline is not None and now >= job.deadline
        if watch.is_too_late:
            self._lines.leave(job.id)
            return True
        self._lines.join(job.id, f"{watch.provider} {job.state}")
        if job.state is State.RUNNING and job.deadline is not None:
            self._agenda.put(job.id, max(job.deadline, now) + LAST_LOOK)
        return False

    def _room(self, line: str, now: datetime) -> int:
        """How many of a line may go now."""
        pace = self._pace_of(line)
        return _AT_ONCE if pace is None else min(pace.room(now), self._unanswered(line) - self._lines.going(line))

    def _opens_at(self, line: str, now: datetime) -> datetime | None:
        """When the next of a line may go; None: when one of those that go is back."""
        pace = self._pace_of(line)
        return None if pace is None or self._lines.going(line) >= self._unanswered(line) else pace.next_at(now)

    def _unanswered(self, line: str) -> int:
        least, per = _UNANSWERED
        limit = self._limits(line.partition(" ")[0]) or 0
        return min(_AT_ONCE, max(least, 1 + limit // per))

    def _pace_of(self, line: str) -> Pace | None:
        """Looks have a pace; fetching and posting costs the provider nothing."""
        provider, _, state = line.partition(" ")
        return self._pace(provider) if state == State.RUNNING else None

    def _pace(self, provider: str) -> Pace | None:
        limit = self._limits(provider)
        if limit is None:
            return None
        known = self._paces.get(provider)
        if known is None or known[0] != limit:
            known = self._paces[provider] = limit, Pace(per_second=limit / 60, at_once=max(1, round(limit * _RESTED)))
        return known[1]

    def _chosen(self, line: str, waiting: Collection[str], count: int, now: datetime) -> Iterable[str]:
        """Those of a line that go first: where looks are scarce, the ones that are worth most."""
        if count >= len(waiting) or self._pace_of(line) is None:
            return islice(waiting, count)
        ordered = [job_id for job_id in self._ordered.pop(line, ()) if job_id in waiting]
        if len(ordered) < count:
            best = heapq.nlargest(
                max(count, len(waiting) // _ORDERED), waiting, key=lambda job_id: self._worth(job_id, now)
            )
            ordered = best[::-1]
        chosen = [ordered.pop() for _ in range(count)]
        if ordered:
            self._ordered[line] = ordered
        return chosen

    def _worth(self, job_id: str, now: datetime) -> float:
        watch = self._watches[job_id]
        age = watch.age(now)
        turn = self._running[watch.provider] * 60 / (self._limits(watch.provider) or math.inf)
        if age - watch.looked_at > _FORGOTTEN * turn:
            return math.inf
        # a look that got no answer has told nothing
        return worth_of_look(self._outlook(watch), running_at=watch.running_at or 0.0, age=age)
