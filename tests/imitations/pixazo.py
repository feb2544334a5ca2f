"""Pixazo as its documents describe it, on a real socket of this machine.

    async with PixazoImitation(key="px_test", kf2v_path="/kf2v") as vendor:
        provider = Pixazo.connect(api_key="px_test", base_url=vendor.base_url, kf2v_path="/kf2v")
        ...
        vendor.finish(vendor.submissions[0].job_id)

It is as strict as the seed, and stricter with fields that no table has: they are refused. The pictures that it is
given links of are really fetched and looked at. How a finished task reads is documented nowhere: it is as at
Alibaba's (``answer_style``), or as in the gateway's newer API.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal, cast

import aiohttp
from aiohttp import web

from tests.imitations.vendor import (
    Fault,
    Fetch,
    Job,
    Route,
    Rule,
    Submission,
    VendorImitation,
    alibaba_picture_fault,
    json_object,
    table_fault,
)

I2V_PATH = "/wan-i2v/v1/generateImageToVideoRequest"
T2V_PATH = "/wan-video/v1/generateTextToVideoRequest"
STATUS_PATH = "/wan-video-polling/getTextToVideoResult"


def error_fault(status: int, message: str, *, headers: Mapping[str, str] | None = None) -> Fault:
    """Answer with an error as the table shows it."""
    return body_fault_of(status, {"error": message}, headers=headers)


def code_fault(status: int, code: str, message: str = "") -> Fault:
    """Answer with one of Alibaba's own errors."""
    return body_fault_of(status, {"code": code, "message": message, "request_id": "r"})


def body_fault_of(
    status: int, body: object, *, takes_job: bool = False, headers: Mapping[str, str] | None = None
) -> Fault:
    """Answer with anything."""
    named = {"Content-Type": "application/json", **(headers or {})}
    return Fault(status=status, body=json.dumps(body).encode(), headers=named, takes_job=takes_job)


# the table of the seed, row by row
BAD_REQUEST = error_fault(400, "Invalid request parameters")
UNAUTHORIZED = error_fault(401, "Invalid or missing authentication")
#: from the vendor's skill, which shows no body
NO_CREDITS = Fault(status=402)
FORBIDDEN = error_fault(403, "Access denied for this operation")
NOT_FOUND = error_fault(404, "Endpoint not found")
#: as Azure's gateway writes it
UNAUTHORIZED_BY_AZURE = body_fault_of(401, {"statusCode": 401, "message": "Access denied due to invalid key"})
NO_TASK_ID = Fault(takes_job=True, body=b'{"request_id": "ae89", "output": {"task_status": "PENDING"}}')


def rate_limited(retry_after: str | None = None) -> Fault:
    """Answer 429, with or without a ``Retry-After``."""
    headers = None if retry_after is None else {"Retry-After": retry_after}
    return error_fault(429, "Rate limit exceeded, please retry later", headers=headers)


SIZES = (
    *("832*480", "480*832", "624*624"),
    *("1920*1080", "1080*1920", "1440*1440", "1632*1248", "1248*1632"),
)
_TEXTS = {"prompt": Rule(kind="text", maximum=800), "negative_prompt": Rule(kind="text", maximum=500)}
_SWITCHES = {
    "prompt_extend": Rule(kind="bool"),
    "watermark": Rule(kind="bool"),
    "seed": Rule(kind="int", minimum=0, maximum=2147483647),
}
_FROM_IMAGE = {**_TEXTS, "img_url": Rule(kind="image", required=True)}
#: what ``input`` may hold, by model
INPUTS: Mapping[str, Mapping[str, Rule]] = {
    "wan2.2-i2v-plus": _FROM_IMAGE,
    "wan2.2-i2v-flash": _FROM_IMAGE,
    "wan2.1-i2v-plus": _FROM_IMAGE,
    "wan2.1-i2v-turbo": _FROM_IMAGE,
    "wan2.2-t2v-plus": {**_TEXTS, "prompt": Rule(kind="text", required=True, maximum=800)},
    "wan2.1-kf2v-plus": {
        **_TEXTS,
        "first_frame_url": Rule(kind="image", required=True),
        "last_frame_url": Rule(kind="image", required=True),
    },
}


def _parameters(*resolutions: str, durations: tuple[int, ...] = (5,)) -> Mapping[str, Rule]:
    return {
        "resolution": Rule(kind="enum", options=resolutions),
        "duration": Rule(kind="int", options=durations),
        **_SWITCHES,
    }


#: what ``parameters`` may hold, by model
PARAMETERS: Mapping[str, Mapping[str, Rule]] = {
    "wan2.2-i2v-plus": _parameters("480P", "1080P"),
    "wan2.2-i2v-flash": _parameters("480P", "720P"),
    "wan2.1-i2v-plus": _parameters("720P"),
    "wan2.1-i2v-turbo": _parameters("480P", "720P", durations=(3, 4, 5)),
    "wan2.2-t2v-plus": {
        "size": Rule(kind="enum", options=SIZES),
        "duration": Rule(kind="int", options=(5,)),
        **_SWITCHES,
    },
    "wan2.1-kf2v-plus": _parameters("720P"),
}


