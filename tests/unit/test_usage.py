"""What a community has used: counted by the database, added up, told in words, and written as CSV."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, make_url

from bot.communities import usage_store
from bot.communities.usage import (
    HEADER,
    Asked,
    Costs,
    DayCount,
    Days,
    JobRow,
    MemberSpending,
    Outcomes,
    SaidCost,
    Series,
    Tally,
    UnsaidCost,
    Usage,
    alternative_text,
    summary,
    usage_of,
    usd_text,
    write_csv,
)
from bot.credits import ledger
from bot.credits.pricing import Pricing
from bot.database.engine import Database, sync_engine
from bot.jobs import store
from bot.jobs.job import Job, Reason, Request, State
from bot.jobs.lifecycle import ALLOWED, Changes, Money, Step
from cogs.admin.usage import packed, table_text
from providers.catalogue import MODELS
from providers.types import Cost, CostUnit, Mode
from tests.clocks import NOON

GUILD, ELSEWHERE, CHANNEL = 100, 101, 300
ALICE, BOB, DELETED = 1, 2, -5
STANDARD, VTRIX = "pixeldojo/wan-2.2-standard", "vtrix/wan22_t2v_plus"
#: 16, 17 and 18 November
DAYS = Days.until(NOON, 3)
MIDNIGHT = datetime(2026, 11, 18, tzinfo=UTC)
COSTS = Costs(
    pricing=Pricing(credits_per_usd=Decimal(100), usd_per_vendor_credit={"pixeldojo": Decimal("0.05")}),
    specs={spec.id: spec for spec in MODELS},
)
ASKED = Asked(mode="text", resolution="480p", duration=5)


class Accepting:
    """Accepts jobs as the bot does, and carries them to their state, each over a minute after it was accepted."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._number = 0

    def job(
        self,
        state: State,
        quote: int = 1,
        *,
        at: datetime = MIDNIGHT,
        user: int = ALICE,
        model: str = "demo",
        cost: tuple[str, str] | None = None,
        guild: int = GUILD,
        reason: Reason | None = None,
    ) -> str:
        self._number += 1
        account = ledger.account_of(self._connection, guild, user)
        ledger.grant(self._connection, account, quote, now=at)
        job = Job(
            id=f"job{self._number}",
            interaction_id=self._number,
            guild_id=guild,
            channel_id=CHANNEL,
            user_id=user,
            account_id=account.id,
            state=State.QUEUED,
            version=0,
            model=model,
            request=Request(prompt="=SECRET(\0\u20ac)", mode=Mode.TEXT, resolution="480p", duration=5),
            quote=quote,
            upload_limit=10 << 20,
            created_at=at,
        )
        assert store.add(self._connection, job)
        account = ledger.account_of(self._connection, guild, user)
        ledger.hold(self._connection, account, quote, job_id=job.id, now=at)
        changes = Changes() if cost is None else Changes(cost_amount=cost[0], cost_unit=cost[1])
        if reason is not None:
            changes["reason"] = reason
        for each in way_to(state):
            job = store.move(self._connection, job, step_to(each, changes), now=at + timedelta(seconds=61.4))
        return job.id


def way_to(state: State) -> Sequence[State]:
    ways: dict[State, list[State]] = {State.QUEUED: []}
    for before in (State.QUEUED, State.SUBMITTING, State.RUNNING, State.DELIVERING):
        for after in ALLOWED[before]:
            ways.setdefault(after, [*ways[before], after])
    return ways[state]


def step_to(state: State, changes: Changes) -> Step:
    money = Money.KEEP if state.is_open else Money.RELEASE
    return Step(state=state, money=Money.SETTLE if state is State.SUCCEEDED else money, changes=changes)


