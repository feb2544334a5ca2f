"""A member's account as it should be now: opened, locked, and with the allowance that is due."""

from __future__ import annotations

from datetime import datetime

from bot.credits import ledger
from bot.credits.allowance import AllowanceRule, period_at
from bot.credits.ledger import Account
from bot.database.engine import Connection


def refilled(connection: Connection, *, guild_id: int, user_id: int, rule: AllowanceRule, now: datetime) -> Account:
    """The account, locked until the transaction ends, after what the present period owes it."""
    account = ledger.account_of(connection, guild_id, user_id)
    return ledger.give_allowance(connection, account, rule, period_at(now, rule.length), now=now)
