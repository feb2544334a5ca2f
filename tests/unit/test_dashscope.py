from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from providers.catalogue import MODELS, PIXAZO_WAN_22_I2V_PLUS, PIXAZO_WAN_22_T2V_PLUS
from providers.dashscope import (
    ADVICE,
    AUTH_CODES,
    Kind,
    Wire,
    input_fields,
    kind_of,
    parameter_fields,
    pictures,
    refused,
    rejection,
    size_of,
    untaken,
)
from providers.errors import AuthFailed, OutcomeUnknown, ProviderError, Refused, Unavailable
from providers.options import OptionsRefused, Wish, check_options, shapes_at
from providers.types import GenerationRequest, Media, Mode, ModelSpec, Rejected
from providers.vendor_words import VendorWords

# Every row of Alibaba's table, and the other ways in which the same codes are written
CODES = [
    ("InvalidParameter", Kind.OPTIONS),
    ("InvalidParameter.DataInspection", Kind.PICTURE),
    ("InternalError.Algo.InvalidParameter", Kind.PICTURE),
    ("InvalidURL", Kind.PICTURE),
    ("InvalidFile.Format", Kind.PICTURE),
    ("InvalidFile.Size", Kind.PICTURE),
    ("DataInspectionFailed", Kind.CONTENT),
    ("data_inspection_failed", Kind.CONTENT),
    ("Data-Inspection-Failed", Kind.CONTENT),
    ("IPInfringementSuspect", Kind.CONTENT),
    ("Arrearage", Kind.ACCOUNT),
    ("UnsupportedOperation", Kind.OPTIONS),
    ("InvalidApiKey", Kind.ACCOUNT),
    ("AccessDenied", Kind.ACCOUNT),
    ("AccessDenied.Unpurchased", Kind.ACCOUNT),
    ("Model.AccessDenied", Kind.ACCOUNT),
    ("AllocationQuota.FreeTierOnly", Kind.ACCOUNT),
    ("ModelNotFound", Kind.MODEL),
    ("model_not_found", Kind.MODEL),
    ("Throttling", Kind.BUSY),
    ("Throttling.RateQuota", Kind.BUSY),
    ("Throttling.AllocationQuota", Kind.BUSY),
    ("insufficient_quota", Kind.BUSY),
    ("InternalError", Kind.FAULT),
    ("InternalError.Timeout", Kind.FAULT),
    ("internal_error", Kind.FAULT),
    ("Dreaming", None),
    ("", None),
    ("110001", None),
]
REACTIONS: dict[Kind | None, type[ProviderError]] = {
    Kind.CONTENT: Refused,
    Kind.PICTURE: Refused,
    Kind.OPTIONS: Refused,
    Kind.MODEL: Refused,
    Kind.FAULT: Refused,
    Kind.ACCOUNT: AuthFailed,
    Kind.BUSY: Unavailable,
    None: Refused,
}


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_each_code_has_its_kind(code: str, kind: Kind | None) -> None:
    assert kind_of(VendorWords(code, None)) is kind


@pytest.mark.parametrize(("code", "kind"), [(code, kind) for code, kind in CODES if kind is not None])
@pytest.mark.parametrize("message", ["{}", "{}: so it goes", "[{}] so", '{{"code":"{}","message":"x"}}', "code: {}"])
def test_a_code_is_found_in_a_message(code: str, kind: Kind, message: str) -> None:
    assert kind_of(VendorWords("110001", message.format(code))) is kind
    assert kind_of(VendorWords(None, message.format(code))) is kind


def test_a_code_is_found_in_json_wherever_it_stands_there() -> None:
    message = '{"request_id": "r", "message": "overdue", "code": "Arrearage"}'
    assert kind_of(VendorWords(None, message)) is Kind.ACCOUNT


@pytest.mark.parametrize(("code", "kind"), [row for row in CODES if "Failed" in row[0] or "." in row[0]])
def test_in_the_middle_of_a_message_only_what_pauses_nobody_is_believed(code: str, kind: Kind) -> None:
    found = kind_of(VendorWords(None, f"the vendor said {code}, so it goes"))
    assert found is (None if kind is Kind.ACCOUNT else kind)


