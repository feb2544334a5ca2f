"""How the database finds what the bot asks for all the time: never by reading a whole table that only grows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine import make_url

from bot.credits import ledger
from bot.credits.allowance import AllowanceRule, PeriodLength, period_at
from bot.database.engine import sync_engine
from bot.jobs import store
from bot.jobs.job import Job, Request, State
from bot.jobs.lifecycle import Money, Step
from providers.types import Mode
from tests.conftest import NOON

GUILD: Final = 7
MEMBERS: Final = 20
ENDED: Final = 100
#: these hold only what is open, or late, or kept: reading one from end to end is what it is for
PARTIAL: Final = ("ix_jobs_open", "ix_jobs_late", "ix_jobs_kept")
GROWING: Final = ("accounts", "ledger_entries", "jobs", "job_events", "allowance_grants")

Work = Callable[[Connection], object]


def _job(number: int, account_id: int) -> Job:
    return Job(
        id=f"job{number}",
        interaction_id=number,
        guild_id=GUILD + number % 3,
        channel_id=1,
        user_id=number % MEMBERS,
        account_id=account_id,
        state=State.QUEUED,
        version=0,
        model="pixeldojo/wan-2.2-standard",
        request=Request(prompt="a cat", mode=Mode.TEXT, resolution="480p", duration=5),
        quote=3,
        upload_limit=1,
        created_at=NOON + timedelta(seconds=number),
    )


@pytest.fixture(scope="module")
def engine(quick_folder: Path, migrated_file: Path) -> Iterator[Engine]:
    """A database in which much has happened, and little goes on; what a test changes isn't committed."""
    path = shutil.copy(migrated_file, quick_folder / "plans.db")
    opened = sync_engine(make_url(f"sqlite:///{path}"))
    with opened.begin() as connection:
        account = ledger.account_of(connection, GUILD, 1)
        ledger.grant(connection, account, 10 * ENDED, now=NOON)
        for number in range(ENDED + 5):
            job = _job(number, account.id)
            store.add(connection, job)
            ledger.hold(connection, ledger.locked(connection, account.id), 3, job_id=job.id, now=NOON)
            if number < ENDED:
                step = Step(state=State.CANCELLED, money=Money.RELEASE)
                store.move(connection, job, step, now=job.created_at)
    yield opened
    opened.dispose()


@contextmanager
def _plans(engine: Engine) -> Generator[list[str]]:
    """The plan of every statement in the block, line by line."""
    lines: list[str] = []

    def explain(_: object, cursor: Any, statement: str, parameters: Any, *_more: object) -> None:
        # an INSERT shows a look through the tables that refer to its own, which is made for deferred keys alone
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            lines.extend(row[-1] for row in rows)

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield lines
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def _scans(lines: list[str]) -> list[str]:
    """The lines that tell of a whole table, or a whole index of everything, being read."""
    tables = "|".join(GROWING)
    whole = re.compile(rf"\bSCAN (?:{tables})\b(?! USING (?:COVERING )?INDEX (?:{'|'.join(PARTIAL)}))")
    return [line for line in lines if whole.search(line)]


def _allowance(connection: Connection) -> None:
    rule, account = AllowanceRule(amount=100, length=PeriodLength.DAY), ledger.account_of(connection, GUILD, 1)
    for day in range(2):
        now = NOON + timedelta(days=day)
        ledger.give_allowance(connection, account, rule, period_at(now, rule.length), member_key="key", now=now)


def _refund(connection: Connection) -> None:
    ledger.settle(connection, job_id=f"job{ENDED}", now=NOON)
    ledger.refund(connection, job_id=f"job{ENDED}", now=NOON)


def _on(connection: Connection) -> Job:
    job = store.load(connection, f"job{ENDED}")
    assert job is not None
    return store.move(connection, job, Step(state=State.SUBMITTING), now=NOON)


QUESTIONS: Final[Mapping[str, Work]] = {
    "a member's balance": lambda c: ledger.account_if_any(c, GUILD, 1),
    "a member's allowance": _allowance,
    "a hold": lambda c: ledger.hold(c, ledger.account_of(c, GUILD, 1), 3, job_id="new", now=NOON),
    "a settlement": lambda c: ledger.settle(c, job_id=f"job{ENDED}", now=NOON),
    "a release": lambda c: ledger.release(c, job_id=f"job{ENDED}", now=NOON),
    "a refund": _refund,
    "what moved a balance": lambda c: ledger.movements(c, ledger.account_of(c, GUILD, 1), since=NOON),
    "a new job": lambda c: store.add(c, _job(ENDED + 50, 1)),
    "the job of a command": lambda c: store.by_interaction(c, 5),
    "a job": lambda c: store.load(c, "job5"),
    "a step of a job": _on,
    "a job's card": lambda c: store.store_card(c, "job5", channel_id=1, message_id=2),
    "the open jobs": store.open_jobs,
    "the waiting jobs": store.queued,
    "how many run": store.active_counts,
    "how many of a member's wait": lambda c: store.count_waiting(c, GUILD, 1),
    "the submissions without an answer": lambda c: store.submitting(c, "pixeldojo/wan-2.2-standard"),
    "the late jobs": lambda c: store.late_jobs(c, now=NOON),
    "the cards to be brought up to date": lambda c: store.stale_cards(c, since=NOON + timedelta(seconds=ENDED - 5)),
    "a member's open jobs": lambda c: store.open_of(c, GUILD, 1),
    "a member's latest jobs": lambda c: store.latest_of(c, GUILD, 1, most=10),
    "a member's last model": lambda c: store.last_model(c, GUILD, 1),
    "what a period saw": lambda c: store.use_since(c, GUILD, 1, since=NOON + timedelta(seconds=ENDED - 5)),
    "what a start learns from": lambda c: store.finished_lately(c, most=10, among=20),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_asked_all_the_time_reads_no_whole_table(engine: Engine, question: str) -> None:
    with engine.connect() as connection, _plans(engine) as lines:
        QUESTIONS[question](connection)
    assert lines or question == "a new job"
    assert _scans(lines) == []


def test_a_look_through_everything_is_told_from_one_that_uses_an_index(engine: Engine) -> None:
    with engine.connect() as connection, _plans(engine) as lines:
        connection.execute(text("SELECT count(*) FROM jobs WHERE user_id = 1"))
        connection.execute(text("SELECT count(*) FROM jobs WHERE id = 'job5'"))
    assert len(_scans(lines)) == 1
