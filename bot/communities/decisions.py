"""What moderators decide: each decision is one transaction with its row of the audit.

All can be repeated without harm; giving and taking credits is done once for each interaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Final

from bot.clock import Clock
from bot.communities import audit, describing, store
from bot.communities.audit import Deed, mention
from bot.communities.member_keys import MemberKeys
from bot.communities.memory import Communities
from bot.communities.rules import Community, Limits, ModelRule
from bot.communities.words import LONGEST, normalised_rule
from bot.communities.words import MOST as MOST_WORDS
from bot.credits import ledger
from bot.credits.accounts import Accounts
from bot.credits.allowance import AllowanceRule
from bot.credits.ledger import Account
from bot.credits.pricing import PriceRule
from bot.database.engine import Connection, Database
from bot.delivery.words import shortened
from bot.errors import Refusal
from bot.languages import ENGLISH, _, speaking
from bot.members import store as members
from bot.members.presets import MOST as MOST_PRESETS
from bot.members.presets import Preset, found, key_of

#: characters
_LONGEST_TARGET: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who decides, and with which interaction; None: the operator, on the command line."""

    guild_id: int
    user_id: int
    interaction_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """About whom something is decided."""

    user_id: int
    role_ids: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class What:
    """What is decided, in the audit's words."""

    #: ``models.allow``
    action: str
    #: about which model, role, channel or member
    target: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What was decided, in the audit's words, which are English."""

    deed: Deed
    #: as it is now
    community: Community
    #: what was changed, as an amount: of credits given, or taken
    amount: int = 0
    #: says what was before and is now; None: as the audit does
    describe: Callable[[], tuple[str, str]] | None = None

    @property
    def said(self) -> tuple[str, str]:
        """What was before and is now, in the language of the moment."""
        return (self.deed.before, self.deed.after) if self.describe is None else self.describe()


