"""Pixwith as its documents describe it, and the store that its uploads go to, on a real socket of this machine.

    async with PixwithImitation(key="key_test") as vendor:
        provider = Pixwith.connect(api_key="key_test", base_url=vendor.base_url)
        ...
        vendor.finish(vendor.submissions[0].task_id)

It is as strict as the seed: what the tables require must be there, values outside them are refused, the store
takes nothing but the form that was given out, and the pictures it is given links of are really fetched. What
the documents leave open is set by a test. Fields that the tables don't have are taken and noted.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import urlsplit

import aiohttp
from aiohttp import BodyPartReader, web

from tests.imitations.pixeldojo import Fault, small_video

if TYPE_CHECKING:
    from types import TracebackType

Fetch = Callable[[str], Awaitable[bytes]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: bytes; "up to 10 MB"
MOST_BYTES = 10_000_000
#: how long an upload form is good for
FORM_LIFE = timedelta(minutes=10)
_TYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png"}
_XML = {"Content-Type": "application/xml"}


class Route(StrEnum):
    """What was asked for; faults are told per route."""

    SUBMIT = "submit"
    STATUS = "status"
    CREDITS = "credits"
    PRE_URL = "pre_url"
    STORE = "store"
    FILE = "file"


def error_fault(message: str, *, code: int = 0, status: int = 200, takes_job: bool = False) -> Fault:
    """Answer with an error in the vendor's envelope."""
    body = json.dumps({"code": code, "message": message}).encode()
    return Fault(status=status, body=body, headers={"Content-Type": "application/json"}, takes_job=takes_job)


def data_fault(data: object, *, takes_job: bool = False) -> Fault:
    """Answer success with other data than proper."""
    body = json.dumps({"code": 1, "message": "success", "data": data}).encode()
    return Fault(body=body, headers={"Content-Type": "application/json"}, takes_job=takes_job)


def store_fault(status: int, **headers: str) -> Fault:
    """Answer as an S3 store does when it refuses; ``Retry_After="5"`` becomes a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status=status, body=b"<Error><Code>AccessDenied</Code></Error>", headers={**_XML, **named})


INVALID_KEY = error_fault("Invalid API KEY")
NO_CREDITS = error_fault("Credits not enough")
INVALID_FORMAT = error_fault("Invalid image format")
INVALID_URL = error_fault("Invalid image url")
TOO_MANY = error_fault("Too many requests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a version takes."""

    pictures: tuple[int, ...]
    resolutions: tuple[str, ...]
    #: empty: the option must not be there
    durations: tuple[int, ...] = ()


_LARGER = Table(pictures=(0, 1, 2), resolutions=("480p", "720p"), durations=(5, 8))
# seed 002
TABLES: Mapping[str, Table] = {"2-8": Table(pictures=(1,), resolutions=("720p",)), "2-9": _LARGER, "2-10": _LARGER}
_FIELDS = frozenset({"prompt", "image_urls", "model_id", "options"})
_OPTIONS = frozenset({"prompt_optimization", "aspect_ratio", "resolution", "duration"})