def three_days(connection: Connection) -> None:
    """What the numbers in the tests below are worked out from."""
    jobs = Accepting(connection)
    before, begin, end = DAYS.begin - timedelta(microseconds=1), DAYS.begin, MIDNIGHT - timedelta(microseconds=1)
    jobs.job(State.SUCCEEDED, 1000, at=before)
    jobs.job(State.SUCCEEDED, 15, at=begin, model=STANDARD, cost=("3", "credits"))
    jobs.job(State.SUCCEEDED, 1, at=end)
    jobs.job(State.SUCCEEDED, 15, user=BOB, model=STANDARD, cost=("4", "credits"))
    jobs.job(State.SUCCEEDED, 1, user=DELETED)
    jobs.job(State.SUCCEEDED, 4, model="gone/model")
    jobs.job(State.FAILED, 10, user=BOB, model=VTRIX, cost=("0.0065", "usd"), reason=Reason.NOT_MADE)
    jobs.job(State.LOST, 10, user=BOB, model=VTRIX)
    jobs.job(State.EXPIRED, 10, user=BOB, model=VTRIX, at=end)
    jobs.job(State.CANCELLED, reason=Reason.BY_MEMBER)
    jobs.job(State.QUEUED)
    jobs.job(State.RUNNING, user=BOB)
    jobs.job(State.SUCCEEDED, 500, guild=ELSEWHERE, model=STANDARD, cost=("99", "credits"))


async def usage_in(database: Database, guild_id: int = GUILD, days: Days = DAYS) -> Usage:
    tally = await database.read(partial(usage_store.tally, guild_id=guild_id, days=days))
    return usage_of(tally, days, COSTS)


async def lines_in(database: Database, target: Path, *, most: int = 100, guild_id: int = GUILD) -> list[dict[str, str]]:
    write = partial(usage_store.report, guild_id=guild_id, days=DAYS, costs=COSTS, target=target, most=most)
    await database.read(write)
    return parsed(target.read_text(encoding="utf-8"))


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def row(**changes: Any) -> JobRow:
    values: dict[str, Any] = {
        "id": "job",
        "user_id": ALICE,
        "model": "demo",
        "asked": ASKED,
        "state": State.SUCCEEDED,
        "reason": None,
        "quote": 1,
        "cost": None,
        "created_at": NOON,
        "ended_at": NOON + timedelta(seconds=90),
    }
    return JobRow(**(values | changes))


def written(*rows: JobRow) -> list[dict[str, str]]:
    file = io.StringIO(newline="")
    assert write_csv(file, rows, COSTS) == len(rows)
    return parsed(file.getvalue())


def tally_of(*counts: DayCount, **changes: Any) -> Tally:
    values: dict[str, Any] = {"days": counts, "members": 1, "top": (), "said": (), "unsaid": ()}
    return Tally(**(values | changes))


def test_days_end_today_in_utc() -> None:
    evening = datetime(2026, 11, 18, 23, 30, tzinfo=UTC).astimezone()
    days = Days.until(evening, 3)
    assert days.each == (date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18))
    assert days.count == 3
    assert (days.begin, days.end) == (datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 19, tzinfo=UTC))


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "18 November 2026"),
        (3, "16 November to 18 November 2026"),
        (366, "18 November 2025 to 18 November 2026"),
    ],
)
def test_days_are_named_as_short_as_can_be(count: int, text: str) -> None:
    assert str(Days.until(NOON, count)) == text


async def test_credits_are_counted_by_the_day_of_acceptance_and_by_model(database: Database) -> None:
    await database.write(three_days)
    usage = await usage_in(database)
    assert usage.spent == 15 + 1 + 15 + 1 + 4
    assert usage.series == (
        Series(STANDARD, (15, 0, 15)),
        Series("gone/model", (0, 0, 4)),
        Series("demo", (0, 1, 1)),
    )


async def test_jobs_are_counted_by_how_they_ended(database: Database) -> None:
    await database.write(three_days)
    usage = await usage_in(database)
    assert usage.outcomes == Outcomes(posted=5, failed=3, cancelled=1, still_open=2)
    # 5 of 8 are 62.5
    assert (usage.outcomes.total, usage.outcomes.success) == (11, 62)


async def test_members_are_ordered_by_what_they_spent(database: Database) -> None:
    await database.write(three_days)
    usage = await usage_in(database)
    assert usage.top == (MemberSpending(ALICE, 3, 20), MemberSpending(BOB, 1, 15), MemberSpending(DELETED, 1, 1))
    assert usage.members == 3


async def test_upstream_cost_is_what_vendors_said_else_what_the_prices_say(database: Database) -> None:
    await database.write(three_days)
    upstream = (await usage_in(database)).upstream
    # 3 and 4 of PixelDojo's credits at US$ 0.05; a failed job too, when its vendor named a cost
    assert upstream.said == Decimal("0.15") + Decimal("0.20") + Decimal("0.0065")
    # two of the demo
    assert upstream.estimated == Decimal("0.02")
    assert upstream.unknown == 1


