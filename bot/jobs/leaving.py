"""What becomes of a guild's jobs when the bot is removed from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial

import structlog

from bot.clock import Clock
from bot.communities import departures
from bot.communities.memory import Communities
from bot.database.engine import Connection, Database
from bot.jobs import lifecycle, store
from bot.jobs.job import Job, Reason, State
from bot.jobs.presenting import Presenter
from bot.jobs.worker import Worker
from bot.members.memory import Members
from bot.shards import Shards

log = structlog.stdlib.get_logger(__name__)


class Leaving:
    """Notes where the bot is, and ends what waits where it isn't any more."""

    def __init__(
        self,
        *,
        database: Database,
        communities: Communities,
        members: Members,
        worker: Worker,
        presenter: Presenter,
        clock: Clock,
    ) -> None:
        self._database = database
        self._communities = communities
        self._members = members
        self._worker = worker
        self._presenter = presenter
        self._clock = clock

    async def left(self, guild_id: int) -> None:
        """The bot was removed: waiting jobs fail, their credits go back. Those that were started go on to their end."""
        ended = await self._database.write(partial(_leave, guild_id=guild_id, now=self._clock()))
        # another process may delete what is kept of it
        self._communities.forget(guild_id)
        self._members.forget_guild(guild_id)
        for job in ended:
            self._worker.forget(job.id)
            self._presenter.show(job)
        log.info("left a guild", guild=guild_id, ended=len(ended))

    async def came_back(self, guild_id: int) -> None:
        """The bot was added, perhaps again: what is known of the guild is kept."""
        await self._database.write(partial(departures.note_return, guild_id=guild_id))
        self._communities.forget(guild_id)

    async def catch_up(self, present: Collection[int], shards: Shards) -> None:
        """Do what should have been done while nobody listened.

        ``present`` are all guilds of these shards, those that can't be reached for now as well.
        """
        known = await self._database.read(departures.known_guilds)
        for guild_id, left_at in known.items():
            if not shards.have(guild_id):
                continue
            if guild_id not in present and left_at is None:
                await self.left(guild_id)
            elif guild_id in present and left_at is not None:
                await self.came_back(guild_id)


def _leave(connection: Connection, *, guild_id: int, now: datetime) -> Sequence[Job]:
    departures.note_departure(connection, guild_id, now=now)
    step = lifecycle.ended(State.FAILED, Reason.GUILD_GONE)
    ended: list[Job] = []
    for job in store.open_of(connection, guild_id):
        if job.state is State.QUEUED:
            try:
                ended.append(store.move(connection, job, step, now=now))
            except store.JobMoved:
                # its turn has come in this very moment; the worker will notice
                log.info("a job was started while the bot left", job=job.id)
    return ended
