"""Pixazo (https://www.pixazo.ai/models/image-to-video/wan2.2-api): Alibaba's Wan models behind a gateway.

Requests are Alibaba's (``providers.dashscope``), under a path for each kind of model. What a finished task looks
like is printed nowhere; it is read as Alibaba writes it, as the vendor's own studio reads it, and as the gateway's
newer status API does. Sources: the page above, https://www.pixazo.ai/models/text-to-video/wan2.2-api,
the vendor's skill (github.com/Pixazo-AI/skills, skills/wan) and studio (github.com/Pixazo-AI/pixazo-ai-studio).
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, ClassVar, cast

from pydantic import AliasChoices, AliasPath, Field, JsonValue, model_validator

from providers import dashscope
from providers.answers import Once, TaskId, first_link
from providers.contract import BeforeSending, Provider, at_once
from providers.dashscope import Kind, Wire
from providers.errors import AuthFailed, ContractBroken, Refused
from providers.http import VendorAnswer, VendorHttp
from providers.observing import UNOBSERVED, Observer
from providers.statuses import UnknownTask
from providers.types import Finished, Pending, Submission

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from providers.budget import Tally
    from providers.types import GenerationRequest, Media, ModelSpec, TaskStatus

logger = logging.getLogger(__name__)

DEFAULT_BASE_URL = "https://gateway.pixazo.ai"
#: the vendor names no limit; this is the setting's default
DEFAULT_REQUESTS_PER_MINUTE = 60

_I2V_PATH = "/wan-i2v/v1/generateImageToVideoRequest"
_T2V_PATH = "/wan-video/v1/generateTextToVideoRequest"
#: for all of them, whatever it is called
_STATUS_PATH = "/wan-video-polling/getTextToVideoResult"
_KF2V = "wan2.1-kf2v-plus"

_WIRES: Mapping[str, Wire] = {
    "wan2.2-i2v-plus": Wire(image="img_url"),
    "wan2.2-i2v-flash": Wire(image="img_url"),
    "wan2.1-i2v-plus": Wire(image="img_url"),
    "wan2.1-i2v-turbo": Wire(image="img_url"),
    "wan2.2-t2v-plus": Wire(has_size=True),
    _KF2V: Wire(image="first_frame_url", last_image="last_frame_url"),
}

# Alibaba's words, then those of the gateway's newer API and of the vendor's studio
_WORKING = frozenset({"pending", "running", "suspended", "queued", "processing"})
_DONE = frozenset({"succeeded", "completed", "success", "done"})
_FAILED = frozenset({"failed", "canceled", "cancelled", "error"})
#: no such task, or not any more: it is kept for a day
_UNKNOWN = "unknown"
#: where the studio looks for a video, and where the newer API has it
_LINK_FIELDS = ("video_url", "media_url", "output_url", "url", "video", "result", "output")


class _Accepted(VendorAnswer):
    """An answer to a submission. Without an id it may say why."""

    task_id: TaskId | None = Field(None, validation_alias=AliasChoices(AliasPath("output", "task_id"), "task_id"))
    error: JsonValue = None
    code: JsonValue = Field(None, validation_alias=AliasChoices("code", AliasPath("output", "code")))
    message: JsonValue = Field(None, validation_alias=AliasChoices("message", AliasPath("output", "message")))


class _Task(VendorAnswer):
    status: str
    #: everything in the answer, with what stands under ``output`` on top
    fields: dict[str, JsonValue]

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, content: object) -> object:
        if not isinstance(content, dict):
            return content
        fields = cast("dict[str, object]", content)
        output = fields.get("output")
        if isinstance(output, dict):
            fields = fields | cast("dict[str, object]", output)
        return {"status": fields.get("task_status", fields.get("status")), "fields": fields}


class Pixazo(Provider):
    """Pixazo's gateway. Pictures go by public link. It can neither cancel nor list, and tells no cost."""

    name: ClassVar[str] = "pixazo"
    title: ClassVar[str] = "Pixazo"

    def __init__(self, *, http: VendorHttp, kf2v_path: str | None = None) -> None:
        """Take the vendor's HTTP layer over; ``close`` closes it."""
        self._http = http
        self._kf2v_path = kf2v_path
        self._words_told = Once()
        self._tasks_told = Once()
        self.requests_per_minute = http.budget.requests_per_minute
        self.trusted_hosts = frozenset({http.trusted_host})

    @classmethod
    def connect(
        cls,
        *,
        api_key: str,
        base_url: str = DEFAULT_BASE_URL,
        requests_per_minute: int | None = DEFAULT_REQUESTS_PER_MINUTE,
        kf2v_path: str | None = None,
        client: httpx.AsyncClient | None = None,
        observer: Observer = UNOBSERVED,
        tally: Tally | None = None,
    ) -> Pixazo:
        """Make a provider from its settings.

        Args:
            api_key: the subscription key of api-console.pixazo.ai.
            base_url: its own path is kept.
            requests_per_minute: submits and polls together; None: no limit.
            kf2v_path: where first and last frames are sent, from its slash on; the vendor prints it nowhere,
                and without it that model isn't offered.
            client: instead of an own one; it isn't closed here.
            observer: is told how each request went.
            tally: counts the requests of other processes, too.

        Raises:
            ValueError: key, base URL or path can't be used. The message holds none of them.
        """
        if kf2v_path is not None and not kf2v_path.startswith("/"):
            raise ValueError("pixazo: the path for first and last frames must begin with a slash")
        http = VendorHttp(
            name=cls.name,
            base_url=base_url,
            headers={"Ocp-Apim-Subscription-Key": api_key, "Cache-Control": "no-cache"},
            requests_per_minute=requests_per_minute,
            client=client,
            observer=observer,
            tally=tally,
            auth_codes=dashscope.AUTH_CODES,
        )
        return cls(http=http, kf2v_path=kf2v_path)

    def offers(self, spec: ModelSpec) -> bool:
        """Whether the path to the model is known."""
        return self._kf2v_path is not None or spec.id != f"{self.name}/{_KF2V}"

    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        """Start one video with a POST to the path of its model. Raises as the contract says."""
        body = request_body(request)
        path = self._path(request.model)
        has_picture = request.image is not None
        try:
            accepted = await self._http.submit(path, json=body, answer=_Accepted, before_sending=before_sending)
        except Refused as error:
            raise dashscope.refused(error, has_picture=has_picture) from None
        if accepted.task_id is None:
            words = self._http.words_in(accepted.model_dump())
            raise dashscope.untaken(self.name, words, has_picture=has_picture)
        return Submission(task_id=accepted.task_id)

    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        """Look at a task with a POST that starts nothing. Raises as the contract says."""
        task = await self._ask(task_id)
        word = self._http.redact(task.status).strip().lower()
        if word in _DONE:
            return _finished(task)
        if word in _FAILED:
            return self._failed(task_id, task, has_picture=_starts_from_picture(model))
        if word == _UNKNOWN:
            raise UnknownTask("pixazo: the task is unknown there")
        if word not in _WORKING and self._words_told.is_first(word):
            logger.warning("pixazo: the status word %r is not documented, taken as pending", word[:50])
        return Pending()

    async def check(self) -> None:
        """Ask for a task that can't exist: what it is told about is told only to who has a key."""
        try:
            await self._ask(str(uuid.uuid4()))
        except ContractBroken as error:
            if not _shows_that_key_was_read(error):
                raise

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _ask(self, task_id: str) -> _Task:
        return await self._http.ask(_STATUS_PATH, method="POST", json={"task_id": task_id}, answer=_Task)

    def _path(self, model: ModelSpec) -> str:
        if not self.offers(model):
            raise Refused("pixazo: PIXAZO_KF2V_PATH isn't set, so first and last frames can't be sent")
        if _wire_id(model) == _KF2V:
            return self._kf2v_path or ""
        return _T2V_PATH if _wire_of(model).has_size else _I2V_PATH

    def _failed(self, task_id: str, task: _Task, *, has_picture: bool) -> TaskStatus:
        words = self._http.words_in(task.fields)
        if dashscope.kind_of(words) is Kind.ACCOUNT and self._tasks_told.is_first(task_id):
            # an error pauses the provider, and doesn't end the job; the next look does
            reason = "pixazo gave up on a task because of an account"
            raise AuthFailed(reason, vendor_message=words.message, vendor_code=words.code)
        return dashscope.rejection(words, has_picture=has_picture)