async def test_another_guild_has_its_own_numbers(database: Database) -> None:
    await database.write(three_days)
    usage = await usage_in(database, ELSEWHERE)
    assert (usage.spent, usage.outcomes.total, usage.members) == (500, 1, 1)
    assert (usage.upstream.said, usage.upstream.estimated) == (Decimal("4.95"), 0)


async def test_a_guild_without_jobs_has_empty_numbers(database: Database) -> None:
    usage = await usage_in(database)
    assert (usage.spent, usage.outcomes.total, usage.outcomes.success, usage.series) == (0, 0, None, ())
    assert summary(usage).startswith("**Usage, 16 November to 18 November 2026** (UTC)\nSpent: 0 credits, for 0 videos")


async def test_only_those_who_spent_most_are_shown(database: Database) -> None:
    def spend(connection: Connection) -> None:
        jobs = Accepting(connection)
        for user in range(1, 11):
            jobs.job(State.SUCCEEDED, 100 if user == 3 else 50 - user, user=user)
        jobs.job(State.SUCCEEDED, 0, user=20)

    await database.write(spend)
    usage = await usage_in(database)
    assert [each.user_id for each in usage.top] == [3, 1, 2, 4, 5, 6, 7, 8]
    assert usage.members == 11


async def test_nobody_is_shown_who_spent_nothing(database: Database) -> None:
    def spend(connection: Connection) -> None:
        Accepting(connection).job(State.SUCCEEDED, 0)

    await database.write(spend)
    usage = await usage_in(database)
    assert (usage.top, usage.series, usage.outcomes.posted) == ((), (), 1)


async def test_the_csv_has_a_line_for_each_job_the_newest_first(database: Database, tmp_path: Path) -> None:
    await database.write(three_days)
    lines = await lines_in(database, tmp_path / "a.csv")
    numbers = (8, 7, 6, 5, 4, 12, 11, 10, 9, 3, 2)
    assert [line["job_id"] for line in lines] == [f"job{number}" for number in numbers]
    assert all(set(line) == set(HEADER) for line in lines)
    by_id = {line["job_id"]: line for line in lines}
    assert by_id["job2"] == {
        "job_id": "job2",
        "accepted_at": "2026-11-16T00:00:00+00:00",
        "member_id": "1",
        "model": STANDARD,
        "mode": "text",
        "resolution": "480p",
        "seconds": "5",
        "state": "succeeded",
        "reason": "",
        "quote": "15",
        "credits_spent": "15",
        "upstream_cost": "3",
        "cost_unit": "credits",
        "cost_estimated": "no",
        "upstream_usd": "0.15",
        "seconds_to_end": "61",
    }


async def test_the_csv_adds_up_to_the_summary(database: Database, tmp_path: Path) -> None:
    await database.write(three_days)
    usage = await usage_in(database)
    lines = await lines_in(database, tmp_path / "a.csv")
    assert sum(int(line["credits_spent"]) for line in lines) == usage.spent
    assert len(lines) == usage.outcomes.total
    for estimated, total in (("no", usage.upstream.said), ("yes", usage.upstream.estimated)):
        costs = [Decimal(line["upstream_usd"] or 0) for line in lines if line["cost_estimated"] == estimated]
        assert sum(costs) == total


async def test_the_csv_of_too_many_jobs_keeps_the_latest(database: Database, tmp_path: Path) -> None:
    def spend(connection: Connection) -> None:
        jobs = Accepting(connection)
        for number in range(5):
            jobs.job(State.SUCCEEDED, at=MIDNIGHT + timedelta(minutes=number))

    await database.write(spend)
    lines = await lines_in(database, tmp_path / "a.csv", most=2)
    assert [line["job_id"] for line in lines] == ["job5", "job4"]


async def test_the_csv_knows_nothing_of_other_guilds_and_of_prompts(database: Database, tmp_path: Path) -> None:
    await database.write(three_days)
    target = tmp_path / "a.csv"
    lines = await lines_in(database, target, guild_id=ELSEWHERE)
    assert [line["job_id"] for line in lines] == ["job13"]
    await lines_in(database, target)
    assert "SECRET" not in target.read_text(encoding="utf-8")


