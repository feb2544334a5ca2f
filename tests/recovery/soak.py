"""Kills the bot at random instants, again and again, and checks its books, its submissions and its videos.

    python -m tests.recovery.soak --kills 300 --seed 7

Several bots live side by side, each between its own Discord and its own vendor, which have their bad days
(troubles.py). Each is kept busy, killed (now and then stopped), and started again at once. Whatever is seen from
outside must be right all the time, and in the end every video is posted once and paid for, or neither (invariants.py).

A seed gives the same wishes, faults and plans of killing again; what they meet depends on the machine's timing, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import logging
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import lru_cache, partial
from itertools import count, product
from pathlib import Path
from typing import Final, TypeVar

from PIL import Image
from sqlalchemy import Connection, text

from bot.clock import system_clock
from bot.delivery.faults import UNKNOWN_INTERACTION
from tests.imitations.discord_server import Channel, Interaction, Member, Message
from tests.imitations.discord_server.gateway import Drop
from tests.imitations.pixeldojo import Route
from tests.recovery.invariants import Seen, always, at_end, complaints, look, strays
from tests.recovery.processes import PATIENCE, BotProcess, Stage, until
from tests.recovery.troubles import LONGEST_DELAY, VENDOR, Moment, MoodyVendor, Trap, Traps, Weather

_T = TypeVar("_T")

#: kills, and how many bots share them
KILLS: Final = 300
BOTS: Final = 6
#: seconds; a bot posts nothing before discord.py has been connected for two, and tries again after five
BETWEEN: Final = (0.0, 6.0)
#: seconds; when the lives of a bot take longer than this on average, the soak ends early
_LONGEST_LIFE: Final = 20.0
#: seconds; how long everything may take to end once all goes well
_LAST_PATIENCE: Final = 180.0
#: a bot's open jobs; more would only wait
_MOST_OPEN: Final = 8
#: seconds; about how long a start takes
_START: Final = 0.8
#: how often a bot stays away for some minutes before it is started again, and for how many (told to the books)
_ABSENT: Final = 0.06
_ABSENCE: Final = timedelta(minutes=3)
#: one of so many commands may be told again
_REMEMBERED: Final = 5
#: so many kills are told of in one line
_TOLD_EVERY: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a soak does. The same plan does the same again, as far as the machine allows."""

    kills: int = KILLS
    seed: int
    bots: int = BOTS
    #: seconds that a bot lives on, from the instant in which it hears commands
    between: tuple[float, float] = BETWEEN

    @property
    def most_seconds(self) -> float:
        """When to stop killing, whatever is left."""
        return 60 + self.kills * _LONGEST_LIFE / self.bots


