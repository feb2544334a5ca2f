"""What operators want to know of all communities together, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from sqlalchemy import Connection, delete, event, insert, make_url, update

from bot.communities.usage import Asked, SaidCost, UnsaidCost
from bot.credits import ledger
from bot.database.engine import Database, sync_engine
from bot.database.tables import accounts, job_events, jobs
from bot.jobs import store as jobs_store
from bot.jobs.job import Job, Reason, Request, State, new_id
from bot.jobs.lifecycle import Changes, Money, Step
from bot.operations import book_check, store
from bot.operations.book_check import BookCheck
from bot.operations.store import CommunityUse, OpenJobs, Transition
from bot.operations.transitions import Transitions
from providers.types import Cost, CostUnit, Mode
from tests.clocks import NOON, Clock

REQUEST = Request(prompt="a fox in the snow", mode=Mode.TEXT, resolution="480p", duration=5)
HERE, THERE = 100, 101


def accept(
    connection: Connection,
    number: int,
    *,
    at: datetime = NOON,
    guild_id: int = HERE,
    user_id: int = 200,
    model: str = "demo",
    quote: int = 7,
) -> Job:
    """Accept a job as the bot does."""
    account = ledger.account_of(connection, guild_id, user_id)
    ledger.grant(connection, account, quote, now=at)
    job = Job(
        id=new_id(at, number),
        interaction_id=number,
        guild_id=guild_id,
        channel_id=300,
        user_id=user_id,
        account_id=account.id,
        state=State.QUEUED,
        version=0,
        model=model,
        request=REQUEST,
        quote=quote,
        upload_limit=10,
        created_at=at,
    )
    assert jobs_store.add(connection, job)
    ledger.hold(connection, ledger.locked(connection, account.id), quote, job_id=job.id, now=at)
    return job


def carry(
    connection: Connection, job: Job, *states: State, at: datetime = NOON, reason: Reason = Reason.NOT_MADE
) -> Job:
    """Carry a job from state to state."""
    for state in states:
        money = Money.KEEP if state.is_open else Money.SETTLE if state is State.SUCCEEDED else Money.RELEASE
        changes = Changes(delivering_since=at) if state is State.DELIVERING else Changes()
        if money is Money.RELEASE:
            changes = Changes(reason=reason)
        job = jobs_store.move(connection, job, Step(state=state, money=money, changes=changes), now=at)
    return job


ON_ITS_WAY = (State.SUBMITTING, State.RUNNING)


async def test_open_jobs_are_added_up_by_state_and_model(database: Database) -> None:
    def work(connection: Connection) -> None:
        accept(connection, 1, at=NOON - timedelta(minutes=9))
        accept(connection, 2, guild_id=THERE, quote=3)
        accept(connection, 3, model="other")
        carry(connection, accept(connection, 4), *ON_ITS_WAY)
        carry(connection, accept(connection, 5), State.CANCELLED)

    await database.write(work)
    found = sorted(await database.read(store.open_jobs), key=lambda each: (each.state, each.model))
    assert found == [
        OpenJobs(State.QUEUED, "demo", 2, 10, NOON - timedelta(minutes=9)),
        OpenJobs(State.QUEUED, "other", 1, 7, NOON),
        OpenJobs(State.RUNNING, "demo", 1, 7, NOON),
    ]


async def test_every_transition_is_given_once_whoever_made_it(database: Database) -> None:
    old = await database.write(lambda c: accept(c, 1))
    following = Transitions(database=database)
    await following.begin()
    assert await following.fresh() == []

    def work(connection: Connection) -> None:
        posted = carry(connection, accept(connection, 2), *ON_ITS_WAY, State.DELIVERING)
        carry(connection, posted, State.SUCCEEDED, at=NOON + timedelta(seconds=4))
        carry(connection, old, State.CANCELLED, reason=Reason.BY_MEMBER)

    await database.write(work)
    told = [(each.before, each.after, each.reason, each.lag) for each in await following.fresh()]
    assert told == [
        (None, State.QUEUED, None, None),
        (State.QUEUED, State.SUBMITTING, None, None),
        (State.SUBMITTING, State.RUNNING, None, None),
        (State.RUNNING, State.DELIVERING, None, None),
        (State.DELIVERING, State.SUCCEEDED, None, timedelta(seconds=4)),
        (State.QUEUED, State.CANCELLED, "by_member", None),
    ]
    assert await following.fresh() == []


async def test_a_transition_that_is_committed_late_under_a_lower_number_is_given_too(database: Database) -> None:
    following = Transitions(database=database)
    await following.begin()
    job = await database.write(lambda c: accept(c, 1))

    def note(connection: Connection, number: int) -> None:
        row = {"id": number, "job_id": job.id, "transition": "queued -> failed", "detail": "", "created_at": NOON}
        connection.execute(insert(job_events).values(row))

    await database.write(partial(note, number=90))
    assert [each.id for each in await following.fresh()][-1] == 90
    await database.write(partial(note, number=80))
    assert [each.id for each in await following.fresh()] == [80]
    assert await following.fresh() == []


async def test_of_several_processes_each_counts_what_was_done_with_the_jobs_that_it_had(database: Database) -> None:
    job = await database.write(lambda c: accept(c, 1))
    both = {name: Transitions(database=database, owner=name) for name in ("a", "b")}
    for following in both.values():
        await following.begin()
    row = {"job_id": job.id, "transition": "queued -> submitting", "detail": "", "created_at": NOON}
    for owner, count in (("a", 2), ("b", 3), (None, 700), ("a", 1)):
        await database.write(
            lambda c, owner=owner, count=count: c.execute(insert(job_events), [{**row, "owner": owner}] * count)
        )
    assert {name: len(await following.fresh()) for name, following in both.items()} == {"a": 3, "b": 3}
    assert {name: len(await following.fresh()) for name, following in both.items()} == {"a": 0, "b": 0}


async def test_thousands_of_transitions_are_read_in_parts_and_none_twice(database: Database) -> None:
    job = await database.write(lambda c: accept(c, 1))
    following = Transitions(database=database)
    await following.begin()
    row = {"job_id": job.id, "transition": "queued -> submitting", "detail": "", "created_at": NOON}
    await database.write(lambda c: c.execute(insert(job_events), [row] * 5000))
    fresh = await following.fresh()
    assert len(fresh) == len({each.id for each in fresh}) == 5000
    await database.write(lambda c: c.execute(insert(job_events), [row] * 3))
    assert len(await following.fresh()) == 3


async def test_the_page_gets_jobs_communities_and_costs_of_the_last_days_alone(database: Database) -> None:
    week_ago, since = NOON - timedelta(days=8), NOON - timedelta(days=7)

    def work(connection: Connection) -> list[Job]:
        carry(connection, accept(connection, 1, at=week_ago), *ON_ITS_WAY, State.DELIVERING, State.SUCCEEDED)
        lost = carry(connection, accept(connection, 2, at=week_ago), *ON_ITS_WAY, State.FAILED)
        made = carry(connection, accept(connection, 3), *ON_ITS_WAY, State.DELIVERING, State.SUCCEEDED)
        failed = carry(connection, accept(connection, 4, user_id=201), *ON_ITS_WAY, State.FAILED)
        waiting = accept(connection, 5, guild_id=THERE)
        said = carry(connection, accept(connection, 6), *ON_ITS_WAY, State.DELIVERING, State.SUCCEEDED)
        connection.execute(update(jobs).where(jobs.c.id == said.id).values(cost_amount="0.25", cost_unit="usd"))
        return [lost, made, failed, waiting]

    _, _, failed, waiting = await database.write(work)
    assert [each.id for each in await database.read(partial(store.live_jobs, most=9))] == [waiting.id]
    broken = await database.read(partial(store.failed_jobs, since=since, most=9))
    assert [(each.id, each.state, each.reason) for each in broken] == [(failed.id, State.FAILED, "not_made")]
    assert await database.read(partial(store.communities, since=since, most=9)) == [
        CommunityUse(HERE, jobs=3, members=2, videos=2, credits=14),
        CommunityUse(THERE, jobs=1, members=1, videos=0, credits=0),
    ]
    assert await database.read(partial(store.communities, since=since, most=1)) == [
        CommunityUse(HERE, jobs=3, members=2, videos=2, credits=14)
    ]
    spent = await database.read(partial(store.spending, since=since))
    assert spent.said == [SaidCost("demo", Cost(Decimal("0.25"), CostUnit.USD), 1)]
    assert spent.unsaid == [UnsaidCost("demo", Asked(mode="text", resolution="480p", duration=5), 1)]


# --- the books ---------------------------------------------------------------------------------------


class Told:
    """Hears how comparisons of the books went."""

    def __init__(self) -> None:
        self.checks: list[tuple[str, int, int]] = []

    def books_checked(self, *, accounts: str, mismatches: int, stray: int, at: float) -> None:
        assert at == NOON.timestamp()
        self.checks.append((accounts, mismatches, stray))


def books(database: Database, told: Told) -> BookCheck:
    return BookCheck(database=database, observer=told, clock=Clock(), pause=0)


def tamper(connection: Connection, user_id: int, **values: int) -> None:
    connection.execute(update(accounts).where(accounts.c.user_id == user_id).values(**values))


async def test_right_books_are_right_in_part_and_in_full(database: Database) -> None:
    await database.write(lambda c: carry(c, accept(c, 1), *ON_ITS_WAY))
    told = Told()
    assert await books(database, told).check(only_held=True) == 0
    assert await books(database, told).check(only_held=False) == 0
    assert told.checks == [("held", 0, 0), ("all", 0, 0)]


async def test_an_account_without_a_hold_is_found_wrong_in_full_alone(database: Database) -> None:
    def work(connection: Connection) -> None:
        carry(connection, accept(connection, 1, user_id=1), State.CANCELLED)
        accept(connection, 2, user_id=2)
        tamper(connection, 1, available=500)

    await database.write(work)
    told = Told()
    assert await books(database, told).check(only_held=True) == 0
    assert await books(database, told).check(only_held=False) == 1


async def test_wrong_accounts_are_found_in_every_slice(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_check, "SLICE", 2)

    def work(connection: Connection) -> None:
        for number in range(1, 8):
            accept(connection, number, user_id=number)
        for number in (1, 4, 7):
            tamper(connection, number, available=500)

    await database.write(work)
    assert await books(database, Told()).check(only_held=False) == 3


async def test_a_slice_reads_the_entries_of_its_accounts_alone(database_url: str) -> None:
    engine = sync_engine(make_url(database_url))
    with engine.begin() as connection:
        for number in range(1, 4):
            accept(connection, number, user_id=number)
        tamper(connection, 3, available=500)
        assert ledger.mismatches(connection, within=range(1, 3)) == []
        assert [each.account_id for each in ledger.mismatches(connection, within=range(3, 4))] == [3]
        tamper(connection, 3, available=0)
    engine.dispose()


@pytest.mark.parametrize(("held", "stray"), [(9, 2), (5, -2)])
async def test_credits_that_are_held_for_nothing_or_missing_are_counted(
    database: Database, held: int, stray: int
) -> None:
    def work(connection: Connection) -> None:
        accept(connection, 1)
        tamper(connection, 200, held=held)

    await database.write(work)
    told = Told()
    assert await books(database, told).check(only_held=True) == 1
    assert told.checks == [("held", 1, stray)]


# --- how much is read --------------------------------------------------------------------------------


async def test_nothing_that_is_asked_again_and_again_reads_all_jobs(sqlite_url: str) -> None:
    engine = sync_engine(make_url(sqlite_url))
    statements: list[tuple[str, object]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(*told: object) -> None:
        statements.append((str(told[2]), told[3]))

    since = NOON - timedelta(days=7)
    with engine.begin() as connection:
        store.open_jobs(connection)
        store.transitions_after(connection, 0, owner=None, most=9)
        store.live_jobs(connection, most=9)
        store.failed_jobs(connection, since=since, most=9)
        store.communities(connection, since=since, most=9)
        store.spending(connection, since=since)
        asked = list(statements)
        found = [
            (words, row[3])
            for words, values in asked
            if "FROM" in words
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", values)  # pyright: ignore[reportArgumentType] - as they were given
        ]
    engine.dispose()
    assert len(found) >= 7
    assert [plan for _, plan in found if plan.startswith("SCAN") and "USING" not in plan] == []


async def test_the_latest_transition_of_an_empty_database_is_none(database: Database) -> None:
    assert await database.read(store.latest_transition) == 0
    job = await database.write(lambda c: accept(c, 1))
    latest = await database.read(store.latest_transition)
    assert await database.read(partial(store.transitions_after, event_id=0, owner=None, most=9)) == [
        Transition(latest, None, State.QUEUED, job.model, None, None)
    ]
    await database.write(lambda c: c.execute(delete(job_events)))