def test_every_question_to_the_database_goes_by_guild_and_day(sqlite_url: str, tmp_path: Path) -> None:
    engine = sync_engine(make_url(sqlite_url))
    asked: list[tuple[str, Any]] = []

    def remember(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    with engine.begin() as connection:
        event.listen(connection, "before_cursor_execute", remember)
        usage_store.report(connection, guild_id=GUILD, days=DAYS, costs=COSTS, target=tmp_path / "a.csv")
        event.remove(connection, "before_cursor_execute", remember)
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {each}", values).all() for each, values in asked]
    engine.dispose()
    assert len(plans) == 6
    for plan in plans:
        found = [line.detail for line in plan if "jobs" in line.detail]
        assert len(found) == 1
        assert "ix_jobs_guild_period (guild_id=? AND created_at>? AND created_at<?)" in found[0]


def test_open_jobs_have_no_end_in_the_csv_and_posted_ones_their_time() -> None:
    ended, still_open = written(
        row(ended_at=NOON + timedelta(minutes=2, seconds=0.6)), row(state=State.RUNNING, ended_at=None)
    )
    assert (ended["seconds_to_end"], still_open["seconds_to_end"]) == ("121", "")
    assert (ended["credits_spent"], still_open["credits_spent"]) == ("1", "0")
    assert (ended["cost_estimated"], still_open["cost_estimated"]) == ("yes", "no")
    assert (ended["upstream_cost"], ended["cost_unit"], ended["upstream_usd"]) == ("0.01", "usd", "0.01")
    assert (still_open["upstream_cost"], still_open["cost_unit"], still_open["upstream_usd"]) == ("", "", "")


def test_vendors_credits_without_a_rate_have_no_price_in_dollars() -> None:
    cost = Cost(Decimal("1E+1"), CostUnit.CREDITS)
    (line,) = written(row(model="unheard/model", cost=cost))
    assert (line["upstream_cost"], line["cost_unit"], line["upstream_usd"]) == ("10", "credits", "")
    usage = usage_of(tally_of(said=[SaidCost("unheard/model", cost, 2)]), DAYS, COSTS)
    assert (usage.upstream.said, usage.upstream.unknown) == (0, 2)


def test_a_model_without_a_price_for_a_resolution_has_an_unknown_cost() -> None:
    asked = Asked(mode="text", resolution="8k", duration=5)
    assert COSTS.expected(VTRIX, asked) is None
    usage = usage_of(tally_of(unsaid=[UnsaidCost(VTRIX, asked, 3)]), DAYS, COSTS)
    assert (usage.upstream.estimated, usage.upstream.unknown) == (0, 3)


def test_a_model_priced_per_second_is_expected_to_cost_its_seconds() -> None:
    asked = Asked(mode="text", resolution="720p", duration=8)
    assert COSTS.expected("pixwith/wan-2.2-pro", asked) == Decimal("0.64")


def test_deleted_members_have_no_id_in_the_csv() -> None:
    known, deleted = written(row(user_id=123456789012345678), row(user_id=-9))
    assert (known["member_id"], deleted["member_id"]) == ("123456789012345678", "deleted member")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_text_of_the_csv_is_a_formula(start: str) -> None:
    text = f"{start}1+cmd|' /C calc'!A0"
    asked = Asked(mode=text, resolution=text, duration=5)
    (line,) = written(row(id=text, model=text, asked=asked, reason=text))
    for name in ("job_id", "model", "mode", "resolution", "reason"):
        assert line[name] == f"'{text}"


def test_texts_with_commas_and_quotes_come_back() -> None:
    (line,) = written(row(model='a,"b"\nc'))
    assert line["model"] == 'a,"b"\nc'


def test_models_beyond_five_are_drawn_together() -> None:
    counts = [DayCount(NOON.date(), f"model{number}", State.SUCCEEDED, 1, 10 * number) for number in range(1, 8)]
    usage = usage_of(tally_of(*counts), DAYS, COSTS)
    assert [(each.name, each.credits[-1]) for each in usage.series] == [
        ("model7", 70),
        ("model6", 60),
        ("model5", 50),
        ("model4", 40),
        ("model3", 30),
        ("others", 30),
    ]
    assert sum(sum(each.credits) for each in usage.series) == usage.spent == 280


@pytest.mark.parametrize(
    ("posted", "failed", "success"), [(0, 0, None), (0, 3, 0), (999, 1, 99), (4, 0, 100), (1, 2, 33)]
)
def test_only_a_spotless_record_is_a_hundred_percent(posted: int, failed: int, success: int | None) -> None:
    outcomes = Outcomes(posted=posted, failed=failed, cancelled=7, still_open=7)
    assert outcomes.success == success


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "US$ 0.00"),
        ("0.0065", "US$ 0.0065"),
        ("0.08", "US$ 0.08"),
        ("0.1", "US$ 0.10"),
        ("1234.5", "US$ 1,234.50"),
    ],
)
def test_dollars_have_as_many_decimals_as_they_need(amount: str, text: str) -> None:
    assert usd_text(Decimal(amount)) == text


