"""Row family 8: several processes that share a PostgreSQL which makes every commit durable."""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, cast

from sqlalchemy import Connection, make_url, text

from bench.ledger import TOGETHER, book_pair, rich_member
from bench.machine import children, cpu_seconds
from bench.process import ROOT, WANBOT, Program, until
from bench.table import Reading
from bot.database.engine import open_database, sync_engine
from bot.delivery.cards import WORDS
from bot.jobs.job import State
from tests.conftest import PostgresServer
from tests.recovery.processes import Stage

_PROCESSES: Final = (1, 2, 3)
_MODEL: Final = "pixeldojo/wan-2.2-standard"
#: what Discord doesn't count among the fifty requests a second
_FREE: Final = ("/interactions/", "/webhooks/")
#: those of a server that isn't tuned, but for where it listens
_SETTINGS: Final = {"listen_addresses": "", "max_connections": "100"}


async def measure(folder: Path, *, is_tiny: bool) -> list[Reading]:
    """Book with one process, two and three; then make videos with one, and see what each of them costs."""
    seconds, videos = (0.3, 5) if is_tiny else (5.0, 200)
    async with _durable_server() as server:
        pairs = {count: await _pairs_per_second(server.url, count, seconds) for count in _PROCESSES}
        costs = await _costs_of_videos(server, folder, videos)
        away = await _seconds_of_a_restart(server, folder)
    return [
        *(
            Reading(row=f"PostgreSQL: hold and settle pairs, {_counted(count)}", unit="/s", value=value)
            for count, value in pairs.items()
        ),
        *(Reading(row=f"PostgreSQL: {name}", unit=unit, value=value) for name, unit, value in costs),
        Reading(row="one of three processes is restarted: its shard isn't served", unit="s", value=away),
    ]


def _counted(processes: int) -> str:
    return "one process" if processes == 1 else f"{processes} processes"


@asynccontextmanager
async def _durable_server() -> AsyncGenerator[PostgresServer]:
    # not in the bench's own folder: nobody else may enter that, and PostgreSQL refuses to run as root
    with tempfile.TemporaryDirectory(prefix="wanbot-pg-", ignore_cleanup_errors=True) as place:
        server = PostgresServer(Path(place), _SETTINGS)
        try:
            await asyncio.to_thread(server.start)
            yield server
        finally:
            await asyncio.to_thread(server.stop)


# --- booking -------------------------------------------------------------------------------------------


async def _pairs_per_second(url: str, processes: int, seconds: float) -> float:
    """What so many processes book together, each with 64 units of work at a time."""
    async with AsyncExitStack() as stack:
        bookers = [await stack.enter_async_context(_booker(url, number, seconds)) for number in range(processes)]
        for booker in bookers:
            await _line_of(booker)
        for booker in bookers:
            cast("asyncio.StreamWriter", booker.stdin).write(b"go\n")
        return sum([float(await _line_of(booker)) for booker in bookers])


@asynccontextmanager
async def _booker(url: str, number: int, seconds: float) -> AsyncGenerator[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "bench.several", url, str(number), str(seconds))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _line_of(process: asyncio.subprocess.Process) -> str:
    line = (await cast("asyncio.StreamReader", process.stdout).readline()).decode()
    if not line:
        raise RuntimeError("a process that should book has ended")
    return line


