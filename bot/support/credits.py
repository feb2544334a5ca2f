"""``wanbot credits``: what a member has, and giving and taking as moderators do, in the operator's name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bot.clock import Clock
from bot.communities.audit import OPERATOR
from bot.communities.decisions import Actor, Change, Decisions, Member
from bot.communities.departures import known_guilds
from bot.communities.member_keys import MemberKeys
from bot.communities.memory import Communities
from bot.credits import ledger
from bot.credits.accounts import Accounts
from bot.credits.ledger import Account
from bot.database.engine import Connection, Database
from bot.database.remembered import secret_of_member_keys
from bot.settings import Settings
from bot.support import store
from bot.support.errors import CannotBeDone
from bot.support.printing import facts, table
from bot.support.store import Entry


@dataclass(frozen=True, slots=True)
class Standing:
    """A member's account and its last entries, the newest first."""

    account: Account
    entries: Sequence[Entry]


async def look_up(database: Database, *, guild_id: int, user_id: int, most: int) -> Standing:
    """A member's account as it is; allowance that nobody asked for yet isn't there. Raises ``CannotBeDone``."""

    def read(connection: Connection) -> Standing:
        account = ledger.account_if_any(connection, guild_id, user_id)
        if account is None:
            raise CannotBeDone(f"member {user_id} has no account in guild {guild_id}")
        return Standing(account, store.entries_of_account(connection, account.id, most=most))

    return await database.read(read)


async def grant(
    database: Database, settings: Settings, whom: tuple[int, int], amount: int, *, reason: str, clock: Clock
) -> Change:
    """Give credits to (guild, member), beside the allowance. Raises ``CannotBeDone``."""
    guild_id, user_id = whom
    decisions = await _decisions(database, settings, guild_id, clock)
    return await decisions.grant(_operator(guild_id), Member(user_id=user_id), amount, reason)


async def revoke(
    database: Database, settings: Settings, whom: tuple[int, int], amount: int, *, reason: str, clock: Clock
) -> Change:
    """Take up to so many available credits from (guild, member). Raises ``CannotBeDone``."""
    guild_id, user_id = whom
    decisions = await _decisions(database, settings, guild_id, clock)
    return await decisions.revoke(_operator(guild_id), Member(user_id=user_id), amount, reason)


def standing_text(standing: Standing) -> str:
    """An account, and its entries as a table."""
    header = ["ENTRY", "AT", "KIND", "AVAILABLE", "HELD", "ALLOWANCE", "JOB", "BY", "WHY"]
    rows = [
        [each.id, each.at, each.kind, each.available, each.held, each.allowance, each.job_id, by(each), each.reason]
        for each in standing.entries
    ]
    return f"{facts(_balance(standing.account))}\n\n{table(header, rows)}"


def standing_document(standing: Standing) -> Mapping[str, object]:
    """An account for programs."""
    return {**_balance(standing.account), "entries": [asdict(each) for each in standing.entries]}


def change_text(change: Change, asked: int) -> str:
    """What was given or taken."""
    moved = abs(change.amount)
    verb = "took" if change.deed.action == "credits.revoke" else "gave"
    less = "" if moved == asked else f" of {asked}, no more were available"
    return f"{verb} {moved}{less}; available: {change.deed.before} before, {change.deed.after} now"


def by(entry: Entry) -> str | None:
    """Who explained an entry."""
    if entry.actor_id is None:
        return None
    return "operator" if entry.actor_id == OPERATOR else str(entry.actor_id)


def _balance(account: Account) -> Mapping[str, str | int]:
    return {
        "guild": str(account.guild_id),
        "member": str(account.user_id),
        "available": account.available,
        "held": account.held,
        "allowance": account.allowance,
    }


def _operator(guild_id: int) -> Actor:
    return Actor(guild_id=guild_id, user_id=OPERATOR, interaction_id=None)


async def _decisions(database: Database, settings: Settings, guild_id: int, clock: Clock) -> Decisions:
    """What the bot itself decides with, on the same database."""
    known, secret = await asyncio.gather(database.read(known_guilds), database.write(secret_of_member_keys))
    if guild_id not in known:
        raise CannotBeDone(f"nothing is known of guild {guild_id}: the bot has never made or decided anything there")
    keys = MemberKeys(secret)
    return Decisions(
        database=database,
        communities=Communities(database=database, default=settings.default_allowance_rule),
        accounts=Accounts(member_keys=keys),
        member_keys=keys,
        keep_days=settings.keep_days,
        clock=clock,
    )