class Ending(Enum):
    """How a life ends."""

    #: before it has begun to hear commands
    EARLY = auto()
    #: after a while
    SOME_TIME = auto()
    #: by a trap, or after a while
    TRAPPED = auto()
    #: stopped, as an operator does
    STOPPED = auto()
    #: killed while it stops
    KILLED_STOPPING = auto()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a member asks for."""

    model: str
    seconds: int = 5
    has_picture: bool = False


#: something that a member or Discord does: given a prompt that nobody has used, and chance
Deed = Callable[[str, random.Random], Awaitable[None]]

#: how often each is drawn
_ENDINGS: Final = {
    Ending.EARLY: 12,
    Ending.SOME_TIME: 26,
    Ending.TRAPPED: 50,
    Ending.STOPPED: 8,
    Ending.KILLED_STOPPING: 4,
}
_KILLED: Final = -signal.SIGKILL
#: with what exit codes a process may end
_EXITS: Final = {ending: {_KILLED} for ending in Ending} | {
    Ending.STOPPED: {0},
    Ending.KILLED_STOPPING: {0, _KILLED},
}
#: requests at which a bot is killed, and how often
_TARGETS: Final = {
    (VENDOR, Route.SUBMIT): 30,
    (VENDOR, Route.STATUS): 6,
    (VENDOR, Route.LIST): 6,
    (VENDOR, Route.FILE): 8,
    ("POST", "/channels/*/messages"): 30,
    ("POST", "/interactions/*/*/callback"): 12,
    ("GET", "/channels/*/messages"): 4,
    ("GET", "/channels/*/messages/*"): 4,
    ("PATCH", "/channels/*/messages/*"): 6,
}
_DROPS: Final[tuple[Drop, ...]] = ("close", "abort", "reconnect")
#: how often a session outlives its lost connection
_RESUMABLE: Final = 0.7
#: what members ask for, and how often
_WISHES: Final[Mapping[Wish, int]] = {
    Wish("pixeldojo/wan-2.2-standard"): 50,
    Wish("pixeldojo/wan-2.2-standard", has_picture=True): 10,
    Wish("pixeldojo/wan-2.7-i2v", has_picture=True): 20,
    # drawing takes a whole core
    Wish("demo", seconds=2): 20,
}


@dataclass(slots=True)
class Tally:
    """What has happened so far, to all bots together."""

    kills: int = 0
    #: of these, at a request
    trapped: int = 0
    stops: int = 0
    #: bots that are about to die
    alive: int = 0
    #: kills that were told of
    told: int = 0
    wishes: int = 0
    submissions: int = 0
    videos: int = 0
    checks: int = 0
    ends: Counter[str] = field(default_factory=Counter[str])
    #: what must not be, in sentences
    violations: list[str] = field(default_factory=list[str])


class Bot:
    """One bot of the soak: its lives, and what surrounds them."""

    def __init__(
        self,
        *,
        name: str,
        seed: str,
        between: tuple[float, float],
        tally: Tally,
        stage: Stage,
        vendor: MoodyVendor,
        traps: Traps,
    ) -> None:
        self._name = name
        self._seed = seed
        self._between = between
        self._tally = tally
        self._stage = stage
        self._vendor = vendor
        self._traps = traps
        self._weather = Weather(traps)
        stage.discord.faults = self._weather
        self._members = _members(stage)
        #: by prompt
        self._runs: dict[str, Interaction] = {}
        self._pressed: set[str] = set()
        self._deaths: list[datetime] = []
        #: what members do, and how often
        self._deeds: Mapping[Deed, int] = {
            self._wish: 73,
            self._press_cancel: 15,
            self._tell_again: 7,
            self._drop_gateway: 5,
        }

    # --- a life ------------------------------------------------------------------------------------

    async def live(self, number: int) -> None:
        """Be started, kept busy, and ended."""
        chance = random.Random(f"{self._seed}, life {number}")
        self._weather.turn(random.Random(f"{self._seed}, weather {number}"))
        async with self._stage.bot() as process, asyncio.TaskGroup() as tasks:
            busy = tasks.create_task(self._keep_busy(process, number))
            ending = await self._end(process, chance)
            busy.cancel()
        self._deaths.append(system_clock())
        await self._see_off(process, ending)
        self._check("after its death", is_at_rest=True)
        if ending is Ending.STOPPED:
            self._tally.stops += 1
        else:
            self._tally.kills += 1
        if chance.random() < _ABSENT:
            await self._be_absent()

    async def finish(self) -> None:
        """Let everything end well, and look at the whole."""
        self._weather.turn(None)
        self._vendor.calm()
        await self._be_absent()
        async with self._stage.bot() as process:
            await self._connected(process)
            self._check("before the end", is_at_rest=False)
            # what is still wrong then is told below
            with contextlib.suppress(TimeoutError):
                await until(self._has_settled, lambda: "", within=_LAST_PATIENCE)
            await process.terminate()
        await self._see_off(process, Ending.STOPPED)
        seen = self._check("at the end", is_at_rest=True)
        self._complain("at the end", at_end(seen))
        with contextlib.suppress(TimeoutError):
            await until(lambda: not strays(self._stage.folder), lambda: "")
        self._complain("at the end", [f"still runs: {each}" for each in strays(self._stage.folder)])
        self._tally.submissions += len(seen.tasks)
        self._tally.videos += sum(map(len, seen.videos().values()))
        self._tally.ends.update(str(job.state) for job in seen.rows.jobs)

    def _has_settled(self) -> bool:
        return not self._open_jobs() and not at_end(self._look(is_at_rest=False))

    async def _keep_busy(self, process: BotProcess, life: int) -> None:
        """Check the books as soon as it serves, then let members do something every now and then."""
        chance = random.Random(f"{self._seed}, members {life}")
        await self._connected(process)
        self._check("at its start", is_at_rest=False)
        for number in count(1):
            if process.is_over:
                break
            await _drawn(chance, self._deeds)(f"wish {life}.{number}", chance)
            await asyncio.sleep(chance.uniform(0, 1))

    async def _connected(self, process: BotProcess) -> None:
        """Wait until it hears commands, or for its end."""
        discord = self._stage.discord

        def is_heard() -> bool:
            return bool(discord.syncs) and any(session.ready for session in discord.gateway.connected)

        await until(lambda: process.is_over or is_heard(), lambda: process.lines)

    async def _end(self, process: BotProcess, chance: random.Random) -> Ending:
        """End a life, in one of the ways."""
        ending = _drawn(chance, _ENDINGS)
        trap, wait = self._trap(process, chance), chance.uniform(*self._between)
        if ending is Ending.EARLY:
            await _beside(process, chance.uniform(0, _START))
        elif ending is Ending.TRAPPED:
            self._traps.lay(trap)
            await self._connected(process)
            await _beside(process, self._between[1])
        else:
            await self._connected(process)
            await _beside(process, wait)
        if ending in {Ending.STOPPED, Ending.KILLED_STOPPING}:
            process.send(signal.SIGTERM)
            await _beside(process, PATIENCE if ending is Ending.STOPPED else chance.uniform(0, 1))
        await process.kill()
        return ending

    def _trap(self, process: BotProcess, chance: random.Random) -> Trap:
        method, pattern = _drawn(chance, _TARGETS)
        return Trap(
            method=method,
            pattern=pattern,
            moment=chance.choice(list(Moment)),
            others=chance.choice((0, 0, 0, 1, 2)),
            delay=chance.choice((0, 0.002, 0.01, 0.05)),
            kill=lambda: process.send(signal.SIGKILL),
        )

    async def _see_off(self, process: BotProcess, ending: Ending) -> None:
        """Let Discord notice, and hear what the process had to say."""
        self._tally.trapped += self._traps.has_sprung
        self._traps.lay(None)
        await self._stage.discord.wait_gone(timeout=PATIENCE)
        # nobody resumes the session of a process that is gone
        self._stage.discord.drop_gateway(resumable=False)
        code = await process.exit_code()
        if code not in _EXITS[ending]:
            self._complain("at its death", [f"{ending.name}, and the exit code was {code}: {process.lines[-3:]}"])
        self._complain("in its log", complaints(process.lines, was_killed=code == _KILLED))

    async def _be_absent(self) -> None:
        """As if the bot had been away for some minutes: attempts grow old, and Discord forgets nonces."""
        await asyncio.sleep(2 * LONGEST_DELAY)  # what was on its way to Discord has arrived long ago
        self._stage.discord.world._nonces.clear()  # pyright: ignore[reportPrivateUsage] - time passes
        if self._stage.books.are_there:
            self._stage.books.write(_grow_old)

    # --- what members do ---------------------------------------------------------------------------

    async def _wish(self, prompt: str, chance: random.Random) -> None:
        """Ask for a video, of the vendor's or drawn here, from a text or a picture."""
        if self._open_jobs() >= _MOST_OPEN:
            return
        (member, channel), wish = chance.choice(self._members), _drawn(chance, _WISHES)
        options = {"image": ("cat.png", picture())} if wish.has_picture else {}
        self._runs[prompt] = await self._stage.ask(
            prompt, member=member, channel=channel, model=wish.model, duration=wish.seconds, **options
        )
        self._tally.wishes += 1

    async def _press_cancel(self, prompt: str, chance: random.Random) -> None:
        """Press Cancel on a card that offers it, as its own member."""
        del prompt
        offers = [
            (run.member, message)
            for run in self._runs.values()
            if (message := run.message) is not None and "Cancel" in message.labels and not message.deleted
        ]
        if offers:
            member, message = chance.choice(offers)
            self._pressed.add(_job_of(message))
            await member.click(message, "wan:cancel:")

    async def _tell_again(self, prompt: str, chance: random.Random) -> None:
        """Let Discord tell of one of the last commands again."""
        del prompt
        if self._runs:
            self._stage.discord.redeliver(chance.choice(list(self._runs.values())[-_REMEMBERED:]))

    async def _drop_gateway(self, prompt: str, chance: random.Random) -> None:
        """Let Discord lose the connection, and sometimes the session with it."""
        del prompt
        self._stage.discord.drop_gateway(chance.choice(_DROPS), resumable=chance.random() < _RESUMABLE)

    def _open_jobs(self) -> int:
        query = text("SELECT count(*) FROM jobs WHERE ended_at IS NULL")
        return self._stage.books.read(lambda c: int(c.execute(query).scalar_one()))

    # --- what is checked ---------------------------------------------------------------------------

    def _look(self, *, is_at_rest: bool) -> Seen:
        return look(
            self._stage,
            self._vendor,
            deaths=self._deaths,
            pressed=self._pressed,
            too_late={prompt for prompt, run in self._runs.items() if _was_too_late(run)},
            is_at_rest=is_at_rest,
        )

    def _check(self, when: str, *, is_at_rest: bool) -> Seen:
        seen = self._look(is_at_rest=is_at_rest)
        self._tally.checks += 1
        self._complain(when, always(seen))
        return seen

    def _complain(self, when: str, lines: Sequence[str]) -> None:
        self._tally.violations += [f"{self._name}, death {len(self._deaths)}, {when}: {line}" for line in lines]


