"""What the database knows of a guild's usage. Every function is part of the caller's transaction.

A big guild has a hundred thousand jobs in the asked days: what is drawn is added up by the database, and the
rest goes by row after row, never all at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, ColumnElement, Connection, RowMapping, func, literal_column, select, type_coerce

from bot.communities.usage import (
    TOP,
    Asked,
    Costs,
    DayCount,
    Days,
    JobRow,
    MemberSpending,
    SaidCost,
    Tally,
    UnsaidCost,
    write_csv,
)
from bot.database.tables import jobs
from bot.jobs.job import State
from providers.types import Cost, CostUnit

#: rows of a CSV; so many fit into 8 MiB when they are compressed
MOST_ROWS: Final = 100_000
#: rows that are fetched together
_BATCH: Final = 1000
#: microseconds, in which instants are stored; written out, since PostgreSQL compares what is grouped by its text
_DAY: Final = literal_column("86400000000", BigInteger)
_SECONDS_PER_DAY: Final = 86_400


def report(
    connection: Connection, *, guild_id: int, days: Days, costs: Costs, target: Path, most: int = MOST_ROWS
) -> Tally:
    """Count the jobs accepted in these days, and write the latest ``most`` of them to ``target``, as CSV."""
    with target.open("w", encoding="utf-8", newline="") as file:
        write_csv(file, _rows(connection, guild_id, days, most), costs)
    return tally(connection, guild_id=guild_id, days=days)


def tally(connection: Connection, *, guild_id: int, days: Days) -> Tally:
    """Count the jobs that a guild's members were accepted in these days."""
    period = _period(guild_id, days)
    return Tally(
        days=_day_counts(connection, period),
        members=connection.execute(select(func.count(jobs.c.user_id.distinct())).where(*period)).scalar_one(),
        top=_top(connection, period),
        said=_said(connection, period),
        unsaid=_unsaid(connection, period),
    )


_Period = Sequence[ColumnElement[bool]]


def _period(guild_id: int, days: Days) -> _Period:
    return (jobs.c.guild_id == guild_id, jobs.c.created_at >= days.begin, jobs.c.created_at < days.end)


def _day_counts(connection: Connection, period: _Period) -> Sequence[DayCount]:
    day = type_coerce(jobs.c.created_at, BigInteger) // _DAY
    query = select(day, jobs.c.model, jobs.c.state, func.count(), func.sum(jobs.c.quote)).where(*period)
    rows = connection.execute(query.group_by(day, jobs.c.model, jobs.c.state))
    return [
        # PostgreSQL's sums are decimals
        DayCount(_date(int(number)), model, State(state), count, int(quotes))
        for number, model, state, count, quotes in rows
    ]


def _top(connection: Connection, period: _Period) -> Sequence[MemberSpending]:
    spent = func.sum(jobs.c.quote)
    query = select(jobs.c.user_id, func.count(), spent).where(*period, jobs.c.state == State.SUCCEEDED)
    query = query.group_by(jobs.c.user_id).having(spent > 0).order_by(spent.desc(), jobs.c.user_id).limit(TOP)
    return [MemberSpending(user_id, videos, int(amount)) for user_id, videos, amount in connection.execute(query)]


def _said(connection: Connection, period: _Period) -> Sequence[SaidCost]:
    said = (jobs.c.model, jobs.c.cost_amount, jobs.c.cost_unit)
    query = select(*said, func.count()).where(*period, jobs.c.cost_amount.is_not(None))
    rows = connection.execute(query.group_by(*said))
    return [SaidCost(model, Cost(Decimal(amount), CostUnit(unit)), count) for model, amount, unit, count in rows]


def _unsaid(connection: Connection, period: _Period) -> Sequence[UnsaidCost]:
    """Counted here: the databases don't agree on how to look into a JSON that may hold any prompt."""
    query = select(jobs.c.model, jobs.c.request).where(
        *period, jobs.c.state == State.SUCCEEDED, jobs.c.cost_amount.is_(None)
    )
    asked: Counter[tuple[str, str, str, int]] = Counter()
    for model, request in connection.execute(query, execution_options={"yield_per": _BATCH}):
        each = Asked.model_validate_json(request)
        asked[model, each.mode, each.resolution, each.duration] += 1
    return [
        UnsaidCost(model, Asked(mode=mode, resolution=resolution, duration=duration), count)
        for (model, mode, resolution, duration), count in asked.items()
    ]


def _rows(connection: Connection, guild_id: int, days: Days, most: int) -> Iterator[JobRow]:
    columns = (
        jobs.c.id,
        jobs.c.user_id,
        jobs.c.model,
        jobs.c.request,
        jobs.c.state,
        jobs.c.reason,
        jobs.c.quote,
        jobs.c.cost_amount,
        jobs.c.cost_unit,
        jobs.c.created_at,
        jobs.c.ended_at,
    )
    query = select(*columns).where(*_period(guild_id, days))
    query = query.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(most)
    return map(_row, connection.execute(query, execution_options={"yield_per": _BATCH}).mappings())


def _row(row: RowMapping) -> JobRow:
    amount, unit = row["cost_amount"], row["cost_unit"]
    return JobRow(
        id=row["id"],
        user_id=row["user_id"],
        model=row["model"],
        asked=Asked.model_validate_json(row["request"]),
        state=State(row["state"]),
        reason=row["reason"],
        quote=row["quote"],
        cost=None if amount is None else Cost(Decimal(amount), CostUnit(unit)),
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )


def _date(number: int) -> date:
    """A day by its number since 1970."""
    return datetime.fromtimestamp(number * _SECONDS_PER_DAY, UTC).date()
