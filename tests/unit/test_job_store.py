"""Jobs and decisions in the database: what is guarded, what is booked with it, and how it is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from threading import Event
from typing import Any, cast

import pytest
from sqlalchemy import Connection, event, insert, make_url, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, NoResultFound

from bot.communities import audit
from bot.communities import store as decisions
from bot.communities.audit import Deed
from bot.communities.rules import ModelRule
from bot.credits import ledger
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.database.engine import Database, open_database, sync_engine
from bot.database.tables import guilds, job_events, jobs, ledger_entries
from bot.jobs import store
from bot.jobs.job import OPEN, Job, Reason, Request, State, StoredMedia
from bot.jobs.lifecycle import ALLOWED, Changes, Money, Step
from bot.jobs.policy import Use
from bot.jobs.store import JobMoved
from providers.types import Mode
from tests.clocks import NOON

GUILD, MEMBER, CHANNEL = 100, 200, 300
QUOTE = 7
REQUEST = Request(prompt="a fox in the snow", mode=Mode.TEXT, resolution="480p", duration=5)
TRANSITIONS = [(before, after) for before, afters in ALLOWED.items() for after in sorted(afters)]
DEFAULT = AllowanceRule(amount=100, length=PeriodLength.WEEK)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = sync_engine(make_url(database_url))
    with engine.begin() as connection:
        yield connection
        assert ledger.mismatches(connection) == []
    engine.dispose()


@contextmanager
def refused(connection: Connection, error: type[Exception]) -> Generator[None]:
    """What happens here must raise, and must leave jobs, events and books as they were."""
    before = everything(connection)
    with pytest.raises(error), connection.begin_nested():
        yield
    assert everything(connection) == before


def everything(connection: Connection) -> list[Sequence[object]]:
    return [
        connection.execute(select(table).order_by(*table.primary_key)).all()
        for table in (jobs, job_events, ledger_entries)
    ]


def accept(
    connection: Connection,
    number: int = 1,
    *,
    guild_id: int = GUILD,
    user_id: int = MEMBER,
    state: State = State.QUEUED,
    model: str = "demo",
    is_held: bool = True,
) -> Job:
    """Accept a job as the bot does, a minute after the one before, and carry it to its state."""
    now = NOON + timedelta(minutes=number)
    account = ledger.account_of(connection, guild_id, user_id)
    ledger.grant(connection, account, QUOTE, now=now)
    job = Job(
        id=f"job{number}",
        interaction_id=number,
        guild_id=guild_id,
        channel_id=CHANNEL,
        user_id=user_id,
        account_id=account.id,
        state=State.QUEUED,
        version=0,
        model=model,
        request=REQUEST,
        quote=QUOTE,
        upload_limit=10 << 20,
        created_at=now,
    )
    assert store.add(connection, job)
    if is_held:
        account = ledger.account_of(connection, guild_id, user_id)
        ledger.hold(connection, account, QUOTE, job_id=job.id, now=now)
    return carry(connection, job, state)


def carry(connection: Connection, job: Job, state: State) -> Job:
    """Carry a queued job to a state by the shortest way."""
    ways: dict[State, list[State]] = {State.QUEUED: []}
    for before in (State.QUEUED, State.SUBMITTING, State.RUNNING, State.DELIVERING):
        for after in ALLOWED[before]:
            ways.setdefault(after, [*ways[before], after])
    for each in ways[state]:
        job = store.move(connection, job, step_to(each), now=job.created_at)
    return job


def step_to(state: State) -> Step:
    if state is State.SUCCEEDED:
        return Step(state=state, money=Money.SETTLE)
    return Step(state=state, money=Money.KEEP if state.is_open else Money.RELEASE)


def events(connection: Connection, job_id: str = "job1") -> list[tuple[str, str]]:
    query = select(job_events.c.transition, job_events.c.detail).where(job_events.c.job_id == job_id)
    return [(transition, detail) for transition, detail in connection.execute(query.order_by(job_events.c.id))]


def held(connection: Connection) -> int:
    return ledger.account_of(connection, GUILD, MEMBER).held


def ids(found: Sequence[Job]) -> list[str]:
    return [job.id for job in found]


def test_a_stored_job_is_found_as_it_was_given(connection: Connection) -> None:
    job = accept(connection)
    assert store.load(connection, "job1") == job
    assert store.by_interaction(connection, 1) == job
    assert store.load(connection, "job2") is None
    assert store.by_interaction(connection, 2) is None
    assert events(connection) == [("-> queued", "")]


def test_a_request_with_everything_in_it_comes_back(connection: Connection) -> None:
    image = StoredMedia(path="inputs/a.png", content_type="image/png", filename="a.png", note="scaled")
    request = Request(
        prompt="ünï🦊 \0 '); --",
        mode=Mode.IMAGE,
        resolution="720p",
        duration=10,
        aspect_ratio="16:9",
        negative_prompt="",
        seed=2**31,
        enhance_prompt=False,
        parameters={"steps": 40, "shift": 1.5, "watermark": True},
        image=image,
        spoiler=True,
    )
    job = replace(accept(connection), id="job2", interaction_id=2, request=request)
    assert store.add(connection, job)
    assert store.load(connection, "job2") == job


def test_an_interaction_is_claimed_once(connection: Connection) -> None:
    job = accept(connection)
    before = everything(connection)
    assert not store.add(connection, replace(job, id="job2"))
    assert everything(connection) == before


async def test_of_many_claims_of_an_interaction_at_once_one_wins(database: Database) -> None:
    job = await database.write(accept)

    def claim(number: int, connection: Connection) -> bool:
        return store.add(connection, replace(job, id=f"other{number}", interaction_id=99))

    claims = await asyncio.gather(*(database.write(partial(claim, number)) for number in range(30)))
    assert claims.count(True) == 1


@pytest.mark.parametrize(("before", "after"), TRANSITIONS)
def test_a_transition_is_stored_with_its_event_and_its_money(
    connection: Connection, before: State, after: State
) -> None:
    job = accept(connection, state=before)
    now = NOON + timedelta(hours=1)
    step = replace(step_to(after), changes=Changes(reason=Reason.REFUSED, vendor_message="no"), detail="said no")
    moved = store.move(connection, job, step, now=now)
    assert moved == replace(
        job,
        state=after,
        version=job.version + 1,
        reason=Reason.REFUSED,
        vendor_message="no",
        ended_at=None if after.is_open else now,
    )
    assert events(connection)[-1] == (f"{before} -> {after}", "said no")
    assert held(connection) == (QUOTE if after.is_open else 0)
    assert ledger.account_of(connection, GUILD, MEMBER).available == (
        0 if after.is_open or after is State.SUCCEEDED else QUOTE
    )


@pytest.mark.parametrize("before", State)
def test_a_transition_that_the_picture_has_not_is_refused(connection: Connection, before: State) -> None:
    job = accept(connection, state=before)
    for after in set(State) - ALLOWED.get(before, frozenset()):
        with refused(connection, JobMoved):
            store.move(connection, job, step_to(after), now=NOON)


def test_a_job_that_somebody_else_has_moved_is_left_alone(connection: Connection) -> None:
    job = accept(connection)
    store.move(connection, job, step_to(State.SUBMITTING), now=NOON)
    with refused(connection, JobMoved):
        store.move(connection, job, step_to(State.CANCELLED), now=NOON)


def test_a_job_that_came_back_to_its_state_is_not_the_same(connection: Connection) -> None:
    job = accept(connection)
    back = store.move(connection, carry(connection, job, State.SUBMITTING), step_to(State.QUEUED), now=NOON)
    assert back.state is job.state
    with refused(connection, JobMoved):
        store.move(connection, job, step_to(State.CANCELLED), now=NOON)


def test_a_job_that_is_not_there_is_not_moved(connection: Connection) -> None:
    job = accept(connection)
    with refused(connection, JobMoved):
        store.move(connection, replace(job, id="job2"), step_to(State.SUBMITTING), now=NOON)
    with refused(connection, LookupError):
        store.store_card(connection, "job2", channel_id=1, message_id=2)


@pytest.mark.parametrize("resolve", [ledger.release, ledger.settle])
@pytest.mark.parametrize("end", [State.FAILED, State.SUCCEEDED])
def test_a_transition_whose_hold_is_resolved_already_does_not_happen(
    connection: Connection, end: State, resolve: Callable[..., None]
) -> None:
    job = accept(connection, state=State.DELIVERING)
    resolve(connection, job_id=job.id, now=NOON)
    accept(connection, 2)
    with refused(connection, IntegrityError):
        store.move(connection, job, step_to(end), now=NOON)


def test_a_transition_without_its_hold_does_not_happen(connection: Connection) -> None:
    job = accept(connection, is_held=False)
    with refused(connection, NoResultFound):
        store.move(connection, job, step_to(State.CANCELLED), now=NOON)


async def test_of_many_ends_at_once_one_happens(database: Database) -> None:
    job = await database.write(partial(accept, state=State.DELIVERING))
    ends = [State.SUCCEEDED, State.FAILED] * 10
    outcomes = await asyncio.gather(
        *(database.write(partial(store.move, job=job, step=step_to(end), now=NOON)) for end in ends),
        return_exceptions=True,
    )
    winners = [outcome for outcome in outcomes if isinstance(outcome, Job)]
    assert len(winners) == 1
    assert sum(isinstance(outcome, JobMoved) for outcome in outcomes) == 19
    assert await database.read(partial(store.load, job_id=job.id)) == winners[0]
    assert await database.write(held) == 0
    assert await database.read(ledger.mismatches) == []


async def test_an_end_takes_the_account_before_the_job(postgres_url: str) -> None:
    database = open_database(postgres_url)
    job = await database.write(accept)
    locked, go_on = Event(), Event()

    def account_then_job(connection: Connection) -> None:
        ledger.locked(connection, job.account_id)
        locked.set()
        assert go_on.wait(10)
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(video_path=None))

    other = asyncio.ensure_future(database.write(account_then_job))
    assert await asyncio.to_thread(locked.wait, 10)
    ending = asyncio.ensure_future(
        database.write(partial(store.move, job=job, step=step_to(State.CANCELLED), now=NOON))
    )
    await asyncio.sleep(0.2)
    go_on.set()
    await other
    assert (await ending).state is State.CANCELLED
    await database.close()


@pytest.mark.parametrize("words", ["no\0way", "half \ud83e of a fox"])
def test_what_a_vendor_says_never_keeps_a_job_from_ending(connection: Connection, words: str) -> None:
    job = accept(connection, state=State.RUNNING)
    step = replace(step_to(State.FAILED), changes=Changes(vendor_message=words), detail=words)
    ended = store.move(connection, job, step, now=NOON)
    assert ended.vendor_message in {"noway", "half ? of a fox"}
    assert events(connection)[-1][1] == ended.vendor_message
    assert held(connection) == 0
    assert store.known_tasks(connection, [words]) == frozenset()


def test_every_column_that_a_step_changes_comes_back(connection: Connection) -> None:
    later = NOON + timedelta(microseconds=1)
    instants = dict.fromkeys(("not_before", "submitted_at", "deadline", "result_expires_at"), later)
    instants |= dict.fromkeys(("delivering_since", "attempted_at", "late_until", "held_up_since"), later)
    numbers = {"cost_amount": "0.010", "cost_unit": "credits", "result_message_id": 2**62, "reason": Reason.TOO_LATE}
    numbers["offer_price"] = 7
    words = dict.fromkeys(Changes.__optional_keys__, "some words")
    changes = cast("Changes", {**words, **instants, **numbers})
    step = replace(step_to(State.SUBMITTING), changes=changes)
    moved = store.move(connection, accept(connection), step, now=NOON)
    assert (moved.cost_amount, moved.reason) == (Decimal("0.010"), Reason.TOO_LATE)
    for name in set(changes) - {"cost_amount", "reason"}:
        assert getattr(moved, name) == changes.get(name)


def test_a_card_shows_the_first_version_until_it_is_told_otherwise(connection: Connection) -> None:
    job = accept(connection, state=State.SUBMITTING)
    stored = store.store_card(connection, job.id, channel_id=5, message_id=6)
    assert (stored.channel_id, stored.card_message_id, stored.card_version) == (5, 6, 0)
    store.card_shows(connection, job.id, 1)
    # a card that was made anew
    assert store.store_card(connection, job.id, channel_id=5, message_id=7).card_version == 1


def test_stale_cards_are_those_of_jobs_that_ended_lately_without_showing_it(connection: Connection) -> None:
    for number in range(1, 5):
        accept(connection, number, state=State.CANCELLED)
        if number != 4:
            store.store_card(connection, f"job{number}", channel_id=5, message_id=number)
    store.card_shows(connection, "job2", 1)
    store.store_card(connection, accept(connection, 5).id, channel_id=5, message_id=5)
    ended = NOON + timedelta(minutes=1)
    assert ids(store.stale_cards(connection, since=ended)) == ["job1", "job3"]
    assert ids(store.stale_cards(connection, since=ended + timedelta(microseconds=1))) == ["job3"]


def test_an_open_attempt_keeps_its_first_time_until_it_is_closed(connection: Connection) -> None:
    job = accept(connection, state=State.DELIVERING)
    later = NOON + timedelta(minutes=5)
    assert store.open_attempt(connection, job, video_path="a.mp4", now=NOON).attempted_at == NOON
    again = store.open_attempt(connection, job, video_path="b.mp4", now=later)
    assert (again.attempted_at, again.video_path) == (NOON, "b.mp4")
    assert store.close_attempt(connection, job.id).attempted_at is None
    assert store.open_attempt(connection, job, video_path="a.mp4", now=later).attempted_at == later


def test_only_what_is_being_delivered_is_posted(connection: Connection) -> None:
    for number, state in enumerate(set(State) - {State.DELIVERING}):
        job = accept(connection, number, state=state)
        with refused(connection, JobMoved):
            store.open_attempt(connection, job, video_path="a.mp4", now=NOON)


def test_a_fresh_link_replaces_the_old_one(connection: Connection) -> None:
    job = accept(connection, state=State.DELIVERING)
    renewed = store.renew_result(connection, job.id, url="https://vendor.example/b", expires_at=NOON)
    assert renewed == replace(job, result_url="https://vendor.example/b", result_expires_at=NOON)
    assert store.renew_result(connection, job.id, url="c", expires_at=None).result_expires_at is None


def test_jobs_are_found_by_what_they_are(connection: Connection) -> None:
    """Twice as many members as guilds, one job of each in every state."""
    number = 0
    for state in State:
        for guild_id, user_id in ((1, 10), (1, 11), (2, 10)):
            number += 1
            accept(connection, number, guild_id=guild_id, user_id=user_id, state=state, model=f"model{number}")
    open_states = [state for state in State if state in OPEN]
    assert ids(store.open_jobs(connection)) == [f"job{n}" for n in range(1, 3 * len(open_states) + 1)]
    assert ids(store.queued(connection)) == ["job1", "job2", "job3"]
    assert store.active_counts(connection) == {(1, 10): 3, (1, 11): 3, (2, 10): 3}
    assert store.count_waiting(connection, 1, 10) == 1
    assert store.count_waiting(connection, 2, 11) == 0
    assert ids(store.open_of(connection, 1)) == [f"job{n}" for n in (1, 2, 4, 5, 7, 8, 10, 11)]
    assert ids(store.open_of(connection, 1, 11)) == ["job2", "job5", "job8", "job11"]
    assert ids(store.open_of(connection, 2, 11)) == []
    assert ids(store.latest_of(connection, 1, 10, most=3)) == ["job25", "job22", "job19"]
    assert store.last_model(connection, 1, 10) == "model25"
    assert store.last_model(connection, 2, 10) == "model27"
    assert store.last_model(connection, 2, 11) is None


def test_the_use_of_a_period_counts_what_was_begun_in_it_and_gave_or_will_give_a_video(connection: Connection) -> None:
    """One job of each state by each of two members, half of them before the period."""
    number = 0
    for state in State:
        for user_id in (10, 11):
            number += 1
            accept(connection, number, guild_id=1, user_id=user_id, state=state)
    accept(connection, number + 1, guild_id=2, user_id=10)
    counting = len(OPEN) + 1
    everything = store.use_since(connection, 1, 10, since=NOON)
    assert everything == Use(member_jobs=counting, guild_jobs=2 * counting, guild_credits=2 * counting * QUOTE)
    # the jobs are a minute apart, and the states in their order: the two of each open state, then those of succeeded
    late = store.use_since(connection, 1, 11, since=NOON + timedelta(minutes=4))
    assert late == Use(member_jobs=counting - 1, guild_jobs=2 * counting - 3, guild_credits=(2 * counting - 3) * QUOTE)
    assert store.use_since(connection, 2, 11, since=NOON) == Use(member_jobs=0, guild_jobs=1, guild_credits=QUOTE)
    assert store.use_since(connection, 3, 10, since=NOON) == Use(member_jobs=0, guild_jobs=0, guild_credits=0)


def test_what_was_given_back_is_no_use(connection: Connection) -> None:
    kept, refunded = (accept(connection, number, state=State.SUCCEEDED) for number in (1, 2))
    ledger.refund(connection, job_id=refunded.id, now=NOON)
    assert kept.quote == QUOTE
    assert store.use_since(connection, GUILD, MEMBER, since=NOON) == Use(
        member_jobs=1, guild_jobs=1, guild_credits=QUOTE
    )


def test_tasks_of_ours_are_known(connection: Connection) -> None:
    job = accept(connection, state=State.SUBMITTING)
    store.move(connection, job, Step(state=State.RUNNING, changes=Changes(task_id="a")), now=NOON)
    accept(connection, 2)
    assert store.known_tasks(connection, ["a", "b"]) == {"a"}
    assert store.known_tasks(connection, []) == frozenset()


_HOT: dict[str, Callable[[Connection], object]] = {
    "load": partial(store.load, job_id="job1"),
    "by_interaction": partial(store.by_interaction, interaction_id=1),
    "open_jobs": store.open_jobs,
    "queued": store.queued,
    "active_counts": store.active_counts,
    "count_waiting": partial(store.count_waiting, guild_id=GUILD, user_id=MEMBER),
    "open_of a member": partial(store.open_of, guild_id=GUILD, user_id=MEMBER),
    "open_of a guild": partial(store.open_of, guild_id=GUILD),
    "latest_of": partial(store.latest_of, guild_id=GUILD, user_id=MEMBER, most=5),
    "last_model": partial(store.last_model, guild_id=GUILD, user_id=MEMBER),
    "the entries of a job": partial(ledger.settle, job_id="job1", now=NOON),
    "mismatches of what is held": partial(ledger.mismatches, only_held=True),
    "use_since": partial(store.use_since, guild_id=GUILD, user_id=MEMBER, since=NOON),
    "finished_lately": partial(store.finished_lately, most=100, among=1000),
    "audit.page": partial(audit.page, guild_id=GUILD, most=8, skip=8),
    "audit.page of a member": partial(audit.page, guild_id=GUILD, about=MEMBER, most=8),
    "audit.page of an action": partial(audit.page, guild_id=GUILD, action="credits", most=8),
    "audit.was_done": partial(audit.was_done, interaction_id=1),
}
#: the tables that grow with every job and every decision
_GROWING = ("jobs", "ledger_entries", "audit")
#: what is read in an order that an index has already
_ORDERED = {"latest_of", "last_model", "audit.page", "audit.page of a member", "audit.page of an action"}


def many_ended_jobs(connection: Connection, like: Job) -> None:
    common = {
        "account_id": like.account_id,
        "channel_id": CHANNEL,
        "state": State.SUCCEEDED,
        "model": "demo",
        "request": REQUEST.model_dump_json(),
        "quote": 1,
        "upload_limit": 1,
        "created_at": NOON,
        "ended_at": NOON,
    }
    numbers = range(2_000)
    members = [{"guild_id": GUILD + number % 3, "user_id": MEMBER + number % 7} for number in numbers]
    rows = [{"id": f"old{n}", "interaction_id": 1_000 + n, **members[n], **common} for n in numbers]
    connection.execute(insert(jobs), rows)
    nothing = {"available_change": 0, "held_change": 0, "allowance_change": 0, "created_at": NOON}
    entry = {"account_id": like.account_id, "kind": "hold", **nothing}
    connection.execute(insert(ledger_entries), [{**entry, "job_id": f"old{n}"} for n in numbers])


@pytest.mark.parametrize("name", _HOT)
def test_hot_queries_look_at_no_ended_job_in_vain(sqlite_url: str, name: str) -> None:
    """Among two thousand ended jobs, no query goes through the whole table."""
    engine = sync_engine(make_url(sqlite_url))
    asked: list[tuple[str, Any]] = []

    def listen(*seen: Any) -> None:
        asked.append((seen[2], seen[3]))

    with engine.begin() as connection:
        many_ended_jobs(connection, accept(connection))
        event.listen(connection, "before_cursor_execute", listen)
        _HOT[name](connection)
        event.remove(connection, "before_cursor_execute", listen)
        queries = [(statement, parameters) for statement, parameters in asked if statement.startswith("SELECT")]
        assert queries
        for statement, parameters in queries:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            reads = [line for line in plan if line.startswith(("SCAN", "SEARCH"))]
            slow = [line for line in reads if "INDEX" not in line and "PRIMARY KEY" not in line]
            assert [line for line in slow if any(table in line for table in _GROWING)] == [], plan
            if name in _ORDERED:
                assert not any("TEMP B-TREE" in line for line in plan), plan
    engine.dispose()


def deed(interaction_id: int = 1, **changes: object) -> Deed:
    values: dict[str, object] = {
        "guild_id": GUILD,
        "actor_id": 1,
        "interaction_id": interaction_id,
        "action": "credits.grant",
        "target": "2",
        "before": "0",
        "after": "5",
        **changes,
    }
    return Deed(**values)  # pyright: ignore[reportArgumentType]


def test_a_deed_is_recorded_once_per_interaction(connection: Connection) -> None:
    assert not audit.was_done(connection, 1)
    account = ledger.account_of(connection, GUILD, MEMBER)
    entry_id = ledger.grant(connection, account, 5, now=NOON)
    audit.record(connection, deed(entry_id=entry_id, reason="won"), now=NOON)
    assert audit.was_done(connection, 1)
    assert not audit.was_done(connection, 2)
    with refused(connection, DBAPIError):
        audit.record(connection, deed(), now=NOON)
    with refused(connection, DBAPIError):
        audit.record(connection, deed(2, entry_id=404), now=NOON)


async def test_a_grant_that_arrives_many_times_at_once_is_booked_once(database: Database) -> None:
    def grant(connection: Connection) -> None:
        account = ledger.account_of(connection, GUILD, MEMBER)
        entry_id = ledger.grant(connection, account, 5, now=NOON)
        audit.record(connection, deed(entry_id=entry_id), now=NOON)

    outcomes = await asyncio.gather(*(database.write(grant) for _ in range(20)), return_exceptions=True)
    assert outcomes.count(None) == 1
    assert (await database.write(partial(ledger.account_of, guild_id=GUILD, user_id=MEMBER))).available == 5
    assert await database.read(ledger.mismatches) == []


def test_a_guild_that_has_decided_nothing_has_the_defaults(connection: Connection) -> None:
    fresh = decisions.community(connection, GUILD, default=DEFAULT)
    assert (fresh.allowance, fresh.model_rules, fresh.default_model) == (DEFAULT, (), None)
    decisions.lock_guild(connection, GUILD)
    decisions.lock_guild(connection, GUILD)
    assert decisions.community(connection, GUILD, default=DEFAULT) == fresh


def test_what_a_guild_has_decided_comes_back(connection: Connection) -> None:
    values = {"allowance_amount": 0, "allowance_period": "month", "allowance_cap": 0, "default_model": "demo"}
    connection.execute(insert(guilds).values(guild_id=GUILD, **values))
    rules = [
        ModelRule(model="demo", is_allowed=False),
        ModelRule(model="demo", is_allowed=True, role_id=4),
        ModelRule(model="demo", is_allowed=True, channel_id=5, role_id=4),
    ]
    for rule in rules:
        decisions.set_model_rule(connection, GUILD, replace(rule, is_allowed=not rule.is_allowed))
        decisions.set_model_rule(connection, GUILD, rule)
    decisions.set_model_rule(connection, GUILD + 1, ModelRule(model="other", is_allowed=False))
    found = decisions.community(connection, GUILD, default=DEFAULT)
    assert found.allowance == AllowanceRule(amount=0, length=PeriodLength.MONTH, cap=0)
    assert found.default_model == "demo"
    assert set(found.model_rules) == set(rules)


async def test_a_locked_guild_is_decided_on_by_one_at_a_time(database: Database) -> None:
    def count_one(connection: Connection) -> None:
        decisions.lock_guild(connection, GUILD)
        seen = connection.execute(select(guilds.c.allowance_amount)).scalar_one() or 0
        connection.execute(update(guilds).values(allowance_amount=seen + 1))

    await asyncio.gather(*(database.write(count_one) for _ in range(40)))
    community = await database.read(partial(decisions.community, guild_id=GUILD, default=DEFAULT))
    assert community.allowance.amount == 40
