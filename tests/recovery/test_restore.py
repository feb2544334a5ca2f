"""The database is restored from a copy that knows less than Discord and the vendor: nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import simcord
from sqlalchemy import Connection, make_url, select

from bot.credits import ledger
from bot.database.backup import copy_of
from bot.database.engine import Database, sync_engine
from bot.database.migrate import StrayLog, migrate
from bot.database.tables import accounts, jobs
from bot.jobs.job import Reason, State
from bot.settings import Settings
from tests.clocks import NOON
from tests.discord.worlds import enforce_nonces, harden, list_as_discord, picture
from tests.imitations.discord_server import Delay, Interaction
from tests.imitations.pixeldojo import HANG_AFTER_JOB, PixelDojoImitation, Route
from tests.programs import ROOT
from tests.recovery.processes import Stage, until
from tests.recovery.test_sweep import NEVER, Fuse, Life, go_on, life

T = TypeVar("T")
#: seconds
YESTERDAY = 20 * 3600
#: longer than any test lasts
FOREVER = Delay(600)


class CopiedDatabase:
    """A real database, of which a copy is made after a commit."""

    def __init__(self, inner: Database, source: Path, target: Path, after: int) -> None:
        self._inner = inner
        self._source = source
        self._target = target
        self._after = after
        self.commits = 0

    async def write(self, work: Callable[[Connection], T]) -> T:
        result = await self._inner.write(work)
        if self.commits == self._after:
            copy_of(self._source, self._target)
        self.commits += 1
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._inner.read(work)

    async def close(self) -> None:
        await self._inner.close()


async def restored_after(commit: int, folder: Path) -> bool:
    """Make a video, then restore the copy of a certain commit and start again; false: there weren't so many."""
    env_holder: list[simcord.Env] = []

    async def fetch(url: str) -> bytes:
        found = env_holder[0].backend.cdn.get(url)
        assert found is not None
        return found

    def clock() -> datetime:
        return env_holder[0].now() if env_holder else datetime(2026, 1, 1, tzinfo=UTC)

    source, copy = folder / "wanbot.db", folder / "copy.db"
    async with PixelDojoImitation(key="pd_test", fetch=fetch, now=clock) as vendor, AsyncExitStack() as stack:
        settings = Settings.load(
            {
                "DATA_DIR": str(folder),
                "SHARD_COUNT": "1",
                "PIXELDOJO_API_KEY": "pd_test",
                "PIXELDOJO_BASE_URL": vendor.base_url,
                "PIXELDOJO_REQUESTS_PER_MINUTE": "100000",
                "DEMO_PROVIDER": "false",
            }
        )
        copied: list[CopiedDatabase] = []

        def wrap(database: Database) -> Database:
            copied.append(CopiedDatabase(database, source, copy, commit))
            return copied[0]

        async with life(settings, clock, Fuse(NEVER), wrap) as first:
            env = simcord.Env(first.app.bot, check_errors=False, settle_timeout=20.0)
            env_holder.append(env)
            await env.start()
            stack.push_async_callback(env.shutdown)
            harden(env)
            nonces: dict[tuple[str, str], Any] = {}
            enforce_nonces(first.app.bot, nonces)
            guild = env.create_guild(name="Here")
            channel = guild.create_text_channel("videos")
            alice = guild.add_member(env.create_user("alice"))
            await alice.slash(channel, "wan video", prompt="A cat", image=("cat.png", picture()))
            await go_on(first, env, vendor)
            await first.app.bot.close()
        if copied[0].commits <= commit:
            return False
        # Discord remembers nonces for minutes
        nonces.clear()
        for name in ("wanbot.db", "wanbot.db-wal", "wanbot.db-shm"):
            (folder / name).unlink(missing_ok=True)
        copy.rename(source)
        await env.advance_time(YESTERDAY)
        async with life(settings, clock, Fuse(NEVER)) as second:
            await env.restart_bot(second.app.bot)
            enforce_nonces(second.app.bot, nonces)
            list_as_discord(second.app.bot)
            await second.app.resume()
            await go_on(second, env, vendor)
            await check_end(second, vendor, channel, commit)
            await second.app.bot.close()
        return True


