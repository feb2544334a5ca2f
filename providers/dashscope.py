"""What Pixazo and Vtrix have from Alibaba's DashScope: how a request is written, and what its error codes mean. Pure.

Both vendors pass Alibaba's models through, and with them its field names and its faults. Sources:
https://www.alibabacloud.com/help/en/model-studio/error-code (codes) and
https://www.alibabacloud.com/help/en/model-studio/legacy-image-to-video-api-reference/ (fields, limits).

    code (upper and lower case, ``.``, ``_`` and ``-`` don't matter)      kind      submission    failed task
    DataInspectionFailed, IPInfringementSuspect                           CONTENT   Refused       Rejected
    InvalidParameter.DataInspection, InternalError.Algo.InvalidParameter,
    InvalidURL, InvalidFile.*                                             PICTURE   Refused       Rejected
    InvalidParameter, UnsupportedOperation                                OPTIONS   Refused       Rejected
    ModelNotFound                                                         MODEL     Refused       Rejected
    Arrearage, InvalidApiKey, AccessDenied*, Model.AccessDenied,
    AllocationQuota.FreeTierOnly                                          ACCOUNT   AuthFailed    AuthFailed, then
                                                                                                  Rejected
    Throttling*, insufficient_quota                                       BUSY      Unavailable   Rejected
    InternalError*                                                        FAULT     Refused       Rejected
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from providers.errors import AuthFailed, OutcomeUnknown, Refused, Unavailable
from providers.texts import Text
from providers.types import Rejected
from providers.vendor_words import VendorWords, vendor_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from providers.errors import ProviderError
    from providers.types import GenerationRequest, Media

#: Codes that mean "key or funds" whatever the HTTP status says, as Alibaba spells them.
AUTH_CODES = frozenset(
    {
        "Arrearage",
        "InvalidApiKey",
        "AccessDenied",
        "AccessDenied.Unpurchased",
        "Model.AccessDenied",
        "AllocationQuota.FreeTierOnly",
    }
)


class Kind(Enum):
    """What was wrong, as far as it changes what to do."""

    #: the filter's word on the prompt, the picture or the video
    CONTENT = auto()
    #: the picture couldn't be fetched or read
    PICTURE = auto()
    OPTIONS = auto()
    MODEL = auto()
    #: the vendor's own key or funds at Alibaba, or ours at the vendor
    ACCOUNT = auto()
    BUSY = auto()
    FAULT = auto()


#: What a member is told to do, one sentence or two for each kind.
ADVICE: Mapping[Kind, Text] = {
    Kind.CONTENT: Text("The provider's filter doesn't allow this. Change the prompt or the picture and try again."),
    Kind.PICTURE: Text(
        "The provider couldn't read the picture. Send it again or use another, or choose another model."
    ),
    Kind.OPTIONS: Text("The provider can't work with what it was asked for. Change the options or what you attached."),
    Kind.MODEL: Text("The provider doesn't offer this model at the moment. Choose another model."),
    Kind.ACCOUNT: Text("The provider can't be used at the moment; its operator knows. Choose another model."),
    Kind.BUSY: Text("The provider has too much to do. Try again in a few minutes, or choose another model."),
    Kind.FAULT: Text("The provider had a fault of its own. Try again, or choose another model."),
}

#: Normalised codes; one stands for all that begin with it, unless a longer one fits.
_CODES: Mapping[str, Kind] = {
    "datainspectionfailed": Kind.CONTENT,
    "ipinfringementsuspect": Kind.CONTENT,
    # its own servers timed out while they fetched the picture for the inspection
    "invalidparameterdatainspection": Kind.PICTURE,
    # "Failed to download multimodal content"
    "internalerroralgoinvalidparameter": Kind.PICTURE,
    "invalidurl": Kind.PICTURE,
    "invalidfile": Kind.PICTURE,
    "invalidparameter": Kind.OPTIONS,
    "unsupportedoperation": Kind.OPTIONS,
    "modelnotfound": Kind.MODEL,
    "arrearage": Kind.ACCOUNT,
    "invalidapikey": Kind.ACCOUNT,
    "accessdenied": Kind.ACCOUNT,
    "modelaccessdenied": Kind.ACCOUNT,
    "allocationquotafreetieronly": Kind.ACCOUNT,
    "throttling": Kind.BUSY,
    "insufficientquota": Kind.BUSY,
    "internalerror": Kind.FAULT,
}

#: What messages say where a code says little or is missing. None of them pauses a provider: a vendor may
#: quote the prompt.
_PHRASES: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(r"inappropriate content|data inspection|infringe"), Kind.CONTENT),
    (re.compile(r"model not (?:exist|found)|endpoint not found"), Kind.MODEL),
    (re.compile(r"rate limit exceeded|rate limited|too many requests"), Kind.BUSY),
    (re.compile(r"url error|download|img_url|frame_url|image (?:url|format|size|resolution|file)"), Kind.PICTURE),
    (re.compile(r"invalid (?:request )?param"), Kind.OPTIONS),
)
#: kinds that the message may know better
_VAGUE = (None, Kind.OPTIONS, Kind.FAULT)

#: ``Arrearage: …``, ``[Arrearage] …``, ``{"code": "Arrearage", …``
_LEADING_CODE = re.compile(r"\W*(?:code\W+)?([A-Za-z][\w.-]*)")
#: two words written as one, which no prose has: ``DataInspectionFailed``, ``data_inspection_failed``
_COMPOUND = re.compile(r"\b[A-Za-z]+(?:[a-z](?=[A-Z])|[._-](?=\w))[\w.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What a model's table has fields for. None: it has none for that."""

    image: str | None = None
    last_image: str | None = None
    #: ``size`` in place of ``resolution``
    has_size: bool = False
    has_negative_prompt: bool = True


