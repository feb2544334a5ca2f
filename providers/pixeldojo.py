"""PixelDojo (https://pixeldojo.ai/api-docs), as documented for the two Wan models of the catalogue.

The vendor refuses fields that a model's table doesn't have, so each model has its own names here. Sources:
https://pixeldojo.ai/llm/wan-2.2-standard.txt and https://pixeldojo.ai/llm/wan-2.7-i2v.txt.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    Field,
    JsonValue,
    ValidationError,
    WrapValidator,
    model_validator,
)

from providers.answers import Amount, Once, TaskId, first_link, none_if_unreadable, path_segment
from providers.contract import BeforeSending, Provider, at_once
from providers.errors import ContractBroken, Refused
from providers.http import VendorAnswer, VendorHttp
from providers.observing import UNOBSERVED, Observer
from providers.statuses import UnknownTask
from providers.types import Cost, CostUnit, Finished, KnownTask, Mode, Pending, Rejected, Submission

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import httpx

    from providers.budget import Tally
    from providers.types import GenerationRequest, Media, ModelSpec, ParameterValue, TaskStatus

logger = logging.getLogger(__name__)

DEFAULT_BASE_URL = "https://pixeldojo.ai/api/v1"
#: the vendor's skill of 2026-03 says 10, an older document 60; support can raise it
DEFAULT_REQUESTS_PER_MINUTE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fields:
    """What a model calls things. None: its table has no such field."""

    prompt_required: bool
    image: str = "image_url"
    last_image: str | None = None
    video: str | None = None
    negative_prompt: str | None = None
    aspect_ratio: str | None = None
    enhance_prompt: str | None = None
    seed: str = "seed"
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])


_FIELDS: Mapping[str, _Fields] = {
    "wan-2.2-standard": _Fields(
        prompt_required=True,
        last_image="last_image_url",
        aspect_ratio="aspect_ratio",
        parameters={
            "frames": "num_frames",
            "shift": "sample_shift",
            "steps": "sample_steps",
            "fps": "frames_per_second",
            "interpolate": "interpolate_output",
        },
    ),
    # its aspect_ratio is for a text-to-video mode that the table doesn't have
    "wan-2.7-i2v": _Fields(
        prompt_required=False,
        last_image="last_frame_url",
        video="video_url",
        negative_prompt="negative_prompt",
        enhance_prompt="enable_prompt_expansion",
    ),
}


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("the calendar has no such day in UTC") from None


#: ISO 8601 or an epoch in seconds or milliseconds; without a zone it is UTC
_Moment = Annotated[datetime, AfterValidator(_in_utc)]
#: PixelDojo's own credits; only for the books, so an odd value breaks nothing
_Credits = Annotated[Amount | None, WrapValidator(none_if_unreadable)]


class _Accepted(VendorAnswer):
    job_id: TaskId = Field(validation_alias="jobId")
    credit_cost: _Credits = Field(None, validation_alias="creditCost")


class _Job(VendorAnswer):
    status: str
    output: JsonValue = None
    #: where the vendor's SDK has the files of a job
    assets: JsonValue = None
    error: JsonValue = None
    credit_cost: _Credits = Field(None, validation_alias="creditCost")
    expires_at: Annotated[_Moment | None, WrapValidator(none_if_unreadable)] = Field(None, validation_alias="expiresAt")


class _JobList(VendorAnswer):
    """``GET /jobs`` is named in the SDK, its shape nowhere."""

    rows: list[JsonValue]

    @model_validator(mode="before")
    @classmethod
    def _find_rows(cls, content: object) -> object:
        if isinstance(content, dict):
            fields = cast("dict[str, object]", content)
            content = fields.get("jobs", fields.get("data"))
        return {"rows": content}


class _Offer(VendorAnswer):
    """A line of ``GET /models``."""

    model: str = Field(validation_alias="apiId")
    #: only a price that is the same for every video can be compared
    fixed_cost: _Credits = Field(None, validation_alias=AliasPath("creditCost", "amount"))
    cost_type: str | None = Field(None, validation_alias=AliasPath("creditCost", "type"))


class _Offers(VendorAnswer):
    models: list[_Offer]


class _Row(VendorAnswer):
    job_id: TaskId = Field(validation_alias=AliasChoices("jobId", "id"))
    model: TaskId = Field(validation_alias=AliasChoices("apiId", "modelId", "model"))
    #: None: sent without one, which the newer model allows
    prompt: str | None = Field(
        None,
        validation_alias=AliasChoices(
            "prompt", AliasPath("input", "prompt"), AliasPath("params", "prompt"), AliasPath("request", "prompt")
        ),
    )
    sent: object = Field(None, validation_alias=AliasChoices("input", "params", "request"))
    created_at: _Moment = Field(validation_alias=AliasChoices("createdAt", "created_at"))

    @property
    def tells_prompt(self) -> bool:
        """Whether no prompt means an empty one, rather than a list that doesn't show prompts."""
        return "prompt" in self.model_fields_set or isinstance(self.sent, dict)


