"""Everything is moved to another database in one go, and is the same there; or nothing is, and it says why."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, make_url, select, text

from bot.communities import audit
from bot.communities.audit import OPERATOR, Deed
from bot.communities.store import lock_guild
from bot.credits import ledger
from bot.database.engine import sync_engine
from bot.database.lock import DatabaseInUse, only_process
from bot.database.migrate import CannotMove, migrate
from bot.database.moving import move
from bot.database.remembered import recall, remember, secret_of_member_keys
from bot.database.tables import accounts, jobs, ledger_entries, metadata
from bot.jobs import store
from bot.jobs.job import OPEN, State
from tests.clocks import NOON
from tests.conftest import PostgresServer
from tests.migration.test_migrations import on
from tests.unit.test_cli import wanbot
from tests.unit.test_job_store import GUILD, MEMBER, QUOTE, accept, carry, step_to

_HOLDS = """
import sys
from bot.database.lock import only_process
with only_process(sys.argv[1]):
    print(flush=True)
    sys.stdin.read()
"""
#: as many jobs as there are states
STATES = list(State)


def fill(connection: Connection) -> None:
    """A community with a job in every state."""
    secret_of_member_keys(connection)
    lock_guild(connection, GUILD)
    for number, state in enumerate(STATES, start=1):
        accept(connection, number, state=state)
    account = ledger.account_of(connection, GUILD, MEMBER)
    entry = ledger.grant(connection, account, 5, now=NOON)
    audit.record(
        connection,
        Deed(
            guild_id=GUILD,
            actor_id=OPERATOR,
            interaction_id=None,
            action="credits.grant",
            target="<@200>",
            before="0",
            after="5",
            reason="für Ästhetik 🦊",
            entry_id=entry,
        ),
        now=NOON + timedelta(microseconds=1),
    )


def everything(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Every row, but what databases remember for themselves."""
    return {
        table.name: sorted(tuple(row) for row in connection.execute(select(table)))
        for table in metadata.sorted_tables
        if table.name != "remembered"
    }


