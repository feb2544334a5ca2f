"""What ``wanbot jobs`` and ``wanbot credits`` print."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict
from functools import partial
from typing import Final, Protocol

from bot.clock import Clock, system_clock
from bot.communities.decisions import Change
from bot.database.engine import Database
from bot.jobs.job import OPEN, State
from bot.settings import Settings
from bot.support import credits as accounts
from bot.support import jobs
from bot.support.arguments import ANY_OPEN
from bot.support.opening import opened
from bot.support.printing import document
from bot.support.store import Filter

Work = Callable[[Database, Settings, argparse.Namespace, Clock], Awaitable[str]]


class _Booking(Protocol):
    """``accounts.grant`` or ``accounts.revoke``."""

    def __call__(
        self,
        database: Database,
        settings: Settings,
        whom: tuple[int, int],
        amount: int,
        *,
        reason: str,
        clock: Clock,
    ) -> Awaitable[Change]: ...


def carry_out(settings: Settings, chosen: argparse.Namespace) -> str:
    """What a chosen subcommand has to say. Raises ``CannotBeDone``."""

    async def work() -> str:
        async with opened(settings.database_url) as database:
            carried_out = _WORK[chosen.name, chosen.subcommand]
            return await carried_out(database, settings, chosen, system_clock)

    return asyncio.run(work())


async def _list_jobs(database: Database, _: Settings, chosen: argparse.Namespace, clock: Clock) -> str:
    now = clock()
    wanted = Filter(
        states=_states(chosen.state or ()),
        guild_id=chosen.guild,
        user_id=chosen.member,
        before=None if chosen.older_than is None else now - chosen.older_than,
    )
    found = await jobs.find(database, wanted, most=chosen.most)
    if chosen.json:
        return document([jobs.job_document(job, has_prompts=chosen.prompts) for job in found])
    return jobs.list_text(found, now=now, has_prompts=chosen.prompts)


async def _show_job(database: Database, settings: Settings, chosen: argparse.Namespace, _: Clock) -> str:
    dossier = await jobs.look_up(database, chosen.job, data_dir=settings.data_dir)
    if chosen.json:
        return document(jobs.dossier_document(dossier, has_prompts=chosen.prompts))
    return jobs.dossier_text(dossier, has_prompts=chosen.prompts)


async def _release_job(database: Database, _: Settings, chosen: argparse.Namespace, clock: Clock) -> str:
    job = await jobs.release(database, chosen.job, reason=chosen.reason, now=clock())
    return (
        f"job {job.id} has {job.state}, and {job.quote} credits went back to member {job.user_id}. A running bot drops "
        "it within seconds; what the vendor may be making for it isn't stopped."
    )


async def _redeliver_job(database: Database, settings: Settings, chosen: argparse.Namespace, clock: Clock) -> str:
    videos, now = settings.data_dir / "videos", clock()
    job = await jobs.redeliver(database, chosen.job, videos=videos, reason=chosen.reason, now=now)
    return (
        f"the video of job {job.id} is posted again, free, unless it still stands in the channel: by the running bot "
        "within a minute, or at its next start."
    )


async def _show_credits(database: Database, _: Settings, chosen: argparse.Namespace, __: Clock) -> str:
    standing = await accounts.look_up(database, guild_id=chosen.guild, user_id=chosen.member, most=chosen.most)
    return document(accounts.standing_document(standing)) if chosen.json else accounts.standing_text(standing)


async def _book(
    book: _Booking, database: Database, settings: Settings, chosen: argparse.Namespace, clock: Clock
) -> str:
    whom = (chosen.guild, chosen.member)
    change = await book(database, settings, whom, chosen.amount, reason=chosen.reason, clock=clock)
    return document(asdict(change.deed)) if chosen.json else accounts.change_text(change, chosen.amount)


def _states(names: Collection[str]) -> frozenset[State]:
    """The states that are meant; ``open`` means all that go on."""
    found = {State(name) for name in names if name != ANY_OPEN}
    return frozenset(found | OPEN) if ANY_OPEN in names else frozenset(found)


_WORK: Final[Mapping[tuple[str, str], Work]] = {
    ("jobs", "list"): _list_jobs,
    ("jobs", "show"): _show_job,
    ("jobs", "release"): _release_job,
    ("jobs", "redeliver"): _redeliver_job,
    ("credits", "show"): _show_credits,
    ("credits", "grant"): partial(_book, accounts.grant),
    ("credits", "revoke"): partial(_book, accounts.revoke),
}
