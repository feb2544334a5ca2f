"""What goes wrong in the soak: a vendor with moods, a Discord with weather, and traps that kill the bot at a request.

Everything is drawn from a seed. What becomes of a prompt depends on the seed and the prompt alone, so it is the
same however often, and whenever, the bot dies.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from typing import Final, TypeVar, cast

from aiohttp import web

from tests.imitations import pixeldojo
from tests.imitations.discord_server import CutAfter, CutBefore, Delay, Fails, RateLimited
from tests.imitations.discord_server import Fault as DiscordFault
from tests.imitations.discord_server.answers import cut
from tests.imitations.discord_server.calls import matches
from tests.imitations.discord_server.faults import Faults, Handle
from tests.imitations.pixeldojo import Fault, Job, PixelDojoImitation, Route
from tests.imitations.vendor import Handler

_T = TypeVar("_T")

#: the method under which a trap is told of the vendor's routes
VENDOR: Final = "VENDOR"
#: seconds; the longest that the vendor or Discord think about anything
LONGEST_DELAY: Final = 0.5

# --- traps -----------------------------------------------------------------------------------------


class Moment(Enum):
    """When a trap springs."""

    #: the request gets lost with the bot
    ARRIVED = auto()
    #: what was asked for is done, but the bot doesn't live to hear of it
    DONE = auto()
    #: the answer has left; the bot may have heard it, and may have begun to store it
    ANSWERED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """Kills the bot at a request: the first that fits, after so many others that do."""

    method: str
    pattern: str
    moment: Moment
    others: int
    #: seconds from an answer to the kill
    delay: float
    kill: Callable[[], None]

    async def spring(
        self, request: web.Request, handle: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Handle the request, or lose it, and kill the bot at its moment."""
        if self.moment is Moment.ARRIVED:
            self.kill()
            return cut(request)
        response = await handle()
        if self.moment is Moment.DONE:
            self.kill()
        else:
            asyncio.get_running_loop().call_later(self.delay, self.kill)
        return response


class Traps:
    """The trap of the moment, if there is one."""

    def __init__(self) -> None:
        self._trap: Trap | None = None
        self._seen = 0
        self.has_sprung = False

    def lay(self, trap: Trap | None) -> None:
        """Lay a trap in place of an earlier one, or none."""
        self._trap, self._seen, self.has_sprung = trap, 0, False

    def take(self, method: str, path: str) -> Trap | None:
        """The trap, if this request springs it."""
        trap = self._trap
        if trap is None or trap.method != method or not matches(trap.pattern, path):
            return None
        self._seen += 1
        if self._seen <= trap.others:
            return None
        self._trap, self.has_sprung = None, True
        return trap


# --- Discord ---------------------------------------------------------------------------------------

_ROUGH: Final = (
    "/interactions/*/*/callback",
    "/webhooks/**",
    "/channels/*/messages",
    "/channels/*/messages/*",
)
_BAD_DAYS: Final[tuple[DiscordFault, ...]] = (
    Fails(500),
    Fails(502, handled=True),
    Fails(503),
    RateLimited(0.2),
    CutBefore(),
    CutAfter(),
    Delay(LONGEST_DELAY),
    Delay(LONGEST_DELAY, after=True),
)
#: the part of the requests that go wrong
_BAD_LUCK: Final = 0.1


@dataclass(frozen=True)
class _Sprung:
    """A trap as Discord's imitation has its faults."""

    trap: Trap

    async def apply(self, request: web.Request, handle: Handle) -> web.Response:
        return cast("web.Response", await self.trap.spring(request, handle))


class Weather(Faults):
    """Discord's faults, by chance; and the traps."""

    def __init__(self, traps: Traps) -> None:
        super().__init__()
        self._traps = traps
        self._chance: random.Random | None = None

    def turn(self, chance: random.Random | None) -> None:
        """Draw faults from this from now on; None: there are none."""
        self._chance = chance

    def take(self, method: str, path: str) -> DiscordFault | None:
        """A trap before a fault, a fault that was asked for before one by chance."""
        trap = self._traps.take(method, path)
        if trap is not None:
            return _Sprung(trap)
        return super().take(method, path) or self._by_chance(path)

    def _by_chance(self, path: str) -> DiscordFault | None:
        chance = self._chance
        if chance is None or not any(matches(pattern, path) for pattern in _ROUGH) or chance.random() > _BAD_LUCK:
            return None
        return chance.choice(_BAD_DAYS)


# --- the vendor ------------------------------------------------------------------------------------

BUSY: Final = pixeldojo.rate_limited("1")
REFUSAL: Final = pixeldojo.error_fault(400, "invalid_request", "Not that")
_UNAVAILABLE: Final = Fault(status=503, body=b"later")
_HALF: Final = Fault(cut=True, body=b"\0\0\0\x20ftyp", headers={"Content-Type": "video/mp4"})
_NO_VIDEO: Final = Fault(status=200, body=b"<html>", headers={"Content-Type": "video/mp4"})