class PixelDojo(Provider):
    """PixelDojo's API. Pictures and clips go by public link, results stay for an hour or a day."""

    name: ClassVar[str] = "pixeldojo"
    title: ClassVar[str] = "PixelDojo"
    can_list: ClassVar[bool] = True

    def __init__(self, *, http: VendorHttp) -> None:
        """Take the vendor's HTTP layer over; ``close`` closes it."""
        self._http = http
        self._words_told = Once()
        self.requests_per_minute = http.budget.requests_per_minute
        self.trusted_hosts = frozenset({http.trusted_host})

    @classmethod
    def connect(
        cls,
        *,
        api_key: str,
        base_url: str = DEFAULT_BASE_URL,
        requests_per_minute: int | None = DEFAULT_REQUESTS_PER_MINUTE,
        client: httpx.AsyncClient | None = None,
        observer: Observer = UNOBSERVED,
        tally: Tally | None = None,
    ) -> PixelDojo:
        """Make a provider from its settings.

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
            # an older version of the API says it with 403
            auth_codes=frozenset({"insufficient_credits"}),
        )
        return cls(http=http)

    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        """Start one video with ``POST /models/{id}/run``. Raises as the contract says."""
        model = _wire_id(request.model)
        body = dict(request_fields(request))
        accepted = await self._http.submit(
            f"/models/{model}/run", json=body, answer=_Accepted, before_sending=before_sending
        )
        return Submission(task_id=accepted.job_id, cost=_cost(accepted.credit_cost))

    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        """Look at a job with ``GET /jobs/{jobId}``. Raises as the contract says.

        ``statusUrl`` isn't used: in the vendor's samples it lacks the end of the id.
        """
        del model
        return self._status_of(await self._http.ask(_job_path(task_id), answer=_Job))

    async def check(self) -> None:
        """Ask for a job that can't exist: that it is unknown is told only to who has a key."""
        try:
            await self._http.ask(_job_path(f"job_{secrets.token_hex(12)}"), answer=_Job)
        except UnknownTask:
            return

    async def recent_tasks(self, *, since: datetime) -> Sequence[KnownTask]:
        """List jobs from ``GET /jobs``, those made before the second of ``since`` left out.

        The second, since the vendor's times may have no finer grain. Rows that can't be read are left out.
        """
        listed = await self._http.ask("/jobs", answer=_JobList)
        earliest = since.replace(microsecond=0)
        return [task for task in _known_tasks(listed.rows) if task.created_at >= earliest]

    async def disagreements(self, models: Sequence[ModelSpec]) -> Sequence[str]:
        """Compare with ``GET /models``: models that are gone, and fixed prices that differ."""
        answer = await self._http.ask("/models", answer=_Offers)
        offers = {offer.model: offer for offer in answer.models}
        return [line for spec in models if (line := _disagreement(spec, offers.get(_wire_id(spec)))) is not None]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _status_of(self, job: _Job) -> TaskStatus:
        match self._http.redact(job.status).strip().lower():
            case "completed":
                return _finished(job)
            case "failed":
                words = self._http.words_in({"error": job.error})
                return Rejected(reason=words.message or words.code or "")
            case "pending":
                return Pending()
            case word:
                if self._words_told.is_first(word):
                    logger.warning("pixeldojo: the status word %r is not documented, taken as pending", word[:50])
                return Pending()


def request_fields(request: GenerationRequest) -> Iterator[tuple[str, object]]:
    """Give the body of ``POST /models/{id}/run``, field by field.

    Raises:
        Refused: something was asked for that the model's table has no field for, or a link is missing.
    """
    fields = _FIELDS[_wire_id(request.model)]
    if request.prompt or fields.prompt_required:
        yield "prompt", request.prompt
    yield from _media_fields(request, fields)
    yield "resolution", request.resolution
    yield "duration", request.duration
    yield from _option_fields(request, fields)
    yield from _parameter_fields(request.parameters, fields)


