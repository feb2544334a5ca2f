"""What a member has, and how it came about."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from bot.clock import Clock
from bot.communities.memory import Communities
from bot.credits import ledger
from bot.credits.accounts import Accounts
from bot.credits.allowance import AllowanceRule, Period, period_at
from bot.credits.ledger import Account, Movements
from bot.database.engine import Connection, Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """An account, and what has changed it since the present period began."""

    account: Account
    #: what this member receives, with its roles
    rule: AllowanceRule
    #: the role that makes it more than everybody's
    role_id: int | None
    period: Period
    movements: Movements

    @property
    def opening(self) -> int:
        """What was available when the period began."""
        return self.account.available - self.movements.total


class Balances:
    """Looks at accounts, which brings their allowance up to date."""

    def __init__(self, *, database: Database, communities: Communities, accounts: Accounts, clock: Clock) -> None:
        self._database = database
        self._communities = communities
        self._accounts = accounts
        self._clock = clock

    async def of(self, guild_id: int, user_id: int, role_ids: Collection[int]) -> Statement:
        """A member's account in a guild."""
        work = partial(self._statement, guild_id=guild_id, user_id=user_id, role_ids=role_ids)
        return await self._database.write(work)

    def _statement(
        self, connection: Connection, *, guild_id: int, user_id: int, role_ids: Collection[int]
    ) -> Statement:
        now, community = self._clock(), self._communities.locked(connection, guild_id)
        account = self._accounts.refilled(connection, community, user_id=user_id, role_ids=role_ids, now=now)
        rule = community.allowance_for(role_ids)
        period = period_at(now, rule.length)
        return Statement(
            account=account,
            rule=rule,
            role_id=community.best_role(role_ids),
            period=period,
            movements=ledger.movements(connection, account, since=period.start),
        )
