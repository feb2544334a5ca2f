"""Deletes what is kept of guilds that the bot has left long ago."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from bot.clock import Clock
from bot.communities import departures
from bot.communities.departures import Departure
from bot.communities.memory import Communities
from bot.credits import ledger
from bot.credits.accounts import Accounts
from bot.database.engine import Connection, Database
from bot.jobs.store import open_of
from bot.members.memory import Members
from bot.privacy import store
from bot.privacy.erasing import Erasing
from bot.privacy.keeping import cut_off, nobody
from bot.privacy.store import Scrubbed

log = structlog.stdlib.get_logger(__name__)

#: so many jobs, or accounts, in one transaction: nobody else waits for long
BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class _Part:
    """What one transaction has done."""

    scrubbed: Sequence[Scrubbed] = ()
    #: there may be more to do
    goes_on: bool = False
    is_deleted: bool = False


class DepartedGuilds:
    """Lets a guild's people go: the books keep their numbers, its decisions and its audit are deleted.

    What a period has given, and blocks, are kept by the members' keys: a departure and a return undo neither.
    """

    def __init__(
        self,
        *,
        database: Database,
        communities: Communities,
        members: Members,
        accounts: Accounts,
        erasing: Erasing,
        is_present: Callable[[int], bool],
        keep_days: int,
        clock: Clock,
        chance: Callable[[], int],
    ) -> None:
        self._database = database
        self._communities = communities
        self._members = members
        self._accounts = accounts
        self._erasing = erasing
        #: whether the bot is surely in a guild: a return may have gone unheard, and a deletion can't be undone
        self._is_present = is_present
        #: for guilds that haven't decided
        self._keep_days = keep_days
        self._clock = clock
        self._chance = chance

    async def forget_due(self) -> int:
        """Delete every guild whose time is over, and of which no job is open; gives how many."""
        now, deleted = self._clock(), 0
        for each in await self._database.read(departures.departures):
            keep_days = self._keep_days if each.keep_days is None else each.keep_days
            if each.left_at < cut_off(now, keep_days) and not self._is_present(each.guild_id):
                deleted += await self._forget(each)
        return deleted

    async def _forget(self, departure: Departure) -> bool:
        part = _Part(goes_on=True)
        while part.goes_on:
            part = await self._database.write(partial(self._forget_part, departure=departure))
            await self._erasing.erase(part.scrubbed)
        if part.is_deleted:
            self._communities.forget(departure.guild_id)
            self._members.forget_guild(departure.guild_id)
            log.info("what was kept of a guild that we left is deleted", guild=departure.guild_id)
        return part.is_deleted

    def _forget_part(self, connection: Connection, *, departure: Departure) -> _Part:
        guild_id, now = departure.guild_id, self._clock()
        if not departures.is_departed(connection, departure) or open_of(connection, guild_id):
            return _Part()
        scrubbed = store.scrub_guild(connection, guild_id, most=BATCH, now=now)
        if scrubbed:
            return _Part(scrubbed, goes_on=True)
        people = ledger.accounts_of_people(connection, guild_id, most=BATCH)
        for account in people:
            nobodys = nobody(self._chance())
            self._accounts.anonymised(connection, account, nobodys, now=now)
            store.make_jobs_nobodys(connection, guild_id, account.user_id, nobodys)
        if people:
            return _Part(goes_on=True)
        store.delete_guild(connection, guild_id)
        return _Part(is_deleted=True)