class Decisions:
    """Carries decisions out, and keeps the memory of communities true."""

    def __init__(
        self,
        *,
        database: Database,
        communities: Communities,
        accounts: Accounts,
        member_keys: MemberKeys,
        keep_days: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._communities = communities
        self._accounts = accounts
        self._member_keys = member_keys
        self._keep_days = keep_days
        self._clock = clock

    # --- credits -------------------------------------------------------------------------------

    async def grant(self, actor: Actor, member: Member, amount: int, reason: str) -> Change:
        """Give credits beside the allowance. Raises ``Refusal`` when it was done already."""

        def give(connection: Connection, account: Account) -> tuple[int, int]:
            return ledger.grant(connection, account, amount, now=self._clock()), amount

        what = What("credits.grant", mention(member.user_id), reason)
        return await self._book(actor, member, what, give)

    async def revoke(self, actor: Actor, member: Member, amount: int, reason: str) -> Change:
        """Take up to so many of the available credits. Raises ``Refusal`` when it was done already."""

        def take(connection: Connection, account: Account) -> tuple[int, int]:
            entry_id, taken = ledger.take(connection, account, amount, now=self._clock())
            return entry_id, -taken

        what = What("credits.revoke", mention(member.user_id), reason)
        return await self._book(actor, member, what, take)

    # --- allowance -----------------------------------------------------------------------------

    async def set_allowance(self, actor: Actor, rule: AllowanceRule) -> Change:
        """Say what members receive. Raises ``Refusal`` for a cap below what somebody receives."""

        def change(connection: Connection, before: Community) -> None:
            _check_cap(max([rule.amount, *before.role_amounts.values()]), rule.cap)
            store.set_allowance(connection, actor.guild_id, rule)

        return await self._decide(actor, What("allowance.set"), change, describing.allowance)

    async def set_role_amount(self, actor: Actor, role_id: int, amount: int | None) -> Change:
        """Say what a role receives; None: what everybody does. Raises ``Refusal`` above the cap."""

        def change(connection: Connection, before: Community) -> None:
            _check_amount(amount or 0, before.allowance.cap)
            store.set_role_amount(connection, actor.guild_id, role_id, amount)

        describe = partial(describing.role_amount, role_id=role_id)
        return await self._decide(actor, What("allowance.role", f"<@&{role_id}>"), change, describe)

    # --- models --------------------------------------------------------------------------------

    async def rule_model(self, actor: Actor, rule: ModelRule) -> Change:
        """Allow or deny a model."""
        action = "models.allow" if rule.is_allowed else "models.deny"
        change = _plain(store.set_model_rule, actor, rule=rule)
        describe = partial(describing.rules_of_model, model=rule.model)
        return await self._decide(actor, What(action, rule.model), change, describe)

    async def price_model(self, actor: Actor, model: str, rule: PriceRule | None) -> Change:
        """Set the guild's own price of a model; None: the catalogue's."""
        change = _plain(store.set_price, actor, model=model, rule=rule)
        return await self._decide(
            actor, What("models.price", model), change, lambda community: describing.price(community.prices.get(model))
        )

    async def choose_default(self, actor: Actor, model: str | None) -> Change:
        """Say which model is taken when a member names none."""
        change = _plain(store.set_default_model, actor, model=model)
        return await self._decide(
            actor, What("models.default"), change, lambda community: describing.model(community.default_model)
        )

    # --- rules ---------------------------------------------------------------------------------

    async def set_limits(self, actor: Actor, change_of: Callable[[Limits], Limits]) -> Change:
        """Change some limits and leave the others as they are."""

        def change(connection: Connection, before: Community) -> None:
            store.set_limits(connection, actor.guild_id, change_of(before.limits))

        def describe(before: Community, after: Community) -> tuple[str, str]:
            return describing.changed_limits(before.limits, after.limits, after.allowance.length)

        return await self._compare(actor, What("limits.set"), change, describe)

    async def allow_channel(self, actor: Actor, channel_id: int) -> Change:
        """Take a denial back; else name a channel where the bot works, and from the first one on in no other."""

        def change(connection: Connection, before: Community) -> None:
            # also when it is repeated: a denial that was taken back is remembered
            is_undone = channel_id in before.channel_rules and not any(before.channel_rules.values())
            is_allowed = None if is_undone else True
            store.set_channel_rule(connection, actor.guild_id, channel_id, is_allowed=is_allowed)

        return await self._decide(actor, What("channels.allow", f"<#{channel_id}>"), change, describing.channels)

    async def deny_channel(self, actor: Actor, channel_id: int) -> Change:
        """Let the bot not work in a channel."""
        change = _plain(store.set_channel_rule, actor, channel_id=channel_id, is_allowed=False)
        return await self._decide(actor, What("channels.deny", f"<#{channel_id}>"), change, describing.channels)

    async def block_word(self, actor: Actor, text: str) -> Change:
        """Block a word or an expression. Raises ``Refusal`` when nothing of it can be looked for."""
        rule = _word_rule(text)

        def change(connection: Connection, before: Community) -> None:
            if len(before.blocked_words) >= MOST_WORDS:
                text = _("**text**: {most} words are blocked already. Unblock one first; `fox*` covers many.")
                raise Refusal(text.format(most=MOST_WORDS))
            store.block_word(connection, actor.guild_id, rule)

        return await self._decide(actor, What("words.block", rule), change, partial(describing.word, text=rule))

    async def unblock_word(self, actor: Actor, text: str) -> Change:
        """Block a word no more. Raises ``Refusal`` when it isn't blocked."""
        rule = _word_rule(text)

        def change(connection: Connection, before: Community) -> None:
            if rule not in {word.text for word in before.blocked_words}:
                refusal = _("**text**: this isn't blocked. Blocked are: {words}.")
                raise Refusal(refusal.format(words=describing.words(before)))
            store.unblock_word(connection, actor.guild_id, rule)

        return await self._decide(actor, What("words.unblock", rule), change, partial(describing.word, text=rule))

    async def block_member(self, actor: Actor, user_id: int, reason: str) -> Change:
        """Let a member make no videos."""
        key = self._member_keys.of(actor.guild_id, user_id)
        change = _plain(store.block_member, actor, member_key=key, reason=reason)
        return await self._decide(
            actor, What("members.block", mention(user_id), reason), change, partial(_blocked, key=key)
        )

    async def unblock_member(self, actor: Actor, user_id: int) -> Change:
        """Let a member make videos again."""
        key = self._member_keys.of(actor.guild_id, user_id)
        change = _plain(store.unblock_member, actor, member_key=key)
        return await self._decide(actor, What("members.unblock", mention(user_id)), change, partial(_blocked, key=key))

    # --- the rest ------------------------------------------------------------------------------

    async def log_to(self, actor: Actor, channel_id: int | None) -> Change:
        """Choose where moderators read of troubles."""
        change = _plain(store.set_log_channel, actor, channel_id=channel_id)
        return await self._decide(
            actor, What("log.channel"), change, lambda community: describing.channel(community.log_channel_id)
        )

    async def keep_for(self, actor: Actor, days: int | None) -> Change:
        """Say how long prompts, pictures and videos are kept; None: as the operator says."""
        change = _plain(store.set_keep_days, actor, days=days)
        describe = partial(_kept, default=self._keep_days)
        return await self._decide(actor, What("options.keep_days"), change, describe)

    async def set_options(
        self, actor: Actor, *, keep_days: int | None = None, threads: bool | None = None, fallback: bool | None = None
    ) -> Change:
        """Change some options and leave the others as they are (None); ``keep_days`` 0: as the operator says."""

        def change(connection: Connection, before: Community) -> None:
            del before
            if keep_days is not None:
                store.set_keep_days(connection, actor.guild_id, keep_days or None)
            if threads is not None:
                store.set_threads(connection, actor.guild_id, is_on=threads)
            if fallback is not None:
                store.set_fallback(connection, actor.guild_id, is_on=fallback)

        describe = partial(describing.changed_options, default_days=self._keep_days)
        return await self._compare(actor, What("options.set"), change, describe)

    async def offer_preset(self, actor: Actor, preset: Preset) -> Change:
        """Offer options under a name to everybody. Raises ``Refusal`` when there are too many."""

        def change(connection: Connection, before: Community) -> None:
            if preset.key not in {each.key for each in before.presets} and len(before.presets) >= MOST_PRESETS:
                text = _("**name**: {most} presets are offered here already. Remove one first.")
                raise Refusal(text.format(most=MOST_PRESETS))
            members.offer(connection, actor.guild_id, preset=preset)

        describe = partial(describing.preset, key=preset.key)
        return await self._decide(actor, What("preset.offer", preset.name), change, describe)

    async def remove_preset(self, actor: Actor, name: str) -> Change:
        """Offer a preset no more. Raises ``Refusal`` when there is none of this name."""
        key = key_of(name)

        def change(connection: Connection, before: Community) -> None:
            found(name, (), before.presets)
            members.withdraw(connection, actor.guild_id, key=key)

        describe = partial(describing.preset, key=key)
        return await self._decide(actor, What("preset.remove", shortened(key, _LONGEST_TARGET)), change, describe)

    async def channel_gone(self, guild_id: int, channel_id: int) -> None:
        """A channel was deleted on Discord: nobody could choose it any more to take a rule back."""
        await self._forget(guild_id, partial(store.forget_channel, guild_id=guild_id, channel_id=channel_id))

    async def role_gone(self, guild_id: int, role_id: int) -> None:
        """A role was deleted on Discord."""
        await self._forget(guild_id, partial(store.forget_role, guild_id=guild_id, role_id=role_id))

    async def note(self, deed: Deed) -> bool:
        """Write down what somebody did beside the decisions; false: this interaction did it already."""

        def work(connection: Connection) -> bool:
            is_new = deed.interaction_id is None or not audit.was_done(connection, deed.interaction_id)
            if is_new:
                audit.record(connection, deed, now=self._clock())
            return is_new

        return await self._database.write(work)

    # --- how -----------------------------------------------------------------------------------

    async def _decide(
        self,
        actor: Actor,
        what: What,
        change: Callable[[Connection, Community], None],
        describe: Callable[[Community], str],
    ) -> Change:
        def both(before: Community, after: Community) -> tuple[str, str]:
            return describe(before), describe(after)

        return await self._compare(actor, what, change, both)

    async def _compare(
        self,
        actor: Actor,
        what: What,
        change: Callable[[Connection, Community], None],
        describe: Callable[[Community, Community], tuple[str, str]],
    ) -> Change:
        def work(connection: Connection) -> Change:
            store.lock_guild(connection, actor.guild_id)
            before = after = self._communities.read(connection, actor.guild_id)
            is_new = not audit.was_done(connection, actor.interaction_id)
            if is_new:
                change(connection, before)
                store.count_decision(connection, actor.guild_id)
                after = self._communities.read(connection, actor.guild_id)
            said = partial(describe, before, after)
            # what is kept is read by people of any language
            with speaking(ENGLISH):
                deed = _deed(actor, what, *said())
            if is_new:
                audit.record(connection, deed, now=self._clock())
            return Change(deed=deed, community=after, describe=said)

        return self._kept_in_mind(await self._database.write(work))

    async def _book(
        self,
        actor: Actor,
        member: Member,
        what: What,
        book: Callable[[Connection, Account], tuple[int, int]],
    ) -> Change:
        """Book ``(entry's id, change)`` on a member's account, once for the interaction."""

        def work(connection: Connection) -> Change:
            community = self._communities.locked(connection, actor.guild_id)
            if audit.was_done(connection, actor.interaction_id):
                raise Refusal(_("This was done already; nothing was changed again."))
            account = self._accounts.refilled(
                connection, community, user_id=member.user_id, role_ids=member.role_ids, now=self._clock()
            )
            entry_id, amount = book(connection, account)
            before, after = str(account.available), str(account.available + amount)
            deed = _deed(actor, what, before, after, entry_id)
            audit.record(connection, deed, now=self._clock())
            return Change(deed=deed, community=community, amount=amount)

        return await self._database.write(work)

    async def _forget(self, guild_id: int, forget: Callable[[Connection], bool]) -> None:
        def work(connection: Connection) -> Community | None:
            store.lock_guild(connection, guild_id)
            if not forget(connection):
                return None
            store.count_decision(connection, guild_id)
            return self._communities.read(connection, guild_id)

        community = await self._database.write(work)
        if community is not None:
            self._communities.keep(community)

    def _kept_in_mind(self, change: Change) -> Change:
        self._communities.keep(change.community)
        return change


def _plain(set_it: Callable[..., None], actor: Actor, **what: object) -> Callable[[Connection, Community], None]:
    """A change that needs to know nothing of what was before."""

    def change(connection: Connection, before: Community) -> None:
        del before
        set_it(connection, actor.guild_id, **what)

    return change


def _deed(actor: Actor, what: What, before: str, after: str, entry_id: int | None = None) -> Deed:
    return Deed(
        guild_id=actor.guild_id,
        actor_id=actor.user_id,
        interaction_id=actor.interaction_id,
        action=what.action,
        target=what.target,
        before=before,
        after=after,
        reason=what.reason,
        entry_id=entry_id,
    )


def _check_cap(amount: int, cap: int | None) -> None:
    if cap is not None and cap < amount:
        text = _(
            "**cap**: at most {cap} would pile up, but somebody receives {amount} at once. Make the cap at least "
            "{amount}, or leave it out."
        )
        raise Refusal(text.format(cap=f"{cap:,}", amount=f"{amount:,}"))


def _check_amount(amount: int, cap: int | None) -> None:
    if cap is not None and cap < amount:
        text = _(
            "**amount**: at most {cap} pile up here, so nobody can receive {amount} at once. Choose {cap} at most, or "
            "raise the cap with `/wan-admin allowance set` first."
        )
        raise Refusal(text.format(cap=f"{cap:,}", amount=f"{amount:,}"))


def _word_rule(text: str) -> str:
    rule = normalised_rule(text)
    if any("*" in word.strip("*") for word in text.split()):
        raise Refusal(_("**text**: a star may stand at the beginning or the end of a word only, as in `fox*`."))
    if not rule:
        raise Refusal(_("**text**: there is no letter or digit in it. Write a word, as `fox`, `fox*` or `red fox`."))
    if len(rule) > LONGEST:
        refusal = _(
            "**text**: this is too long. It may have {most} characters; those of scripts without spaces between "
            "words, as Chinese, count twice."
        )
        raise Refusal(refusal.format(most=LONGEST))
    return rule


def _blocked(community: Community, key: str) -> str:
    return _("blocked") if key in community.blocked_members else _("not blocked")


def _kept(community: Community, default: int) -> str:
    return describing.keep_days(community.keep_days, default=default)