@pytest.mark.parametrize("prompt", ["Arrearage", "InvalidApiKey", "code: AccessDenied.Unpurchased"])
def test_a_quoted_prompt_pauses_no_provider(prompt: str) -> None:
    assert kind_of(VendorWords("InvalidParameter", f'bad prompt "{prompt}"')) is Kind.OPTIONS
    assert kind_of(VendorWords(None, f'the prompt "{prompt}" is no good')) is not Kind.ACCOUNT


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (None, "Input data may contain inappropriate content.", Kind.CONTENT),
        ("InvalidParameter", "Output data may contain inappropriate content", Kind.CONTENT),
        ("InvalidParameter", "Model not exist.", Kind.MODEL),
        ("InvalidParameter", "url error, please check url!", Kind.PICTURE),
        ("InternalError.Algo", "Failed to download multimodal content", Kind.PICTURE),
        ("InvalidParameter", "prompt is too long", Kind.OPTIONS),
        (None, "Endpoint not found", Kind.MODEL),
        (None, "Invalid request parameters", Kind.OPTIONS),
        (None, "Invalid parameters", Kind.OPTIONS),
        ("1002", "rate limited", Kind.BUSY),
        (None, "Rate limit exceeded, please retry later", Kind.BUSY),
        # the code is sure of itself
        ("DataInspectionFailed", "failed to download", Kind.CONTENT),
        (None, "Access denied for this operation", None),
        (None, "A fox", None),
        (None, None, None),
    ],
)
def test_the_message_tells_where_the_code_says_little(code: str | None, message: str | None, kind: Kind | None) -> None:
    assert kind_of(VendorWords(code, message)) is kind


def test_a_fault_of_the_picture_needs_a_picture() -> None:
    words = VendorWords("InternalError.Algo.InvalidParameter", "range of input")
    assert kind_of(words) is Kind.PICTURE
    assert kind_of(words, has_picture=False) is Kind.OPTIONS


@pytest.mark.parametrize("code", sorted(AUTH_CODES))
def test_the_codes_that_http_stops_at_are_those_of_an_account(code: str) -> None:
    assert kind_of(VendorWords(code, None)) is Kind.ACCOUNT


# Reactions


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_each_refused_submission_has_its_reaction(code: str, kind: Kind | None) -> None:
    error = refused(Refused("400", vendor_message="words", vendor_code=code), has_picture=True)
    assert type(error) is REACTIONS[kind]
    assert (error.vendor_message, error.vendor_code) == ("words", code)
    if isinstance(error, Refused):
        assert error.advice == (None if kind is None else ADVICE[kind])


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_an_answer_without_a_task_is_only_sure_where_the_request_was_at_fault(code: str, kind: Kind | None) -> None:
    error = untaken("vendor", VendorWords(code, "words"), has_picture=True)
    assert type(error) is (OutcomeUnknown if kind in (None, Kind.FAULT) else REACTIONS[kind])
    assert (error.vendor_message, error.vendor_code) == ("words", code)


@pytest.mark.parametrize(("code", "kind"), CODES)
def test_each_failed_task_has_its_advice(code: str, kind: Kind | None) -> None:
    advice = None if kind is None else ADVICE[kind]
    assert rejection(VendorWords(code, "words"), has_picture=True) == Rejected(reason="words", advice=advice)


def test_a_failed_task_is_told_by_its_code_or_not_at_all() -> None:
    assert rejection(VendorWords("Dreaming"), has_picture=True) == Rejected(reason="Dreaming")
    assert rejection(VendorWords(), has_picture=True) == Rejected(reason="")


def test_every_kind_has_an_advice_that_says_what_to_do() -> None:
    assert set(ADVICE) == set(Kind)
    verbs = ("Change", "Choose", "choose", "Try", "Send")
    assert all(any(verb in advice for verb in verbs) and len(advice) <= 120 for advice in ADVICE.values())


# Requests

PICTURE = Media(path=Path("p.png"), content_type="image/png", url="https://cdn.test/p.png")
TEXT = GenerationRequest(model=PIXAZO_WAN_22_T2V_PLUS, mode=Mode.TEXT, prompt="a cat", resolution="1080p", duration=5)
IMAGE = GenerationRequest(
    model=PIXAZO_WAN_22_I2V_PLUS, mode=Mode.IMAGE, prompt="a cat", resolution="480p", duration=5, image=PICTURE
)
SIZED, FRAMED = Wire(has_size=True), Wire(image="img_url", has_negative_prompt=False)


def test_what_nobody_asked_for_is_not_sent() -> None:
    assert dict(input_fields(TEXT, SIZED)) == {"prompt": "a cat"}
    assert dict(parameter_fields(TEXT, SIZED)) == {"size": "1920*1080", "duration": 5}
    assert dict(input_fields(replace(IMAGE, prompt=""), FRAMED)) == {}
    assert dict(parameter_fields(IMAGE, FRAMED)) == {"resolution": "480P", "duration": 5}
    assert pictures(TEXT, SIZED) == {}
    assert pictures(IMAGE, FRAMED) == {"img_url": PICTURE}


