"""Which cards want an edit, and when each may have it. In memory; only the latest state of a card counts."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bot.clock import Clock
from bot.delivery.budget import PASSING, edit_at
from bot.delivery.cards import Card
from bot.jobs.job import Job, State

#: shown only when they take longer than ``PASSING``
_MOMENTARY: Final = frozenset({State.SUBMITTING, State.DELIVERING})
#: so many ends are remembered; old news are seconds late, never hours
_REMEMBERED: Final = 200


@dataclass(slots=True)
class Edit:
    """What a card should show."""

    job: Job
    card: Card
    #: whether the job has moved on since the card was last edited
    is_transition: bool
    not_before: datetime | None = None

    @property
    def version(self) -> int:
        """Which state of the job it shows."""
        return self.job.version


@dataclass(slots=True)
class _Shown:
    """What a card shows."""

    card: Card
    version: int
    at: datetime | None


class Edits:
    """The waiting edits of all channels. One edit of a channel is under way at a time."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._wanted: dict[str, Edit] = {}
        self._shown: dict[str, _Shown] = {}
        self._cards = Counter[int]()
        #: the newest version of each job that anybody asked for
        self._heard: dict[str, int] = {}
        #: by channel
        self._under_way: dict[int, Edit] = {}
        #: by job, and whether it was open: after an edit that failed, newer ones wait as well, but not the end
        self._held_until: dict[tuple[str, bool], datetime] = {}
        #: open jobs whose card was deleted: nothing more is asked of Discord for them
        self._gone: set[str] = set()
        #: jobs whose end was shown of late: what is still heard of their life is old
        self._ended = deque[str](maxlen=_REMEMBERED)

    def want(self, job: Job, card: Card) -> None:
        """Ask for a card to be shown, in place of what was asked before; what is older is passed over."""
        if job.id in self._gone:
            self._forget(job)
            return
        if job.state.is_open and job.id in self._ended:
            return
        if job.version < self._heard.get(job.id, job.version):
            return
        self._heard[job.id] = job.version
        coming = self._coming(job)
        if coming is not None and coming.card == card:
            self._wanted.pop(job.id, None)
            return
        edit = Edit(job, card, is_transition=coming is None or job.version != coming.version)
        if job.state in _MOMENTARY:
            # it mostly passes in a moment, and would cost the edit that the next state needs
            edit.not_before = self._clock() + PASSING
        self._wanted[job.id] = edit

    def shown(self, job: Job, card: Card) -> None:
        """A card shows this without an edit of ours: it was just posted."""
        if job.id not in self._shown:
            self._cards[job.channel_id] += 1
        self._shown[job.id] = _Shown(card, job.version, None)
        self._heard[job.id] = job.version

    def take_due(self) -> list[Edit]:
        """Take what may be sent now: at most one edit for each channel, ends first."""
        now = self._clock()
        due: dict[int, Edit] = {}
        for edit in self._wanted.values():
            channel_id = edit.job.channel_id
            if channel_id in self._under_way or self._when(edit, now) > now:
                continue
            rival = due.get(channel_id)
            if rival is None or (rival.job.state.is_open and not edit.job.state.is_open):
                due[channel_id] = edit
        for edit in due.values():
            del self._wanted[edit.job.id]
            self._under_way[edit.job.channel_id] = edit
        return list(due.values())

    def sent(self, edit: Edit) -> None:
        """The edit stands in the channel."""
        self._under_way.pop(edit.job.channel_id, None)
        self._held_until.pop(_life(edit.job), None)
        if not edit.job.state.is_open:
            self._ended.append(edit.job.id)
            self._forget(edit.job)
            return
        if edit.job.id not in self._shown:
            self._cards[edit.job.channel_id] += 1
        self._shown[edit.job.id] = _Shown(edit.card, edit.job.version, self._clock())

    def failed(self, edit: Edit, *, retry_in: timedelta) -> None:
        """The edit is to be tried again, unless a newer one is asked for."""
        self._under_way.pop(edit.job.channel_id, None)
        self._held_until[_life(edit.job)] = self._clock() + retry_in
        newer = self._wanted.get(edit.job.id)
        if newer is None:
            self._wanted[edit.job.id] = edit
        else:
            newer.is_transition |= edit.is_transition

    def give_up(self, job: Job) -> None:
        """The card is gone."""
        self._under_way.pop(job.channel_id, None)
        self._wanted.pop(job.id, None)
        self._gone.add(job.id)
        self._forget(job)

    def never_shown(self, job: Job) -> None:
        """The job ended before it had a card."""
        self._forget(job)

    def drop_open(self) -> None:
        """Edits of open jobs are not to be sent any more; an end stays true, whoever has seen to the job since."""
        self._wanted = {job_id: edit for job_id, edit in self._wanted.items() if not edit.job.state.is_open}

    def seconds_to_next(self) -> float | None:
        """Seconds until an edit may be sent; None: nothing waits."""
        now = self._clock()
        waits = [
            max(0.0, (self._when(edit, now) - now).total_seconds())
            for edit in self._wanted.values()
            if edit.job.channel_id not in self._under_way
        ]
        return min(waits, default=None)

    def _coming(self, job: Job) -> Edit | _Shown | None:
        """What the card shows, or will when the edit under way has arrived."""
        under_way = self._under_way.get(job.channel_id)
        return under_way if under_way is not None and under_way.job.id == job.id else self._shown.get(job.id)

    def _when(self, edit: Edit, now: datetime) -> datetime:
        shown = self._shown.get(edit.job.id)
        when = edit_at(
            now=now,
            last_edit=None if shown is None else shown.at,
            created_at=edit.job.created_at,
            cards_in_channel=self._cards[edit.job.channel_id],
            is_transition=edit.is_transition,
            has_ended=not edit.job.state.is_open,
        )
        return max(when, edit.not_before or when, self._held_until.get(_life(edit.job), when))

    def _forget(self, job: Job) -> None:
        for is_open in (True, False):
            self._held_until.pop((job.id, is_open), None)
        self._heard.pop(job.id, None)
        if self._shown.pop(job.id, None) is not None:
            self._cards[job.channel_id] -= 1
            if not self._cards[job.channel_id]:
                del self._cards[job.channel_id]
        if not job.state.is_open:
            self._gone.discard(job.id)


def _life(job: Job) -> tuple[str, bool]:
    return job.id, job.state.is_open
