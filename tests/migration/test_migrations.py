"""Migrations make the schema of the code, one process at a time, and whole or not at all."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, make_url, text

from bot.database import migrate as migrating
from bot.database.engine import sync_engine
from bot.database.migrate import HEAD, NewerDatabase, migrate, version_of
from bot.database.remembered import recall, remember
from bot.database.tables import metadata
from tests.clocks import NOON

T = TypeVar("T")

_ROOT = Path(__file__).parents[2]
#: the number after the newest
NEXT = f"{int(HEAD) + 1:04}"
_NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{HEAD}"


def upgrade() -> None:
    op.create_table("novelties", sa.Column("id", sa.Integer(), primary_key=True))
    op.execute("INSERT INTO novelties VALUES (7)")
    op.execute("INSERT INTO remembered VALUES ('migrated', 'yes')")
"""  # noqa: S608 - a program of ours
_MIGRATE = """
import sys
import alembic.command, alembic.script  # beforehand, so that both begin at the same moment
from datetime import UTC, datetime
from bot.database.migrate import migrate
print("ready", flush=True)
sys.stdin.readline()
migrate(sys.argv[1], now=datetime.now(UTC))
"""
_PG_SCHEMA = (
    """SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace""",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    """SELECT concat_ws(' ', table_name, column_name, data_type, character_maximum_length, is_nullable, column_default)
    FROM information_schema.columns WHERE table_schema = 'public'""",
)


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a program that has the next migration too."""
    scripts = tmp_path / "scripts"
    shutil.copytree(_ROOT / "migrations", scripts)
    monkeypatch.setattr(migrating, "_SCRIPTS", scripts)
    monkeypatch.setattr(migrating, "HEAD", NEXT)
    return scripts / "versions"


def on(url: str, work: Callable[[Connection], T]) -> T:
    engine = sync_engine(make_url(url))
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def schema(connection: Connection) -> set[str]:
    """Every column, constraint and index, in the database's own words."""
    if connection.dialect.name == "postgresql":
        lines = [line for query in _PG_SCHEMA for line in connection.execute(text(query)).scalars()]
    else:
        query = "SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type IN ('table', 'index')"
        made = connection.execute(text(query)).all()
        lines = [f"{table}: {part}" for table, sql in made for part in parts_of(sql)]
    return {line for line in lines if "alembic_version" not in line}


def parts_of(statement: str) -> list[str]:
    """The columns and constraints of a CREATE, however they were put on lines."""
    flat = " ".join(statement.split())
    depth, parts = 0, [""]
    for letter in flat:
        depth += (letter == "(") - (letter == ")")
        if depth == 1 and letter in "(,":
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip(" )") for part in parts]


def folder_of(url: str) -> Path:
    path = make_url(url).database
    assert path is not None
    return Path(path).parent


def backups(url: str) -> list[Path]:
    return sorted(folder_of(url).glob("*.backup.db*")) if url.startswith("sqlite") else []


def test_migrations_make_exactly_the_tables_of_the_code(database_url: str, empty_database_url: str) -> None:
    def differences(connection: Connection) -> Sequence[object]:
        options = {"compare_type": True, "compare_server_default": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    assert on(database_url, differences) == []
    on(empty_database_url, metadata.create_all)
    assert on(database_url, schema) == on(empty_database_url, schema)


def test_the_ledger_has_its_triggers(database_url: str, backend: str) -> None:
    query = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger_entries'",
        "postgres": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'ledger_entries'::regclass",
    }
    triggers = on(database_url, lambda connection: set(connection.execute(text(query[backend])).scalars()))
    expected = {
        "sqlite": {"ledger_entries_no_update", "ledger_entries_no_delete"},
        "postgres": {"ledger_entries_no_change", "ledger_entries_no_truncate"},
    }
    assert triggers == expected[backend]


def test_the_migrations_are_numbered_without_a_gap_and_end_at_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())[::-1]
    numbers = [f"{number:04}" for number in range(1, len(scripts) + 1)]
    assert [script.revision for script in scripts] == numbers
    assert [script.down_revision for script in scripts] == [None, *numbers[:-1]]
    assert [Path(script.path).name[:5] for script in scripts] == [f"{number}_" for number in numbers]
    assert numbers[-1] == HEAD