def _disagreement(spec: ModelSpec, offer: _Offer | None) -> str | None:
    if offer is None:
        return f"{spec.id} isn't in the vendor's list any more"
    ours = spec.price.per_video.get("*")
    if offer.cost_type != "fixed" or ours is None or offer.fixed_cost in {None, ours}:
        return None
    return f"{spec.id} costs {offer.fixed_cost} of the vendor's credits, the catalogue says {ours}"


def find_video(output: JsonValue, assets: JsonValue = None) -> str | None:
    """Find the link of a finished video; None when there is none.

    Documented is ``output.video``; the vendor's own helper also reads ``output.videos[0]``, its SDK ``assets[0].url``.
    """
    match output:
        case {"video": video} if link := first_link(video):
            return link
        case {"videos": videos} if link := first_link(videos):
            return link
        case {"assets": inner} if link := first_link(inner):
            return link
        case _:
            return first_link(assets)


def _media_fields(request: GenerationRequest, fields: _Fields) -> Iterator[tuple[str, object]]:
    if request.image is not None:
        yield fields.image, _link(request.image)
    if request.last_image is not None:
        yield _known(fields.last_image, request, "last image"), _link(request.last_image)
    if request.video is not None:
        yield _known(fields.video, request, "video"), _link(request.video)
    if request.mode is Mode.EXTEND:
        # the other mode is the default, and follows from the picture
        yield "mode", "video-extend"


def _option_fields(request: GenerationRequest, fields: _Fields) -> Iterator[tuple[str, object]]:
    if request.negative_prompt is not None:
        yield _known(fields.negative_prompt, request, "negative prompt"), request.negative_prompt
    if request.aspect_ratio is not None:
        yield _known(fields.aspect_ratio, request, "aspect ratio"), request.aspect_ratio
    if request.enhance_prompt is not None:
        yield _known(fields.enhance_prompt, request, "prompt enhancement"), request.enhance_prompt
    if request.seed is not None:
        yield fields.seed, request.seed


def _parameter_fields(
    parameters: Mapping[str, ParameterValue], fields: _Fields
) -> Iterator[tuple[str, ParameterValue]]:
    for key, value in parameters.items():
        if key not in fields.parameters:
            raise Refused(f"pixeldojo: this model has no setting {key}")
        yield fields.parameters[key], value


def _known(wire_name: str | None, request: GenerationRequest, option: str) -> str:
    """Refuse rather than drop what the model has no field for."""
    if wire_name is None:
        raise Refused(f"pixeldojo: {request.model.name} has no {option}")
    return wire_name


def _link(media: Media) -> str:
    if media.url is None:
        raise Refused("pixeldojo: a picture or clip has no public link, and the vendor takes nothing else")
    return media.url


def _wire_id(model: ModelSpec) -> str:
    wire_id = model.id.removeprefix(f"{PixelDojo.name}/")
    if wire_id not in _FIELDS:
        raise Refused(f"pixeldojo: {model.id} is not one of its models")
    return wire_id


def _job_path(task_id: str) -> str:
    segment = path_segment(task_id)
    if segment is None:
        raise ContractBroken("pixeldojo: the task id can't be asked for")
    return f"/jobs/{segment}"


def _finished(job: _Job) -> Finished:
    link = find_video(job.output, job.assets)
    if link is None:
        raise ContractBroken("pixeldojo says completed, without a link to a video")
    return Finished(video_url=link, cost=_cost(job.credit_cost), expires_at=job.expires_at)


def _cost(amount: Decimal | None) -> Cost | None:
    return None if amount is None else Cost(amount, CostUnit.CREDITS)


def _known_tasks(rows: Sequence[object]) -> Iterator[KnownTask]:
    for row in map(_read_row, rows):
        if row is not None and row.tells_prompt:
            yield KnownTask(
                task_id=row.job_id,
                model=f"{PixelDojo.name}/{row.model.removeprefix(f'{PixelDojo.name}/')}",
                prompt=row.prompt or "",
                created_at=row.created_at,
            )


def _read_row(row: object) -> _Row | None:
    try:
        return _Row.model_validate(row)
    except ValidationError:
        return None
