"""What moderators decide: each decision is one transaction with its row of the audit.

All can be repeated without harm; giving and taking credits is done once for each interaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bot.clock import Clock
from bot.communities import store
from bot.communities.memory import Communities
from bot.communities.rules import Community, ModelRule
from bot.communities.store import Deed
from bot.credits import ledger
from bot.credits.accounts import refilled
from bot.credits.ledger import Account
from bot.database.engine import Connection, Database
from bot.errors import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who decides, and with which interaction."""

    guild_id: int
    user_id: int
    interaction_id: int


@dataclass(frozen=True, slots=True)
class Communal:
    """A decision about the community: what it said before and says now."""

    before: Community
    after: Community


@dataclass(frozen=True, slots=True)
class Balances:
    """A decision about a member's credits: what was available before and is now."""

    before: int
    after: int


class Decisions:
    """Carries decisions out, and makes the memory of communities forget what is old."""

    def __init__(self, *, database: Database, communities: Communities, clock: Clock) -> None:
        self._database = database
        self._communities = communities
        self._clock = clock

    async def account(self, guild_id: int, member_id: int) -> Account:
        """A member's account, with the allowance that is due."""
        return await self._database.write(partial(self._account, guild_id=guild_id, member_id=member_id))

    async def grant(self, actor: Actor, member_id: int, amount: int, reason: str) -> Balances:
        """Give credits beside the allowance. Raises ``Refusal`` when it was done already."""

        def give(connection: Connection, account: Account) -> tuple[int, int]:
            return ledger.grant(connection, account, amount, now=self._clock()), amount

        work = partial(self._book, actor=actor, member_id=member_id, action="credits.grant", reason=reason, book=give)
        return await self._database.write(work)

    async def revoke(self, actor: Actor, member_id: int, amount: int, reason: str) -> Balances:
        """Take up to so many of the available credits. Raises ``Refusal`` when it was done already."""

        def take(connection: Connection, account: Account) -> tuple[int, int]:
            entry_id, taken = ledger.take(connection, account, amount, now=self._clock())
            return entry_id, -taken

        work = partial(self._book, actor=actor, member_id=member_id, action="credits.revoke", reason=reason, book=take)
        return await self._database.write(work)

    async def rule_model(self, actor: Actor, rule: ModelRule) -> Communal:
        """Allow or deny a model."""
        action = "models.allow" if rule.is_allowed else "models.deny"
        change = partial(store.set_model_rule, guild_id=actor.guild_id, rule=rule)
        describe = partial(describe_rules, model=rule.model)
        return await self._decide(actor, action, rule.model, change, describe)

    async def log_to(self, actor: Actor, channel_id: int | None) -> Communal:
        """Choose where moderators read of troubles."""
        change = partial(store.set_log_channel, guild_id=actor.guild_id, channel_id=channel_id)
        return await self._decide(actor, "log.channel", "", change, lambda community: str(community.log_channel_id))

    async def _decide(
        self,
        actor: Actor,
        action: str,
        target: str,
        change: Callable[[Connection], None],
        describe: Callable[[Community], str],
    ) -> Communal:
        def work(connection: Connection) -> Communal:
            default = self._communities.default_allowance
            store.lock_guild(connection, actor.guild_id)
            before = store.community(connection, actor.guild_id, default=default)
            change(connection)
            after = store.community(connection, actor.guild_id, default=default)
            if not store.was_done(connection, actor.interaction_id):
                old, new = describe(before), describe(after)
                self._record(connection, actor, action=action, target=target, before=old, after=new)
            return Communal(before, after)

        changed = await self._database.write(work)
        self._communities.forget(actor.guild_id)
        return changed

    def _book(
        self,
        connection: Connection,
        *,
        actor: Actor,
        member_id: int,
        action: str,
        reason: str,
        book: Callable[[Connection, Account], tuple[int, int]],
    ) -> Balances:
        store.lock_guild(connection, actor.guild_id)
        if store.was_done(connection, actor.interaction_id):
            raise Refusal("This was done already; nothing was changed again.")
        account = self._account(connection, guild_id=actor.guild_id, member_id=member_id)
        entry_id, change = book(connection, account)
        balances = Balances(account.available, account.available + change)
        self._record(
            connection,
            actor,
            action=action,
            target=str(member_id),
            before=str(balances.before),
            after=str(balances.after),
            reason=reason,
            entry_id=entry_id,
        )
        return balances

    def _account(self, connection: Connection, *, guild_id: int, member_id: int) -> Account:
        community = store.community(connection, guild_id, default=self._communities.default_allowance)
        rule, now = community.allowance, self._clock()
        return refilled(connection, guild_id=guild_id, user_id=member_id, rule=rule, now=now)

    def _record(
        self,
        connection: Connection,
        actor: Actor,
        *,
        action: str,
        target: str,
        before: str,
        after: str,
        reason: str = "",
        entry_id: int | None = None,
    ) -> None:
        deed = Deed(
            guild_id=actor.guild_id,
            actor_id=actor.user_id,
            interaction_id=actor.interaction_id,
            action=action,
            target=target,
            before=before,
            after=after,
            reason=reason,
            entry_id=entry_id,
        )
        store.record(connection, deed, now=self._clock())


def describe_rules(community: Community, model: str) -> str:
    """What was decided about a model, in words: ``denied, allowed for <@&5>``."""
    rules = sorted((rule for rule in community.model_rules if rule.model == model), key=lambda rule: rule.specificity)
    everywhere = next((rule.is_allowed for rule in rules if rule.specificity == 0), True)
    parts = [_verdict(is_allowed=everywhere)]
    for rule in rules:
        places = [f"in <#{rule.channel_id}>"] if rule.channel_id else []
        places += [f"for <@&{rule.role_id}>"] if rule.role_id else []
        if places:
            parts.append(f"{_verdict(is_allowed=rule.is_allowed)} {' '.join(places)}")
    return ", ".join(parts)


def _verdict(*, is_allowed: bool) -> str:
    return "allowed" if is_allowed else "denied"
