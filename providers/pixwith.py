"""Pixwith (https://pixwith.ai/api/docs), as documented for the three versions of WAN 2.2.

Every answer is an envelope: ``code`` 1 with ``data``, or 0 with a ``message`` from which alone it can be told
what is wrong. Sources: https://pixwith.ai/api/docs/video-models/wan-2-2 (create), .../api/docs/get-task-results
(status), and the vendor's skill nano-banana-image-gen 1.0.1 (uploads, credits, the texts of errors).
"""

from __future__ import annotations

import logging
import re
import secrets
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeVar

from pydantic import Field, JsonValue, StringConstraints, ValidationError, WrapValidator

from providers.answers import Once, TaskId, first_link, none_if_unreadable
from providers.contract import BeforeSending, Provider, at_once
from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, ProviderError, Refused, Unavailable
from providers.http import UploadForm, VendorAnswer, VendorHttp
from providers.observing import UNOBSERVED, Observer
from providers.statuses import DEFAULT_RETRY_AFTER
from providers.texts import Text
from providers.types import Finished, Mode, Pending, Rejected, Submission

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

    from providers.budget import Tally
    from providers.types import GenerationRequest, Media, ModelSpec, TaskStatus

logger = logging.getLogger(__name__)

DEFAULT_BASE_URL = "https://api.pixwith.ai"
#: the vendor documents no limit
DEFAULT_REQUESTS_PER_MINUTE = 60

#: what the vendor calls its models; the numbers run through all of its offerings
_MODEL_IDS: Mapping[str, str] = {"wan-2.2-lite": "2-8", "wan-2.2-pro": "2-9", "wan-2.2-fast": "2-10"}
#: what may be uploaded, and how a file of that type must be called
_ENDINGS: Mapping[str, str] = {"image/png": "png", "image/jpeg": "jpg"}
#: pictures in each mode, the second one the last frame
_PICTURES: Mapping[Mode, int] = {Mode.TEXT: 0, Mode.IMAGE: 1, Mode.FIRST_LAST: 2}

#: values of ``code``
_SUCCESS, _ERROR = 1, 0


class _Status(StrEnum):
    """Values of ``data.status``; documented as numbers, taken as texts, too."""

    PROCESSING = "1"
    COMPLETED = "2"
    FAILED = "3"


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a message of the vendor's says, wherever in it these words stand."""

    words: re.Pattern[str]
    kind: type[AuthFailed | Refused | Unavailable]
    reason: str
    advice: Text | None = None


# "rate" only as a word: messages about what is generated are no wish for fewer requests
_MEANINGS = (
    _Meaning(re.compile(r"invalid api key", re.IGNORECASE), AuthFailed, "pixwith doesn't accept the key"),
    _Meaning(re.compile(r"credits not enough", re.IGNORECASE), AuthFailed, "pixwith has no funds left"),
    _Meaning(
        re.compile(r"invalid image format", re.IGNORECASE),
        Refused,
        "pixwith can't use the format of the picture",
        Text("Attach the picture as a plain PNG or JPEG."),
    ),
    _Meaning(
        re.compile(r"invalid image url", re.IGNORECASE),
        Refused,
        "pixwith couldn't read the picture that was uploaded to it",
        Text("Try again with another picture, or choose another model."),
    ),
    _Meaning(re.compile(r"too many|frequent|\brate\b", re.IGNORECASE), Unavailable, "pixwith wants fewer requests"),
)


#: only a guess of the vendor's, so an odd value breaks nothing; beyond a day it is none, and beyond the calendar
#: nobody could add it to an instant
_Seconds = Annotated[
    Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] | None, WrapValidator(none_if_unreadable)
]


class _Envelope(VendorAnswer):
    code: int
    message: JsonValue = None
    data: JsonValue = None


class _Created(VendorAnswer):
    task_id: TaskId
    estimated_time: _Seconds = None


class _Task(VendorAnswer):
    status: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] = Field(coerce_numbers_to_str=True)
    result_urls: JsonValue = None


class _Credits(VendorAnswer):
    credits: Decimal


class _Store(VendorAnswer):
    url: str
    fields: dict[str, str]


class _Place(VendorAnswer):
    """Where a picture can be put, and where it is found afterwards."""

    upload_url: _Store
    image_url: str = Field(pattern="^https?://")


_D = TypeVar("_D", bound=VendorAnswer)