@pytest.fixture
def source(database_url: str) -> str:
    """A community's database, on each kind."""
    on(database_url, fill)
    return database_url


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, postgres_server: PostgresServer, tmp_path: Path) -> Iterator[str]:
    """A database without a table, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'moved' / 'wanbot.db'}"
        return
    with postgres_server.other_database() as url:
        yield url


def test_everything_is_the_same_on_the_other_side_whatever_both_sides_are(source: str, target: str) -> None:
    before = on(source, everything)
    moved = move(source, target, now=NOON)
    assert on(target, everything) == on(source, everything) == before
    assert on(target, ledger.mismatches) == []
    assert (moved.open_jobs, moved.held, moved.is_again, moved.cleaned) == (len(OPEN), QUOTE * len(OPEN), False, 0)
    assert moved.rows["jobs"] == len(STATES)
    assert on(target, secret_of_member_keys) == on(source, secret_of_member_keys)


def test_work_goes_on_where_it_was_moved_to(source: str, target: str) -> None:
    move(source, target, now=NOON)

    def work(connection: Connection) -> tuple[int, int]:
        highest = connection.execute(select(func.max(ledger_entries.c.id))).scalar_one()
        for job in store.open_jobs(connection):
            if job.state is State.DELIVERING:
                store.move(connection, job, step_to(State.SUCCEEDED), now=NOON)
            else:
                ended = State.CANCELLED if job.state is State.QUEUED else State.FAILED
                store.move(connection, job, step_to(ended), now=NOON)
        # a new account and a new job get numbers of their own
        accept(connection, 100, user_id=MEMBER + 1)
        return highest, connection.execute(select(func.max(ledger_entries.c.id))).scalar_one()

    before, after = on(target, work)
    assert after > before
    assert on(target, ledger.mismatches) == []
    assert on(target, lambda c: c.execute(select(func.sum(accounts.c.held))).scalar_one()) == QUOTE


def test_the_ledger_of_the_copy_can_not_be_changed(source: str, target: str) -> None:
    move(source, target, now=NOON)
    move(source, target, now=NOON)
    for statement in ("DELETE FROM ledger_entries", "UPDATE ledger_entries SET available_change = 1"):
        with pytest.raises(Exception, match="ledger entries are never changed"):
            on(target, lambda c, statement=statement: c.execute(text(statement)))


def test_it_can_be_run_again_and_brings_what_was_done_since(source: str, target: str) -> None:
    move(source, target, now=NOON)
    on(source, lambda c: accept(c, 50, state=State.RUNNING))
    on(source, lambda c: carry(c, accept(c, 51), State.CANCELLED))
    moved = move(source, target, now=NOON)
    assert moved.is_again
    assert on(target, everything) == on(source, everything)
    assert move(source, target, now=NOON).rows["jobs"] == len(STATES) + 2


def test_what_a_bot_did_on_the_copy_is_never_lost(source: str, target: str) -> None:
    move(source, target, now=NOON)
    # what a start alone leaves behind is nothing
    on(target, lambda c: remember(c, "commands", "fingerprint"))
    move(source, target, now=NOON)
    on(target, lambda c: ledger.grant(c, ledger.account_of(c, GUILD, MEMBER), 1, now=NOON))
    before = on(target, everything)
    with pytest.raises(CannotMove, match=r"has changed since it was copied \(accounts, ledger_entries\)"):
        move(source, target, now=NOON)
    assert on(target, everything) == before


def test_a_database_that_is_in_use_for_something_else_is_not_overwritten(
    source: str, target: str, tmp_path: Path
) -> None:
    migrate(target, now=NOON)
    on(target, lambda c: lock_guild(c, GUILD + 1))
    with pytest.raises(CannotMove, match=r"the target isn't empty, and no copy made by this command \(it has guilds\)"):
        move(source, target, now=NOON)
    assert on(target, lambda c: recall(c, "moved")) is None


def test_a_copy_of_another_community_is_not_overwritten(source: str, target: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    migrate(other, now=NOON)
    on(other, secret_of_member_keys)
    move(other, target, now=NOON)
    with pytest.raises(CannotMove, match="a copy of another database"):
        move(source, target, now=NOON)
    assert on(target, lambda c: c.execute(select(func.count()).select_from(jobs)).scalar_one()) == 0


def test_wrong_books_are_not_moved(source: str, target: str) -> None:
    on(source, lambda c: c.execute(insert(accounts).values(guild_id=1, user_id=2, available=30)))
    with pytest.raises(CannotMove, match="1 accounts of the source differ from their entries"):
        move(source, target, now=NOON)
    assert on(target, lambda c: c.execute(select(func.count()).select_from(jobs)).scalar_one()) == 0


def test_a_copy_that_is_not_what_was_copied_does_not_stay(source: str, postgres_server: PostgresServer) -> None:
    with postgres_server.other_database() as target:
        migrate(target, now=NOON)
        # somebody's own trigger changes what is written
        on(
            target,
            lambda c: c.execute(
                text(
                    "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS"
                    " $$ BEGIN NEW.detail := upper(NEW.detail) || '!'; RETURN NEW; END $$;"
                    "CREATE TRIGGER shouting BEFORE INSERT ON job_events FOR EACH ROW EXECUTE FUNCTION shout()"
                )
            ),
        )
        with pytest.raises(CannotMove, match="the copy of job_events isn't what was copied"):
            move(source, target, now=NOON)
        assert on(target, lambda c: c.execute(select(func.count()).select_from(jobs)).scalar_one()) == 0


def test_a_zero_character_is_left_out_since_postgresql_has_no_place_for_it(
    sqlite_url: str, postgres_server: PostgresServer
) -> None:
    on(sqlite_url, fill)
    on(sqlite_url, lambda c: c.execute(text("UPDATE audit SET reason = 'a' || char(0) || 'b'")))
    with postgres_server.other_database() as target:
        assert move(sqlite_url, target, now=NOON).cleaned == 1
        assert on(target, lambda c: c.execute(text("SELECT reason FROM audit")).scalar_one()) == "ab"


def test_a_bot_that_runs_on_either_side_is_in_the_way(
    sqlite_url: str, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    on(sqlite_url, fill)
    copy = f"sqlite:///{tmp_path / 'copy.db'}"
    for used in (sqlite_url, copy):
        command = [sys.executable, "-c", _HOLDS, used]
        with subprocess.Popen(  # noqa: S603 - a program of ours
            command, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"\n"
            with pytest.raises(DatabaseInUse, match="stop it first"):
                move(sqlite_url, copy, now=NOON)
            process.communicate()
    with postgres_server.other_database() as target:
        migrate(target, now=NOON)
        engine = sync_engine(make_url(target))
        with engine.connect(), pytest.raises(CannotMove, match="the target has 1 other connections: stop every bot"):
            move(sqlite_url, target, now=NOON)
        with engine.connect(), pytest.raises(CannotMove, match="the source has 1 other connections"):
            move(target, copy, now=NOON)
        engine.dispose()
        move(sqlite_url, target, now=NOON)
    with only_process(sqlite_url), only_process(copy):
        pass


def test_a_source_that_is_not_there_or_of_another_version_is_not_moved(tmp_path: Path) -> None:
    missing, empty = tmp_path / "missing.db", tmp_path / "empty.db"
    target = f"sqlite:///{tmp_path / 'copy.db'}"
    with pytest.raises(CannotMove, match="there is no database at"):
        move(f"sqlite:///{missing}", target, now=NOON)
    empty.touch()
    with pytest.raises(CannotMove, match="the source is at version none"):
        move(f"sqlite:///{empty}", target, now=NOON)
    with pytest.raises(CannotMove, match="the same database"):
        move(f"sqlite:///{empty}", f"sqlite:///{tmp_path}/./empty.db", now=NOON)
    assert not missing.exists()


def test_the_operator_moves_a_community_and_is_told_what_is_where(
    sqlite_url: str, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    on(sqlite_url, fill)
    with postgres_server.other_database() as target:
        done = wanbot(tmp_path, "migrate", "--from", sqlite_url, "--to", target)
        assert done.returncode == 0, done.stderr
        assert f"Open jobs: {len(OPEN)}. Credits held for them: {QUOTE * len(OPEN)}." in done.stdout
        again = wanbot(tmp_path, "migrate", "--from", sqlite_url, "--to", target)
        assert "took the place of an earlier copy" in again.stdout
        assert wanbot(tmp_path, "check", DATABASE_URL=target).returncode == 0
        on(target, lambda c: lock_guild(c, GUILD + 1))
        refused = wanbot(tmp_path, "migrate", "--from", sqlite_url, "--to", target)
        assert refused.returncode == 1
        assert "has changed since it was copied (guilds)" in refused.stderr
    for arguments in (["--from", sqlite_url], ["--from", "mysql://u:secret@h/n", "--to", target]):
        wrong = wanbot(tmp_path, "migrate", *arguments)
        assert wrong.returncode == 2
        assert len(wrong.stderr.splitlines()) == 1, wrong.stderr
        assert "must read sqlite:///path" in wrong.stderr
        assert "secret" not in wrong.stderr
