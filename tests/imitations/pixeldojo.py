"""PixelDojo as its documents describe it, on a real socket of this machine.

    async with PixelDojoImitation(key="pd_test") as vendor:
        provider = PixelDojo.connect(api_key="pd_test", base_url=vendor.base_url)
        ...
        vendor.finish(vendor.submissions[0].job_id)

It is as strict as the seeds: unknown fields, wrong types, ranges and enums are refused, and the pictures
it is given links of are really fetched. What a job does and what goes wrong is told by the test.
"""

from __future__ import annotations

import asyncio
import io
import json
import math
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Self, cast
from urllib.parse import urlsplit

import aiohttp
import av
from aiohttp import web

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


def error_fault(status: int, code: str, message: str, **headers: str) -> Fault:
    """Answer with an error in the vendor's shape; ``Retry_After="5"`` becomes a header."""
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status=status, body=body, headers={"Content-Type": "application/json", **named})


def rate_limited(retry_after: str | None = None) -> Fault:
    """Answer 429, with or without a ``Retry-After``."""
    named = {} if retry_after is None else {"Retry_After": retry_after}
    return error_fault(429, "rate_limited", "Too many requests", **named)


NO_CREDITS = error_fault(402, "insufficient_credits", "Not enough credits")
NO_CREDITS_OLD = error_fault(403, "insufficient_credits", "Not enough credits")
INTERNAL_ERROR = error_fault(500, "internal_error", "Server error")
HTML_502 = Fault(status=502, body=b"<html><h1>502 Bad Gateway</h1></html>", headers={"Content-Type": "text/html"})
#: the worst case: the job runs, and whoever asked for it doesn't know
CUT_AFTER_JOB = Fault(takes_job=True, cut=True)
CUT = Fault(cut=True)
HANG_AFTER_JOB = Fault(takes_job=True, hang=True)
HANG = Fault(hang=True)
BROKEN_JSON = Fault(takes_job=True, status=202, body=b'{"jobId": "job_', headers={"Content-Type": "application/json"})
NO_JOB_ID = Fault(takes_job=True, status=202, body=b'{"status": "pending"}')
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


# seed 000
_WAN_22 = {
    "prompt": Rule(kind="text", required=True),
    "image_url": Rule(kind="image"),
    "last_image_url": Rule(kind="image"),
    "resolution": Rule(kind="enum", options=("480p", "720p", "1080p")),
    "aspect_ratio": Rule(kind="enum", options=("16:9", "9:16")),
    "duration": Rule(kind="int", options=(5, 10)),
    "num_frames": Rule(kind="int", minimum=81, maximum=100),
    "sample_shift": Rule(kind="number", minimum=0, maximum=20),
    "sample_steps": Rule(kind="int", minimum=10, maximum=50),
    "frames_per_second": Rule(kind="int", minimum=8, maximum=24),
    "interpolate_output": Rule(kind="bool"),
    "seed": Rule(kind="int"),
}
# seed 003
_WAN_27 = {
    "prompt": Rule(kind="text", maximum=5000),
    "negative_prompt": Rule(kind="text", maximum=500),
    "image_url": Rule(kind="image"),
    "video_url": Rule(kind="video"),
    "last_frame_url": Rule(kind="image"),
    "mode": Rule(kind="enum", options=("image-to-video", "video-extend")),
    "resolution": Rule(kind="enum", options=("720p", "1080p")),
    "aspect_ratio": Rule(kind="enum", options=("16:9", "9:16", "1:1", "4:3", "3:4")),
    "duration": Rule(kind="int", minimum=2, maximum=15),
    "enable_prompt_expansion": Rule(kind="bool"),
    "seed": Rule(kind="int"),
}
TABLES: Mapping[str, Mapping[str, Rule]] = {"wan-2.2-standard": _WAN_22, "wan-2.7-i2v": _WAN_27}


@dataclass(slots=True, kw_only=True)
class Job:
    """A job at the vendor's, and what becomes of it."""

    id: str
    model: str
    body: dict[str, object]
    cost: int
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

    @property
    def status(self) -> str:
        """The word of the moment."""
        if self.polls_left is None or self.polls_left > 0:
            return self.word
        return "failed" if self.video is None else "completed"


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