class Pixwith(Provider):
    """Pixwith's API. Pictures are put into the vendor's own store first. It can neither cancel nor list."""

    name: ClassVar[str] = "pixwith"
    title: ClassVar[str] = "Pixwith"

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
    ) -> Pixwith:
        """Make a provider from its settings.

        Raises:
            ValueError: key or base URL can't be used. The message holds neither.
        """
        http = VendorHttp(
            name=cls.name,
            base_url=base_url,
            headers={"Api-Key": api_key},
            requests_per_minute=requests_per_minute,
            client=client,
            observer=observer,
            tally=tally,
        )
        return cls(http=http)

    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        """Upload the pictures, then start one video with ``POST /api/task/create``. Raises as the contract says.

        Nothing is started before the last call, so whatever goes wrong with an upload is ``Unavailable``,
        ``Refused`` or ``AuthFailed``.
        """
        model_id, options = _wire_id(request.model), dict(request_options(request))
        links = [await self._upload(picture) for picture in _pictures(request)]
        body = {"prompt": request.prompt, "model_id": model_id, "options": options}
        envelope = await self._create(body | ({"image_urls": links} if links else {}), before_sending)
        created = _read(_Created, envelope)
        if created is None:
            raise OutcomeUnknown("pixwith took a submission without telling a task id")
        return Submission(task_id=created.task_id, estimated_seconds=created.estimated_time)

    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        """Look at a task with ``POST /api/task/get``, which changes nothing. Raises as the contract says."""
        del model
        envelope = await self._ask("/api/task/get", {"task_id": task_id})
        task = _read(_Task, envelope)
        if task is None:
            raise ContractBroken("pixwith answered without the status of the task")
        return self._status_of(task, envelope)

    async def balance(self) -> Decimal:
        """Tell what is left, in the vendor's credits, by ``POST /api/task/get_credits``."""
        found = _read(_Credits, await self._ask("/api/task/get_credits", {}))
        if found is None:
            raise ContractBroken("pixwith answered without a number of credits")
        return found.credits

    async def check(self) -> None:
        """Ask for the credits, which costs none. Raises ``AuthFailed`` when there are none, too."""
        if await self.balance() <= 0:
            raise AuthFailed("pixwith has no funds left")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _create(self, body: Mapping[str, object], before_sending: BeforeSending) -> _Envelope:
        try:
            envelope = await self._http.submit(
                "/api/task/create", json=body, answer=_Envelope, before_sending=before_sending
            )
        except Refused as error:
            # no document says which HTTP status an error has
            if meaning := self._meaning(error.vendor_message, no=Refused):
                raise meaning from error
            raise
        if envelope.code != _SUCCESS:
            raise self._error_in(envelope, no=Refused, neither=OutcomeUnknown)
        return envelope

    async def _ask(self, path: str, body: Mapping[str, object], *, to_submit: bool = False) -> _Envelope:
        """Ask what can be asked again; ``to_submit``: for a submission, so that a no is a refusal of it."""
        no = Refused if to_submit else ContractBroken
        try:
            envelope = await self._http.ask(path, method="POST", json=body, answer=_Envelope, urgent=to_submit)
        except ContractBroken as error:
            if meaning := self._meaning(error.vendor_message, no=no):
                raise meaning from error
            raise
        if envelope.code != _SUCCESS:
            raise self._error_in(envelope, no=no, neither=ContractBroken)
        return envelope

    async def _upload(self, picture: Media) -> str:
        """Put a picture into the vendor's store; give the link that the vendor knows it by."""
        # nobody's own file name leaves, and no two pictures can get into each other's place
        name = f"{secrets.token_hex(16)}.{_ENDINGS[picture.content_type]}"
        place = await self._place(name, picture.content_type)
        form = UploadForm(place.upload_url.url, place.upload_url.fields)
        await self._http.upload(form, path=picture.path, filename=name, content_type=picture.content_type)
        return place.image_url

    async def _place(self, name: str, content_type: str) -> _Place:
        body = {"image_name": name, "content_type": content_type}
        try:
            place = _read(_Place, await self._ask("/api/task/pre_url", body, to_submit=True))
        except ContractBroken as error:
            raise _no_place(error.reason, error.vendor_message) from error
        if place is None:
            raise _no_place("pixwith answered without a form to upload to")
        return place

    def _error_in(
        self, envelope: _Envelope, *, no: type[Refused | ContractBroken], neither: type[ProviderError]
    ) -> ProviderError:
        """Tell what an envelope without success says; ``neither`` is for codes that no document has."""
        message = self._http.words_in({"message": envelope.message}).message
        if meaning := self._meaning(message, no=no):
            return meaning
        if envelope.code == _ERROR:
            return no("pixwith answered with an error", vendor_message=message)
        return neither(f"pixwith answered with an unknown code ({envelope.code})", vendor_message=message)

    def _meaning(self, message: str | None, *, no: type[Refused | ContractBroken]) -> ProviderError | None:
        """Find the error that a message stands for; None: it isn't one that we know. Only a submission is refused."""
        meaning = next((each for each in _MEANINGS if message and each.words.search(message)), None)
        if meaning is None:
            return None
        if meaning.kind is AuthFailed:
            return AuthFailed(meaning.reason, vendor_message=message)
        if meaning.kind is Refused and no is Refused:
            return Refused(meaning.reason, vendor_message=message, advice=meaning.advice)
        if meaning.kind is Refused:
            return no(meaning.reason, vendor_message=message)
        # the layer below sees this only where it is said by a 429
        self._http.budget.hold_for(DEFAULT_RETRY_AFTER)
        return Unavailable(meaning.reason, retry_after=DEFAULT_RETRY_AFTER, vendor_message=message)

    def _status_of(self, task: _Task, envelope: _Envelope) -> TaskStatus:
        match task.status:
            case _Status.COMPLETED:
                return _finished(task)
            case _Status.FAILED:
                # no reason is documented; should there be one some day, it is passed on
                return Rejected(reason=self._http.words_in(envelope.data).message or "")
            case _Status.PROCESSING:
                return Pending()
            case status:
                word = self._http.redact(status)
                if self._words_told.is_first(word):
                    logger.warning("pixwith: the status %r is not documented, taken as pending", word[:50])
                return Pending()