def test_an_empty_database_is_migrated_and_needs_no_backup(empty_database_url: str) -> None:
    assert migrate(empty_database_url, now=NOON) is None
    assert on(empty_database_url, version_of) == HEAD
    assert backups(empty_database_url) == []


def test_migrating_again_does_nothing(database_url: str) -> None:
    on(database_url, lambda connection: remember(connection, "a", "1"))
    before = on(database_url, schema)
    assert migrate(database_url, now=NOON) is None
    assert on(database_url, schema) == before
    assert on(database_url, lambda connection: recall(connection, "a")) == "1"
    assert backups(database_url) == []


def test_an_older_database_is_backed_up_before(database_url: str, versions: Path) -> None:
    (versions / f"{NEXT}_next.py").write_text(_NEXT)
    on(database_url, lambda connection: remember(connection, "a", "1"))
    backup = migrate(database_url, now=NOON)
    assert on(database_url, version_of) == NEXT
    assert on(database_url, lambda connection: recall(connection, "migrated")) == "yes"
    if not database_url.startswith("sqlite"):
        # its backups are the server's
        assert backup is None
        on(database_url, back_to_head)
        return
    assert backup is not None
    assert backups(database_url) == [backup]
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        assert copy.execute("SELECT name, value FROM remembered").fetchall() == [("a", "1")]


def back_to_head(connection: Connection) -> None:
    """Undo the next migration: the database is lent to other tests."""
    connection.execute(text("DROP TABLE novelties"))
    connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": HEAD})


def test_a_database_of_a_newer_program_is_left_alone(empty_database_url: str) -> None:
    migrate(empty_database_url, now=NOON)
    on(empty_database_url, lambda connection: remember(connection, "a", "1"))
    on(empty_database_url, lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    before = on(empty_database_url, schema)
    with pytest.raises(NewerDatabase, match="9999"):
        migrate(empty_database_url, now=NOON)
    assert on(empty_database_url, version_of) == "9999"
    assert on(empty_database_url, schema) == before
    # a bot that is restarted again and again must not fill the disk
    assert backups(empty_database_url) == []


@pytest.mark.parametrize("start", ["empty", HEAD])
def test_a_migration_that_fails_midway_leaves_nothing_behind(
    empty_database_url: str, versions: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    if start == HEAD:
        with monkeypatch.context() as earlier:
            earlier.setattr(migrating, "HEAD", HEAD)
            migrate(empty_database_url, now=NOON)
        on(empty_database_url, lambda connection: remember(connection, "a", "1"))
    before = on(empty_database_url, schema)
    script = versions / f"{NEXT}_next.py"
    script.write_text(f"{_NEXT}    raise LookupError('midway')\n")
    with pytest.raises(LookupError, match="midway"):
        migrate(empty_database_url, now=NOON)
    assert on(empty_database_url, schema) == before
    assert on(empty_database_url, version_of) == (None if start == "empty" else HEAD)
    assert backups(empty_database_url) == []
    script.write_text(_NEXT)
    migrate(empty_database_url, now=NOON)
    assert on(empty_database_url, version_of) == NEXT
    assert "novelties" in on(empty_database_url, tables)
    assert on(empty_database_url, lambda connection: recall(connection, "migrated")) == "yes"
    if start == HEAD:
        assert on(empty_database_url, lambda connection: recall(connection, "a")) == "1"


def test_processes_that_migrate_at_once_end_well(empty_database_url: str) -> None:
    command = [sys.executable, "-W", "error", "-c", _MIGRATE, empty_database_url]
    processes = [
        subprocess.Popen(  # noqa: S603 - our own program
            command, cwd=_ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = [(process.communicate(timeout=30)[1], process.returncode) for process in processes]
    assert outcomes == [("", 0)] * 2
    assert on(empty_database_url, version_of) == HEAD
    assert backups(empty_database_url) == []