@dataclass(slots=True, kw_only=True)
class Task:
    """A task at the vendor's, and what becomes of it."""

    id: str
    body: dict[str, object]
    created_at: datetime
    #: what is told while it isn't over
    number: object = 1
    #: status answers until it is over; None: not before the test says so
    polls_left: int | None = None
    video: bytes | None = None
    #: how often its status was asked
    polls: int = 0

    @property
    def status(self) -> object:
        """The status of the moment."""
        if self.polls_left is None or self.polls_left > 0:
            return self.number
        return 3 if self.video is None else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A POST that passed every check. ``task_id`` is the task that was made of it."""

    task_id: str
    body: dict[str, object]
    at: datetime
    #: what the links held, in their order
    pictures: tuple[bytes, ...]
    #: fields and options that no table has
    unknown: frozenset[str]


@dataclass(slots=True, kw_only=True)
class Upload:
    """A form that was given out, and what was put there with it."""

    name: str
    content_type: str
    fields: dict[str, str]
    until: datetime
    content: bytes | None = None
    #: of the request that brought it
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class Call:
    """Any request, refused ones too. ``at`` is monotonic seconds."""

    route: Route
    at: float
    path: str
    #: None: not answered (yet)
    status: int | None = None


class PixwithImitation:
    """The vendor. Everything public may be changed by a test at any time."""

    def __init__(
        self,
        *,
        key: str = "key_test",
        requests_per_minute: int | None = None,
        fetch: Fetch | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare; ``async with`` or ``start`` opens the port.

        ``requests_per_minute`` makes it say "Too many requests" beyond that; ``fetch`` gets the links that
        lead elsewhere in place of HTTP.
        """
        self.key = key
        self.requests_per_minute = requests_per_minute
        self.credits = 500
        #: the vendor's credits for a video, which no document names
        self.cost = 10
        #: what a new task does: over after so many status answers; None: waits for the test
        self.polls: int | None = None
        #: how a new task ends: in this video, or in failure
        self.video: bytes | None = None
        self.fails = False
        self.estimated_time: object = 150
        #: the HTTP status of errors in the envelope, which no document names
        self.error_status = 200
        #: what the store says when it has taken a file: 200, 201 or 204
        self.stored_status = 204
        self.submissions: list[Submission] = []
        self.tasks: dict[str, Task] = {}
        #: by the key in the store
        self.uploads: dict[str, Upload] = {}
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
        """What belongs into ``PIXWITH_BASE_URL``."""
        return f"http://127.0.0.1:{self.port}"

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
        """Close the port and every connection; tasks stay known."""
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

    def finish(self, task_id: str, *, video: bytes | None = None, after_polls: int = 0) -> None:
        """Let a task succeed, now or after so many more status answers."""
        task = self.tasks[task_id]
        task.video, task.polls_left = video or small_video(), after_polls

    def fail(self, task_id: str, *, after_polls: int = 0) -> None:
        """Let a task fail; the vendor never says why."""
        task = self.tasks[task_id]
        task.video, task.polls_left = None, after_polls

    def say(self, task_id: str, number: object) -> None:
        """Let a task that isn't over show this status."""
        self.tasks[task_id].number = number

    def forget(self, task_id: str) -> None:
        """Know nothing of a task from now on."""
        del self.tasks[task_id]

    def count(self, route: Route) -> int:
        """How many requests of a route came in."""
        return sum(call.route is route for call in self.calls)

    # What the vendor does

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=2 * MOST_BYTES)
        app.router.add_post("/api/task/create", self._on(Route.SUBMIT, self._create))
        app.router.add_post("/api/task/get", self._on(Route.STATUS, self._get))
        app.router.add_post("/api/task/get_credits", self._on(Route.CREDITS, self._get_credits))
        app.router.add_post("/api/task/pre_url", self._on(Route.PRE_URL, self._pre_url))
        app.router.add_post("/store", self._on(Route.STORE, self._store, public=True))
        app.router.add_get("/images/{name}", self._on(Route.FILE, self._image, public=True))
        app.router.add_get("/videos/{name}", self._on(Route.FILE, self._video, public=True))
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
        if not public and request.headers.get("Api-Key") != self.key:
            return self._error("Invalid API KEY")
        if not public and self._over_limit():
            return self._error("Too many requests")
        fault = self._fault(route)
        if fault is None:
            return await handler(request)
        if fault.takes_job:
            known = len(self.tasks)
            taken = await handler(request)
            if len(self.tasks) == known:
                return taken
        return await self._go_wrong(fault, request)

    def _over_limit(self) -> bool:
        since = time.monotonic() - 60
        recent = sum(call.at > since and call.route not in (Route.FILE, Route.STORE) for call in self.calls)
        return self.requests_per_minute is not None and recent > self.requests_per_minute

    def _fault(self, route: Route) -> Fault | None:
        waiting = self._next_faults[route]
        return waiting.popleft() if waiting else self._standing_faults.get(route)

    async def _go_wrong(self, fault: Fault, request: web.Request) -> web.StreamResponse:
        if fault.hang:
            await self._stopped.wait()
        if not (fault.hang or fault.cut):
            await request.read()
            return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=fault.status)

    def _success(self, data: Mapping[str, object]) -> web.Response:
        return web.json_response({"code": 1, "message": "success", "data": data})

    def _error(self, message: str) -> web.Response:
        return web.json_response({"code": 0, "message": message}, status=self.error_status)

    async def _create(self, request: web.Request) -> web.Response:
        body = await _json_object(request)
        fault = "the body must be a JSON object" if body is None else body_fault(body)
        if body is None or fault:
            return self._error(f"Invalid parameters: {fault}")
        pictures = [await self._picture(link) for link in cast("list[str]", body.get("image_urls", []))]
        if None in pictures:
            return self._error("Invalid image url")
        if not all(picture and is_picture(picture) for picture in pictures):
            return self._error("Invalid image format")
        if self.credits < self.cost:
            return self._error("Credits not enough")
        return self._take(body, tuple(picture for picture in pictures if picture))

    async def _picture(self, link: str) -> bytes | None:
        """Fetch what a link leads to; what lies in the store is known already."""
        own = f"{self.base_url}/images/"
        if link.startswith(own):
            upload = self.uploads.get(link.removeprefix(own))
            return upload and upload.content
        try:
            return await self._fetch(link)
        except (OSError, aiohttp.ClientError):
            return None

    def _take(self, body: dict[str, object], pictures: tuple[bytes, ...]) -> web.Response:
        self.credits -= self.cost
        task = Task(
            id=secrets.token_hex(16),
            body=body,
            created_at=self._now(),
            polls_left=self.polls,
            video=None if self.fails else self.video or small_video(),
        )
        self.tasks[task.id] = task
        options = cast("dict[str, object]", body["options"])
        unknown = frozenset((body.keys() - _FIELDS) | (options.keys() - _OPTIONS))
        self.submissions.append(
            Submission(task_id=task.id, body=body, at=task.created_at, pictures=pictures, unknown=unknown)
        )
        return self._success({"task_id": task.id, "estimated_time": self.estimated_time})

    async def _get(self, request: web.Request) -> web.Response:
        body = await _json_object(request)
        task = self.tasks.get(str(body and body.get("task_id")))
        if task is None:
            return self._error("Task does not exist")
        task.polls += 1
        answer: dict[str, object] = {"task_id": task.id, "status": task.status}
        if task.status == 2:
            answer |= {"result_urls": [f"{self.base_url}/videos/{task.id}_0.mp4"]}
        if task.polls_left:
            task.polls_left -= 1
        return self._success(answer)

    async def _get_credits(self, request: web.Request) -> web.Response:
        if await _json_object(request) is None:
            return self._error("Invalid parameters: the body must be a JSON object")
        return web.json_response({"code": 1, "data": {"credits": self.credits}})

    async def _pre_url(self, request: web.Request) -> web.Response:
        body = await _json_object(request) or {}
        name, content_type = str(body.get("image_name")), body.get("content_type")
        if content_type is None or _TYPES.get(name.rpartition(".")[2]) != content_type:
            return self._error("Invalid image format")
        upload = self._new_upload(name, str(content_type))
        return self._success(
            {
                "upload_url": {"url": f"{self.base_url}/store", "fields": upload.fields},
                "image_url": f"{self.base_url}/images/{upload.fields['key']}",
            }
        )

    def _new_upload(self, name: str, content_type: str) -> Upload:
        until = self._now() + FORM_LIFE
        fields = {
            "key": f"{secrets.token_hex(16)}_0.{name.rpartition('.')[2]}",
            "Content-Type": content_type,
            "x-amz-credential": "AKIAIMITATION/20261120/us-east-1/s3/aws4_request",
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-date": self._now().strftime("%Y%m%dT%H%M%SZ"),
            "policy": secrets.token_urlsafe(64),
            "x-amz-signature": secrets.token_hex(32),
        }
        upload = Upload(name=name, content_type=content_type, fields=fields, until=until)
        self.uploads[fields["key"]] = upload
        return upload

    async def _store(self, request: web.Request) -> web.Response:
        """Take a file as S3 takes it from a form."""
        if {"Api-Key", "Authorization", "Cookie"} & set(request.headers):
            return _store_error(400, "InvalidArgument", "a key that is none of the store's business")
        if request.content_length is None:
            return _store_error(411, "MissingContentLength", "the length must be known before")
        if request.content_type != "multipart/form-data":
            return _store_error(412, "PreconditionFailed", "the body must be multipart/form-data")
        parts = await _parts(request)
        fault = self._form_fault(parts)
        if fault is not None:
            return fault
        upload = self.uploads[parts[0].content.decode()]
        upload.content, upload.headers = parts[-1].content, dict(request.headers)
        return web.Response(status=self.stored_status)

    def _form_fault(self, parts: list[Part]) -> web.Response | None:
        if not parts or parts[-1].name != "file":
            return _store_error(400, "InvalidArgument", "POST requires exactly one file upload, as the last field")
        *fields, file = parts
        upload = self.uploads.get(fields[0].content.decode()) if fields else None
        given = [(part.name, part.content.decode()) for part in fields]
        if upload is None or given != list(upload.fields.items()):
            return _store_error(403, "AccessDenied", "Invalid according to Policy")
        if self._now() > upload.until:
            return _store_error(403, "AccessDenied", "Invalid according to Policy: Policy expired")
        if file.content_type != upload.content_type:
            return _store_error(403, "AccessDenied", "the type is another than that of the form")
        if len(file.content) > MOST_BYTES:
            return _store_error(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
        return None

    async def _image(self, request: web.Request) -> web.Response:
        upload = self.uploads.get(request.match_info["name"])
        if upload is None or upload.content is None:
            return web.Response(status=404, text="gone")
        return web.Response(body=upload.content, content_type=upload.content_type)

    async def _video(self, request: web.Request) -> web.Response:
        task = self.tasks.get(request.match_info["name"].removesuffix("_0.mp4"))
        if task is None or task.video is None or task.status != 2:
            return web.Response(status=404, text="gone")
        return web.Response(body=task.video, content_type="video/mp4")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a form."""

    name: str | None
    content_type: str | None
    content: bytes


async def _parts(request: web.Request) -> list[Part]:
    parts: list[Part] = []
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        assert isinstance(part, BodyPartReader)
        parts.append(Part(part.name, part.headers.get("Content-Type"), bytes(await part.read())))
    return parts


def _store_error(status: int, code: str, message: str) -> web.Response:
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


def body_fault(body: Mapping[str, object]) -> str | None:
    """Say what is wrong with the body of a new task, by the seed's table."""
    prompt, table = body.get("prompt"), TABLES.get(str(body.get("model_id")))
    if not isinstance(prompt, str) or not prompt.strip():
        return "prompt is required"
    if table is None or not isinstance(body["model_id"], str):
        return f"model_id must be one of {list(TABLES)}"
    options = body.get("options")
    if not isinstance(options, dict):
        return "options is required"
    return _pictures_fault(table, body) or _options_fault(table, cast("dict[str, object]", options))


def _pictures_fault(table: Table, body: Mapping[str, object]) -> str | None:
    links = body.get("image_urls", [])
    if not isinstance(links, list) or not all(_is_link(link) for link in cast("list[object]", links)):
        return "image_urls must be a list of links"
    links = cast("list[str]", links)
    if len(links) not in table.pictures or ("image_urls" in body and not links):
        return f"image_urls must hold {table.pictures} links"
    return None


def _options_fault(table: Table, options: Mapping[str, object]) -> str | None:
    if not isinstance(options.get("prompt_optimization"), bool):
        return "options.prompt_optimization must be a boolean"
    if options.get("aspect_ratio") not in ("16:9", "9:16"):
        return "options.aspect_ratio must be 16:9 or 9:16"
    if options.get("resolution") not in table.resolutions:
        return f"options.resolution must be one of {table.resolutions}"
    return _duration_fault(table, options)


def _duration_fault(table: Table, options: Mapping[str, object]) -> str | None:
    if not table.durations:
        return "options.duration is not applicable" if "duration" in options else None
    duration = options.get("duration")
    if isinstance(duration, bool) or not isinstance(duration, int) or duration not in table.durations:
        return f"options.duration must be one of {table.durations}"
    return None


def _is_link(value: object) -> bool:
    parts = urlsplit(value) if isinstance(value, str) else None
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.netloc)


def is_picture(content: bytes) -> bool:
    """Tell JPEG and PNG by their first bytes."""
    return content.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))


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