def request_options(request: GenerationRequest) -> Iterator[tuple[str, object]]:
    """Give the ``options`` of ``POST /api/task/create``; the vendor requires every one that a model has.

    Raises:
        Refused: something was asked for that the vendor has no option for.
    """
    _refuse_the_unknown(request)
    spec = request.model
    yield "prompt_optimization", spec.enhances_prompt if request.enhance_prompt is None else request.enhance_prompt
    yield "aspect_ratio", request.aspect_ratio or spec.default_aspect_ratio
    yield "resolution", request.resolution
    if not spec.fixed_duration:
        yield "duration", request.duration
    elif request.duration not in spec.durations:
        raise Refused(f"pixwith: the length of {spec.name} is fixed", advice=Text("Leave the duration out."))


def _refuse_the_unknown(request: GenerationRequest) -> None:
    """Refuse rather than drop what the vendor has no option for."""
    asked = {
        "negative prompt": (request.negative_prompt is not None, Text("Leave the negative prompt out.")),
        "seed": (request.seed is not None, Text("Leave the seed out.")),
        "video to continue": (request.video is not None, Text("Leave the video to continue out.")),
        "extra settings": (bool(request.parameters), Text("Leave the extra settings out.")),
    }
    for option, (is_asked, advice) in asked.items():
        if is_asked:
            raise Refused(f"pixwith: {request.model.name} has no {option}", advice=advice)


def _pictures(request: GenerationRequest) -> list[Media]:
    """The pictures in the order in which they are sent.

    Raises:
        Refused: their number doesn't fit the model, or the vendor's store takes none of their type.
    """
    pictures = [picture for picture in (request.image, request.last_image) if picture is not None]
    if request.mode not in request.model.modes or len(pictures) != _PICTURES.get(request.mode):
        raise Refused(f"pixwith: {request.model.name} can't start from so many pictures ({len(pictures)})")
    for picture in pictures:
        if picture.content_type not in _ENDINGS:
            raise Refused("pixwith: only PNG and JPEG can be uploaded", advice=Text("Attach a PNG or a JPEG."))
    return pictures


def _wire_id(model: ModelSpec) -> str:
    wire_id = _MODEL_IDS.get(model.id.removeprefix(f"{Pixwith.name}/"))
    if wire_id is None:
        raise Refused(f"pixwith: {model.id} is not one of its models")
    return wire_id


def _no_place(reason: str, vendor_message: str | None = None) -> Refused:
    """No picture can be handed over. No video was started, and another try would end in the same way."""
    return Refused(reason, vendor_message=vendor_message, advice=Text("Choose another model, or try again later."))


def _finished(task: _Task) -> Finished:
    # documented is a list; a text alone is taken, too
    link = first_link(task.result_urls)
    if link is None:
        raise ContractBroken("pixwith says completed, without a link to a video")
    return Finished(video_url=link)


def _read(kind: type[_D], envelope: _Envelope) -> _D | None:
    """Read what stands in the envelope; None when it isn't as documented."""
    try:
        return kind.model_validate(envelope.data)
    except ValidationError:
        return None
