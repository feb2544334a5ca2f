"""``wanbot jobs`` and ``wanbot credits`` as operators run them: as processes, beside one that has the database."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url

from bot.communities.store import lock_guild
from bot.credits import ledger
from bot.database.engine import sync_engine
from bot.database.lock import only_process
from bot.database.migrate import migrate
from bot.jobs.job import Job, State
from tests.clocks import NOON
from tests.unit.test_cli import wanbot
from tests.unit.test_job_store import GUILD, MEMBER, REQUEST, accept


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'data' / 'wanbot.db'}"
    migrate(url, now=NOON)
    return url


@pytest.fixture
def job(url: str) -> Job:
    """One that runs."""
    engine = sync_engine(make_url(url))
    with engine.begin() as connection:
        lock_guild(connection, GUILD)
        job = accept(connection, state=State.RUNNING)
    engine.dispose()
    return job


def test_support_looks_at_a_job_and_releases_it_while_a_bot_has_the_database(
    tmp_path: Path, url: str, job: Job
) -> None:
    with only_process(url):
        listed = wanbot(tmp_path, "jobs", "list", "--state", "open", "--older-than", "1s", "--guild", str(GUILD))
        assert listed.returncode == 0, listed.stderr
        assert [line.split()[:2] for line in listed.stdout.splitlines()] == [["JOB", "STATE"], [job.id, "running"]]
        shown = wanbot(tmp_path, "jobs", "show", job.id.upper(), "--json")
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout)["state"] == "running"
        assert REQUEST.prompt not in listed.stdout + shown.stdout
        assert REQUEST.prompt in wanbot(tmp_path, "jobs", "list", "--prompts").stdout
        done = wanbot(tmp_path, "jobs", "release", job.id, "--reason", "It hung")
        assert done.returncode == 0, done.stderr
        assert f"7 credits went back to member {MEMBER}" in done.stdout
    again = wanbot(tmp_path, "jobs", "release", job.id)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "it has ended already (failed), and nothing is held for it\n"
    missing = wanbot(tmp_path, "jobs", "redeliver", job.id)
    assert (missing.returncode, missing.stderr) == (1, "its video isn't kept here any more\n")


def test_support_gives_and_takes_credits(tmp_path: Path, job: Job) -> None:
    whom = (str(GUILD), str(MEMBER))
    done = wanbot(tmp_path, "credits", "grant", *whom, "30", "--reason", "Sorry", DEFAULT_ALLOWANCE="50")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "gave 30; available: 50 before, 80 now\n"
    done = wanbot(tmp_path, "credits", "revoke", *whom, "20", "--reason", "Too much", "--json", DEFAULT_ALLOWANCE="50")
    assert json.loads(done.stdout)["after"] == "60"
    shown = wanbot(tmp_path, "credits", "show", *whom)
    assert shown.returncode == 0, shown.stderr
    assert "held       7" in shown.stdout
    assert "operator" in shown.stdout
    engine = sync_engine(make_url(f"sqlite:///{tmp_path / 'data' / 'wanbot.db'}"))
    with engine.begin() as connection:
        assert ledger.account_of(connection, GUILD, MEMBER).available == 60
        assert ledger.mismatches(connection) == []
    engine.dispose()


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs"],
        ["jobs", "list", "--state", "sleeping"],
        ["jobs", "list", "--older-than", "soon"],
        ["jobs", "list", "--older-than", "36501d"],
        ["credits", "grant", "1", "2", "0", "--reason", "x"],
        ["credits", "grant", "1", "2", "1000001", "--reason", "x"],
        ["credits", "grant", "1", "-2", "1", "--reason", "x"],
        ["credits", "grant", "1", "2", "3"],
        ["credits", "grant", "1", "2", "3", "--reason", "x" * 301],
    ],
)
def test_what_can_not_be_meant_is_refused_before_anything_is_opened(tmp_path: Path, arguments: list[str]) -> None:
    done = wanbot(tmp_path, *arguments)
    assert done.returncode == 2
    assert "usage: wanbot" in done.stderr
    assert not (tmp_path / "data").exists()


def test_without_a_database_nothing_is_made(tmp_path: Path) -> None:
    done = wanbot(tmp_path, "jobs", "list")
    assert done.returncode == 1
    assert done.stderr.startswith("there is no database at")
    assert not (tmp_path / "data").exists()


def test_a_job_of_long_ago_is_found_by_its_age(tmp_path: Path, job: Job) -> None:
    assert job.created_at == NOON + timedelta(minutes=1)
    assert job.id in wanbot(tmp_path, "jobs", "list", "--older-than", "1h").stdout
    assert wanbot(tmp_path, "jobs", "list", "--older-than", "36500d").stdout == "There is no such job.\n"