class PixazoImitation(VendorImitation):
    """The vendor. Everything public may be changed by a test at any time."""

    word = "PENDING"
    success_word = "SUCCEEDED"
    failure_word = "FAILED"

    def __init__(
        self,
        *,
        key: str = "px_test",
        requests_per_minute: int | None = None,
        fetch: Fetch | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        kf2v_path: str | None = None,
    ) -> None:
        """Prepare; ``async with`` or ``start`` opens the port.

        ``requests_per_minute`` makes it answer 429 beyond that; ``fetch`` gets links in place of HTTP.
        """
        super().__init__(key=key, requests_per_minute=requests_per_minute, fetch=fetch, now=now)
        self.kf2v_path = kf2v_path
        self.answer_style: Literal["alibaba", "v2"] = "alibaba"
        #: what was wrong with the last submission that was refused, which the vendor itself doesn't say
        self.last_fault: str | None = None

    @property
    def base_url(self) -> str:
        """What belongs into ``PIXAZO_BASE_URL``."""
        return f"http://127.0.0.1:{self.port}"

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=1024 * 1024)
        app.router.add_post(I2V_PATH, self._on(Route.SUBMIT, self._image_to_video))
        app.router.add_post(T2V_PATH, self._on(Route.SUBMIT, self._text_to_video))
        if self.kf2v_path is not None:
            app.router.add_post(self.kf2v_path, self._on(Route.SUBMIT, self._frames_to_video))
        app.router.add_post(STATUS_PATH, self._on(Route.STATUS, self._status))
        app.router.add_get("/files/{name}", self._on(Route.FILE, self._file, public=True))
        return app

    def _has_key(self, request: web.Request) -> bool:
        return request.headers.get("Ocp-Apim-Subscription-Key") == self.key

    def _no_key(self) -> web.Response:
        return web.json_response({"error": "Invalid or missing authentication"}, status=401)

    def _too_many(self) -> Fault:
        return rate_limited()

    async def _image_to_video(self, request: web.Request) -> web.Response:
        return await self._submit(request, {model for model in INPUTS if "i2v" in model})

    async def _text_to_video(self, request: web.Request) -> web.Response:
        return await self._submit(request, {"wan2.2-t2v-plus"})

    async def _frames_to_video(self, request: web.Request) -> web.Response:
        return await self._submit(request, {"wan2.1-kf2v-plus"})

    async def _submit(self, request: web.Request, models: set[str]) -> web.Response:
        body = await json_object(request)
        fault = "the body must be a JSON object" if body is None else body_fault(body, models)
        if body is None or fault:
            return self._refuse({"error": "Invalid request parameters"}, fault)
        media = await self._media(body)
        if isinstance(media, str):
            code = "InvalidParameter.DataInspection" if "fetched" in media else "InvalidParameter"
            return self._refuse({"code": code, "message": media, "request_id": secrets.token_hex(8)}, media)
        job = self._new_job(str(body["model"]), body, 0)
        self.submissions.append(Submission(job_id=job.id, model=job.model, body=body, at=job.created_at, media=media))
        output = {"task_id": job.id, "task_status": "PENDING"}
        return web.json_response({"request_id": secrets.token_hex(8), "output": output})

    def _refuse(self, body: Mapping[str, object], fault: str | None) -> web.Response:
        self.last_fault = fault
        return web.json_response(body, status=400)

    async def _media(self, body: Mapping[str, object]) -> dict[str, bytes] | str:
        """Fetch what the links point to; a text says which of them is no good."""
        given = cast("Mapping[str, object]", body["input"])
        media: dict[str, bytes] = {}
        for name in [name for name in given if name.endswith("_url")]:
            try:
                media[name] = await self._fetch(str(given[name]))
            except (OSError, aiohttp.ClientError) as error:
                return f"{name} could not be fetched ({type(error).__name__})"
            if fault := alibaba_picture_fault(media[name]):
                return f"{name} {fault}"
        return media

    async def _status(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        task_id = None if body is None else body.get("task_id")
        if not isinstance(task_id, str):
            return web.json_response({"error": "Invalid request parameters"}, status=400)
        job = self._look(task_id)
        if job is None:
            output = {"task_id": task_id, "task_status": "UNKNOWN"}
            return web.json_response({"request_id": secrets.token_hex(8), "output": output})
        return web.json_response(self._as_alibaba(job) if self.answer_style == "alibaba" else self._as_v2(job))

    def _as_alibaba(self, job: Job) -> dict[str, object]:
        output: dict[str, object] = {"task_id": job.id, "task_status": job.status}
        output["submit_time"] = job.created_at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        answer: dict[str, object] = {"request_id": secrets.token_hex(8), "output": output}
        if job.has_succeeded:
            output["video_url"] = self._video_link(job)
            answer["usage"] = {"video_count": 1, "duration": 5, "SR": 480}
        elif job.is_over:
            is_object = isinstance(job.error, dict)
            output |= cast("dict[str, object]", job.error) if is_object else {"message": job.error}
        return answer

    def _as_v2(self, job: Job) -> dict[str, object]:
        answer: dict[str, object] = {"request_id": job.id, "status": job.status}
        if job.has_succeeded:
            answer |= {"status": "COMPLETED", "output": {"media_url": [self._video_link(job)]}}
        elif job.is_over:
            answer |= {"error": job.error}
        return answer


def body_fault(body: Mapping[str, object], models: set[str]) -> str | None:
    """Say what is wrong with a body for one of these models, by its tables."""
    model = body.get("model")
    if not isinstance(model, str) or model not in models:
        return f"model must be one of {sorted(models)}"
    if unknown := body.keys() - {"model", "input", "parameters"}:
        return f"unknown fields {sorted(unknown)}"
    given, parameters = body.get("input"), body.get("parameters", {})
    if not isinstance(given, dict) or not isinstance(parameters, dict):
        return "input and parameters must be objects"
    return table_fault(INPUTS[model], cast("Mapping[str, object]", given)) or table_fault(
        PARAMETERS[model], cast("Mapping[str, object]", parameters)
    )