async def _book(url: str, number: int, seconds: float) -> None:
    """Be one of the processes: say that it is ready, wait for a word, and tell how many pairs a second there were."""
    database = open_database(url)
    now, first = datetime.now(UTC), number * TOGETHER
    accounts = [
        await database.write(partial(rich_member, number=each, now=now)) for each in range(first, first + TOGETHER)
    ]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    begun = time.perf_counter()
    ids, booked = (f"{number}{each:x}" for each in itertools.count(time.time_ns() // 1000)), 0

    async def book(account_id: int) -> None:
        nonlocal booked
        while time.perf_counter() - begun < seconds:
            await book_pair(database, account_id, next(ids))
            booked += 1

    await asyncio.gather(*map(book, accounts))
    sys.stdout.write(f"{booked / (time.perf_counter() - begun)}\n")
    await database.close()


# --- videos --------------------------------------------------------------------------------------------


async def _costs_of_videos(server: PostgresServer, folder: Path, videos: int) -> Sequence[tuple[str, str, float]]:
    """What a small video costs from the command to its last edit: the bot, the server, and its transactions."""
    place = folder / "videos"
    place.mkdir(parents=True)
    async with Stage.open(place, database_url=server.url) as stage:
        stage.vendor.credits, stage.vendor.polls = 1_000_000, 0
        settings = {**stage.settings, "DEFAULT_ALLOWANCE": "1000000"}
        async with Program(*WANBOT, folder=place, settings=settings) as bot:
            await bot.says('"ready"')
            await _make(stage, videos)
            before = _spent(server, bot.pid)
            requests = len(stage.discord.requests)
            await _make(stage, videos)
            after = _spent(server, bot.pid)
            asked = sum(not request.path.startswith(_FREE) for request in stage.discord.requests[requests:])
    bot_cpu, server_cpu, commits = ((late - early) / videos for early, late in zip(before, after, strict=True))
    return [
        ("computing of the bot per video", "ms", 1000 * bot_cpu),
        ("computing of the server per video", "ms", 1000 * server_cpu),
        ("transactions per video, reads too", "", commits),
        ("requests to Discord per video, answers to commands apart", "", asked / videos),
    ]


async def _make(stage: Stage, videos: int) -> None:
    """Let members of ten guilds ask for so many videos, and wait until the last card says that it is done."""
    guilds = [stage.discord.add_guild() for _ in range(10)]
    places = [(guild.add_channel(), guild.add_member("member")) for guild in guilds]
    await asyncio.sleep(0.5)
    runs = [
        await member.slash(channel, "wan video", prompt="a cat by the sea", model=_MODEL)
        for channel, member in itertools.islice(itertools.cycle(places), videos)
    ]
    is_done = WORDS[State.SUCCEEDED]
    await until(
        lambda: all(run.message is not None and run.message.text.startswith(is_done) for run in runs),
        what="not all videos were made",
        within=300,
    )
    await asyncio.sleep(1)


def _spent(server: PostgresServer, bot: int) -> tuple[float, float, float]:
    """Seconds that the bot and the server have computed, and transactions that were committed."""
    engine = sync_engine(make_url(server.url))
    with engine.connect() as connection:
        commits = _commits(connection)
    engine.dispose()
    return cpu_seconds(bot), sum(map(cpu_seconds, [server.pid, *children(server.pid)])), commits


def _commits(connection: Connection) -> float:
    # what the others have told so far: they do once a second, or when they have nothing to do
    query = text("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
    return float(connection.execute(query).scalar_one())


# --- restarting ----------------------------------------------------------------------------------------


async def _seconds_of_a_restart(server: PostgresServer, folder: Path) -> float:
    """From the SIGTERM of one of three processes until its shard has a session again."""
    place = folder / "restart"
    place.mkdir(parents=True)
    opened = Stage.open(place, database_url=server.url, shards=3, identify_seconds=5)
    async with opened as stage, AsyncExitStack() as stack:
        settings = [{**stage.settings, "SHARD_COUNT": "3", "SHARD_IDS": str(shard)} for shard in range(3)]
        bots = [await stack.enter_async_context(Program(*WANBOT, folder=place, settings=each)) for each in settings]
        for bot in bots:
            await bot.says('"ready"')
        sessions = len(stage.discord.gateway.identifies)
        begun = time.perf_counter()
        await bots[1].end()
        await stack.enter_async_context(Program(*WANBOT, folder=place, settings=settings[1]))
        await until(lambda: len(stage.discord.gateway.identifies) > sessions, what="it doesn't come back")
        return time.perf_counter() - begun


if __name__ == "__main__":
    asyncio.run(_book(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
