"""Kills one of several processes of a bot every few seconds, and checks their common books.

    python -m tests.recovery.several --jobs 300 --seed 7

Three processes share a real PostgreSQL, a folder, six shards of one Discord and one vendor's limit of requests. Members
in guilds of every shard ask for videos, and ask again when nobody answers. Every ten seconds one of the processes is
killed; a while later it is started again, as a supervisor does. In the end every command that was answered has one job,
every job has ended, every video that was paid for was submitted once and posted once, no session began too soon after
another, and the vendor never had to say that it was asked too often (invariants.py tells the rest).

A seed gives the same wishes and the same kills again; what they meet depends on the machine's timing, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select

from bot.clock import system_clock
from bot.database.tables import jobs, processes
from bot.delivery.faults import UNKNOWN_INTERACTION
from bot.shards import Shards
from tests.conftest import PostgresServer
from tests.imitations.discord_server import Channel, Interaction, Member
from tests.imitations.pixeldojo import Job
from tests.recovery.invariants import Seen, always, at_end, complaints, look, strays
from tests.recovery.processes import PATIENCE, BotProcess, Stage, until
from tests.recovery.soak import picture
from tests.recovery.troubles import Fate, MoodyVendor, Traps

#: the shards of each process, and how many there are
PLACES: Final = ("0-1", "2-3", "4-5")
SHARDS: Final = 6
MODEL: Final = "pixeldojo/wan-2.2-standard"
#: jobs, and how many of them members ask for in a second
JOBS: Final = 300
_PACE: Final = 2.0
#: seconds from one kill to the next
EVERY: Final = 10.0
#: seconds in which a job that was left behind must be another process's
LONGEST_TAKEOVER: Final = 30.0
#: seconds until a process that was killed is started again
_AWAY: Final = (1.0, 4.0)
#: seconds that the vendor takes for a video
_MAKING: Final = (2.0, 8.0)
#: seconds until Discord tells a member that nobody answered (three there), and until the member asks again
_ANSWER: Final = 10.0
_AGAIN: Final = (2.0, 5.0)
#: in each of so many wishes there is a picture
_PICTURES: Final = 5
#: seconds; Discord's, between two sessions of a bucket, and the buckets
_IDENTIFY: Final = 5.0
_BUCKETS: Final = 2
#: seconds in which everything must have ended once nobody is killed any more
_LAST_PATIENCE: Final = 180.0
_KILLED: Final = -signal.SIGKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done. The same plan does the same again, as far as the machine allows."""

    seed: int
    #: commands that are answered in the end
    jobs: int = JOBS
    #: kills at least; they go on for as long as members ask
    kills: int = 1
    every: float = EVERY
    #: what the vendor allows, which all processes know of
    requests_per_minute: int = 240

    @property
    def most_seconds(self) -> float:
        """When to give up, whatever is left."""
        return 300 + 4 * self.jobs


@dataclass(slots=True)
class Tally:
    """What has happened."""

    kills: int = 0
    #: commands that nobody answered: their guild's shard was away, or its process died over them
    unheard: int = 0
    unanswered: int = 0
    #: seconds from each kill until none of the open jobs of the dead was its own any more
    takeovers: list[float] = field(default_factory=list[float])
    #: jobs that changed hands so
    taken: int = 0
    ends: Counter[str] = field(default_factory=Counter[str])
    submissions: int = 0
    videos: int = 0
    busiest_minute: int = 0
    #: what must not be, in sentences
    violations: list[str] = field(default_factory=list[str])


class UnhurriedVendor(MoodyVendor):
    """PixelDojo on a good day: every video comes, after some seconds."""

    def __init__(self, *, seed: str, requests_per_minute: int) -> None:
        super().__init__(seed=seed, traps=Traps())
        self.is_calm = True
        self.requests_per_minute = requests_per_minute

    def fate(self, prompt: str) -> Fate:
        """Only how long it thinks about a POST is left to chance."""
        return replace(super().fate(prompt), posts=(), succeeds=True)

    def _new_job(self, model: str, body: dict[str, object], cost: Decimal | int, *, prefix: str = "") -> Job:
        job = super()._new_job(model, body, cost, prefix=prefix)
        job.polls_left = None
        seconds = random.Random(f"{self._seed}, making {body['prompt']}").uniform(*_MAKING)
        asyncio.get_running_loop().call_later(seconds, setattr, job, "polls_left", 0)
        return job