async def test_the_summary_says_everything(database: Database) -> None:
    await database.write(three_days)
    assert summary(await usage_in(database)).splitlines() == [
        "**Usage, 16 November to 18 November 2026** (UTC)",
        "Spent: 36 credits, for 5 videos",
        "Asked for: 11 videos, by 3 members",
        "How they ended: 5 posted · 3 failed · 1 cancelled · 2 open",
        "Success rate: 62% of those that were posted or failed",
        (
            "Upstream cost: US$ 0.38, US$ 0.02 of it estimated, without 1 video of unknown cost; "
            "the credits spent are worth US$ 0.36"
        ),
        "**Top members**",
        "1. <@1>: 20 credits, 3 videos",
        "2. <@2>: 15 credits, 1 video",
        "3. deleted member: 1 credit, 1 video",
    ]


async def test_the_picture_has_words_for_those_who_cannot_see_it(database: Database) -> None:
    await database.write(three_days)
    text = alternative_text(await usage_in(database))
    assert text.startswith("Charts of the usage, 16 November to 18 November 2026.")
    assert text.endswith(f"Credits by model: {STANDARD} 30, gone/model 4, demo 2.")
    assert "<@" not in text


def test_the_words_of_a_picture_are_never_too_long() -> None:
    counts = [DayCount(NOON.date(), f"{number}{'x' * 300}", State.SUCCEEDED, 1, 1) for number in range(9)]
    assert len(alternative_text(usage_of(tally_of(*counts), DAYS, COSTS))) == 1024


def many_rows(count: int) -> Iterator[JobRow]:
    """Jobs that have as little in common as jobs can have."""
    dice = random.Random(1)
    models = list(COSTS.specs)
    for number in range(count):
        created_at = NOON - timedelta(seconds=number * 26, microseconds=dice.randrange(10**6))
        yield row(
            id="".join(dice.choices("0123456789abcdefghjkmnpqrstvwxyz", k=12)),
            user_id=dice.randrange(2**63),
            model=dice.choice(models),
            asked=Asked(mode="first_last", resolution=dice.choice(["480p", "1080p"]), duration=dice.randrange(2, 16)),
            state=dice.choice(list(State)),
            reason=dice.choice(list(Reason)),
            quote=dice.randrange(1000),
            cost=Cost(Decimal(dice.randrange(10**6)) / 10**4, CostUnit.USD),
            created_at=created_at,
            ended_at=created_at + timedelta(seconds=dice.randrange(1200)),
        )


def test_the_largest_csv_is_compressed_and_can_be_sent(tmp_path: Path) -> None:
    table = tmp_path / "usage.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        assert write_csv(file, many_rows(usage_store.MOST_ROWS), COSTS) == 100_000
    content = table.read_bytes()
    assert len(content) > 8 << 20
    sent = packed(table)
    assert sent.stat().st_size < 8 << 20
    assert gzip.decompress(sent.read_bytes()) == content
    assert [path.name for path in tmp_path.iterdir()] == ["usage.csv.gz"]


def test_a_csv_that_is_small_enough_is_sent_as_it_is(tmp_path: Path) -> None:
    table = tmp_path / "usage.csv"
    table.write_bytes(b"x" * 100)
    assert packed(table, 100) == table
    assert packed(table, 99).name == "usage.csv.gz"


def test_what_the_csv_lacks_is_said() -> None:
    assert table_text("usage.csv", 100_000) == "`usage.csv` has a line for every job."
    assert table_text("usage.csv.gz", 123_456) == (
        "`usage.csv.gz` has a line for each of the latest 100,000 of 123,456 jobs. "
        "It was too large to be sent as it is: unpack it with gzip."
    )
