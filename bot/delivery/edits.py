"""Which cards want an edit, and when each may have it. In memory; only the latest state of a card counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.clock import Clock
from bot.delivery.budget import edit_at
from bot.delivery.cards import Card
from bot.jobs.job import Job


@dataclass(slots=True)
class Edit:
    """What a card should show."""

    job: Job
    card: Card
    #: whether the job has moved on since the card was last edited
    is_transition: bool
    not_before: datetime | None = None


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
        self._busy: set[int] = set()

    def want(self, job: Job, card: Card) -> None:
        """Ask for a card to be shown, in place of what was asked before."""
        shown = self._shown.get(job.id)
        if shown is not None and shown.card == card:
            self._wanted.pop(job.id, None)
            return
        is_transition = shown is None or job.version != shown.version
        self._wanted[job.id] = Edit(job, card, is_transition)

    def shown(self, job: Job, card: Card) -> None:
        """A card shows this without an edit of ours: it was just posted."""
        if job.id not in self._shown:
            self._cards[job.channel_id] += 1
        self._shown[job.id] = _Shown(card, job.version, None)

    def take_due(self) -> list[Edit]:
        """Take what may be sent now: at most one edit for each channel, ends first."""
        now = self._clock()
        due: dict[int, Edit] = {}
        for edit in self._wanted.values():
            channel_id = edit.job.channel_id
            if channel_id in self._busy or self._when(edit) > now:
                continue
            rival = due.get(channel_id)
            if rival is None or (rival.job.state.is_open and not edit.job.state.is_open):
                due[channel_id] = edit
        for edit in due.values():
            del self._wanted[edit.job.id]
            self._busy.add(edit.job.channel_id)
        return list(due.values())

    def sent(self, edit: Edit) -> None:
        """The edit stands in the channel."""
        self._busy.discard(edit.job.channel_id)
        if not edit.job.state.is_open:
            self._forget(edit.job)
            return
        if edit.job.id not in self._shown:
            self._cards[edit.job.channel_id] += 1
        self._shown[edit.job.id] = _Shown(edit.card, edit.job.version, self._clock())

    def failed(self, edit: Edit, *, retry_in: timedelta) -> None:
        """The edit is to be tried again, unless a newer one is asked for."""
        self._busy.discard(edit.job.channel_id)
        edit.not_before = self._clock() + retry_in
        self._wanted.setdefault(edit.job.id, edit)

    def give_up(self, job: Job) -> None:
        """The card is gone."""
        self._busy.discard(job.channel_id)
        self._wanted.pop(job.id, None)
        self._forget(job)

    def seconds_to_next(self) -> float | None:
        """Seconds until an edit may be sent; None: nothing waits."""
        now = self._clock()
        waits = [
            max(0.0, (self._when(edit) - now).total_seconds())
            for edit in self._wanted.values()
            if edit.job.channel_id not in self._busy
        ]
        return min(waits, default=None)

    def _when(self, edit: Edit) -> datetime:
        shown = self._shown.get(edit.job.id)
        when = edit_at(
            now=self._clock(),
            last_edit=None if shown is None else shown.at,
            created_at=edit.job.created_at,
            cards_in_channel=self._cards[edit.job.channel_id],
            is_transition=edit.is_transition,
            has_ended=not edit.job.state.is_open,
        )
        return when if edit.not_before is None else max(when, edit.not_before)

    def _forget(self, job: Job) -> None:
        if self._shown.pop(job.id, None) is not None:
            self._cards[job.channel_id] -= 1
            if not self._cards[job.channel_id]:
                del self._cards[job.channel_id]
