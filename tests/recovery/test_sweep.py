"""The process dies at each commit and at each request, in turn; a restart ends the job as if it hadn't.

Nothing of the dead process works on: every later commit and request of it dies as well.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import discord
import httpx
import pytest
import simcord
from sqlalchemy import Connection, select

from bot.app import App, open_app
from bot.credits import ledger
from bot.database.engine import Database
from bot.database.tables import accounts, jobs, ledger_entries
from bot.jobs import store
from bot.settings import Settings
from tests.discord.worlds import enforce_nonces, harden, picture
from tests.imitations.pixeldojo import PixelDojoImitation, Route

T = TypeVar("T")

#: the sweep is cut into so many parts, so that they can run side by side
STRIPES = 6


class Killed(BaseException):
    """What a dead process does: nothing."""


@dataclass
class Fuse:
    """Kills the process at the n-th boundary."""

    at: int
    passed: list[str] = field(default_factory=list[str])
    is_dead: bool = False

    def boundary(self, name: str) -> None:
        """Die here, or go on to count."""
        if self.is_dead:
            raise Killed
        if len(self.passed) == self.at:
            self.is_dead = True
            raise Killed
        self.passed.append(name)


class FusedDatabase:
    """A real database with a boundary before and after each commit."""

    def __init__(self, inner: Database, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    async def write(self, work: Callable[[Connection], T]) -> T:
        self._fuse.boundary("before a commit")
        result = await self._inner.write(work)
        self._fuse.boundary("after a commit")
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        if self._fuse.is_dead:
            raise Killed
        return await self._inner.read(work)

    async def close(self) -> None:
        await self._inner.close()


def fuse_http(monkeypatch: pytest.MonkeyPatch, fuse: Fuse) -> None:
    """Put a boundary before and after each request to the vendor."""
    inner = httpx.AsyncHTTPTransport.handle_async_request

    async def handle(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        fuse.boundary(f"before {request.method} {request.url.path}")
        response = await inner(self, request)
        fuse.boundary(f"after {request.method} {request.url.path}")
        return response

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)


def fuse_discord(env: simcord.Env, bot: discord.Client, fuse: Fuse) -> None:
    """Put a boundary before and after each request to Discord."""
    adapter: Any = env._webhook_adapter  # pyright: ignore[reportPrivateUsage]
    for holder in (bot.http, adapter):
        inner = holder.request

        async def request(route: Any, *args: Any, inner: Any = inner, **kwargs: Any) -> Any:
            fuse.boundary(f"before {route.method} {route.path}")
            answer = await inner(route, *args, **kwargs)
            fuse.boundary(f"after {route.method} {route.path}")
            return answer

        holder.request = request


@dataclass
class Life:
    """One process: from its start to its death, or to the end of the test."""

    app: App
    fuse: Fuse

    async def work(self) -> None:
        if not self.fuse.is_dead:
            await self.app.services.worker.run_once()
        if not self.fuse.is_dead:
            await self.app.services.presenter.flush()


@asynccontextmanager
async def life(
    settings: Settings,
    clock: Callable[[], datetime],
    fuse: Fuse,
    wrap_database: Callable[[Database], Database] = lambda database: database,
) -> AsyncGenerator[Life]:
    """Start a process; what it leaves behind is closed without a chance to say anything."""

    def wrap(database: Database) -> Database:
        return FusedDatabase(wrap_database(database), fuse)

    async with open_app(settings, clock=clock, chance=random.Random(3), wrap_database=wrap) as app:
        yield Life(app, fuse)


NEVER = 10**9


async def run_with_death_at(n: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str] | None:
    """Make a video with a death at boundary ``n``; gives the boundaries passed, None if there were fewer."""
    env_holder: list[simcord.Env] = []

    async def fetch(url: str) -> bytes:
        found = env_holder[0].backend.cdn.get(url)
        assert found is not None
        return found

    def clock() -> datetime:
        return env_holder[0].now() if env_holder else datetime(2026, 1, 1, tzinfo=UTC)

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
        fuse = Fuse(NEVER)
        first = await stack.enter_async_context(life(settings, clock, fuse))
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
        with monkeypatch.context() as patch:
            fuse_http(patch, fuse)
            fuse_discord(env, first.app.bot, fuse)
            fuse.passed.clear()
            fuse.at = n
            await alice.slash(channel, "wan video", prompt="A cat", image=("cat.png", picture()))
            await go_on(first, env, vendor)
        if not fuse.is_dead:
            await check_end(first, vendor, channel, fuse)
            return None
        await first.app.bot.close()
        second = await stack.enter_async_context(life(settings, clock, Fuse(NEVER)))
        await env.restart_bot(second.app.bot)
        enforce_nonces(second.app.bot, nonces)
        await env.advance_time(1)
        await second.app.resume()
        await go_on(second, env, vendor)
        await check_end(second, vendor, channel, fuse)
        await second.app.bot.close()
        return fuse.passed


async def go_on(process: Life, env: simcord.Env, vendor: PixelDojoImitation) -> None:
    """Let the vendor finish and time pass until nothing is open, or the process is dead."""
    for _ in range(60):
        await process.work()
        for job_id in list(vendor.jobs):
            vendor.finish(job_id)
        if process.fuse.is_dead:
            return
        if not await process.app.services.database.read(store.open_jobs):
            break
        await env.advance_time(5)
    await env.advance_time(30)
    await process.work()


async def check_end(process: Life, vendor: PixelDojoImitation, channel: simcord.ChannelHandle, fuse: Fuse) -> None:
    """One submission, one video, one settlement; or none of a job that ended without."""
    where = fuse.passed[-1] if fuse.passed else "the start"

    def look(connection: Connection) -> tuple[list[Any], list[Any], list[Any], object]:
        return (
            list(connection.execute(select(jobs)).all()),
            list(connection.execute(select(ledger_entries.c.kind)).scalars()),
            list(connection.execute(select(accounts)).all()),
            ledger.mismatches(connection),
        )

    rows, kinds, balances, wrong = await process.app.services.database.read(look)
    videos = [message for message in channel.history() if any(a.filename.endswith(".mp4") for a in message.attachments)]
    cards = [message for message in channel.history() if message.embeds]
    submitted = vendor.count(Route.SUBMIT)
    assert wrong == [], where
    assert all(account.held == 0 for account in balances), where
    assert submitted <= 1, f"submitted {submitted} times after {where}"
    assert len(rows) <= 1
    if not rows:
        assert (submitted, videos, cards) == (0, [], []), where
        return
    (job,) = rows
    assert len(cards) == 1, f"{len(cards)} cards after {where}"
    if job.state == "succeeded":
        assert (submitted, len(videos)) == (1, 1), f"{submitted} submissions, {len(videos)} videos after {where}"
        assert (kinds.count("hold"), kinds.count("settle"), kinds.count("release")) == (1, 1, 0), where
        assert cards[0].embeds[0].title == "Done", where
    else:
        # only where nobody can know whether the POST has left, or where Discord never got the answer
        assert job.state in {"lost", "cancelled"}, f"{job.state} after {where}"
        assert (videos, kinds.count("hold"), kinds.count("settle"), kinds.count("release")) == ([], 1, 0, 1), where
        assert submitted == 0, f"{job.state} although the vendor has it, after {where}"


@pytest.mark.parametrize("stripe", range(STRIPES))
async def test_a_death_at_any_boundary_ends_well(stripe: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    n, deaths = stripe, 0
    while True:
        folder = tmp_path / str(n)
        folder.mkdir()
        if await run_with_death_at(n, folder, monkeypatch) is None:
            break
        n, deaths = n + STRIPES, deaths + 1
    assert deaths >= 3, "the sweep found hardly any boundary"
