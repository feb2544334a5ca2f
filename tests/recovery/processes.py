"""The bot as a process of its own, between the imitations of Discord and of a vendor, and its database from outside.

async with Stage.open(tmp_path) as stage:
    async with stage.serving() as bot:
        run = await stage.ask("a cat")
        await stage.submitted()
        await stage.kill(bot)
    async with stage.serving():
        await stage.done(run)
    stage.books.check()
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.pool import NullPool

from bot.credits import ledger
from bot.database.tables import accounts, job_events, jobs, ledger_entries
from bot.delivery.cards import WORDS
from bot.jobs import store
from bot.jobs.job import Job, State
from tests.imitations.discord_server import Channel, DiscordServer, Guild, Interaction, Member, Message
from tests.imitations.pixeldojo import PixelDojoImitation, Submission
from tests.programs import PATIENCE, Program, until

T = TypeVar("T")


class BotProcess(Program):
    """``wanbot run``; killed with its context, if it didn't end before."""

    def __init__(self, *, folder: Path, settings: Mapping[str, str], log: Path) -> None:
        super().__init__("-m", "bot", "run", folder=folder, settings=settings, log=log)

    @property
    def lines(self) -> list[str]:
        """Everything it wrote so far."""
        return self.text.splitlines()

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its log, line by line."""
        return [cast("dict[str, Any]", json.loads(line)) for line in self.lines if line.startswith("{")]

    @property
    def errors(self) -> list[dict[str, Any]]:
        """What it told its operator of as its own fault."""
        return [event for event in self.events if event["level"] in {"error", "critical"}]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        return [each for each in self.events if each["event"] == event]

    async def hears(self, event: str, times: int = 1) -> None:
        """Wait for a line of its log."""
        await until(lambda: len(self.said(event)) >= times or self.is_over, lambda: self.lines)
        if len(self.said(event)) < times:
            raise RuntimeError(f"it ended before it said {event!r}: {self.lines}")

    async def ready(self) -> float:
        """Wait until it serves; gives the seconds that its start took."""
        await self.hears("ready")
        return time.monotonic() - self.started_at

    @property
    def peak_memory(self) -> int:
        """The most bytes of memory that it has had so far, its children not counted; 0 where only Linux would tell."""
        status = Path(f"/proc/{self.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@lru_cache(maxsize=4)
def _read_only(address: str) -> Engine:
    url = make_url(address)
    if url.drivername == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return _engine(address).execution_options(**options)

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{url.database}?mode=ro", uri=True, timeout=10)

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    # or each query would see the database at another instant
    connection.exec_driver_sql("BEGIN")


def _engine(address: str) -> Engine:
    url = make_url(address)
    driver = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite+pysqlite"}[url.drivername]
    return create_engine(url.set(drivername=driver), poolclass=NullPool)


@dataclass(frozen=True, slots=True)
class Books:
    """The database, looked at from outside while the bot uses it."""

    #: as ``DATABASE_URL`` has it
    address: str

    @property
    def path(self) -> Path:
        """The file of a SQLite database."""
        return Path(make_url(self.address).database or "")

    @property
    def are_there(self) -> bool:
        """Whether there is a database, migrated or not."""
        return not self.address.startswith("sqlite") or self.path.exists()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Run queries on a connection that can't write; all of them see the same instant."""
        with _read_only(self.address).connect() as connection:
            return work(connection)

    def write(self, work: Callable[[Connection], object]) -> None:
        """Change what no bot uses at the moment."""
        with _engine(self.address).begin() as connection:
            work(connection)

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep the bot from writing to a SQLite file, as a long backup would."""
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def job(self, run: Interaction) -> Job | None:
        """The job of a command."""
        return self.read(lambda c: store.by_interaction(c, run.id))

    def entries(self, job: Job) -> list[str]:
        """What was booked for a job, in order."""
        query = select(ledger_entries.c.kind).where(ledger_entries.c.job_id == job.id).order_by(ledger_entries.c.id)
        return self.read(lambda c: list(c.execute(query).scalars()))

    def transitions(self, job: Job) -> list[str]:
        """The states that a job went through."""
        query = select(job_events.c.transition).where(job_events.c.job_id == job.id).order_by(job_events.c.id)
        return self.read(lambda c: list(c.execute(query).scalars()))

    @property
    def jobs(self) -> int:
        """How many jobs there are."""
        return self.read(lambda c: c.execute(select(func.count()).select_from(jobs)).scalar_one())

    def check(self) -> None:
        """Fail if an account differs from its entries, or has something held."""
        mismatches, held = self.read(
            lambda c: (ledger.mismatches(c), list(c.execute(select(accounts.c.held)).scalars()))
        )
        assert not mismatches
        assert not any(held), f"held: {held}"


@dataclass(slots=True, kw_only=True)
class Stage:
    """Discord with one guild, a vendor, and a folder that outlives the bot's processes."""

    discord: DiscordServer
    vendor: PixelDojoImitation
    folder: Path
    guild: Guild
    channel: Channel
    alice: Member
    settings: dict[str, str]
    books: Books
    _starts: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    @asynccontextmanager
    async def open(
        cls, folder: Path, *, vendor: PixelDojoImitation | None = None, database_url: str | None = None, **options: Any
    ) -> AsyncGenerator[Stage]:
        """Start both servers; the database is a SQLite file unless told. ``options`` are those of ``DiscordServer``."""
        # three seconds are Discord's; here a busy machine mustn't count
        options.setdefault("ack_seconds", PATIENCE)
        async with DiscordServer(**options) as discord, vendor or PixelDojoImitation() as dojo:
            guild = discord.add_guild()
            settings = {
                "DISCORD_TOKEN": discord.token,
                "DISCORD_API_URL": discord.api_url,
                "DATA_DIR": str(folder / "data"),
                "PIXELDOJO_API_KEY": dojo.key,
                "PIXELDOJO_BASE_URL": dojo.base_url,
                "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
                "DEMO_SECONDS": "0.2",
            }
            if database_url is not None:
                settings["DATABASE_URL"] = database_url
            yield cls(
                discord=discord,
                vendor=dojo,
                folder=folder,
                guild=guild,
                channel=guild.add_channel(),
                alice=guild.add_member("alice"),
                settings=settings,
                books=Books(database_url or f"sqlite:///{folder / 'data' / 'wanbot.db'}"),
            )

    def bot(self, **settings: str) -> BotProcess:
        """A process of the bot: ``async with stage.bot() as bot``. An empty setting takes one away."""
        log = self.folder / f"bot-{next(self._starts)}.log"
        return BotProcess(folder=self.folder, settings={**self.settings, **settings}, log=log)

    @asynccontextmanager
    async def serving(self, **settings: str) -> AsyncGenerator[BotProcess]:
        """A process of the bot that hears commands already."""
        async with self.bot(**settings) as bot:
            await self.discord.wait_synced(timeout=PATIENCE)
            await self.discord.wait_ready(timeout=PATIENCE)
            yield bot

    async def kill(self, bot: BotProcess) -> None:
        """End it as ``kill -9`` does, and wait until Discord has noticed."""
        await bot.kill()
        await self.discord.wait_gone(timeout=PATIENCE)

    async def ask(
        self,
        prompt: str = "a cat",
        *,
        channel: Channel | None = None,
        member: Member | None = None,
        **options: Any,
    ) -> Interaction:
        """Let a member (Alice) ask for a video; without a model it is the one used last, else one of the vendor's."""
        return await (member or self.alice).slash(channel or self.channel, "wan video", prompt=prompt, **options)

    async def ask_vendor(self, prompt: str) -> Interaction:
        """Let Alice ask for a video of the vendor's, whatever she has used last."""
        return await self.ask(prompt, model="pixeldojo/wan-2.2-standard")

    async def ask_demo(self, prompt: str = "a cat", **options: Any) -> Interaction:
        """Let a member (Alice) ask for a video that is drawn here."""
        return await self.ask(prompt, model="demo", duration=2, **options)

    async def reached(self, run: Interaction, *states: State) -> Job:
        """Wait until the job of a command is in one of these states."""

        def look() -> Job | None:
            job = self.books.job(run)
            return job if job is not None and job.state in states else None

        return await until(look, lambda: self.books.job(run))

    async def submitted(self, *, jobs: int = 1) -> list[Submission]:
        """Wait until the vendor has so many jobs."""
        submissions = self.vendor.submissions
        return await until(lambda: submissions if len(submissions) >= jobs else None, lambda: self.vendor.calls)

    async def done(self, run: Interaction) -> Job:
        """Wait for the end of a job, and see that it was posted once, paid for once, and its only card tells so."""
        job = await self.ended(run, State.SUCCEEDED)
        assert [video.nonce for video in self.videos(run)] == [f"v{job.id}"]
        assert job.result_message_id == self.videos(run)[0].id
        assert self.books.entries(job) == ["hold", "settle"]
        return job

    async def released(self, run: Interaction, state: State) -> Job:
        """Wait for the end of a job, and see that nothing was posted or paid for, and its only card tells so."""
        job = await self.ended(run, state)
        assert not self.videos(run)
        assert self.books.entries(job) == ["hold", "release"]
        return job

    async def ended(self, run: Interaction, state: State) -> Job:
        """Wait for the end of a job, and until its only card tells of it."""
        job = await self.reached(run, *(each for each in State if not each.is_open))
        assert job.state is state, self.books.transitions(job)

        def card() -> Message | None:
            found = self.cards(run)[-1]
            return found if found.text.startswith(WORDS[state]) else None

        shown = await until(card, lambda: [card.text for card in self.cards(run)])
        assert self.cards(run) == [shown]
        # where the card stands may have become known since
        job = await self.reached(run, state)
        assert shown.id == job.card_message_id
        assert not shown.labels
        return job

    def videos(self, run: Interaction) -> list[Message]:
        """Every video that was posted for a command, deleted ones too."""
        return self._messages(run, lambda job, message: message.nonce == f"v{job.id}")

    def cards(self, run: Interaction) -> list[Message]:
        """Every card that was posted for a command, deleted ones too."""
        return self._messages(run, lambda job, message: f"Job {job.id}" in message.text)

    def _messages(self, run: Interaction, is_meant: Callable[[Job, Message], bool]) -> list[Message]:
        job = self.books.job(run)
        assert job is not None
        return [message for message in run.channel.messages if is_meant(job, message)]
