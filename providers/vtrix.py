"""Vtrix (https://doc.vtrix.ai): Alibaba's Wan 2.2 models, one path for all of them.

Requests are Alibaba's (``providers.dashscope``). The document lists ``model``, ``input`` and ``parameters`` side by
side; the vendor's own command line wraps the latter two, so the shape is a setting. Sources:
https://doc.vtrix.ai/docs/api/qwen/wan22-t2v-plus, https://doc.vtrix.ai/docs/api/qwen/wan22-i2v-flash,
https://docs.vtrix.ai/api-reference/models/model_api_documentation_gitbook (paths, HTTP statuses) and
github.com/VtrixAI/vtrix-cli (the wrapped shape, the shapes of errors).
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import secrets
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import AliasChoices, AliasPath, Field, JsonValue, WrapValidator

from providers import dashscope
from providers.answers import Amount, Once, TaskId, first_link, none_if_unreadable, path_segment
from providers.contract import BeforeSending, Provider, at_once
from providers.dashscope import Kind, Wire
from providers.errors import AuthFailed, ContractBroken, ProviderError, Refused
from providers.http import VendorAnswer, VendorHttp
from providers.observing import UNOBSERVED, Observer
from providers.statuses import UnknownTask
from providers.types import Cost, CostUnit, Finished, Pending, Submission
from providers.vendor_words import VendorWords

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from providers.budget import Tally
    from providers.types import GenerationRequest, Media, ModelSpec, TaskStatus

logger = logging.getLogger(__name__)

BodyShape = Literal["flat", "wrapped"]

DEFAULT_BASE_URL = "https://cloud.vtrix.ai"
#: the vendor names no limit; this is the setting's default
DEFAULT_REQUESTS_PER_MINUTE = 60

_SUBMIT_PATH = "/model/v1/generation"

_WIRES: Mapping[str, Wire] = {
    "wan22_t2v_plus": Wire(has_size=True),
    "wan22_i2v_flash": Wire(image="img_url", has_negative_prompt=False),
}

#: ``in_progress`` is documented, the others are those of the vendor's sister services
_WORKING = frozenset({"in_progress", "pending", "queued", "in_queue", "processing", "running"})
_DONE = frozenset({"completed", "succeeded", "done"})
_FAILED = frozenset({"failed", "error", "canceled", "cancelled"})

#: the vendor's own number for "too many requests"
_RATE_LIMITED = "1002"
_DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,[A-Za-z0-9+/=]*")


class _Accepted(VendorAnswer):
    """An answer to a submission. Without an id it may say why."""

    id: TaskId | None = None
    error: JsonValue = None
    code: JsonValue = None
    message: JsonValue = None


class _Usage(VendorAnswer):
    #: US$, as a text
    cost: Amount


class _Task(VendorAnswer):
    #: a sister service has it under ``output``
    status: str = Field(validation_alias=AliasChoices("status", AliasPath("output", "status")))
    output: JsonValue = None
    error: JsonValue = None
    code: JsonValue = None
    message: JsonValue = None
    progress: Annotated[
        Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None, WrapValidator(none_if_unreadable)
    ] = None
    #: only for the books, so an odd value breaks nothing
    usage: Annotated[_Usage | None, WrapValidator(none_if_unreadable)] = None


class Vtrix(Provider):
    """Vtrix's API. Pictures go inside the request. It can neither cancel nor list."""

    name: ClassVar[str] = "vtrix"
    title: ClassVar[str] = "Vtrix"

    def __init__(self, *, http: VendorHttp, body_shape: BodyShape = "flat") -> None:
        """Take the vendor's HTTP layer over; ``close`` closes it."""
        self._http = http
        self._body_shape: BodyShape = body_shape
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
        body_shape: BodyShape = "flat",
        client: httpx.AsyncClient | None = None,
        observer: Observer = UNOBSERVED,
        tally: Tally | None = None,
    ) -> Vtrix:
        """Make a provider from its settings.

        Args:
            api_key: of the vendor's "API Key Management Page".
            base_url: its own path is kept.
            requests_per_minute: submits and polls together; None: no limit.
            body_shape: ``flat`` as the document reads, or ``wrapped`` as the vendor's command line sends it.
            client: instead of an own one; it isn't closed here.
            observer: is told how each request went.
            tally: counts the requests of other processes, too.

        Raises:
            ValueError: key or base URL can't be used. The message holds neither.
        """
        http = VendorHttp(
            name=cls.name,
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}"},
            requests_per_minute=requests_per_minute,
            client=client,
            observer=observer,
            tally=tally,
            auth_codes=dashscope.AUTH_CODES,
        )
        return cls(http=http, body_shape=body_shape)

    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        """Start one video with ``POST /model/v1/generation``. Raises as the contract says."""
        wire = _wire_of(request.model)
        # a picture of some megabytes: read and written out beside the event loop
        pictures = await asyncio.to_thread(_data_uris, dashscope.pictures(request, wire))
        body = request_body(request, pictures=pictures, shape=self._body_shape)
        try:
            accepted = await self._http.submit(_SUBMIT_PATH, json=body, answer=_Accepted, before_sending=before_sending)
        except ProviderError as error:
            error.vendor_message = _without_pictures(error.vendor_message)
            if isinstance(error, Refused):
                raise dashscope.refused(error, has_picture=bool(pictures)) from None
            raise
        if accepted.id is None:
            words = self._words({"error": accepted.error, "code": accepted.code, "message": accepted.message})
            raise dashscope.untaken(self.name, words, has_picture=bool(pictures))
        return Submission(task_id=accepted.id)

    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        """Look at a task with ``GET /model/v1/generation/task/{id}``. Raises as the contract says."""
        task = await self._http.ask(_task_path(task_id), answer=_Task)
        word = self._http.redact(task.status).strip().lower()
        if word in _DONE:
            return _finished(task)
        if word in _FAILED:
            return self._failed(task_id, task, has_picture=_starts_from_picture(model))
        if word not in _WORKING and self._words_told.is_first(word):
            logger.warning("vtrix: the status word %r is not documented, taken as pending", word[:50])
        return Pending(task.progress)

    async def check(self) -> None:
        """Ask for a task that can't exist: that it is unknown is told only to who has a key."""
        try:
            await self._http.ask(_task_path(secrets.token_hex(10)), answer=_Task)
        except ContractBroken as error:
            # a page of something else at this address has no words in the vendor's shape
            if not isinstance(error, UnknownTask) and error.vendor_message is None:
                raise

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _failed(self, task_id: str, task: _Task, *, has_picture: bool) -> TaskStatus:
        words = self._words({"error": task.error, "code": task.code, "message": task.message})
        if dashscope.kind_of(words) is Kind.ACCOUNT and self._tasks_told.is_first(task_id):
            # an error pauses the provider, and doesn't end the job; the next look does
            reason = "vtrix gave up on a task because of an account"
            raise AuthFailed(reason, vendor_message=words.message, vendor_code=words.code)
        return dashscope.rejection(words, has_picture=has_picture)

    def _words(self, fields: Mapping[str, JsonValue]) -> VendorWords:
        words = self._http.words_in({**fields, "error": _plain_error(fields["error"])})
        code = "Throttling" if words.code == _RATE_LIMITED else words.code
        return VendorWords(code, _without_pictures(words.message))