class Fleet:
    """The processes, those who ask them, and who kills them."""

    def __init__(self, *, plan: Plan, stage: Stage, vendor: UnhurriedVendor, tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._stage = stage
        self._vendor = vendor
        self._tell = tell
        self._members = _members(stage)
        self._tally = Tally()
        self._deaths: list[datetime] = []
        #: by the shards that they serve; between two lives of a process it is the dead one
        self._serving: dict[str, BotProcess] = {}
        #: by prompt
        self._runs: dict[str, Interaction] = {}
        self._is_closing = False

    async def play(self) -> Tally:
        """Carry out the plan."""
        async with asyncio.timeout(self._plan.most_seconds), asyncio.TaskGroup() as tasks:
            for place in PLACES:
                tasks.create_task(self._supervise(place))
            discord = self._stage.discord
            await discord.wait_synced(timeout=PATIENCE)
            await discord.wait_ready(range(SHARDS), timeout=3 * PATIENCE)
            await self._keep_busy(tasks)
            await self._settle()
            self._is_closing = True
            for process in self._serving.values():
                process.send(signal.SIGTERM)
        self._look_back()
        return self._tally

    # --- the processes -----------------------------------------------------------------------------

    async def _supervise(self, place: str) -> None:
        """Start a process, and start it again whenever it has ended."""
        chance = random.Random(f"{self._plan.seed}, supervisor of {place}")
        while not self._is_closing:
            async with self._stage.bot(SHARD_COUNT=str(SHARDS), SHARD_IDS=place) as process:
                self._serving[place] = process
                code = await process.exit_code(within=3600)
            self._complain(f"the log of {place}", complaints(process.lines, was_killed=code == _KILLED))
            if code != (0 if self._is_closing else _KILLED):
                self._complain(place, [f"ended with {code}: {process.lines[-3:]}"])
            await asyncio.sleep(0 if self._is_closing else chance.uniform(*_AWAY))

    async def _kill(self, place: str, tasks: asyncio.TaskGroup) -> None:
        name = self._stage.books.read(partial(_newest_process, place=place))
        process = self._serving[place]
        await process.kill()
        killed_at = time.monotonic()
        self._deaths.append(system_clock())
        self._tally.kills += 1
        if name is not None:
            tasks.create_task(self._watch_takeover(name, killed_at))
        seen = self._look(is_at_rest=False)
        self._complain(f"after the kill of {place}", always(seen))
        self._tell(f"kill {self._tally.kills}, of {place}: {len(seen.rows.jobs)} jobs, {verdict(self._tally)}")

    async def _watch_takeover(self, name: str, killed_at: float) -> None:
        """Measure how long jobs stay a dead process's."""

        def left() -> int:
            return self._stage.books.read(partial(_open_jobs_of, owner=name))

        orphans = left()
        try:
            # a look costs time that Discord and the vendor, in this same process, need too
            await until(lambda: not left(), left, within=LONGEST_TAKEOVER, pace=0.25)
        except TimeoutError as error:
            self._complain(f"the jobs of process {name}", [str(error)])
        if orphans:
            self._tally.taken += orphans
            self._tally.takeovers.append(time.monotonic() - killed_at)

    def _place_to_kill(self, chance: random.Random) -> str | None:
        """One that serves, if there is one: others have nothing to lose."""
        ready = {session.shard_id for session in self._stage.discord.gateway.connected if session.ready}
        alive = [place for place, process in self._serving.items() if not process.is_over]
        serving = [place for place in alive if ready >= set(_shards_of(place))]
        return chance.choice(serving or alive) if alive else None

    # --- what goes on ------------------------------------------------------------------------------

    async def _keep_busy(self, tasks: asyncio.TaskGroup) -> None:
        """Let members ask, and kill meanwhile."""
        asking = tasks.create_task(self._ask_for_all())
        chance = random.Random(f"{self._plan.seed}, kills")
        while not asking.done() or self._tally.kills < self._plan.kills:
            await asyncio.sleep(self._plan.every)
            if (place := self._place_to_kill(chance)) is not None:
                await self._kill(place, tasks)

    async def _ask_for_all(self) -> None:
        chance = random.Random(f"{self._plan.seed}, members")
        async with asyncio.TaskGroup() as wishes:
            for number in range(self._plan.jobs):
                wishes.create_task(self._ask_until_answered(number, random.Random(f"{self._plan.seed}, wish {number}")))
                await asyncio.sleep(chance.uniform(0, 2 / _PACE))

    async def _ask_until_answered(self, number: int, chance: random.Random) -> None:
        """Ask for a video, and again whenever Discord says that the bot did not respond."""
        member, channel = chance.choice(self._members)
        image = {} if number % _PICTURES else {"image": ("cat.png", picture())}
        for attempt in count(1):
            prompt = f"wish {number}, attempt {attempt}"
            run = await self._stage.ask(prompt, member=member, channel=channel, model=MODEL, **image)
            self._runs[prompt] = run
            if run.is_delivered:
                with contextlib.suppress(TimeoutError):
                    await run.answered(_ANSWER)
                    return
                self._tally.unanswered += 1
            else:
                self._tally.unheard += 1
            await asyncio.sleep(chance.uniform(*_AGAIN))

    async def _settle(self) -> None:
        """Wait until everything has ended well; what hasn't is told afterwards."""

        def open_jobs() -> int:
            return self._stage.books.read(partial(_open_jobs_of, owner=None))

        with contextlib.suppress(TimeoutError):
            await until(lambda: not open_jobs(), open_jobs, within=_LAST_PATIENCE, pace=0.5)
            await until(lambda: not at_end(self._look(is_at_rest=False)), open_jobs, pace=0.5)

    # --- what is checked ---------------------------------------------------------------------------

    def _look(self, *, is_at_rest: bool) -> Seen:
        too_late = {
            prompt
            for prompt, run in self._runs.items()
            if any(attempt.code == UNKNOWN_INTERACTION for attempt in run.attempts)
        }
        return look(self._stage, self._vendor, deaths=self._deaths, too_late=too_late, is_at_rest=is_at_rest)

    def _look_back(self) -> None:
        """Check the whole, once nothing runs any more."""
        seen = self._look(is_at_rest=True)
        self._complain("at the end", always(seen))
        self._complain("at the end", at_end(seen))
        self._complain("at the end", _answers_without_job(self._runs, seen))
        self._complain("at the end", [f"still runs: {each}" for each in strays(self._stage.folder)])
        if too_soon := self._stage.discord.gateway.starts.too_soon:
            self._complain("at Discord", [f"{len(too_soon)} sessions began too soon, of shards {set(too_soon)}"])
        if refused := sum(call.status == 429 for call in self._vendor.calls):
            self._complain("at the vendor", [f"{refused} requests were too many"])
        self._tally.ends.update(str(job.state) for job in seen.rows.jobs)
        self._tally.submissions = len(seen.tasks)
        self._tally.videos = sum(map(len, seen.videos().values()))
        self._tally.busiest_minute = self._vendor.busiest_minute()

    def _complain(self, when: str, lines: Sequence[str]) -> None:
        self._tally.violations += [f"{when}: {line}" for line in lines]


def _answers_without_job(runs: dict[str, Interaction], seen: Seen) -> list[str]:
    """Commands whose member saw a card, and that have no job, or several."""
    found = Counter(job.prompt for job in seen.rows.jobs)
    wrong = [f"{prompt!r} has {number} jobs" for prompt, number in found.items() if number > 1]
    for prompt, run in runs.items():
        if found[prompt] == 0 and run.message is not None and not run.message.loading:
            wrong.append(f"{prompt!r} was answered by {run.text!r} and has no job")
    return wrong


def _newest_process(connection: Connection, *, place: str) -> str | None:
    """What the process that serves these shards now calls itself."""
    shards = str(Shards(SHARDS, _shards_of(place)))
    query = select(processes.c.id).where(processes.c.shards == shards).order_by(processes.c.started_at.desc())
    return connection.execute(query).scalars().first()


def _shards_of(place: str) -> Sequence[int]:
    first, _, last = place.partition("-")
    return range(int(first), int(last) + 1)


def _open_jobs_of(connection: Connection, *, owner: str | None) -> int:
    """How many open jobs a process has; None: all of them."""
    query = select(func.count()).select_from(jobs).where(jobs.c.ended_at.is_(None))
    return connection.execute(query if owner is None else query.where(jobs.c.owner == owner)).scalar_one()


def _members(stage: Stage) -> list[tuple[Member, Channel]]:
    """Who asks, and where: two guilds on each shard, with two members and two channels each."""
    guilds = [stage.discord.add_guild(f"shard {shard}", shard=shard) for shard in [*range(SHARDS)] * 2]
    return [(guild.add_member(name), guild.add_channel()) for guild in guilds for name in ("alice", "bob")]


@asynccontextmanager
async def open_stage(folder: Path, database_url: str, vendor: MoodyVendor) -> AsyncGenerator[Stage]:
    """A Discord with shards that minds how often sessions start."""
    options = {
        "shards": SHARDS,
        "ack_seconds": _ANSWER,
        "identify_seconds": _IDENTIFY,
        "max_concurrency": _BUCKETS,
    }
    async with Stage.open(folder, vendor=vendor, database_url=database_url, **options) as stage:
        stage.settings["DEFAULT_ALLOWANCE"] = "1000000"
        stage.settings["PIXELDOJO_REQUESTS_PER_MINUTE"] = str(vendor.requests_per_minute)
        yield stage


async def several(plan: Plan, folder: Path, database_url: str, *, tell: Callable[[str], None]) -> Tally:
    """Carry out a plan on an empty PostgreSQL; whoever calls looks at ``violations``."""
    vendor = UnhurriedVendor(seed=str(plan.seed), requests_per_minute=plan.requests_per_minute)
    async with open_stage(folder, database_url, vendor) as stage:
        return await Fleet(plan=plan, stage=stage, vendor=vendor, tell=tell).play()


def summary(plan: Plan, tally: Tally, seconds: float) -> str:
    """What it came to, in a few lines."""
    ends = ", ".join(f"{number} {state}" for state, number in sorted(tally.ends.items())) or "none looked at"
    longest = max(tally.takeovers, default=0.0)
    commands = f"{plan.jobs} commands were answered; before, {tally.unheard} found no session of their shard, and"
    return "\n".join(
        (
            f"seed {plan.seed}: {len(PLACES)} processes, {SHARDS} shards, {tally.kills} kills in {seconds:.0f} s",
            f"{commands} {tally.unanswered} nobody who answered in time",
            f"{sum(tally.ends.values())} jobs: {ends}",
            f"{tally.submissions} were made by the vendor, {tally.videos} videos were posted",
            f"{tally.taken} jobs were left behind by {len(tally.takeovers)} kills, and taken up within {longest:.1f} s",
            f"the vendor's busiest minute: {tally.busiest_minute} of {plan.requests_per_minute} requests",
            verdict(tally),
            *tally.violations,
        )
    )


def verdict(tally: Tally) -> str:
    """Whether anything was wrong so far."""
    return (
        f"{len(tally.violations)} THINGS ARE WRONG" if tally.violations else "books, submissions and videos are right"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, tell how it goes, and give 1 if anything was wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.recovery.several",
        description="Kills one of several processes of a bot every few seconds, and checks their common books.",
    )
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help=f"commands that are answered ({JOBS})")
    parser.add_argument("--every", type=float, default=EVERY, metavar="S", help=f"seconds between kills ({EVERY:g})")
    parser.add_argument("--seed", type=int, help="of an earlier time, to repeat it")
    chosen = parser.parse_args(arguments)
    seed = secrets.randbits(32) if chosen.seed is None else chosen.seed
    return _told(Plan(seed=seed, jobs=chosen.jobs, every=chosen.every))


def _told(plan: Plan) -> int:
    # requests that break off when their bot is killed are no news
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="wanbot-several-"))
    begun = time.monotonic()
    tell = partial(print, flush=True)
    tell(f"seed {plan.seed}, in {folder}")
    with _postgres() as url:
        tally = asyncio.run(several(plan, folder, url, tell=tell))
    tell(summary(plan, tally, time.monotonic() - begun))
    if tally.violations:
        tell(f"Repeat it with --seed {plan.seed}; the logs are left in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


@contextlib.contextmanager
def _postgres() -> Generator[str]:
    """A PostgreSQL of its own."""
    with tempfile.TemporaryDirectory(prefix="wanbot-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        try:
            server.start()
            with server.other_database() as url:
                yield url
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
