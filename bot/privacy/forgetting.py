"""Deletes what is kept of a member in one guild."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from bot.clock import Clock
from bot.communities import audit
from bot.communities.audit import Deed, mention
from bot.communities.store import lock_guild
from bot.credits import ledger
from bot.credits.accounts import Accounts
from bot.database.engine import Connection, Database
from bot.errors import Refusal
from bot.jobs.store import open_of
from bot.languages import _, ngettext
from bot.members import store as members
from bot.members.memory import Members
from bot.privacy import store
from bot.privacy.erasing import Erasing
from bot.privacy.keeping import nobody
from bot.privacy.store import Scrubbed

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Forgotten:
    """What was done in the transaction."""

    #: credits
    forfeited: int
    scrubbed: Sequence[Scrubbed]


class Forgetting:
    """Deletes a member's data: the books keep their numbers, and nobody can tell whose they were."""

    def __init__(
        self,
        *,
        database: Database,
        members: Members,
        accounts: Accounts,
        erasing: Erasing,
        clock: Clock,
        chance: Callable[[], int],
    ) -> None:
        self._database = database
        self._members = members
        self._accounts = accounts
        self._erasing = erasing
        self._clock = clock
        #: 63 bits that nobody can guess
        self._chance = chance

    async def loss(self, guild_id: int, user_id: int) -> int:
        """How many credits a deletion would cost. Raises ``Refusal`` while a video is under way."""
        return await self._database.read(partial(_loss, guild_id=guild_id, user_id=user_id))

    async def forget(self, guild_id: int, user_id: int) -> int:
        """Delete everything; gives how many credits were forfeited.

        Raises ``Refusal`` while a video is under way, and when nothing is kept.
        """
        work = partial(self._forget, guild_id=guild_id, user_id=user_id, chance=self._chance())
        forgotten = await self._database.write(work)
        self._members.forget(guild_id, user_id)
        await self._erasing.erase(forgotten.scrubbed)
        # without the guild: together with the time of a request it would tell whom
        log.info("a member's data was deleted", jobs=len(forgotten.scrubbed))
        return forgotten.forfeited

    def _forget(self, connection: Connection, *, guild_id: int, user_id: int, chance: int) -> _Forgotten:
        now, nobodys = self._clock(), nobody(chance)
        lock_guild(connection, guild_id)
        found = ledger.account_if_any(connection, guild_id, user_id)
        account = None if found is None else ledger.locked(connection, found.id)
        # from here on no job of theirs can begin or end
        _check_nothing_is_open(connection, guild_id, user_id)
        forfeited = 0 if account is None else self._accounts.anonymised(connection, account, nobodys, now=now)
        scrubbed = store.scrub_member(connection, guild_id, user_id, now=now)
        jobs = store.make_jobs_nobodys(connection, guild_id, user_id, nobodys)
        deeds = store.make_audit_nobodys(connection, guild_id, user_id, nobodys)
        choices = members.forget(connection, guild_id, user_id)
        if account is None and not jobs and not deeds and not choices:
            raise Refusal(_("Nothing is kept of you here."))
        audit.record(connection, _deed(guild_id, nobodys), now=now)
        return _Forgotten(forfeited, scrubbed)


def _loss(connection: Connection, *, guild_id: int, user_id: int) -> int:
    _check_nothing_is_open(connection, guild_id, user_id)
    account = ledger.account_if_any(connection, guild_id, user_id)
    return 0 if account is None else account.available


def _check_nothing_is_open(connection: Connection, guild_id: int, user_id: int) -> None:
    under_way = len(open_of(connection, guild_id, user_id))
    if under_way:
        text = ngettext(
            "You have a video under way. Wait for the end, or stop what waits with `/wan cancel`; then your data can "
            "be deleted.",
            "You have {n} videos under way. Wait for the end, or stop what waits with `/wan cancel`; then your data "
            "can be deleted.",
            under_way,
        )
        raise Refusal(text.format(n=under_way))


def _deed(guild_id: int, nobodys: int) -> Deed:
    return Deed(
        guild_id=guild_id,
        actor_id=nobodys,
        # it would tell Discord who it was
        interaction_id=None,
        action="members.forget",
        target=mention(nobodys),
        before="",
        after="",
    )