@pytest.mark.parametrize(
    ("request_", "wire"),
    [
        (replace(IMAGE, aspect_ratio="1:1"), FRAMED),
        (replace(IMAGE, negative_prompt="blur"), FRAMED),
        (replace(IMAGE, last_image=PICTURE), FRAMED),
        (replace(IMAGE, video=PICTURE), FRAMED),
        (replace(IMAGE, image=None), FRAMED),
        (replace(IMAGE, parameters={"steps": 40}), FRAMED),
        (replace(TEXT, image=PICTURE), SIZED),
        (replace(TEXT, resolution="480p", aspect_ratio="4:3"), SIZED),
        (replace(TEXT, resolution="720p"), SIZED),
    ],
)
def test_what_has_no_field_is_refused_and_not_dropped(request_: GenerationRequest, wire: Wire) -> None:
    with pytest.raises(Refused):
        list(chain(input_fields(request_, wire), parameter_fields(request_, wire), pictures(request_, wire)))


SIZED_MODELS = [spec for spec in MODELS if spec.sizes]


@pytest.mark.parametrize("spec", SIZED_MODELS, ids=lambda spec: spec.id)
def test_every_size_can_be_asked_for_and_every_resolution_has_the_usual_shape(spec: ModelSpec) -> None:
    assert all(lines in spec.resolutions and shape in spec.aspect_ratios for lines, shape in spec.sizes)
    assert all((lines, spec.default_aspect_ratio) in spec.sizes for lines in spec.resolutions)
    assert all(any((lines, shape) in spec.sizes for lines in spec.resolutions) for shape in spec.aspect_ratios)
    assert len(set(spec.sizes.values())) == len(spec.sizes)


@pytest.mark.parametrize(("pair", "size"), PIXAZO_WAN_22_T2V_PLUS.sizes.items())
def test_each_size_has_the_shape_that_it_stands_for(pair: tuple[str, str], size: str) -> None:
    resolution, shape = pair
    assert size_of(replace(TEXT, resolution=resolution, aspect_ratio=shape)) == size
    width, height = (int(side) for side in size.split("*"))
    across, down = (int(part) for part in shape.split(":"))
    assert width / height == pytest.approx(across / down, rel=0.03)


# A shape that the chosen resolution lacks is refused before the hold


def problem(spec_wish: Wish, **limits: str) -> tuple[str, str]:
    with pytest.raises(OptionsRefused) as caught:
        check_options(PIXAZO_WAN_22_T2V_PLUS, spec_wish, max_resolution=limits.get("most"))
    ((option, message),) = [(each.option, each.message) for each in caught.value.problems]
    return option, message


def test_a_shape_that_the_resolution_lacks_is_refused_with_what_there_is() -> None:
    assert problem(Wish(prompt="p", resolution="480p", aspect_ratio="4:3")) == (
        "aspect_ratio",
        "Wan 2.2 Text to Video Plus (Pixazo) has no 4:3 at 480p; choose 16:9, 9:16 or 1:1, or 1080p for 4:3.",
    )


def test_what_the_community_does_not_allow_is_not_suggested() -> None:
    expected = "Wan 2.2 Text to Video Plus (Pixazo) has no 3:4 at 480p; choose 16:9, 9:16 or 1:1."
    assert problem(Wish(prompt="p", aspect_ratio="3:4"), most="720p") == ("aspect_ratio", expected)


def test_a_resolution_that_there_is_not_is_told_alone() -> None:
    assert problem(Wish(prompt="p", resolution="720p", aspect_ratio="4:3"))[0] == "resolution"
    assert problem(Wish(prompt="p", aspect_ratio="4:3"), most="360p")[0] == "resolution"


def test_a_shape_that_the_resolution_has_is_accepted() -> None:
    options = check_options(PIXAZO_WAN_22_T2V_PLUS, Wish(prompt="p", aspect_ratio="4:3"))
    assert (options.resolution, options.aspect_ratio) == ("1080p", "4:3")
    assert shapes_at(PIXAZO_WAN_22_T2V_PLUS, "480p") == ("16:9", "9:16", "1:1")
    assert shapes_at(MODELS[0], "480p") == MODELS[0].aspect_ratios