def input_fields(request: GenerationRequest, wire: Wire) -> Iterator[tuple[str, object]]:
    """Give the texts of ``input``; what the request starts from is the vendor's to add.

    Raises:
        Refused: something was asked for that the table has no field for.
    """
    if request.prompt:
        yield "prompt", request.prompt
    if request.negative_prompt is not None:
        if not wire.has_negative_prompt:
            raise _no_field(request, "negative prompt")
        yield "negative_prompt", request.negative_prompt


def parameter_fields(request: GenerationRequest, wire: Wire) -> Iterator[tuple[str, object]]:
    """Give the fields of ``parameters``: size and duration always, the rest if it was asked for.

    Raises:
        Refused: something was asked for that the table has no field for.
    """
    if wire.has_size:
        yield "size", size_of(request)
    elif request.aspect_ratio is not None:
        raise _no_field(request, "aspect ratio")
    else:
        # members write 480p, Alibaba 480P
        yield "resolution", request.resolution.upper()
    yield "duration", request.duration
    if request.enhance_prompt is not None:
        yield "prompt_extend", request.enhance_prompt
    for key, value in request.parameters.items():
        if key != "watermark":
            raise _no_field(request, f"setting {key}")
        yield "watermark", value
    if request.seed is not None:
        yield "seed", request.seed


def pictures(request: GenerationRequest, wire: Wire) -> Mapping[str, Media]:
    """The pictures that the request starts from, by field.

    Raises:
        Refused: one is missing, or there is one that the table has no field for.
    """
    if request.video is not None:
        raise _no_field(request, "video")
    found: dict[str, Media] = {}
    for name, field, media in (
        ("image", wire.image, request.image),
        ("last image", wire.last_image, request.last_image),
    ):
        if field is None and media is not None:
            raise _no_field(request, name)
        if field is not None and media is None:
            raise Refused(f"{request.model.id} needs a {name}")
        if field is not None and media is not None:
            found[field] = media
    return found


def size_of(request: GenerationRequest) -> str:
    """The vendor's word for the size, as ``1920*1080``; raises ``Refused`` for a pair that it doesn't have."""
    shape = request.aspect_ratio or request.model.default_aspect_ratio
    size = request.model.sizes.get((request.resolution, shape))
    if size is None:
        raise Refused(f"{request.model.id} has no {shape} at {request.resolution}")
    return size


def kind_of(words: VendorWords, *, has_picture: bool = True) -> Kind | None:
    """Tell what a vendor means; None: nothing that is known.

    Args:
        words: the code, the message, or both; a code may stand in the message.
        has_picture: whether a picture went out, which a fault can be about.
    """
    kind = _kind_of_code(words.code) or _kind_in(words.message or "")
    if kind in _VAGUE:
        kind = _kind_of_phrase(words.message or "") or kind
    return Kind.OPTIONS if kind is Kind.PICTURE and not has_picture else kind


def refused(error: Refused, *, has_picture: bool) -> ProviderError:
    """Tell apart what an HTTP 4xx to a submission can mean, by the vendor's words."""
    words = VendorWords(error.vendor_code, error.vendor_message)
    kind = kind_of(words, has_picture=has_picture)
    return error if kind is None else _error_of(kind, error.reason, words)


def untaken(vendor: str, words: VendorWords, *, has_picture: bool) -> ProviderError:
    """Tell what an answer of success (HTTP 2xx) to a submission means that has no task in it.

    Only words that say what was wrong with the request are sure to have started nothing.
    """
    reason = f"{vendor} answered a submission without the id of a task"
    kind = kind_of(words, has_picture=has_picture)
    if kind in (None, Kind.FAULT):
        return OutcomeUnknown(reason, vendor_message=words.message, vendor_code=words.code)
    return _error_of(kind, reason, words)


def rejection(words: VendorWords, *, has_picture: bool) -> Rejected:
    """What a vendor's words on a failed task mean: it is over, and what the member can do."""
    kind = kind_of(words, has_picture=has_picture)
    return Rejected(reason=words.message or words.code or "", advice=None if kind is None else ADVICE[kind])


def _error_of(kind: Kind, reason: str, words: VendorWords) -> ProviderError:
    match kind:
        case Kind.ACCOUNT:
            return AuthFailed(reason, vendor_message=words.message, vendor_code=words.code)
        case Kind.BUSY:
            return Unavailable(reason, vendor_message=words.message, vendor_code=words.code)
        case _:
            advice = ADVICE[kind]
            return Refused(reason, vendor_message=words.message, vendor_code=words.code, advice=advice)


def _no_field(request: GenerationRequest, option: str) -> Refused:
    """Refuse rather than drop what the model has no field for."""
    return Refused(f"{request.model.id} has no {option}")


def _kind_of_code(code: str | None) -> Kind | None:
    normalised = re.sub(r"[._-]", "", (code or "").lower())
    fitting = [known for known in _CODES if normalised.startswith(known)]
    return _CODES[max(fitting, key=len)] if fitting else None


def _kind_in(message: str) -> Kind | None:
    """Find a code in a message: at its beginning, in the JSON that it is, or unmistakable in the middle.

    In the middle it may be part of a quoted prompt, so that it never pauses a provider.
    """
    leading = _LEADING_CODE.match(message)
    kind = _kind_of_code(leading and leading[1]) or _kind_of_code(vendor_words(message.encode()).code)
    if kind is not None:
        return kind
    kinds = (_kind_of_code(match[0]) for match in _COMPOUND.finditer(message))
    return next((kind for kind in kinds if kind not in (None, Kind.ACCOUNT)), None)


def _kind_of_phrase(message: str) -> Kind | None:
    lowered = message.lower()
    return next((kind for phrase, kind in _PHRASES if phrase.search(lowered)), None)
