"""Pixwith as its documents describe it, and the store that its uploads go to, on a real socket of this machine.

    async with PixwithImitation(key="key_test") as vendor:
        provider = Pixwith.connect(api_key="key_test", base_url=vendor.base_url)
        ...
        vendor.finish(vendor.submissions[0].job_id)

It is as strict as the seed: what the tables require must be there, values outside them are refused, the store
takes nothing but the form that was given out, and the pictures it is given links of are really fetched. What
the documents leave open is set by a test. Fields that the tables don't have are taken and noted.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import urlsplit

import aiohttp
from aiohttp import BodyPartReader, web

from tests.imitations.vendor import Fault, Fetch, Route, Submission, VendorImitation, json_object

#: bytes; "up to 10 MB"
MOST_BYTES = 10_000_000
#: how long an upload form is good for
FORM_LIFE = timedelta(minutes=10)
_TYPES = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png"}
_XML = {"Content-Type": "application/xml"}


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
# https://pixwith.ai/api/docs/video-models/wan-2-2
TABLES: Mapping[str, Table] = {"2-8": Table(pictures=(1,), resolutions=("720p",)), "2-9": _LARGER, "2-10": _LARGER}
_FIELDS = frozenset({"prompt", "image_urls", "model_id", "options"})
_OPTIONS = frozenset({"prompt_optimization", "aspect_ratio", "resolution", "duration"})


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


class PixwithImitation(VendorImitation):
    """The vendor. Everything public may be changed by a test at any time."""

    # told as numbers
    word = "1"
    success_word = "2"
    failure_word = "3"

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
        super().__init__(key=key, requests_per_minute=requests_per_minute, fetch=fetch, now=now)
        self.credits = 500
        #: the vendor's credits for a video, which no document names
        self.cost = 10
        self.estimated_time: object = 150
        #: the HTTP status of errors in the envelope, which no document names
        self.error_status = 200
        #: what the store says when it has taken a file: 200, 201 or 204
        self.stored_status = 204
        #: by the key in the store
        self.uploads: dict[str, Upload] = {}
        #: fields and options of submissions that no table has
        self.unknown: set[str] = set()

    @property
    def base_url(self) -> str:
        """What belongs into ``PIXWITH_BASE_URL``."""
        return f"http://127.0.0.1:{self.port}"

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=2 * MOST_BYTES)
        app.router.add_post("/api/task/create", self._on(Route.SUBMIT, self._create))
        app.router.add_post("/api/task/get", self._on(Route.STATUS, self._get))
        app.router.add_post("/api/task/get_credits", self._on(Route.CREDITS, self._get_credits))
        app.router.add_post("/api/task/pre_url", self._on(Route.FORM, self._pre_url))
        app.router.add_post("/store", self._on(Route.STORE, self._store, public=True))
        app.router.add_get("/images/{name}", self._on(Route.FILE, self._image, public=True))
        app.router.add_get("/files/{name}", self._on(Route.FILE, self._file, public=True))
        return app

    def _has_key(self, request: web.Request) -> bool:
        return request.headers.get("Api-Key") == self.key

    def _no_key(self) -> web.Response:
        return self._error("Invalid API KEY")

    def _too_many(self) -> Fault:
        return error_fault("Too many requests", status=self.error_status)

    def _success(self, data: Mapping[str, object]) -> web.Response:
        return web.json_response({"code": 1, "message": "success", "data": data})

    def _error(self, message: str) -> web.Response:
        return web.json_response({"code": 0, "message": message}, status=self.error_status)

    async def _create(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        fault = "the body must be a JSON object" if body is None else body_fault(body)
        if body is None or fault:
            return self._error(f"Invalid parameters: {fault}")
        links = cast("list[str]", body.get("image_urls", []))
        pictures = [await self._picture(link) for link in links]
        if None in pictures:
            return self._error("Invalid image url")
        if not all(picture and is_picture(picture) for picture in pictures):
            return self._error("Invalid image format")
        if self.credits < self.cost:
            return self._error("Credits not enough")
        return self._take(body, [picture for picture in pictures if picture])

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

    def _take(self, body: dict[str, object], pictures: list[bytes]) -> web.Response:
        self.credits -= self.cost
        job = self._new_job(str(body["model_id"]), body, self.cost)
        options = cast("dict[str, object]", body["options"])
        self.unknown |= (body.keys() - _FIELDS) | (options.keys() - _OPTIONS)
        media = {f"image_urls.{place}": picture for place, picture in enumerate(pictures)}
        self.submissions.append(Submission(job_id=job.id, model=job.model, body=body, at=job.created_at, media=media))
        return self._success({"task_id": job.id, "estimated_time": self.estimated_time})

    async def _get(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        job = self._look(str(body and body.get("task_id")))
        if job is None:
            return self._error("Task does not exist")
        status = int(job.status) if job.status.isdecimal() else job.status
        answer: dict[str, object] = {"task_id": job.id, "status": status}
        if job.has_succeeded:
            answer |= {"result_urls": [self._video_link(job)]}
        return self._success(answer)

    async def _get_credits(self, request: web.Request) -> web.Response:
        if await json_object(request) is None:
            return self._error("Invalid parameters: the body must be a JSON object")
        return web.json_response({"code": 1, "data": {"credits": self.credits}})

    async def _pre_url(self, request: web.Request) -> web.Response:
        body = await json_object(request) or {}
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
