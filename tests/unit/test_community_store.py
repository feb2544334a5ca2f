"""Decisions of communities in the database: everything comes back, and memory never outlives a newer one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from itertools import count

import pytest
from sqlalchemy import Connection, make_url

from bot.communities import audit, store
from bot.communities.audit import Deed, mention
from bot.communities.decisions import Actor, Decisions, Member
from bot.communities.member_keys import MemberKeys
from bot.communities.memory import Communities
from bot.communities.rules import Adult, Community, Limits, ModelRule
from bot.communities.words import LONGEST, BlockedWord
from bot.credits import ledger
from bot.credits.accounts import Accounts
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.credits.pricing import PriceRule
from bot.database.engine import Database, sync_engine
from bot.errors import Refusal
from tests.clocks import NOON, Clock

GUILD, OTHER, MEMBER = 100, 101, 200
DEFAULT = AllowanceRule(amount=100, length=PeriodLength.WEEK)
FRESH = Community(guild_id=GUILD, allowance=DEFAULT)
KEYS = MemberKeys("secret")


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = sync_engine(make_url(database_url))
    with engine.begin() as connection:
        store.lock_guild(connection, GUILD)
        yield connection
        assert found(connection, OTHER) == replace(FRESH, guild_id=OTHER), "the other guild notices nothing"
    engine.dispose()


def found(connection: Connection, guild_id: int = GUILD) -> Community:
    return store.community(connection, guild_id, default=DEFAULT)


def made(database: Database) -> tuple[Decisions, Communities]:
    """What one process decides with, and what it remembers."""
    communities = Communities(database=database, default=DEFAULT)
    decisions = Decisions(
        database=database,
        communities=communities,
        accounts=Accounts(member_keys=KEYS),
        member_keys=KEYS,
        keep_days=30,
        clock=Clock(),
    )
    return decisions, communities


_interactions = count(1)


def actor(interaction_id: int | None = None, guild_id: int = GUILD) -> Actor:
    """A moderator with an interaction of their own."""
    return Actor(guild_id=guild_id, user_id=1, interaction_id=interaction_id or next(_interactions))


# --- what is stored ---------------------------------------------------------------------------------


def test_everything_that_a_guild_decides_comes_back(connection: Connection) -> None:
    everything = Community(
        guild_id=GUILD,
        version=1,
        allowance=AllowanceRule(amount=7, length=PeriodLength.MONTH, cap=70),
        role_amounts={5: 300, 6: 0},
        limits=Limits(
            member_jobs=1,
            guild_jobs=2,
            member_period_jobs=3,
            guild_period_jobs=4,
            duration=5,
            resolution="720p",
            confirm_above=6,
            guild_budget=2**40,
            adult=Adult.AGE_RESTRICTED,
        ),
        model_rules=(
            ModelRule(model="a", is_allowed=False),
            ModelRule(model="a", is_allowed=True, channel_id=2**62, role_id=2**61),
            ModelRule(model="b", is_allowed=True, role_id=4),
        ),
        prices={"a": PriceRule(credits=0), "b": PriceRule(factor=Decimal("0.0123")), "c": PriceRule(credits=10**6)},
        default_model="b",
        channel_rules={8: True, 9: False},
        blocked_words=(BlockedWord(1, "fox*"), BlockedWord(2, "狐 狸")),
        blocked_members={"k" * 64: "Spam 🦊 ' \" --", "l" * 64: ""},
        log_channel_id=2**62,
        keep_days=3,
    )
    store.set_allowance(connection, GUILD, everything.allowance)
    for role_id, amount in everything.role_amounts.items():
        store.set_role_amount(connection, GUILD, role_id, amount)
    store.set_limits(connection, GUILD, everything.limits)
    for rule in everything.model_rules:
        store.set_model_rule(connection, GUILD, rule)
    for model, price in everything.prices.items():
        store.set_price(connection, GUILD, model, price)
    store.set_default_model(connection, GUILD, everything.default_model)
    for channel_id, is_allowed in everything.channel_rules.items():
        store.set_channel_rule(connection, GUILD, channel_id, is_allowed=is_allowed)
    for word in everything.blocked_words:
        store.block_word(connection, GUILD, word.text)
    for key, reason in everything.blocked_members.items():
        store.block_member(connection, GUILD, key, reason)
    store.set_log_channel(connection, GUILD, everything.log_channel_id)
    store.set_keep_days(connection, GUILD, everything.keep_days)
    store.count_decision(connection, GUILD)
    assert found(connection) == everything


def test_everything_can_be_taken_back_and_taking_back_what_is_not_there_is_nothing(connection: Connection) -> None:
    store.set_role_amount(connection, GUILD, 5, 300)
    store.set_limits(connection, GUILD, Limits(duration=5, adult=Adult.NOWHERE))
    store.set_price(connection, GUILD, "demo", PriceRule(credits=5))
    store.set_default_model(connection, GUILD, "demo")
    store.set_channel_rule(connection, GUILD, 8, is_allowed=False)
    store.block_word(connection, GUILD, "fox")
    store.block_member(connection, GUILD, "k" * 64, "Spam")
    store.set_log_channel(connection, GUILD, 9)
    store.set_keep_days(connection, GUILD, 3)
    assert found(connection) != FRESH
    for _ in range(2):
        store.set_role_amount(connection, GUILD, 5, None)
        store.set_limits(connection, GUILD, Limits())
        store.set_price(connection, GUILD, "demo", None)
        store.set_default_model(connection, GUILD, None)
        store.set_channel_rule(connection, GUILD, 8, is_allowed=None)
        store.unblock_word(connection, GUILD, "fox")
        store.unblock_member(connection, GUILD, "k" * 64)
        store.set_log_channel(connection, GUILD, None)
        store.set_keep_days(connection, GUILD, None)
        assert found(connection) == replace(FRESH, channel_rules={8: None})


def test_a_flat_price_and_a_factor_replace_each_other(connection: Connection) -> None:
    for price in (PriceRule(credits=5), PriceRule(factor=Decimal("1.5")), PriceRule(credits=0)):
        store.set_price(connection, GUILD, "demo", price)
        assert found(connection).prices == {"demo": price}


def test_numbers_of_blocked_words_are_given_again_the_lowest_first(connection: Connection) -> None:
    for text in ("a", "b", "c", "d"):
        store.block_word(connection, GUILD, text)
    store.unblock_word(connection, GUILD, "c")
    store.unblock_word(connection, GUILD, "a")
    assert found(connection).blocked_words == (BlockedWord(2, "b"), BlockedWord(4, "d"))
    for text in ("e", "b", "f", "g"):
        store.block_word(connection, GUILD, text)
    words = {word.number: word.text for word in found(connection).blocked_words}
    assert words == {1: "e", 2: "b", 3: "f", 4: "d", 5: "g"}


def test_words_are_numbered_in_each_guild_from_one(connection: Connection) -> None:
    store.lock_guild(connection, OTHER)
    store.block_word(connection, OTHER, "a")
    store.block_word(connection, GUILD, "b")
    store.block_word(connection, GUILD, "a")
    assert found(connection).blocked_words == (BlockedWord(1, "b"), BlockedWord(2, "a"))
    store.unblock_word(connection, OTHER, "a")
    assert len(found(connection).blocked_words) == 2


def test_every_decision_is_counted_in_its_guild(connection: Connection) -> None:
    assert store.lock_guild(connection, GUILD) == 0
    for version in (1, 2, 3):
        store.count_decision(connection, GUILD)
        assert store.lock_guild(connection, GUILD) == version == found(connection).version
    assert store.lock_guild(connection, OTHER) == 0


# --- what is remembered -----------------------------------------------------------------------------


async def test_what_was_decided_is_remembered_at_once(database: Database) -> None:
    decisions, communities = made(database)
    assert await communities.of(GUILD) == FRESH
    await decisions.choose_default(actor(), "demo")
    assert (await communities.of(GUILD)).default_model == "demo"
    assert await communities.of(OTHER) == replace(FRESH, guild_id=OTHER)


async def test_under_the_guilds_lock_what_another_process_has_decided_is_read_again(database: Database) -> None:
    (_, ours), (theirs, _) = made(database), made(database)
    assert (await ours.of(GUILD)).default_model is None
    await theirs.choose_default(actor(), "demo")
    assert (await ours.of(GUILD)).default_model is None, "memory can't know yet"
    locked = await database.write(lambda connection: ours.locked(connection, GUILD))
    assert (locked.default_model, locked.version) == ("demo", 1)


async def test_under_the_guilds_lock_nothing_is_read_again_that_is_still_true(database: Database) -> None:
    decisions, communities = made(database)
    await decisions.choose_default(actor(), "demo")
    known = await communities.of(GUILD)
    assert await database.write(lambda connection: communities.locked(connection, GUILD)) is known


async def test_an_older_picture_never_takes_the_place_of_a_newer_one(database: Database) -> None:
    decisions, communities = made(database)
    before = await communities.of(GUILD)
    await decisions.choose_default(actor(), "demo")
    communities.keep(before)
    assert (await communities.of(GUILD)).default_model == "demo"


# --- deciding ---------------------------------------------------------------------------------------


async def test_of_many_decisions_at_once_none_is_lost(database: Database) -> None:
    decisions, communities = made(database)
    await asyncio.gather(*(decisions.block_word(actor(), f"word{number}") for number in range(30)))
    community = await communities.of(GUILD)
    assert community.version == 30
    assert {word.number for word in community.blocked_words} == set(range(1, 31))
    assert {word.text for word in community.blocked_words} == {f"word{number}" for number in range(30)}
    rows = await database.read(partial(audit.page, guild_id=GUILD, most=100))
    assert len(rows) == 30


async def test_an_interaction_that_arrives_twice_decides_once(database: Database) -> None:
    decisions, communities = made(database)
    await decisions.deny_channel(actor(), 8)
    first = await decisions.allow_channel(actor(900), 8)
    second = await decisions.allow_channel(actor(900), 8)
    assert (first.deed.before, first.deed.after) == ("everywhere but in <#8>", "everywhere")
    assert (second.deed.before, second.deed.after) == ("everywhere", "everywhere")
    assert (await communities.of(GUILD)).channel_rules == {8: None}
    assert len(await database.read(partial(audit.page, guild_id=GUILD, most=100))) == 2


async def test_a_refused_decision_leaves_nothing(database: Database) -> None:
    decisions, communities = made(database)
    refusals: list[Callable[[], object]] = [
        lambda: decisions.unblock_word(actor(), "fox"),
        lambda: decisions.block_word(actor(), "***"),
        lambda: decisions.block_word(actor(), "\ufdfa" * LONGEST),
        lambda: decisions.set_allowance(actor(), AllowanceRule(amount=5, length=PeriodLength.DAY, cap=4)),
    ]
    for refused in refusals:
        with pytest.raises(Refusal):
            await refused()  # pyright: ignore[reportGeneralTypeIssues] - each is one
    assert await communities.of(GUILD) == FRESH
    assert await database.read(partial(audit.page, guild_id=GUILD, most=100)) == []


async def test_the_longest_word_and_reason_that_can_be_typed_are_stored(database: Database) -> None:
    decisions, communities = made(database)
    await decisions.block_word(actor(), "狐" * (LONGEST // 2))
    await decisions.block_word(actor(), "*" + "x" * (LONGEST - 2) + "*")
    await decisions.block_member(actor(), MEMBER, "🦊" * 300)
    community = await communities.of(GUILD)
    assert [len(word.text) for word in community.blocked_words] == [LONGEST - 1, LONGEST]
    assert community.blocked_members == {KEYS.of(GUILD, MEMBER): "🦊" * 300}


async def test_credits_are_given_once_for_an_interaction_and_taken_down_to_nothing(database: Database) -> None:
    decisions, _ = made(database)
    member = Member(user_id=MEMBER)
    given = await decisions.grant(actor(901), member, 50, "won")
    assert (given.deed.before, given.deed.after) == ("100", "150")
    with pytest.raises(Refusal, match="done already"):
        await decisions.grant(actor(901), member, 50, "won")
    taken = await decisions.revoke(actor(), member, 10_000, "")
    assert (taken.amount, taken.deed.before, taken.deed.after) == (-150, "150", "0")
    account = await database.write(partial(ledger.account_of, guild_id=GUILD, user_id=MEMBER))
    assert (account.available, account.allowance) == (0, 0)
    assert await database.read(ledger.mismatches) == []


# --- the audit --------------------------------------------------------------------------------------


def record(connection: Connection, number: int, **changes: object) -> None:
    values: dict[str, object] = {
        "guild_id": GUILD,
        "actor_id": 1,
        "interaction_id": number,
        "action": "credits.grant",
        "target": mention(MEMBER),
        "before": str(number),
        "after": "",
        **changes,
    }
    deed = Deed(**values)  # pyright: ignore[reportArgumentType] - as each test wants them
    audit.record(connection, deed, now=NOON + timedelta(minutes=number))


def numbers(connection: Connection, **options: object) -> list[int]:
    """The rows of a page, by their numbers."""
    chosen: dict[str, object] = {"guild_id": GUILD, "most": 100, **options}
    rows = audit.page(connection, **chosen)  # pyright: ignore[reportArgumentType] - as each test wants them
    return [int(row.deed.before) for row in rows]


def test_a_page_of_the_audit_begins_with_the_newest_and_is_its_guilds_own(connection: Connection) -> None:
    for number in range(1, 11):
        record(connection, number, guild_id=GUILD if number % 2 else OTHER)
    assert numbers(connection) == [9, 7, 5, 3, 1]
    assert numbers(connection, most=2) == [9, 7]
    assert numbers(connection, most=2, skip=2) == [5, 3]
    assert numbers(connection, most=2, skip=4) == [1]
    assert numbers(connection, skip=5) == []
    assert numbers(connection, guild_id=OTHER) == [10, 8, 6, 4, 2]


def test_a_row_of_the_audit_comes_back_as_it_was_given(connection: Connection) -> None:
    deed = Deed(
        guild_id=GUILD,
        actor_id=2**62,
        interaction_id=None,
        action="models.deny",
        target="demo",
        before="a\nb",
        after="🦊",
        reason="' --",
    )
    for _ in range(2):  # without an interaction, nothing is done twice
        audit.record(connection, deed, now=NOON)
    rows = audit.page(connection, GUILD, most=5)
    assert [row.deed for row in rows] == [deed, deed]
    assert {row.created_at for row in rows} == {NOON}


def test_the_audit_of_a_member_holds_what_they_did_and_what_was_done_to_them(connection: Connection) -> None:
    record(connection, 1, actor_id=MEMBER, target="demo")
    record(connection, 2)
    record(connection, 3, target="demo")
    record(connection, 4, target=f"<@&{MEMBER}>")
    record(connection, 5, target=mention(MEMBER * 10))
    assert numbers(connection, about=MEMBER) == [2, 1]
    assert numbers(connection, about=404) == []


def test_the_audit_of_an_action_holds_it_or_its_group_and_nothing_that_only_looks_alike(connection: Connection) -> None:
    for number, action in enumerate(["credits.grant", "credits.revoke", "creditsX", "credit.grant", "models.deny"], 1):
        record(connection, number, action=action)
    assert numbers(connection, action="credits") == [2, 1]
    assert numbers(connection, action="credits.grant") == [1]
    for wild in ("credit_", "%", "c%", ""):
        assert numbers(connection, action=wild) == []
    assert numbers(connection, action="credits", about=MEMBER) == [2, 1]


# --- what is left of a deleted member ---------------------------------------------------------------


def test_the_key_of_a_member_differs_by_guild_member_and_secret() -> None:
    keys = {
        MemberKeys(secret).of(guild_id, user_id)
        for secret in ("secret", "other")
        for guild_id, user_id in ((1, 23), (12, 3), (23, 1))
    }
    assert len(keys) == 6
    assert {len(key) for key in keys} == {64}
    assert MemberKeys("secret").of(1, 23) == MemberKeys("secret").of(1, 23)
    assert "secret" not in repr(MemberKeys("secret"))
