"""A member's account as it should be now: opened, locked, and with the allowance that is due."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from bot.communities.member_keys import MemberKeys
from bot.communities.rules import Community
from bot.credits import ledger
from bot.credits.allowance import period_at
from bot.credits.ledger import Account
from bot.database.engine import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Opens accounts, and gives them what the present period owes."""

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