# --- all of them -----------------------------------------------------------------------------------


async def soak(plan: Plan, folder: Path, *, tell: Callable[[str], None]) -> Tally:
    """Carry out a plan; whoever calls looks at ``violations``. The first ends it."""
    tally = Tally()
    begun = time.monotonic()

    async def live_on(bot: Bot) -> None:
        for life in count(1):
            is_over = tally.violations or time.monotonic() - begun > plan.most_seconds
            if is_over or tally.kills + tally.alive >= plan.kills:
                break
            tally.alive += 1
            await bot.live(life)
            tally.alive -= 1
            if tally.kills >= tally.told + _TOLD_EVERY:
                tally.told = tally.kills
                tell(f"{_clock(begun)}  {tally.kills}/{plan.kills} kills, {tally.wishes} wishes, {_verdict(tally)}")
        if not tally.violations:
            await bot.finish()

    async with AsyncExitStack() as stack:
        bots = [await _open_bot(stack, plan, folder, tally, number) for number in range(1, plan.bots + 1)]
        async with asyncio.TaskGroup() as tasks:
            for bot in bots:
                tasks.create_task(live_on(bot))
    return tally


async def _open_bot(stack: AsyncExitStack, plan: Plan, folder: Path, tally: Tally, number: int) -> Bot:
    name = f"bot {number}"
    home = folder / f"bot-{number}"
    home.mkdir()
    seed = f"{plan.seed}, {name}"
    traps = Traps()
    vendor = MoodyVendor(seed=seed, traps=traps)
    stage = await stack.enter_async_context(Stage.open(home, vendor=vendor))
    stage.settings["DEFAULT_ALLOWANCE"] = "1000000"
    return Bot(name=name, seed=seed, between=plan.between, tally=tally, stage=stage, vendor=vendor, traps=traps)


