"""Whose turn it is among the jobs that wait. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from bot.jobs.job import Job
from bot.jobs.lifecycle import CARD_PATIENCE


def next_to_start(
    waiting: Sequence[Job],
    active: Mapping[tuple[int, int], int],
    *,
    limits: Callable[[int], tuple[int, int]],
    now: datetime,
) -> list[Job]:
    """The waiting jobs that may start now, the oldest first.

    ``active`` counts the running jobs by (guild, member); ``limits`` tells a guild's most jobs at once
    for (one member, the whole guild).
    """
    members = Counter(dict(active))
    guild_totals = Counter[int]()
    for (guild_id, _), count in active.items():
        guild_totals[guild_id] += count
    chosen: list[Job] = []
    for job in waiting:
        member_limit, guild_limit = limits(job.guild_id)
        member = (job.guild_id, job.user_id)
        if members[member] >= member_limit or guild_totals[job.guild_id] >= guild_limit or not is_ready(job, now):
            continue
        members[member] += 1
        guild_totals[job.guild_id] += 1
        chosen.append(job)
    return chosen


def is_ready(job: Job, now: datetime) -> bool:
    """Whether its card is stored (or overdue), and the vendor's wish to wait is over."""
    if job.card_message_id is None and now - job.created_at < CARD_PATIENCE:
        return False
    return job.not_before is None or now >= job.not_before


def ready_at(job: Job) -> datetime:
    """When a waiting job can start at the earliest."""
    card = job.created_at if job.card_message_id is not None else job.created_at + CARD_PATIENCE
    return max(card, job.not_before or card)


def places(waiting: Sequence[Job]) -> Mapping[str, int]:
    """The place of each in its guild's queue, from 1."""
    guild_totals = Counter[int]()
    found: dict[str, int] = {}
    for job in sorted(waiting, key=lambda job: job.id):
        guild_totals[job.guild_id] += 1
        found[job.id] = guild_totals[job.guild_id]
    return found