class PixelDojoImitation:
    """The vendor. Everything public may be changed by a test at any time."""

    def __init__(
        self,
        *,
        key: str = "pd_test",
        requests_per_minute: int | None = None,
        fetch: Fetch | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare; ``async with`` or ``start`` opens the port.

        ``requests_per_minute`` makes it answer 429 beyond that; ``fetch`` gets links in place of HTTP.
        """
        self.key = key
        self.requests_per_minute = requests_per_minute
        self.credits = 1000
        #: what a new job does: over after so many status answers; None: waits for the test
        self.polls: int | None = None
        #: how a new job ends: in this video, or, with an error, in failure
        self.video: bytes | None = None
        self.error: object = None
        #: how long a result is kept
        self.keep = timedelta(hours=1)
        #: the shape of ``GET /jobs``, which no document shows
        self.list_shape: Literal["jobs", "data", "bare"] = "jobs"
        self.error_style: Literal["object", "text"] = "object"
        self.submissions: list[Submission] = []
        self.jobs: dict[str, Job] = {}
        self.calls: list[Call] = []
        self.port = 0
        self._fetch = fetch or _fetch
        self._now = now
        self._next_faults: dict[Route, deque[Fault]] = defaultdict(deque)
        self._standing_faults: dict[Route, Fault] = {}
        self._stopped = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        """What belongs into ``PIXELDOJO_BASE_URL``."""
        return f"http://127.0.0.1:{self.port}/api/v1"

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
        """The most requests that any 60 s saw, files not counted."""
        times = [call.at for call in self.calls if call.route is not Route.FILE]
        return max((sum(start <= at < start + 60 for at in times) for start in times), default=0)

    # What the vendor does

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=1024 * 1024)
        app.router.add_post("/api/v1/models/{model}/run", self._on(Route.SUBMIT, self._run))
        app.router.add_get("/api/v1/models", self._on(Route.MODELS, self._models, public=True))
        app.router.add_get("/api/v1/jobs/{job_id}", self._on(Route.STATUS, self._job))
        app.router.add_get("/api/v1/jobs", self._on(Route.LIST, self._list))
        app.router.add_get("/files/{name}", self._on(Route.FILE, self._file, public=True))
        return app

    def _on(self, route: Route, handler: Handler, *, public: bool = False) -> Handler:
        """Put in front of a handler what is the same for all: count, limit, key, faults."""

        async def handle(request: web.Request) -> web.StreamResponse:
            call = Call(route, time.monotonic(), request.path)
            self.calls.append(call)
            response = await self._answer(route, handler, request, public=public)
            call.status = response.status
            return response

        return handle

    async def _answer(
        self, route: Route, handler: Handler, request: web.Request, *, public: bool
    ) -> web.StreamResponse:
        if not public and request.headers.get("Authorization") != f"Bearer {self.key}":
            return self._error(401, "unauthorized", "Invalid or missing API key")
        if not public and self._over_limit():
            return await self._go_wrong(rate_limited(), request)
        fault = self._fault(route)
        if fault is None:
            return await handler(request)
        if fault.takes_job:
            taken = await handler(request)
            if taken.status >= 400:
                return taken
        return await self._go_wrong(fault, request)

    def _over_limit(self) -> bool:
        since = time.monotonic() - 60
        recent = sum(call.at > since and call.route is not Route.FILE for call in self.calls)
        return self.requests_per_minute is not None and recent > self.requests_per_minute

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

    def _error(self, status: int, code: str, message: str) -> web.Response:
        error: object = message if self.error_style == "text" else {"code": code, "message": message}
        return web.json_response({"error": error}, status=status)

    async def _run(self, request: web.Request) -> web.Response:
        model = request.match_info["model"]
        if model not in TABLES:
            return self._error(404, "model_not_found", "Model ID not found")
        body = await _json_object(request)
        fault = "the body must be a JSON object" if body is None else body_fault(model, body)
        if body is None or fault:
            return self._error(400, "invalid_request", f"Invalid parameters: {fault}")
        media = await self._media(model, body)
        if isinstance(media, str):
            return self._error(400, "invalid_request", f"Invalid parameters: {media}")
        return self._take(model, body, media)

    async def _media(self, model: str, body: Mapping[str, object]) -> dict[str, bytes] | str:
        """Fetch what the links point to; a text says which of them is no good."""
        media: dict[str, bytes] = {}
        for name, value in body.items():
            kind = TABLES[model][name].kind
            if kind in ("image", "video"):
                try:
                    media[name] = await self._fetch(str(value))
                except (OSError, aiohttp.ClientError) as error:
                    return f"{name} could not be fetched ({type(error).__name__})"
                if kind_of(media[name]) != kind:
                    return f"{name} is no {kind}"
        return media

    def _take(self, model: str, body: dict[str, object], media: dict[str, bytes]) -> web.Response:
        cost = cost_of(model, body)
        if cost > self.credits:
            return self._error(402, "insufficient_credits", "Not enough credits")
        self.credits -= cost
        job = self._new_job(model, body, cost)
        self.submissions.append(Submission(job_id=job.id, model=model, body=body, at=job.created_at, media=media))
        return web.json_response(
            {
                "jobId": job.id,
                "status": "pending",
                # as in the vendor's samples, the end of the id is missing
                "statusUrl": f"{self.base_url}/jobs/{job.id[:-4]}",
                "creditCost": cost,
                "creditsRemaining": self.credits,
                "expiresAt": _iso(job.expires_at),
            },
            status=202,
        )

    def _new_job(self, model: str, body: dict[str, object], cost: int) -> Job:
        now = self._now()
        job = Job(
            id=f"job_{secrets.token_hex(8)}",
            model=model,
            body=body,
            cost=cost,
            created_at=now,
            expires_at=now + self.keep,
            polls_left=self.polls,
            video=None if self.error is not None else self.video or small_video(),
            error=self.error,
        )
        self.jobs[job.id] = job
        return job

    async def _job(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["job_id"])
        if job is None:
            return self._error(404, "job_not_found", "Job not found")
        job.polls += 1
        answer = self._job_answer(job)
        if job.polls_left:
            job.polls_left -= 1
        return web.json_response(answer)

    def _job_answer(self, job: Job) -> dict[str, object]:
        answer: dict[str, object] = {"jobId": job.id, "status": job.status, "creditCost": job.cost}
        if job.status == "completed":
            link = f"http://127.0.0.1:{self.port}/files/{job.id}.mp4"
            answer |= {"output": {"video": link}, "expiresAt": _iso(job.expires_at)}
        if job.status == "failed" and job.error is not None:
            answer |= {"error": job.error}
        return answer

    async def _list(self, request: web.Request) -> web.Response:
        rows = [_row(job) for job in reversed(self.jobs.values())]
        return web.json_response(rows if self.list_shape == "bare" else {self.list_shape: rows})

    async def _models(self, request: web.Request) -> web.Response:
        models = [
            {"apiId": model, "name": model, "modality": "video", "creditCost": {"type": "fixed", "amount": 3}}
            for model in TABLES
        ]
        return web.json_response({"models": models, "total": len(models), "imageCount": 0, "videoCount": len(models)})

    async def _file(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["name"].removesuffix(".mp4"))
        if job is None or job.video is None or job.status != "completed" or self._now() > job.expires_at:
            return web.Response(status=404, text="gone")
        return web.Response(body=job.video, content_type="video/mp4")


def body_fault(model: str, body: Mapping[str, object]) -> str | None:
    """Say what is wrong with a body, by the model's table."""
    table = TABLES[model]
    for name, rule in table.items():
        if rule.required and name not in body:
            return f"{name} is required"
    for name, value in body.items():
        if name not in table:
            return f"unknown field {name}"
        if fault := table[name].fault(value):
            return f"{name} {fault}"
    return _start_fault(body) if model == "wan-2.7-i2v" else None


def _start_fault(body: Mapping[str, object]) -> str | None:
    """Each mode needs what it starts from. The table doesn't say so, but offers no text-to-video mode."""
    needed = "video_url" if body.get("mode") == "video-extend" else "image_url"
    return None if needed in body else f"{needed} is required in this mode"


def cost_of(model: str, body: Mapping[str, object]) -> int:
    """The vendor's credits for a job, rounded up."""
    if model == "wan-2.2-standard":
        return 3
    per_second = Decimal(3) if body.get("resolution") == "1080p" else Decimal("2.5")
    return math.ceil(per_second * cast("int", body.get("duration", 5)))


def kind_of(content: bytes) -> Literal["image", "video"] | None:
    """Tell pictures and clips by their first bytes."""
    if content.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")):
        return "image"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image"
    if content[4:8] == b"ftyp" or content.startswith(b"\x1a\x45\xdf\xa3"):
        return "video"
    return None


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


async def _fetch(link: str) -> bytes:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.get(link) as response,
    ):
        response.raise_for_status()
        return await response.read()


async def _json_object(request: web.Request) -> dict[str, object] | None:
    try:
        content = cast("object", await request.json())
    except ValueError:
        return None
    is_json = request.content_type == "application/json"
    return cast("dict[str, object]", content) if is_json and isinstance(content, dict) else None


def _row(job: Job) -> dict[str, object]:
    return {
        "jobId": job.id,
        "apiId": job.model,
        "status": job.status,
        "prompt": job.body.get("prompt", ""),
        "creditCost": job.cost,
        "createdAt": _iso(job.created_at),
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