def summary(plan: Plan, tally: Tally, seconds: float) -> str:
    """What a soak came to, in a few lines."""
    ends = ", ".join(f"{number} {state}" for state, number in sorted(tally.ends.items())) or "none looked at"
    each = seconds / max(1, tally.kills)
    return "\n".join(
        (
            f"seed {plan.seed}: {plan.bots} bots in {seconds:.0f} s ({each:.2f} s for each kill)",
            f"{tally.kills} of {plan.kills} kills ({tally.trapped} at a chosen request) and {tally.stops} stops",
            f"{tally.wishes} wishes became {sum(tally.ends.values())} jobs: {ends}",
            f"{tally.submissions} were made by the vendor, {tally.videos} videos were posted",
            f"{tally.checks} looks from outside: {_verdict(tally)}",
            *tally.violations,
        )
    )


def _verdict(tally: Tally) -> str:
    return (
        f"{len(tally.violations)} THINGS ARE WRONG" if tally.violations else "books, submissions and videos are right"
    )


def _clock(begun: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - begun), 60)
    return f"{minutes:2}:{seconds:02}"


def _members(stage: Stage) -> list[tuple[Member, Channel]]:
    """Who asks, and where: two guilds with two members and two channels each; Alice is in both."""
    other = stage.discord.add_guild("elsewhere")
    here = (stage.alice, stage.guild.add_member("bob")), (stage.channel, stage.guild.add_channel())
    both = other.add_member(user=stage.alice.user)
    there = (both, other.add_member("carol")), (other.add_channel(), other.add_channel())
    return [*product(*here), *product(*there)]


