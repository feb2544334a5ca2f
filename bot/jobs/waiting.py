"""The jobs that wait for their turn: who is next, and at which place the others stand."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from bot.communities.memory import Communities
from bot.communities.rules import Community
from bot.database.engine import Connection, Database
from bot.jobs import store
from bot.jobs.job import Job
from bot.jobs.leases import Leases
from bot.jobs.lifecycle import Step
from bot.jobs.presenting import Presenter, Sight
from bot.jobs.turns import next_to_start, places, ready_at

#: the queue is looked at this often even if nobody says that it changed
_EVERY: Final = timedelta(seconds=30)
#: so many cards of a long queue are made in one go
_SHOWN_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Queue:
    """Where jobs stand that no vendor has taken yet."""

    #: whose turn it is
    chosen: Sequence[Job]
    #: who waits on
    waiting: Sequence[Job]
    #: whose submission has left, or was about to
    submitting: Sequence[Job]


class Waiting:
    """The queue. It stands in the database; memory knows when to look there, and what the cards show."""

    def __init__(self, *, database: Database, leases: Leases, communities: Communities, presenter: Presenter) -> None:
        self._database = database
        self._leases = leases
        self._communities = communities
        self._presenter = presenter
        #: when it is looked at next; None: at once
        self._at: datetime | None = None
        #: as of the last look
        self._is_empty = False
        #: the places that the cards were last asked to show
        self._places: dict[str, int] = {}

    @property
    def at(self) -> datetime | None:
        """When it is to be looked at; None: at once."""
        return self._at

    def is_due(self, now: datetime) -> bool:
        """Whether it is to be looked at."""
        return self._at is None or self._at <= now

    def wake(self) -> None:
        """Look at it at once."""
        self._at = None

    def make_room(self) -> None:
        """A job has ended: look at once whether it was another's turn, where anybody waits."""
        if not self._is_empty:
            self._at = None

    def put_off(self, until: datetime) -> None:
        """It can't be read: not before then."""
        self._at = until

    def look_by(self, when: datetime) -> None:
        """Look at it then at the latest."""
        if self._at is not None:
            self._at = min(self._at, when)

    def place_of(self, job_id: str) -> int | None:
        """The place that a job's card shows."""
        return self._places.get(job_id)

    def forget(self, job_id: str) -> None:
        """A job waits no more. Should it wait again, its card shows something else by then."""
        self._places.pop(job_id, None)

    async def next(self, now: datetime, *, busy: Container[str]) -> Queue:
        """Look whose turn it is. ``busy`` jobs are about to be submitted."""
        # until it is known, any end may be what somebody waits for
        self._at, self._is_empty = now + _EVERY, False
        queued, submitting, counts = await self._database.read(_look)
        self._is_empty = not queued
        # also those of other processes, so that everybody counts the same
        waiting = [job for job in queued if job.id not in busy]
        active = Counter(dict(counts))
        active.update((job.guild_id, job.user_id) for job in queued if job.id in busy)
        # what other guilds have decided isn't kept here, and reading it anew each time takes a while
        ours = {job.guild_id for job in waiting if self._leases.has(job)}
        communities = {guild_id: await self._communities.of(guild_id) for guild_id in ours}
        chosen = next_to_start(
            [job for job in waiting if job.guild_id in ours],
            active,
            limits=lambda guild_id: _at_once(communities[guild_id]),
            now=now,
        )
        chosen = [job for job in chosen if self._leases.has(job)]
        later = [ready_at(job) for job in waiting if ready_at(job) > now]
        self.look_by(min(later, default=now + _EVERY))
        started = {job.id for job in chosen}
        return Queue(
            chosen=chosen,
            waiting=[job for job in waiting if job.id not in started],
            submitting=[job for job in submitting if self._leases.has(job)],
        )

    async def start(self, job: Job, step: Step, *, now: datetime) -> Job | None:
        """Carry out a job's first step; None: it waits on, another process was faster to use its place.

        Raises ``JobMoved``.
        """
        work = self._start if self._leases.is_shared else store.move
        return await self._database.write(partial(work, job=job, step=step, now=now))

    def _start(self, connection: Connection, job: Job, step: Step, *, now: datetime) -> Job | None:
        limits = _at_once(self._communities.locked(connection, job.guild_id))
        active = store.active_counts(connection, job.guild_id)
        is_free = bool(next_to_start([job], active, limits=lambda _: limits, now=now))
        return store.move(connection, job, step, now=now) if is_free else None

    async def show_places(self, waiting: Sequence[Job], *, doubtful: Container[str]) -> None:
        """Show the places that have changed. A long queue is shown in parts, so that it holds nobody up.

        The card of a doubtful job is left as it is: it may know more.
        """
        before, found = self._places, places(waiting)
        ours = [job for job in waiting if self._leases.has(job)]
        shown = [job for job in ours if job.card_message_id is not None and job.id not in doubtful]
        self._places = {job.id: found[job.id] for job in shown}
        changed = [job for job in waiting if self._places.get(job.id) not in {None, before.get(job.id)}]
        for number, job in enumerate(changed, start=1):
            self._presenter.show(job, Sight(place=found[job.id]))
            if number % _SHOWN_AT_ONCE == 0:
                await asyncio.sleep(0)


def _look(connection: Connection) -> tuple[Sequence[Job], Sequence[Job], Mapping[tuple[int, int], int]]:
    """What waits, what is being submitted, and, where anything waits, how many run."""
    queued = store.queued(connection)
    return queued, store.submitting(connection), store.active_counts(connection) if queued else {}


def _at_once(community: Community) -> tuple[int, int]:
    """How many jobs of one member, and of the guild, run at the same time."""
    return community.limits.member_jobs, community.limits.guild_jobs
