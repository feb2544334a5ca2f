"""PixelDojo as its documents describe it, on a real socket of this machine.

    async with PixelDojoImitation(key="pd_test") as vendor:
        provider = PixelDojo.connect(api_key="pd_test", base_url=vendor.base_url)
        ...
        vendor.finish(vendor.submissions[0].job_id)

It is as strict as the seeds: unknown fields, wrong types, ranges and enums are refused, and the pictures
it is given links of are really fetched. What a job does and what goes wrong is told by the test.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, cast

import aiohttp
from aiohttp import web

from tests.imitations.vendor import (
    CUT,
    CUT_AFTER_JOB,
    HANG,
    HANG_AFTER_JOB,
    HTML_502,
    REDIRECT,
    Call,
    Fault,
    Fetch,
    Job,
    Route,
    Rule,
    Submission,
    VendorImitation,
    json_object,
    kind_of,
    small_video,
    table_fault,
)

__all__ = [
    "CUT",
    "CUT_AFTER_JOB",
    "HANG",
    "HANG_AFTER_JOB",
    "HTML_502",
    "INTERNAL_ERROR",
    "NO_CREDITS",
    "NO_CREDITS_OLD",
    "NO_JOB_ID",
    "REDIRECT",
    "TABLES",
    "Call",
    "Fault",
    "Job",
    "PixelDojoImitation",
    "Route",
    "Rule",
    "Submission",
    "body_fault",
    "cost_of",
    "error_fault",
    "kind_of",
    "rate_limited",
    "small_video",
]


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
NO_JOB_ID = Fault(takes_job=True, status=202, body=b'{"status": "pending"}')


# https://pixeldojo.ai/llm/wan-2.2-standard.txt
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
# https://pixeldojo.ai/llm/wan-2.7-i2v.txt
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


class PixelDojoImitation(VendorImitation):
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
        super().__init__(key=key, requests_per_minute=requests_per_minute, fetch=fetch, now=now)
        self.credits = 1000
        #: the shape of ``GET /jobs``, which no document shows
        self.list_shape: Literal["jobs", "data", "bare"] = "jobs"
        self.error_style: Literal["object", "text"] = "object"

    @property
    def base_url(self) -> str:
        """What belongs into ``PIXELDOJO_BASE_URL``."""
        return f"http://127.0.0.1:{self.port}/api/v1"

    # What the vendor does

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=1024 * 1024)
        app.router.add_post("/api/v1/models/{model}/run", self._on(Route.SUBMIT, self._run))
        app.router.add_get("/api/v1/models", self._on(Route.MODELS, self._models, public=True))
        app.router.add_get("/api/v1/jobs/{job_id}", self._on(Route.STATUS, self._job))
        app.router.add_get("/api/v1/jobs", self._on(Route.LIST, self._list))
        app.router.add_get("/files/{name}", self._on(Route.FILE, self._file, public=True))
        return app

    def _has_key(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.key}"

    def _no_key(self) -> web.Response:
        return self._error(401, "unauthorized", "Invalid or missing API key")

    def _too_many(self) -> Fault:
        return rate_limited()

    def _error(self, status: int, code: str, message: str) -> web.Response:
        error: object = message if self.error_style == "text" else {"code": code, "message": message}
        return web.json_response({"error": error}, status=status)

    async def _run(self, request: web.Request) -> web.Response:
        model = request.match_info["model"]
        if model not in TABLES:
            return self._error(404, "model_not_found", "Model ID not found")
        body = await json_object(request)
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
        job = self._new_job(model, body, cost, prefix="job_")
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

    async def _job(self, request: web.Request) -> web.Response:
        job = self._look(request.match_info["job_id"])
        return self._error(404, "job_not_found", "Job not found") if job is None else self._told(job)

    def _told(self, job: Job) -> web.Response:
        answer: dict[str, object] = {"jobId": job.id, "status": job.status, "creditCost": job.cost}
        if job.status == "completed":
            answer |= {"output": {"video": self._video_link(job)}, "expiresAt": _iso(job.expires_at)}
        if job.status == "failed" and job.error is not None:
            answer |= {"error": job.error}
        return web.json_response(answer)

    async def _list(self, request: web.Request) -> web.Response:
        rows = [_row(job) for job in reversed(self.jobs.values())]
        return web.json_response(rows if self.list_shape == "bare" else {self.list_shape: rows})

    async def _models(self, request: web.Request) -> web.Response:
        models = [
            {"apiId": model, "name": model, "modality": "video", "creditCost": {"type": "fixed", "amount": 3}}
            for model in TABLES
        ]
        return web.json_response({"models": models, "total": len(models), "imageCount": 0, "videoCount": len(models)})


def body_fault(model: str, body: Mapping[str, object]) -> str | None:
    """Say what is wrong with a body, by the model's table."""
    if fault := table_fault(TABLES[model], body):
        return fault
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