def request_body(
    request: GenerationRequest, *, pictures: Mapping[str, str], shape: BodyShape = "flat"
) -> dict[str, object]:
    """Write the body of a submission.

    Args:
        request: what is asked for.
        pictures: the data URIs that it starts from, by field.
        shape: how ``input`` and ``parameters`` stand in it.

    Raises:
        Refused: something was asked for that the model's table has no field for.
    """
    wire = _wire_of(request.model)
    content: dict[str, object] = {
        "input": {**dict(dashscope.input_fields(request, wire)), **pictures},
        "parameters": dict(dashscope.parameter_fields(request, wire)),
    }
    if shape == "wrapped":
        content = {"input": [{"params": content}]}
    return {"model": _wire_id(request.model), **content}


def find_video(output: JsonValue) -> str | None:
    """Find the link of a finished video in ``output``, a list or a single object; None when there is none."""
    return next((link for item in _contents(output) if (link := _video_in(item))), None)


def _contents(output: JsonValue) -> Iterator[JsonValue]:
    """Everything that may be the video: the entries of each ``content``, and what has none itself."""
    for item in output if isinstance(output, list) else [output]:
        content = item.get("content") if isinstance(item, dict) else None
        if isinstance(content, list):
            yield from content
        else:
            yield item if content is None else content


def _video_in(item: JsonValue) -> str | None:
    match item:
        case {"type": str(kind)} if kind.lower() != "video":
            return None
        case {"url": url} | {"video_url": url}:
            return first_link(url)
        case _:
            return first_link(item)


def _finished(task: _Task) -> Finished:
    link = find_video(task.output)
    if link is None:
        raise ContractBroken("vtrix says completed, without a link to a video")
    return Finished(video_url=link, cost=None if task.usage is None else Cost(task.usage.cost, CostUnit.USD))


def _plain_error(error: JsonValue) -> JsonValue:
    """Put the message where it is looked for: a sister service calls it ``error_message``."""
    match error:
        case {"error_message": message} if "message" not in error:
            return {**error, "message": message}
        case _:
            return error


def _data_uris(pictures: Mapping[str, Media]) -> dict[str, str]:
    """Read the pictures; raises ``Refused`` for one that isn't there any more."""
    try:
        return {field: _data_uri(media) for field, media in pictures.items()}
    except OSError as error:
        raise Refused(f"vtrix: a picture can't be read ({type(error).__name__})") from error


def _data_uri(media: Media) -> str:
    return f"data:{media.content_type};base64,{base64.b64encode(media.path.read_bytes()).decode()}"


def _without_pictures(text: str | None) -> str | None:
    """Take pictures out of a vendor's text, should it repeat them."""
    return text and _DATA_URI.sub("[picture]", text)


def _wire_id(model: ModelSpec) -> str:
    return model.id.removeprefix(f"{Vtrix.name}/")


def _wire_of(model: ModelSpec) -> Wire:
    wire = _WIRES.get(_wire_id(model))
    if wire is None:
        raise Refused(f"vtrix: {model.id} is not one of its models")
    return wire


def _starts_from_picture(model: ModelSpec) -> bool:
    wire = _WIRES.get(_wire_id(model))
    return wire is None or wire.image is not None


def _task_path(task_id: str) -> str:
    segment = path_segment(task_id)
    if segment is None:
        raise ContractBroken("vtrix: the task id can't be asked for")
    return f"{_SUBMIT_PATH}/task/{segment}"