async def check_end(process: Life, vendor: PixelDojoImitation, channel: simcord.ChannelHandle, commit: int) -> None:
    """One submission, one video, and nothing held."""

    def look(connection: Connection) -> tuple[list[Any], list[Any], object]:
        rows, balances = connection.execute(select(jobs)).all(), connection.execute(select(accounts)).all()
        return list(rows), list(balances), ledger.mismatches(connection)

    rows, balances, wrong = await process.app.services.database.read(look)
    where = f"the copy after commit {commit}: {[(job.state, job.reason) for job in rows]}"
    videos = [message for message in channel.history() if any(a.filename.endswith(".mp4") for a in message.attachments)]
    assert vendor.count(Route.SUBMIT) == 1, where
    assert len(videos) == 1, where
    assert not videos[0].embeds, where
    assert wrong == [], where
    assert all(account.held == 0 for account in balances), where
    if rows and rows[0].state != "succeeded":
        assert rows[0].reason == "restored", where


async def test_whenever_the_copy_was_made_nothing_is_submitted_or_posted_twice(tmp_path: Path) -> None:
    commit = 0
    while True:
        folder = tmp_path / str(commit)
        folder.mkdir()
        if not await restored_after(commit, folder):
            break
        commit += 1
    assert commit >= 8


def has_card(stage: Stage, run: Interaction) -> bool:
    job = stage.books.job(run)
    return job is not None and job.card_message_id is not None


async def back_up(stage: Stage, target: Path) -> None:
    """Run ``wanbot backup`` beside the bot."""
    environment = {**stage.settings, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "backup", "--to", str(target)), cwd=stage.folder, env=environment
    )
    assert await process.wait() == 0


async def test_a_backup_of_jobs_under_way_is_restored_after_they_were_finished(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    async with Stage.open(tmp_path) as stage:
        slow = stage.guild.add_channel("slow")
        stage.discord.faults.add("POST", f"/channels/{slow.id}/messages", FOREVER)
        async with stage.serving() as bot:
            delivering, running = await stage.ask_demo(channel=slow), await stage.ask_vendor("a dog")
            await stage.submitted()
            stage.vendor.fault_next(Route.SUBMIT, HANG_AFTER_JOB)
            submitting = await stage.ask_vendor("a bird")
            await stage.submitted(jobs=2)
            queued = await stage.ask_vendor("a fish")
            runs = [delivering, running, submitting, queued]
            states = [State.DELIVERING, State.RUNNING, State.SUBMITTING, State.QUEUED]
            for run, state in zip(runs, states, strict=True):
                await stage.reached(run, state)
            await until(lambda: has_card(stage, queued), lambda: bot.lines)
            await back_up(stage, copy)
            await stage.kill(bot)
        stage.discord.faults.clear()
        stage.vendor.polls = 0
        for submission in stage.vendor.submissions:
            stage.vendor.finish(submission.job_id)
        async with stage.serving() as bot:
            for run in runs:
                await stage.done(run)
            await stage.kill(bot)
        for name in ("wanbot.db", "wanbot.db-wal", "wanbot.db-shm"):
            stage.books.path.with_name(name).unlink(missing_ok=True)
        copy.rename(stage.books.path)
        found = [stage.books.job(run) for run in runs]
        assert [job.state for job in found if job is not None] == states
        async with stage.serving() as bot:
            for run in (delivering, running, submitting):
                await stage.done(run)
            job = await stage.ended(queued, State.FAILED)
            assert job.reason is Reason.RESTORED
            assert stage.books.entries(job) == ["hold", "release"]
            assert [error["event"] for error in bot.errors] == [
                "a card knows more than the database: was it restored from a backup?"
            ]
        assert len(stage.vendor.submissions) == 3
        assert [len(stage.videos(run)) for run in runs] == [1, 1, 1, 1]
        stage.books.check()


def test_a_log_that_was_left_beside_a_restored_copy_stops_the_start(tmp_path: Path) -> None:
    path, copy = tmp_path / "wanbot.db", tmp_path / "copy.db"
    log = path.with_name("wanbot.db-wal")
    url = f"sqlite:///{path}"
    migrate(url, now=NOON)
    engine = sync_engine(make_url(url))

    def book() -> None:
        with engine.begin() as connection:
            ledger.grant(connection, ledger.account_of(connection, 1, 2), 5, now=NOON)

    def available() -> int:
        with engine.begin() as connection:
            return ledger.account_of(connection, 1, 2).available

    with engine.connect():
        book()
        copy_of(path, copy)
        book()
        left = log.read_bytes()
    assert available() == 10
    # the process was killed, and only the database itself was replaced
    shutil.copyfile(copy, path)
    log.write_bytes(left)
    with pytest.raises(StrayLog, match=r"move it and wanbot\.db-shm away"):
        migrate(url, now=NOON)
    assert log.read_bytes() == left
    log.unlink()
    assert migrate(url, now=NOON) is None
    assert available() == 5
    engine.dispose()
