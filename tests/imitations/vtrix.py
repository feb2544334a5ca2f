"""Vtrix as its documents describe it, on a real socket of this machine.

    async with VtrixImitation(key="vt_test") as vendor:
        provider = Vtrix.connect(api_key="vt_test", base_url=vendor.base_url)
        ...
        vendor.finish(vendor.submissions[0].job_id)

It is as strict as the seed, and stricter with fields that no table has: they are refused. It takes one shape of
bodies, the one that it is told. Pictures are fetched or decoded, and looked at.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
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

SUBMIT_PATH = "/model/v1/generation"
_DATA_URI = re.compile(r"data:(image/[a-z]+);base64,([A-Za-z0-9+/]+={0,2})")


def body_fault_of(
    status: int, body: object, *, takes_job: bool = False, headers: Mapping[str, str] | None = None
) -> Fault:
    """Answer with anything."""
    named = {"Content-Type": "application/json", **(headers or {})}
    return Fault(status=status, body=json.dumps(body).encode(), headers=named, takes_job=takes_job)


def error_fault(status: int, code: str | int, message: str, *, headers: Mapping[str, str] | None = None) -> Fault:
    """Answer with an error as an object."""
    return body_fault_of(status, {"error": {"code": code, "message": message}}, headers=headers)


BAD_REQUEST = error_fault(400, "invalid_request", "bad body")
BAD_REQUEST_AS_TEXT = body_fault_of(400, {"error": "bad body"})
BAD_REQUEST_AS_MESSAGE = body_fault_of(400, {"message": "bad body"})
UNAUTHORIZED = error_fault(401, "unauthorized", "invalid api key")
NO_BALANCE = error_fault(403, "forbidden", "insufficient balance or no permission")
NOT_FOUND = error_fault(404, "not_found", "model not found")
NO_ID = body_fault_of(200, {"status": "in_progress", "model": "wan22_t2v_plus"}, takes_job=True)


def rate_limited(retry_after: str | None = None) -> Fault:
    """Answer 429, with or without a ``Retry-After``."""
    headers = None if retry_after is None else {"Retry-After": retry_after}
    return error_fault(429, 1002, "rate limited", headers=headers)


SIZES = (
    *("832*480", "480*832", "624*624"),
    *("1920*1080", "1080*1920", "1440*1440", "1632*1248", "1248*1632"),
)
_COMMON = {
    "duration": Rule(kind="int", options=(5,)),
    "prompt_extend": Rule(kind="bool"),
    "watermark": Rule(kind="bool"),
    "seed": Rule(kind="int", minimum=0, maximum=2147483647),
}
#: what ``input`` may hold, by model
INPUTS: Mapping[str, Mapping[str, Rule]] = {
    "wan22_t2v_plus": {
        "prompt": Rule(kind="text", required=True, maximum=800),
        "negative_prompt": Rule(kind="text", maximum=500),
    },
    "wan22_i2v_flash": {
        "prompt": Rule(kind="text", required=True, maximum=800),
        "img_url": Rule(kind="text", required=True),
    },
}
#: what ``parameters`` may hold, by model
PARAMETERS: Mapping[str, Mapping[str, Rule]] = {
    "wan22_t2v_plus": {"size": Rule(kind="enum", options=SIZES), **_COMMON},
    "wan22_i2v_flash": {"resolution": Rule(kind="enum", options=("480P", "720P")), **_COMMON},
}


class VtrixImitation(VendorImitation):
    """The vendor. Everything public may be changed by a test at any time."""

    word = "in_progress"

    def __init__(
        self,
        *,
        key: str = "vt_test",
        requests_per_minute: int | None = None,
        fetch: Fetch | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        body_shape: Literal["flat", "wrapped"] = "flat",
    ) -> None:
        """Prepare; ``async with`` or ``start`` opens the port.

        ``requests_per_minute`` makes it answer 429 beyond that; ``fetch`` gets links in place of HTTP.
        """
        super().__init__(key=key, requests_per_minute=requests_per_minute, fetch=fetch, now=now)
        self.body_shape: Literal["flat", "wrapped"] = body_shape
        self.output_shape: Literal["list", "object"] = "list"
        #: what a job in progress tells of it; None: nothing
        self.progress: float | None = None

    @property
    def base_url(self) -> str:
        """What belongs into ``VTRIX_BASE_URL``."""
        return f"http://127.0.0.1:{self.port}"

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=20 * 1024 * 1024)
        app.router.add_post(SUBMIT_PATH, self._on(Route.SUBMIT, self._submit))
        app.router.add_get(SUBMIT_PATH + "/task/{job_id}", self._on(Route.STATUS, self._status))
        app.router.add_get("/files/{name}", self._on(Route.FILE, self._file, public=True))
        return app

    def _has_key(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.key}"

    def _no_key(self) -> web.Response:
        return self._error(401, "unauthorized", "invalid api key")

    def _too_many(self) -> Fault:
        return rate_limited()

    def _error(self, status: int, code: str, message: str) -> web.Response:
        return web.json_response({"error": {"code": code, "message": message}}, status=status)

    async def _submit(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        if body is None or body.get("model") not in INPUTS:
            return self._error(404, "not_found", "model not found")
        content = flat_content(body) if self.body_shape == "flat" else unwrapped_content(body)
        fault = "the body has another shape" if content is None else content_fault(str(body["model"]), content)
        if content is None or fault:
            return self._error(400, "InvalidParameter", str(fault))
        media = await self._media(content["input"])
        if isinstance(media, str):
            return self._error(400, "InternalError.Algo.InvalidParameter", media)
        job = self._new_job(str(body["model"]), body, cost_of(str(body["model"]), content["parameters"]))
        self.submissions.append(Submission(job_id=job.id, model=job.model, body=body, at=job.created_at, media=media))
        return web.json_response(self._head(job))

    async def _media(self, given: Mapping[str, object]) -> dict[str, bytes] | str:
        if "img_url" not in given:
            return {}
        try:
            content = await self._picture(str(given["img_url"]))
        except (OSError, ValueError, aiohttp.ClientError) as error:
            return f"Failed to download multimodal content ({type(error).__name__})"
        fault = alibaba_picture_fault(content)
        return f"img_url {fault}" if fault else {"img_url": content}

    async def _picture(self, given: str) -> bytes:
        if not given.startswith("data:"):
            return await self._fetch(given)
        parts = _DATA_URI.fullmatch(given)
        if parts is None:
            raise binascii.Error("no data URI")
        return base64.b64decode(parts[2], validate=True)

    async def _status(self, request: web.Request) -> web.Response:
        job = self._look(request.match_info["job_id"])
        if job is None:
            return self._error(404, "not_found", "task not found")
        answer = self._head(job)
        if job.has_succeeded:
            answer |= {"output": self._output(job), "usage": {"cost": str(job.cost), "discount": 1}, "metadata": {}}
        elif job.is_over:
            answer |= {"error": job.error}
        elif self.progress is not None:
            answer["progress"] = self.progress
        return web.json_response(answer)

    def _head(self, job: Job) -> dict[str, object]:
        created_at = int(job.created_at.timestamp())
        return {"id": job.id, "created_at": created_at, "status": job.status, "model": job.model}

    def _output(self, job: Job) -> object:
        content = {"type": "video", "url": self._video_link(job), "jobId": f"upstream-{job.id}"}
        output = {"content": [content]}
        return [output] if self.output_shape == "list" else output


Content = dict[str, Mapping[str, object]]


def flat_content(body: Mapping[str, object]) -> Content | None:
    """``input`` and ``parameters`` of a body as the document has it; None: it has another shape."""
    return _content(body) if body.keys() <= {"model", "input", "parameters"} else None


def unwrapped_content(body: Mapping[str, object]) -> Content | None:
    """``input`` and ``parameters`` of a body as the vendor's command line sends it; None: it has another shape."""
    given = body.get("input")
    if set(body) != {"model", "input"} or not isinstance(given, list):
        return None
    entries = cast("list[dict[str, dict[str, object]]]", given)
    is_wrapped = len(entries) == 1 and entries[0].keys() == {"params"}
    return _content(entries[0]["params"]) if is_wrapped else None


def _content(fields: Mapping[str, object]) -> Content | None:
    given, parameters = fields.get("input"), fields.get("parameters", {})
    if not isinstance(given, dict) or not isinstance(parameters, dict):
        return None
    return {
        "input": cast("Mapping[str, object]", given),
        "parameters": cast("Mapping[str, object]", parameters),
    }


def content_fault(model: str, content: Content) -> str | None:
    """Say what is wrong with ``input`` and ``parameters``, by the model's tables."""
    return table_fault(INPUTS[model], content["input"]) or table_fault(PARAMETERS[model], content["parameters"])


def cost_of(model: str, parameters: Mapping[str, object]) -> Decimal:
    """US$ for a job; the vendor publishes none, so these are made up."""
    is_small = parameters.get("resolution") == "480P" or parameters.get("size") in SIZES[:3]
    prices = {"wan22_t2v_plus": ("0.10", "0.50"), "wan22_i2v_flash": ("0.085", "0.2")}
    return Decimal(prices[model][0 if is_small else 1])
