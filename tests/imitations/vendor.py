"""What the imitations of the vendors have in common: the port, the jobs, the faults, and how a test tells them.

Each vendor's own file says which paths there are, what they accept, and how they answer.
"""

from __future__ import annotations

import asyncio
import io
import math
import secrets
import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar, Literal, Self, cast
from urllib.parse import urlsplit

import aiohttp
import av
from aiohttp import web
from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    from types import TracebackType

Fetch = Callable[[str], Awaitable[bytes]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Route(StrEnum):
    """What was asked for; faults are told per route."""

    SUBMIT = "submit"
    STATUS = "status"
    LIST = "list"
    MODELS = "models"
    FILE = "file"
    CREDITS = "credits"
    #: asking for a form to upload with, and the upload, which goes to somebody else
    FORM = "form"
    STORE = "store"


#: what no vendor counts as a request to its API
_NOT_COUNTED = (Route.FILE, Route.STORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens in place of the proper answer."""

    #: a submission is taken all the same, though nobody hears of it
    takes_job: bool = False
    #: the connection is cut (after ``body``, if there is one)
    cut: bool = False
    #: nothing is answered until the vendor is stopped
    hang: bool = False
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


CUT = Fault(cut=True)
#: the worst case: the job runs, and whoever asked for it doesn't know
CUT_AFTER_JOB = Fault(takes_job=True, cut=True)
HANG = Fault(hang=True)
HANG_AFTER_JOB = Fault(takes_job=True, hang=True)
HTML_502 = Fault(status=502, body=b"<html><h1>502 Bad Gateway</h1></html>", headers={"Content-Type": "text/html"})
REDIRECT = Fault(status=307, headers={"Location": "http://127.0.0.1:9/"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a field of a model's table may hold."""

    kind: Literal["text", "image", "video", "enum", "int", "number", "bool"]
    required: bool = False
    options: tuple[object, ...] = ()
    minimum: float = -math.inf
    maximum: float = math.inf

    def fault(self, value: object) -> str | None:
        """Say what is wrong with a value."""
        if self.kind == "bool":
            return None if isinstance(value, bool) else "must be a boolean"
        if self.kind in ("int", "number"):
            return self._number_fault(value)
        if not isinstance(value, str):
            return "must be a string"
        return self._text_fault(value)

    def _number_fault(self, value: object) -> str | None:
        kinds = int if self.kind == "int" else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return f"must be a {self.kind}"
        if self.options and value not in self.options:
            return f"must be one of {self.options}"
        return None if self.minimum <= value <= self.maximum else f"must be {self.minimum} to {self.maximum}"

    def _text_fault(self, value: str) -> str | None:
        if self.kind in ("image", "video"):
            parts = urlsplit(value)
            return None if parts.scheme in ("http", "https") and parts.netloc else "must be a URL"
        if self.kind == "enum":
            return None if value in self.options else f"must be one of {self.options}"
        if self.required and not value.strip():
            return "must not be empty"
        return None if len(value) <= self.maximum else f"must have at most {self.maximum} characters"


@dataclass(slots=True, kw_only=True)
class Job:
    """A job at the vendor's, and what becomes of it."""

    id: str
    model: str
    body: dict[str, object]
    #: in the vendor's own unit
    cost: Decimal | int
    created_at: datetime
    expires_at: datetime
    #: the word while it isn't over
    word: str = "pending"
    #: status answers until it is over; None: not before the test says so
    polls_left: int | None = None
    video: bytes | None = None
    error: object = None
    #: how often its status was asked
    polls: int = 0
    #: the words when it is over
    success_word: str = "completed"
    failure_word: str = "failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.polls_left is not None and self.polls_left <= 0

    @property
    def has_succeeded(self) -> bool:
        """Whether it ended in a video."""
        return self.is_over and self.video is not None

    @property
    def status(self) -> str:
        """The word of the moment."""
        if not self.is_over:
            return self.word
        return self.failure_word if self.video is None else self.success_word


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A POST that passed every check. ``job_id`` is the job that was made of it."""

    job_id: str
    model: str
    body: dict[str, object]
    at: datetime
    #: what the links held, by field
    media: dict[str, bytes]


@dataclass(slots=True)
class Call:
    """Any request, refused ones too. ``at`` is monotonic seconds."""

    route: Route
    at: float
    path: str
    #: None: not answered (yet)
    status: int | None = None


class VendorImitation(ABC):
    """A vendor. Everything public may be changed by a test at any time."""

    #: what a job's status reads while it isn't over, and then
    word: ClassVar[str] = "pending"
    success_word: ClassVar[str] = "completed"
    failure_word: ClassVar[str] = "failed"

    def __init__(
        self,
        *,
        key: str,
        requests_per_minute: int | None = None,
        fetch: Fetch | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare; ``async with`` or ``start`` opens the port.

        ``requests_per_minute`` makes it answer 429 beyond that; ``fetch`` gets links in place of HTTP.
        """
        self.key = key
        self.requests_per_minute = requests_per_minute
        #: what a new job does: over after so many status answers; None: waits for the test
        self.polls: int | None = None
        #: how a new job ends: in this video, or, with an error, in failure
        self.video: bytes | None = None
        self.error: object = None
        #: how long a result is kept
        self.keep = timedelta(hours=1)
        self.submissions: list[Submission] = []
        self.jobs: dict[str, Job] = {}
        self.calls: list[Call] = []
        self.port = 0
        #: by which it counts the requests of a minute; monotonic seconds
        self.seconds: Callable[[], float] = time.monotonic
        self._fetch = fetch or fetch_over_http
        self._now = now
        self._next_faults: dict[Route, deque[Fault]] = defaultdict(deque)
        self._standing_faults: dict[Route, Fault] = {}
        self._stopped = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> None:
        """Open a port, a free one unless told; a stopped vendor can be started again."""
        self._stopped.clear()
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the port and every connection; jobs stay known."""
        self._stopped.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # What a test tells

    def fault_next(self, route: Route, *faults: Fault) -> None:
        """Let the next requests of a route go wrong, one fault each."""
        self._next_faults[route].extend(faults)

    def fault_always(self, route: Route, fault: Fault | None) -> None:
        """Let every request of a route go wrong, until called with None."""
        if fault is None:
            self._standing_faults.pop(route, None)
        else:
            self._standing_faults[route] = fault

    @property
    @abstractmethod
    def base_url(self) -> str:
        """Where the vendor's API is, as a setting holds it."""

    def finish(self, job_id: str, *, video: bytes | None = None, after_polls: int = 0) -> None:
        """Let a job succeed, now or after so many more status answers."""
        job = self.jobs[job_id]
        job.video, job.polls_left = video or small_video(), after_polls

    def fail(self, job_id: str, error: object = "The generation failed", *, after_polls: int = 0) -> None:
        """Let a job fail; ``error`` is a text or an object, None: no word of it."""
        job = self.jobs[job_id]
        job.video, job.error, job.polls_left = None, error, after_polls

    def say(self, job_id: str, word: str) -> None:
        """Let a job that isn't over show this status."""
        self.jobs[job_id].word = word

    def forget(self, job_id: str) -> None:
        """Answer 404 for a job from now on."""
        del self.jobs[job_id]

    def count(self, route: Route) -> int:
        """How many requests of a route came in."""
        return sum(call.route is route for call in self.calls)

    def busiest_minute(self) -> int:
        """The most requests that any 60 s saw, files and uploads not counted."""
        times = [call.at for call in self.calls if call.route not in _NOT_COUNTED]
        return max((sum(start <= at < start + 60 for at in times) for start in times), default=0)

    # What each vendor has of its own

    @abstractmethod
    def _app(self) -> web.Application:
        """The paths."""

    @abstractmethod
    def _has_key(self, request: web.Request) -> bool:
        """Whether a request carries the key."""

    @abstractmethod
    def _no_key(self) -> web.Response:
        """The answer to one that doesn't."""

    @abstractmethod
    def _too_many(self) -> Fault:
        """The answer beyond the limit."""

    # What all of them do

    def _on(self, route: Route, handler: Handler, *, public: bool = False) -> Handler:
        """Put in front of a handler what is the same for all: count, limit, key, faults."""

        async def handle(request: web.Request) -> web.StreamResponse:
            call = Call(route, self.seconds(), request.path)
            self.calls.append(call)
            response = await self._answer(route, handler, request, public=public)
            call.status = response.status
            return response

        return handle

    async def _answer(
        self, route: Route, handler: Handler, request: web.Request, *, public: bool
    ) -> web.StreamResponse:
        if not public and not self._has_key(request):
            return self._no_key()
        if not public and self._over_limit():
            return await self._go_wrong(self._too_many(), request)
        fault = self._fault(route)
        if fault is None:
            return await handler(request)
        if fault.takes_job:
            taken = await handler(request)
            if taken.status >= 400:
                return taken
        return await self._go_wrong(fault, request)

    def _over_limit(self) -> bool:
        if self.requests_per_minute is None:
            return False
        # where time is played and requests take none, a minute is one but for the last digit of a float
        since = self.seconds() - 60 + 1e-6
        last_minute = takewhile(lambda call: call.at > since, reversed(self.calls))
        recent = sum(call.route not in _NOT_COUNTED for call in last_minute)
        return recent > self.requests_per_minute

    def _fault(self, route: Route) -> Fault | None:
        waiting = self._next_faults[route]
        return waiting.popleft() if waiting else self._standing_faults.get(route)

    async def _go_wrong(self, fault: Fault, request: web.Request) -> web.StreamResponse:
        if fault.hang:
            await self._stopped.wait()
        if not (fault.hang or fault.cut):
            return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
        if fault.body:
            await self._begin_answer(fault, request)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=fault.status)

    async def _begin_answer(self, fault: Fault, request: web.Request) -> None:
        response = web.StreamResponse(status=fault.status, headers=fault.headers)
        response.content_length = len(fault.body) + 1000
        await response.prepare(request)
        await response.write(fault.body)

    def _new_job(self, model: str, body: dict[str, object], cost: Decimal | int, *, prefix: str = "") -> Job:
        now = self._now()
        job = Job(
            id=f"{prefix}{secrets.token_hex(8)}",
            model=model,
            body=body,
            cost=cost,
            created_at=now,
            expires_at=now + self.keep,
            word=self.word,
            polls_left=self.polls,
            video=None if self.error is not None else self.video or small_video(),
            error=self.error,
            success_word=self.success_word,
            failure_word=self.failure_word,
        )
        self.jobs[job.id] = job
        return job

    def _look(self, job_id: str) -> Job | None:
        """The job as it is to be told now, after which it is one answer nearer to its end."""
        job = self.jobs.get(job_id)
        if job is None:
            return None
        told = replace(job)
        job.polls += 1
        if job.polls_left:
            job.polls_left -= 1
        return told

    def _video_link(self, job: Job) -> str:
        return f"http://127.0.0.1:{self.port}/files/{job.id}.mp4"

    async def _file(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["name"].removesuffix(".mp4"))
        if job is None or job.video is None or not job.has_succeeded or self._now() > job.expires_at:
            return web.Response(status=404, text="gone")
        return web.Response(body=job.video, content_type="video/mp4")


def table_fault(table: Mapping[str, Rule], body: Mapping[str, object]) -> str | None:
    """Say what is wrong with the fields of an object, by their table."""
    for name, rule in table.items():
        if rule.required and name not in body:
            return f"{name} is required"
    for name, value in body.items():
        if name not in table:
            return f"unknown field {name}"
        if fault := table[name].fault(value):
            return f"{name} {fault}"
    return None


def kind_of(content: bytes) -> Literal["image", "video"] | None:
    """Tell pictures and clips by their first bytes."""
    if content.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")):
        return "image"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image"
    if content[4:8] == b"ftyp" or content.startswith(b"\x1a\x45\xdf\xa3"):
        return "video"
    return None


def alibaba_picture_fault(content: bytes) -> str | None:
    """Say why Alibaba's Wan models would refuse a file: type, bytes, sides, or an alpha channel."""
    if len(content) > 10_000_000:
        return "has more than 10 MB"
    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
    except (UnidentifiedImageError, OSError):
        return "is no picture"
    if picture.format not in {"JPEG", "PNG", "BMP", "WEBP"}:
        return f"is {picture.format}"
    if picture.format == "PNG" and picture.has_transparency_data:
        return "has an alpha channel"
    is_within = min(picture.size) >= 360 and max(picture.size) <= 2000
    return None if is_within else f"has {picture.size[0]} x {picture.size[1]} pixels"


def small_picture(size: tuple[int, int] = (400, 400), *, mode: str = "RGB", kind: str = "PNG") -> bytes:
    """A real picture."""
    file = io.BytesIO()
    Image.new(mode, size, "teal").save(file, kind)
    return file.getvalue()


@lru_cache(maxsize=1)
def small_video() -> bytes:
    """A real MP4: half a second, 64 by 64."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8)  # pyright: ignore[reportUnknownMemberType] - its keywords
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode())
    return file.getvalue()


async def fetch_over_http(link: str) -> bytes:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.get(link) as response,
    ):
        response.raise_for_status()
        return await response.read()


async def json_object(request: web.Request) -> dict[str, object] | None:
    """The body, if it is a JSON object and says so."""
    try:
        content = cast("object", await request.json())
    except ValueError:
        return None
    is_json = request.content_type == "application/json"
    return cast("dict[str, object]", content) if is_json and isinstance(content, dict) else None