def _drawn(chance: random.Random, weights: Mapping[_T, int]) -> _T:
    return chance.choices(list(weights), list(weights.values()))[0]


async def _beside(process: BotProcess, seconds: float) -> None:
    """Wait for a while, or until the process ends."""
    with contextlib.suppress(TimeoutError):
        await process.exit_code(seconds)


def _grow_old(connection: Connection) -> None:
    age = {"age": int(_ABSENCE.total_seconds() * 1_000_000)}
    change = "UPDATE jobs SET created_at = created_at - :age, attempted_at = attempted_at - :age WHERE ended_at IS NULL"
    connection.execute(text(change), age)


def _was_too_late(run: Interaction) -> bool:
    return any(attempt.code == UNKNOWN_INTERACTION for attempt in run.attempts)


def _job_of(card: Message) -> str:
    return str(card.component("wan:cancel:")["custom_id"]).rpartition(":")[2]


@lru_cache(maxsize=1)
def picture() -> bytes:
    """A picture that needs no fitting."""
    file = io.BytesIO()
    Image.new("RGB", (640, 400), "teal").save(file, "PNG")
    return file.getvalue()


_DESCRIPTION: Final = "Kills the bot at random instants, again and again, and checks what must always be true."


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, tell how it goes, and give 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.recovery.soak", description=_DESCRIPTION)
    parser.add_argument("--kills", type=_number, default=KILLS, metavar="N", help=f"in all ({KILLS})")
    parser.add_argument("--seed", type=int, help="of an earlier soak, to repeat it")
    parser.add_argument("--bots", type=_number, default=BOTS, metavar="N", help=f"that live side by side ({BOTS})")
    parser.add_argument(
        "--seconds-between",
        type=float,
        nargs=2,
        default=BETWEEN,
        metavar=("A", "B"),
        help=f"that a bot serves before it is killed {BETWEEN}",
    )
    chosen = parser.parse_args(arguments)
    seed = secrets.randbits(32) if chosen.seed is None else chosen.seed
    plan = Plan(kills=chosen.kills, seed=seed, bots=chosen.bots, between=tuple(chosen.seconds_between))
    return _told(plan)


def _number(given: str) -> int:
    if not given.isdecimal() or not int(given):
        raise argparse.ArgumentTypeError("must be 1 or more")
    return int(given)


def _told(plan: Plan) -> int:
    # requests that break off when their bot is killed are no news
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="wanbot-soak-"))
    begun = time.monotonic()
    tell = partial(print, flush=True)
    tell(f"seed {plan.seed}, at most {plan.most_seconds / 60:.0f} minutes, in {folder}")
    tally = asyncio.run(soak(plan, folder, tell=tell))
    tell(summary(plan, tally, time.monotonic() - begun))
    if tally.violations:
        tell(f"Repeat it with --seed {plan.seed}; logs and databases are left in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