#: what happens to the POSTs of a prompt, one after the other, and how often
_POSTS: Final[tuple[tuple[tuple[Fault, ...], int], ...]] = (
    ((), 55),
    ((BUSY,), 6),
    ((BUSY, pixeldojo.CUT_AFTER_JOB), 2),
    ((pixeldojo.CUT_AFTER_JOB,), 6),
    ((pixeldojo.CUT,), 4),
    ((pixeldojo.HANG_AFTER_JOB,), 5),
    ((pixeldojo.HANG,), 3),
    ((pixeldojo.HTML_502,), 3),
    ((pixeldojo.INTERNAL_ERROR,), 3),
    ((pixeldojo.NO_JOB_ID,), 4),
    ((REFUSAL,), 5),
    ((pixeldojo.NO_CREDITS,), 1),
)
_LOOKS: Final[tuple[tuple[Fault | None, int], ...]] = (
    (None, 80),
    (pixeldojo.HTML_502, 5),
    (pixeldojo.INTERNAL_ERROR, 5),
    (BUSY, 5),
    (pixeldojo.CUT, 3),
    (pixeldojo.HANG, 2),
)
_FILES: Final[tuple[tuple[Fault | None, int], ...]] = (
    (None, 70),
    (_UNAVAILABLE, 10),
    (_HALF, 10),
    (_NO_VIDEO, 5),
    (pixeldojo.HANG, 5),
)
#: so many looks at the same job, or its file, can go wrong
_TROUBLES_PASS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What the vendor makes of one prompt."""

    posts: tuple[Fault, ...]
    #: seconds before the vendor looks at a POST
    delay: float
    #: status answers before the end
    polls: int
    succeeds: bool


@dataclass(slots=True)
class Post:
    """A submission that arrived. ``status`` stays None when no answer was on its way before the bot died."""

    fault: Fault | None
    status: int | None = None

    @property
    def has_started_nothing(self) -> bool:
        """Whether the bot was told that it may try again."""
        return self.status == BUSY.status

    @property
    def tells_nothing(self) -> bool:
        """Whether the answer, if there was one, leaves open what became of the submission."""
        return self.status is None or self.fault not in (None, BUSY, REFUSAL, pixeldojo.NO_CREDITS)


class MoodyVendor(PixelDojoImitation):
    """PixelDojo on days of all kinds."""

    def __init__(self, *, seed: str, traps: Traps) -> None:
        super().__init__()
        self.credits = 1_000_000_000
        #: by prompt
        self.posts: dict[str, list[Post]] = defaultdict(list)
        self.is_calm = False
        self._seed = seed
        self._traps = traps
        self._asked: dict[tuple[Route, str], int] = defaultdict(int)

    def fate(self, prompt: str) -> Fate:
        """What this vendor makes of a prompt, today and ever."""
        chance = random.Random(f"{self._seed}, {prompt}")
        return Fate(
            posts=_drawn(chance, _POSTS),
            delay=chance.choice((0, 0, 0, LONGEST_DELAY)),
            polls=chance.choice((0, 0, 0, 1, 2)),
            succeeds=chance.random() < 0.85,
        )

    def calm(self) -> None:
        """From now on everything goes well, and what was begun is over."""
        self.is_calm = True
        for job in self.jobs.values():
            job.polls_left = 0

    def has_failed(self, task_id: str) -> bool:
        """Whether the vendor began with a task, and gave up."""
        return self.jobs[task_id].video is None

    async def _answer(
        self, route: Route, handler: Handler, request: web.Request, *, public: bool
    ) -> web.StreamResponse:
        answer = super()._answer
        post = None
        fault = None
        if route is Route.SUBMIT:
            prompt = str((await request.json())["prompt"])
            fault = self._fault_of_post(prompt)
            post = Post(fault)
            self.posts[prompt].append(post)
            await asyncio.sleep(self.fate(prompt).delay)
        elif not self.is_calm:
            fault = self._fault_of_look(route, request)

        async def handle() -> web.StreamResponse:
            if fault is not None:
                # taken in the same breath: nothing of _answer waits before that
                self.fault_next(route, fault)
            return await answer(route, handler, request, public=public)

        trap = self._traps.take(VENDOR, route)
        response = await (handle() if trap is None else trap.spring(request, handle))
        if post is not None and (trap is None or trap.moment is Moment.ANSWERED):
            post.status = response.status
        return response

    def _fault_of_post(self, prompt: str) -> Fault | None:
        faults = () if self.is_calm else self.fate(prompt).posts
        number = len(self.posts[prompt])
        return faults[number] if number < len(faults) else None

    def _fault_of_look(self, route: Route, request: web.Request) -> Fault | None:
        """A fault of the n-th look at a job, at its file, or at the list; a job's troubles pass."""
        if route not in {Route.STATUS, Route.FILE, Route.LIST}:
            return None
        key = (route, request.path)
        self._asked[key] += 1
        if self._asked[key] > _TROUBLES_PASS and route is not Route.LIST:
            return None
        chance = random.Random(f"{self._seed}, {route} {self._prompt_of(request)} {self._asked[key]}")
        return _drawn(chance, _FILES if route is Route.FILE else _LOOKS)

    def _prompt_of(self, request: web.Request) -> str:
        """Job ids are the vendor's own chance, so a fate hangs on the prompt."""
        job_id = request.path.rpartition("/")[2].removesuffix(".mp4")
        return str(self.jobs[job_id].body["prompt"]) if job_id in self.jobs else ""

    def _new_job(self, model: str, body: dict[str, object], cost: Decimal | int, *, prefix: str = "") -> Job:
        job = super()._new_job(model, body, cost, prefix=prefix)
        prompt = str(body["prompt"])
        fate = self.fate(prompt)
        job.polls_left = 0 if self.is_calm else fate.polls
        job.video, job.error = (video_of(prompt), None) if fate.succeeds else (None, "It came out badly")
        return job


def video_of(prompt: str) -> bytes:
    """A real MP4 that no other prompt gets: the last of its boxes says whose it is."""
    mark = prompt.encode()
    return pixeldojo.small_video() + struct.pack(">I4s", 8 + len(mark), b"free") + mark


def _drawn(chance: random.Random, outcomes: tuple[tuple[_T, int], ...]) -> _T:
    return chance.choices([outcome for outcome, _ in outcomes], [weight for _, weight in outcomes])[0]