def request_body(request: GenerationRequest) -> dict[str, object]:
    """Write the body of a submission.

    Raises:
        Refused: something was asked for that the model's table has no field for, or a link is missing.
    """
    wire = _wire_of(request.model)
    links = {field: _link(media) for field, media in dashscope.pictures(request, wire).items()}
    return {
        "model": _wire_id(request.model),
        "input": {**dict(dashscope.input_fields(request, wire)), **links},
        "parameters": dict(dashscope.parameter_fields(request, wire)),
    }


def _wire_id(model: ModelSpec) -> str:
    return model.id.removeprefix(f"{Pixazo.name}/")


def _wire_of(model: ModelSpec) -> Wire:
    wire = _WIRES.get(_wire_id(model))
    if wire is None:
        raise Refused(f"pixazo: {model.id} is not one of its models")
    return wire


def _starts_from_picture(model: ModelSpec) -> bool:
    wire = _WIRES.get(_wire_id(model))
    return wire is None or wire.image is not None


def _link(media: Media) -> str:
    if media.url is None:
        raise Refused("pixazo: a picture has no public link, and the vendor takes nothing else")
    return media.url


def _finished(task: _Task) -> Finished:
    links = (first_link(task.fields.get(name)) for name in _LINK_FIELDS)
    link = next((link for link in links if link is not None), None)
    if link is None:
        raise ContractBroken("pixazo says that a task succeeded, without a link to a video")
    return Finished(video_url=link)


def _shows_that_key_was_read(error: ContractBroken) -> bool:
    """Whether the vendor looked for the task: it says so, rather than that there is nothing at this path."""
    words = (error.vendor_message or "").lower()
    return "endpoint" not in words and (isinstance(error, UnknownTask) or bool(words))
