"""Every rule of the books, on each database. Whatever a test does, the books are right after it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import pytest
from sqlalchemy import Connection, insert, make_url, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, NoResultFound

from bot.credits import ledger
from bot.credits.allowance import AllowanceRule, Period, PeriodLength, period_at
from bot.credits.ledger import Account, Balance, InsufficientCredits, Mismatch
from bot.database.engine import Database, sync_engine
from bot.database.tables import accounts, forgotten_grants, ledger_entries
from tests.clocks import NOON

GUILD, MEMBER = 100, 200


class Step(Protocol):
    """What is done about a hold."""

    def __call__(self, connection: Connection, *, job_id: str, now: datetime) -> None: ...


RULE = AllowanceRule(amount=100, length=PeriodLength.WEEK)
WEEK = period_at(NOON, PeriodLength.WEEK)
NEXT_WEEK = period_at(NOON + timedelta(days=7), PeriodLength.WEEK)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """One transaction; at its end the books must be right."""
    engine = sync_engine(make_url(database_url))
    with engine.begin() as connection:
        yield connection
        assert ledger.mismatches(connection) == []
    engine.dispose()


@contextmanager
def refused(
    connection: Connection, error: type[Exception] = IntegrityError, match: str | None = None
) -> Generator[None]:
    """What happens here must raise, and must leave every account as it was."""
    before = connection.execute(select(accounts).order_by(accounts.c.id)).all()
    with pytest.raises(error, match=match), connection.begin_nested():
        yield
    assert connection.execute(select(accounts).order_by(accounts.c.id)).all() == before


def account(connection: Connection, guild_id: int = GUILD, user_id: int = MEMBER) -> Account:
    return ledger.account_of(connection, guild_id, user_id)


def balance(connection: Connection, guild_id: int = GUILD, user_id: int = MEMBER) -> tuple[int, int, int]:
    """Available, held, allowance."""
    found = account(connection, guild_id, user_id)
    return found.available, found.held, found.allowance


def fill(connection: Connection, *, allowance: int = 0, granted: int = 0) -> None:
    rule = AllowanceRule(amount=allowance, length=PeriodLength.WEEK)
    ledger.give_allowance(connection, account(connection), rule, WEEK, member_key="m", now=NOON)
    if granted:
        ledger.grant(connection, account(connection), granted, now=NOON)


def hold(connection: Connection, amount: int, job_id: str = "a") -> None:
    ledger.hold(connection, account(connection), amount, job_id=job_id, now=NOON)


def entries(connection: Connection) -> list[tuple[str, int, int, int, str | None]]:
    entry = ledger_entries.c
    columns = (entry.kind, entry.available_change, entry.held_change, entry.allowance_change, entry.job_id)
    return [tuple(row) for row in connection.execute(select(*columns).order_by(entry.id))]


def test_a_new_account_is_empty_and_found_again(connection: Connection) -> None:
    first = account(connection)
    assert first == Account(first.id, GUILD, MEMBER, 0, 0, 0)
    assert account(connection) == first
    assert ledger.locked(connection, first.id) == first


def test_a_member_has_an_account_in_each_guild(connection: Connection) -> None:
    fill(connection, granted=10)
    hold(connection, 4)
    assert balance(connection, GUILD + 1) == (0, 0, 0)
    assert balance(connection, GUILD, MEMBER + 1) == (0, 0, 0)
    assert balance(connection) == (6, 4, 0)


def test_ids_as_large_as_discords_can_be_are_kept(connection: Connection) -> None:
    largest = 2**63 - 1
    assert account(connection, largest, largest).user_id == largest


@pytest.mark.parametrize(
    ("allowance", "granted", "amount", "after_hold"),
    [
        (10, 0, 7, (3, 7, 3)),
        (5, 5, 7, (3, 7, 0)),
        (0, 10, 7, (3, 7, 0)),
        (7, 3, 7, (3, 7, 0)),
        (5, 5, 10, (0, 10, 0)),
        (5, 5, 0, (10, 0, 5)),
    ],
)
def test_a_hold_takes_the_allowance_first_and_gives_back_the_same_split(
    connection: Connection, allowance: int, granted: int, amount: int, after_hold: tuple[int, int, int]
) -> None:
    fill(connection, allowance=allowance, granted=granted)
    before = balance(connection)
    hold(connection, amount, "released")
    assert balance(connection) == after_hold
    ledger.release(connection, job_id="released", now=NOON)
    assert balance(connection) == before
    hold(connection, amount, "settled")
    ledger.settle(connection, job_id="settled", now=NOON)
    assert balance(connection) == (after_hold[0], 0, after_hold[2])
    ledger.refund(connection, job_id="settled", now=NOON)
    assert balance(connection) == before


def test_the_entries_read_as_the_design_says(connection: Connection) -> None:
    fill(connection, allowance=5, granted=20)
    hold(connection, 7, "a")
    ledger.settle(connection, job_id="a", now=NOON)
    ledger.refund(connection, job_id="a", now=NOON)
    hold(connection, 7, "b")
    ledger.release(connection, job_id="b", now=NOON)
    ledger.take(connection, account(connection), 22, now=NOON)
    assert entries(connection) == [
        ("grant", 5, 0, 5, None),
        ("grant", 20, 0, 0, None),
        ("hold", -7, 7, -5, "a"),
        ("settle", 0, -7, 0, "a"),
        ("refund", 7, 0, 5, "a"),
        ("hold", -7, 7, -5, "b"),
        ("release", 7, -7, 5, "b"),
        ("adjust", -22, 0, -2, None),
    ]


def test_a_hold_of_more_than_is_available_books_nothing(connection: Connection) -> None:
    fill(connection, allowance=5, granted=2)
    with refused(connection, InsufficientCredits, match="8 needed, 7 available"):
        hold(connection, 8)
    assert len(entries(connection)) == 2


def test_what_is_held_cannot_be_held_again(connection: Connection) -> None:
    fill(connection, granted=10)
    hold(connection, 6, "a")
    with refused(connection, InsufficientCredits):
        hold(connection, 5, "b")


def test_a_job_is_held_for_once(connection: Connection) -> None:
    fill(connection, granted=100)
    hold(connection, 5, "a")
    with refused(connection, match="one_hold|job_id"):
        hold(connection, 5, "a")
    ledger.release(connection, job_id="a", now=NOON)
    with refused(connection):
        hold(connection, 5, "a")


@pytest.mark.parametrize("first", [ledger.settle, ledger.release])
@pytest.mark.parametrize("second", [ledger.settle, ledger.release])
def test_a_hold_is_resolved_once(connection: Connection, first: Step, second: Step) -> None:
    fill(connection, granted=100)
    hold(connection, 5, "a")
    # what a second resolution would take its credits from
    hold(connection, 50, "other")
    first(connection, job_id="a", now=NOON)
    with refused(connection):
        second(connection, job_id="a", now=NOON)
    assert account(connection).held == 50


def test_what_was_settled_is_refunded_once(connection: Connection) -> None:
    fill(connection, granted=10)
    hold(connection, 5)
    ledger.settle(connection, job_id="a", now=NOON)
    ledger.refund(connection, job_id="a", now=NOON)
    with refused(connection):
        ledger.refund(connection, job_id="a", now=NOON)


def test_what_was_never_settled_is_not_refunded(connection: Connection) -> None:
    fill(connection, granted=10)
    hold(connection, 5)
    with refused(connection, NoResultFound):
        ledger.refund(connection, job_id="a", now=NOON)
    ledger.release(connection, job_id="a", now=NOON)
    with refused(connection, NoResultFound):
        ledger.refund(connection, job_id="a", now=NOON)


@pytest.mark.parametrize("resolve", [ledger.settle, ledger.release, ledger.refund])
def test_what_was_never_held_is_not_resolved(connection: Connection, resolve: Step) -> None:
    fill(connection, granted=10)
    with refused(connection, NoResultFound):
        resolve(connection, job_id="unknown", now=NOON)


@pytest.mark.parametrize(
    ("asked", "taken", "after"),
    [
        (3, 3, (17, 30, 10)),
        (10, 10, (10, 30, 10)),
        (15, 15, (5, 30, 5)),
        (20, 20, (0, 30, 0)),
        (1_000, 20, (0, 30, 0)),
        (0, 0, (20, 30, 10)),
        (-5, 0, (20, 30, 10)),
    ],
)
def test_taking_leaves_what_is_held_and_spares_the_allowance(
    connection: Connection, asked: int, taken: int, after: tuple[int, int, int]
) -> None:
    ledger.grant(connection, account(connection), 30, now=NOON)
    hold(connection, 30)
    fill(connection, allowance=10, granted=10)
    entry_id, given_back = ledger.take(connection, account(connection), asked, now=NOON)
    assert given_back == taken
    assert balance(connection) == after
    booked = connection.execute(select(ledger_entries).where(ledger_entries.c.id == entry_id)).mappings().one()
    assert (booked["kind"], booked["available_change"]) == ("adjust", -taken)


def test_less_than_nothing_is_neither_granted_nor_held(connection: Connection) -> None:
    fill(connection, granted=10)
    hold(connection, 5, "open")
    with refused(connection):
        ledger.grant(connection, account(connection), -1, now=NOON)
    with refused(connection):
        hold(connection, -1)


def give(connection: Connection, amount: int, *, cap: int | None = None, period: Period = WEEK) -> tuple[int, int, int]:
    rule = AllowanceRule(amount=amount, length=PeriodLength.WEEK, cap=cap)
    given = ledger.give_allowance(connection, account(connection), rule, period, member_key="m", now=NOON)
    assert given == account(connection)
    return balance(connection)


def test_an_allowance_comes_once_in_a_period(connection: Connection) -> None:
    assert give(connection, 100) == (100, 0, 100)
    hold(connection, 60)
    assert give(connection, 100) == (40, 60, 40)
    assert give(connection, 100, period=NEXT_WEEK) == (100, 60, 100)
    assert give(connection, 100, period=NEXT_WEEK) == (100, 60, 100)


def test_a_better_allowance_within_the_period_brings_the_difference_only(connection: Connection) -> None:
    give(connection, 100)
    hold(connection, 90)
    assert give(connection, 150) == (60, 90, 60)
    assert give(connection, 100) == (60, 90, 60)
    assert give(connection, 150) == (60, 90, 60)
    assert give(connection, 0) == (60, 90, 60)


def test_what_exceeds_the_cap_expires_and_the_books_show_both(connection: Connection) -> None:
    give(connection, 100)
    assert give(connection, 100, period=NEXT_WEEK) == (100, 0, 100)
    assert [entry[:4] for entry in entries(connection)] == [
        ("grant", 100, 0, 100),
        ("grant", 100, 0, 100),
        ("expire", -100, 0, -100),
    ]


def test_a_larger_cap_lets_allowances_pile_up(connection: Connection) -> None:
    give(connection, 100, cap=150)
    assert give(connection, 100, cap=150, period=NEXT_WEEK) == (150, 0, 150)


def test_a_cap_below_the_amount_wins(connection: Connection) -> None:
    assert give(connection, 100, cap=30) == (30, 0, 30)
    assert give(connection, 100, cap=0, period=NEXT_WEEK) == (0, 0, 0)


def test_the_cap_leaves_what_moderators_gave_alone(connection: Connection) -> None:
    ledger.grant(connection, account(connection), 1_000, now=NOON)
    assert give(connection, 100) == (1_100, 0, 100)
    assert give(connection, 100, period=NEXT_WEEK) == (1_100, 0, 100)


def test_the_cap_does_not_count_what_is_held(connection: Connection) -> None:
    give(connection, 100)
    hold(connection, 100)
    assert give(connection, 100, period=NEXT_WEEK) == (100, 100, 100)
    ledger.release(connection, job_id="a", now=NOON)
    assert balance(connection) == (200, 0, 200)
    # what came back too much expires with the next allowance
    later = period_at(NOON + timedelta(days=14), PeriodLength.WEEK)
    ledger.give_allowance(connection, account(connection), RULE, later, member_key="m", now=NOON)
    assert balance(connection) == (100, 0, 100)


def test_another_length_is_another_period_and_going_back_is_not(connection: Connection) -> None:
    week, day = RULE, AllowanceRule(amount=10, length=PeriodLength.DAY, cap=1_000)
    for rule, expected in ((week, 100), (day, 110), (week, 110), (day, 110)):
        ledger.give_allowance(
            connection, account(connection), rule, period_at(NOON, rule.length), member_key="m", now=NOON
        )
        assert account(connection).available == expected


def test_no_allowance_books_nothing(connection: Connection) -> None:
    assert give(connection, 0) == (0, 0, 0)
    assert entries(connection) == []


@pytest.mark.parametrize(("allowance", "granted"), [(10, 5), (10, 0), (0, 5), (0, 0)])
def test_everything_is_forfeited_in_one_entry_that_says_what_was_allowance(
    connection: Connection, allowance: int, granted: int
) -> None:
    fill(connection, allowance=allowance, granted=granted)
    before = entries(connection)
    assert ledger.forfeit(connection, account(connection), now=NOON) == allowance + granted
    assert balance(connection) == (0, 0, 0)
    booked = [("adjust", -allowance - granted, 0, -allowance, None)] if allowance + granted else []
    assert entries(connection) == [*before, *booked]
    # there is nothing left to forfeit
    assert ledger.forfeit(connection, account(connection), now=NOON) == 0
    assert entries(connection) == [*before, *booked]


def test_nothing_is_forfeited_while_something_is_held(connection: Connection) -> None:
    fill(connection, allowance=10)
    hold(connection, 4)
    with refused(connection, ValueError, match="still holds 4"):
        ledger.forfeit(connection, account(connection), now=NOON)
    ledger.release(connection, job_id="a", now=NOON)
    assert ledger.forfeit(connection, account(connection), now=NOON) == 10


def test_what_was_forfeited_of_one_account_is_left_in_others(connection: Connection) -> None:
    fill(connection, granted=10)
    for place in ((GUILD + 1, MEMBER), (GUILD, MEMBER + 1)):
        ledger.grant(connection, account(connection, *place), 3, now=NOON)
    ledger.forfeit(connection, account(connection), now=NOON)
    assert balance(connection, GUILD + 1) == (3, 0, 0)
    assert balance(connection, GUILD, MEMBER + 1) == (3, 0, 0)


def test_an_account_that_is_nobodys_any_more_makes_room_for_a_new_one(connection: Connection) -> None:
    fill(connection, granted=10)
    old = account(connection)
    nobody = -(2**63)
    ledger.make_nobodys(connection, old, nobody)
    assert ledger.account_if_any(connection, GUILD, MEMBER) is None
    assert ledger.account_if_any(connection, GUILD, nobody) == Account(old.id, GUILD, nobody, 10, 0, 0)
    assert ledger.accounts_of_people(connection, GUILD, most=10) == []
    new = account(connection)
    assert new.id != old.id
    assert (new.available, new.held) == (0, 0)
    assert ledger.accounts_of_people(connection, GUILD, most=10) == [new]
    assert ledger.accounts_of_people(connection, GUILD + 1, most=10) == []


def test_what_was_given_in_a_period_is_remembered_by_the_key_and_given_no_second_time(connection: Connection) -> None:
    month = period_at(NOON, PeriodLength.MONTH)
    other = AllowanceRule(amount=40, length=PeriodLength.MONTH)
    give(connection, 100)
    ledger.give_allowance(connection, account(connection), other, month, member_key="m", now=NOON)
    ledger.remember_grants(connection, account(connection), [WEEK, month, NEXT_WEEK], member_key="m")
    ledger.make_nobodys(connection, account(connection), -1)
    rows = connection.execute(select(forgotten_grants).order_by(forgotten_grants.c.granted)).all()
    assert [tuple(row) for row in rows] == [
        ("m", month.key, GUILD, 40, month.end),
        ("m", WEEK.key, GUILD, 100, WEEK.end),
    ]
    assert give(connection, 100) == (0, 0, 0)
    # a better amount brings the difference, and that is remembered as well
    assert give(connection, 130) == (30, 0, 30)
    ledger.remember_grants(connection, account(connection), [WEEK], member_key="m")
    ledger.make_nobodys(connection, account(connection), -2)
    assert give(connection, 130) == (0, 0, 0)
    # one who was given nothing more takes nothing back from what is known
    ledger.remember_grants(connection, account(connection), [WEEK], member_key="m")
    ledger.make_nobodys(connection, account(connection), -3)
    assert give(connection, 130) == (0, 0, 0)
    assert give(connection, 130, period=NEXT_WEEK) == (130, 0, 130)
    fresh = ledger.account_of(connection, GUILD, MEMBER + 1)
    assert ledger.give_allowance(connection, fresh, RULE, WEEK, member_key="n", now=NOON).available == 100


def test_a_balance_is_never_negative(connection: Connection) -> None:
    fill(connection, allowance=5, granted=5)
    hold(connection, 3)
    for change in ("available = -1, allowance = 0", "held = -1", "allowance = -1", "allowance = available + 1"):
        with refused(connection):
            connection.execute(text(f"UPDATE accounts SET {change}"))  # noqa: S608 - of our own words


@pytest.mark.parametrize(
    ("kind", "available", "held", "job_id"),
    [
        ("hold", -7, 6, "x"),
        ("hold", 7, -7, "x"),
        ("hold", -7, 7, None),
        ("settle", 0, 7, "x"),
        ("settle", 3, -2, "x"),
        ("settle", -1, -7, "x"),
        ("settle", 0, -7, None),
        ("release", 7, -6, "x"),
        ("release", -7, 7, "x"),
        ("release", 7, -7, None),
        ("refund", -7, 0, "x"),
        ("refund", 7, -7, "x"),
        ("refund", 7, 0, None),
        ("grant", -1, 0, None),
        ("grant", 1, 1, None),
        ("expire", 1, 0, None),
        ("expire", -1, 1, None),
        ("adjust", -1, 1, None),
        ("gift", 1, 0, None),
        ("", 1, 0, None),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(
    connection: Connection, kind: str, available: int, held: int, job_id: str | None
) -> None:
    entry = {"kind": kind, "available_change": available, "held_change": held, "allowance_change": 0, "job_id": job_id}
    with refused(connection):
        connection.execute(insert(ledger_entries).values(account_id=account(connection).id, created_at=NOON, **entry))


def test_an_entry_needs_its_account(connection: Connection) -> None:
    with refused(connection):
        ledger.grant(connection, Account(404, GUILD, MEMBER, 0, 0, 0), 5, now=NOON)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_entries SET available_change = 6",
        "UPDATE ledger_entries SET job_id = NULL",
        "DELETE FROM ledger_entries",
        "INSERT INTO ledger_entries SELECT * FROM ledger_entries ORDER BY id ON CONFLICT (id) DO UPDATE SET job_id = 1",
    ],
)
def test_entries_are_never_changed(connection: Connection, change: str) -> None:
    fill(connection, granted=5)
    with refused(connection, DBAPIError, match="never changed"):
        connection.execute(text(change))


def test_entries_are_not_replaced_or_emptied_out(connection: Connection, backend: str) -> None:
    fill(connection, granted=5)
    ways = {
        "sqlite": "INSERT OR REPLACE INTO ledger_entries SELECT * FROM ledger_entries",
        "postgres": "TRUNCATE ledger_entries CASCADE",
    }
    with refused(connection, DBAPIError, match="never changed"):
        connection.execute(text(ways[backend]))


def test_an_account_that_differs_from_its_entries_is_found(database_url: str) -> None:
    engine = sync_engine(make_url(database_url))
    with engine.begin() as connection:
        fill(connection, allowance=5, granted=5)
        hold(connection, 3)
        fine, empty = account(connection).id, account(connection, GUILD, MEMBER + 1).id
        assert ledger.mismatches(connection) == []
        for change, recorded in (
            ("available = available + 1", Balance(8, 3, 2)),
            ("held = held - 1", Balance(7, 2, 2)),
            ("allowance = allowance - 1", Balance(7, 3, 1)),
        ):
            savepoint = connection.begin_nested()
            connection.execute(text(f"UPDATE accounts SET {change} WHERE id = {fine}"))  # noqa: S608
            wrong = [Mismatch(fine, recorded, Balance(7, 3, 2))]
            assert ledger.mismatches(connection) == wrong
            assert ledger.mismatches(connection, only_held=True) == wrong
            savepoint.rollback()
        savepoint = connection.begin_nested()
        connection.execute(text(f"UPDATE accounts SET available = 1 WHERE id = {empty}"))  # noqa: S608
        assert ledger.mismatches(connection) == [Mismatch(empty, Balance(1, 0, 0), Balance(0, 0, 0))]
        assert ledger.mismatches(connection, only_held=True) == []
        savepoint.rollback()
    engine.dispose()


async def test_of_200_holds_at_once_exactly_as_many_succeed_as_there_are_credits_for(database: Database) -> None:
    def prepare(connection: Connection) -> None:
        fill(connection, allowance=23, granted=34)

    def work(number: int, connection: Connection) -> None:
        hold(connection, 10, f"{number}")

    await database.write(prepare)
    outcomes = await asyncio.gather(
        *(database.write(partial(work, number)) for number in range(200)), return_exceptions=True
    )
    assert outcomes.count(None) == 5
    assert sum(isinstance(outcome, InsufficientCredits) for outcome in outcomes) == 195
    assert await database.write(balance) == (7, 50, 0)
    assert await database.read(ledger.mismatches) == []


async def test_of_many_resolutions_at_once_exactly_one_is_booked(database: Database) -> None:
    def prepare(connection: Connection) -> None:
        fill(connection, granted=100)
        hold(connection, 10)
        hold(connection, 90, "other")

    await database.write(prepare)
    steps = [ledger.settle, ledger.release] * 10
    outcomes = await asyncio.gather(
        *(database.write(partial(step, job_id="a", now=NOON)) for step in steps), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, IntegrityError) for outcome in outcomes) == 19
    winner = steps[outcomes.index(None)]
    assert await database.write(balance) == (10 if winner is ledger.release else 0, 90, 0)
    assert await database.read(ledger.mismatches) == []


async def test_an_allowance_that_many_ask_for_at_once_comes_once(database: Database) -> None:
    await asyncio.gather(*(database.write(partial(give, amount=100)) for _ in range(40)))
    assert await database.write(balance) == (100, 0, 100)
    assert len(await database.read(entries)) == 1


async def test_grants_and_takes_at_once_add_up(database: Database) -> None:
    def change(number: int, connection: Connection) -> int:
        if number % 2:
            ledger.grant(connection, account(connection), 10, now=NOON)
            return 10
        return -ledger.take(connection, account(connection), 3, now=NOON)[1]

    changes = await asyncio.gather(*(database.write(partial(change, number)) for number in range(60)))
    assert await database.write(balance) == (sum(changes), 0, 0)
    assert await database.read(ledger.mismatches) == []
