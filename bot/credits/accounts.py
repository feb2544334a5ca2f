"""A member's account as it should be now: with the allowance that is due, or, once its data is deleted, empty."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from bot.communities.member_keys import MemberKeys
from bot.communities.rules import Community
from bot.credits import ledger
from bot.credits.allowance import PeriodLength, period_at
from bot.credits.ledger import Account
from bot.database.engine import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Opens accounts, gives them what the present period owes, and lets their members go."""

    member_keys: MemberKeys

    def refilled(
        self, connection: Connection, community: Community, *, user_id: int, role_ids: Collection[int], now: datetime
    ) -> Account:
        """The account of a member with these roles, locked until the transaction ends."""
        account = ledger.account_of(connection, community.guild_id, user_id)
        rule = community.allowance_for(role_ids)
        period = period_at(now, rule.length)
        return ledger.give_allowance(
            connection, account, rule, period, member_key=self.member_keys.of(community.guild_id, user_id), now=now
        )

    def anonymised(self, connection: Connection, account: Account, nobody: int, *, now: datetime) -> int:
        """Take everything from a locked account, and the name with it; gives how many credits that was.

        What the present period has given is remembered by the member's key: whoever comes back gets it once.
        """
        forfeited = ledger.forfeit(connection, account, now=now)
        # of each length: a guild may change its mind, and change it back
        periods = [period_at(now, length) for length in PeriodLength]
        member_key = self.member_keys.of(account.guild_id, account.user_id)
        ledger.remember_grants(connection, account, periods, member_key=member_key)
        ledger.make_nobodys(connection, account, nobody)
        return forfeited
