from __future__ import annotations

import base64
import dataclasses
import logging
import traceback
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import aiohttp
import httpx
import pytest

from providers.catalogue import MODELS
from providers.catalogue import VTRIX_WAN_22_I2V_FLASH as I2V
from providers.catalogue import VTRIX_WAN_22_T2V_PLUS as T2V
from providers.dashscope import ADVICE, Kind
from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, ProviderError, Refused, Unavailable
from providers.registry import Registry
from providers.statuses import UnknownTask
from providers.types import (
    Cost,
    CostUnit,
    Finished,
    GenerationRequest,
    ImageStrategy,
    Media,
    Mode,
    ModelSpec,
    Pending,
    Rejected,
)
from providers.vtrix import Vtrix, find_video, request_body
from tests.imitations import vtrix as faults
from tests.imitations.vendor import (
    CUT,
    REDIRECT,
    Fault,
    Route,
    small_picture,
    small_video,
)
from tests.imitations.vtrix import (
    SUBMIT_PATH,
    VtrixImitation,
    body_fault_of,
    content_fault,
    error_fault,
    flat_content,
    unwrapped_content,
)

KEY = "vtrix_contract_test_key"
PICTURE = small_picture()
VTRIX_MODELS = [T2V, I2V]
Shape = Literal["flat", "wrapped"]


@pytest.fixture
async def vendor() -> AsyncIterator[VtrixImitation]:
    async with VtrixImitation(key=KEY) as imitation:
        yield imitation


@pytest.fixture
async def provider(vendor: VtrixImitation) -> AsyncIterator[Vtrix]:
    vtrix = Vtrix.connect(api_key=KEY, base_url=vendor.base_url, requests_per_minute=None)
    yield vtrix
    await vtrix.close()


@pytest.fixture
def first(tmp_path: Path) -> Media:
    return stored(tmp_path, PICTURE)


def stored(folder: Path, content: bytes, content_type: str = "image/png") -> Media:
    path = folder / "picture"
    path.write_bytes(content)
    return Media(path=path, content_type=content_type)


TEXT = GenerationRequest(model=T2V, mode=Mode.TEXT, prompt="a cat", resolution="1080p", duration=5)


def text(**options: Any) -> GenerationRequest:
    return dataclasses.replace(TEXT, **options)


def image(first: Media, **options: Any) -> GenerationRequest:
    asked = GenerationRequest(model=I2V, mode=Mode.IMAGE, prompt="a cat", resolution="720p", duration=5, image=first)
    return dataclasses.replace(asked, **options)


async def submitted(provider: Vtrix, vendor: VtrixImitation, asked: GenerationRequest = TEXT) -> str:
    submission = await provider.submit(asked)
    assert vendor.submissions[-1].job_id == submission.task_id
    return submission.task_id


def assert_no_secret(error: BaseException, secret: str = KEY) -> None:
    link: BaseException | None = error
    assert secret not in "".join(traceback.format_exception(error))
    while link is not None:
        assert secret not in f"{link!r} {vars(link)}"
        link = link.__cause__ or link.__context__


# What is sent


async def test_a_text_goes_out_with_size_and_duration_only(provider: Vtrix, vendor: VtrixImitation) -> None:
    await submitted(provider, vendor)
    assert vendor.submissions[0].body == {
        "model": "wan22_t2v_plus",
        "input": {"prompt": "a cat"},
        "parameters": {"size": "1920*1080", "duration": 5},
    }
    assert [call.path for call in vendor.calls] == [SUBMIT_PATH]


async def test_a_picture_goes_inside_the_request(provider: Vtrix, vendor: VtrixImitation, first: Media) -> None:
    await submitted(provider, vendor, image(first))
    (seen,) = vendor.submissions
    assert seen.body == {
        "model": "wan22_i2v_flash",
        "input": {"prompt": "a cat", "img_url": f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"},
        "parameters": {"resolution": "720P", "duration": 5},
    }
    assert seen.media == {"img_url": PICTURE}


async def test_wrapped_is_the_same_one_level_deeper(vendor: VtrixImitation, first: Media) -> None:
    vendor.body_shape = "wrapped"
    wrapping = Vtrix.connect(api_key=KEY, base_url=vendor.base_url, body_shape="wrapped", requests_per_minute=None)
    await submitted(wrapping, vendor, text(seed=1))
    await submitted(wrapping, vendor, image(first))
    params = {"input": {"prompt": "a cat"}, "parameters": {"size": "1920*1080", "duration": 5, "seed": 1}}
    assert vendor.submissions[0].body == {"model": "wan22_t2v_plus", "input": [{"params": params}]}
    assert vendor.submissions[1].media == {"img_url": PICTURE}
    await wrapping.close()


@pytest.mark.parametrize("shape", ["flat", "wrapped"])
async def test_the_other_shape_is_refused_and_not_tried(provider: Vtrix, vendor: VtrixImitation, shape: Any) -> None:
    vendor.body_shape = "wrapped" if shape == "flat" else "flat"
    other = Vtrix.connect(api_key=KEY, base_url=vendor.base_url, body_shape=shape)
    with pytest.raises(Refused):
        await other.submit(text())
    assert vendor.count(Route.SUBMIT) == 1
    await other.close()


#: option, where its field is, the field
OPTIONS: list[tuple[dict[str, Any], str, dict[str, object]]] = [
    ({"prompt": "a dog"}, "input", {"prompt": "a dog"}),
    ({"enhance_prompt": True}, "parameters", {"prompt_extend": True}),
    ({"enhance_prompt": False}, "parameters", {"prompt_extend": False}),
    ({"parameters": {"watermark": True}}, "parameters", {"watermark": True}),
    ({"parameters": {"watermark": False}}, "parameters", {"watermark": False}),
    ({"seed": 0}, "parameters", {"seed": 0}),
    ({"seed": 2147483647}, "parameters", {"seed": 2147483647}),
]
OPTIONS_T2V: list[tuple[dict[str, Any], str, dict[str, object]]] = [
    *OPTIONS,
    ({"negative_prompt": "blur"}, "input", {"negative_prompt": "blur"}),
    ({"resolution": "480p"}, "parameters", {"size": "832*480"}),
    ({"aspect_ratio": "9:16"}, "parameters", {"size": "1080*1920"}),
]
OPTIONS_I2V: list[tuple[dict[str, Any], str, dict[str, object]]] = [
    *OPTIONS,
    ({"resolution": "480p"}, "parameters", {"resolution": "480P"}),
]


@pytest.mark.parametrize(("option", "place", "field"), OPTIONS_T2V)
async def test_each_option_from_text_changes_its_own_field(
    provider: Vtrix, vendor: VtrixImitation, *, option: dict[str, Any], place: str, field: dict[str, object]
) -> None:
    await submitted(provider, vendor, text())
    await submitted(provider, vendor, text(**option))
    assert_differs_in(vendor, place, field)


@pytest.mark.parametrize(("option", "place", "field"), OPTIONS_I2V)
async def test_each_option_from_a_picture_changes_its_own_field(
    provider: Vtrix,
    vendor: VtrixImitation,
    first: Media,
    *,
    option: dict[str, Any],
    place: str,
    field: dict[str, object],
) -> None:
    await submitted(provider, vendor, image(first))
    await submitted(provider, vendor, image(first, **option))
    assert_differs_in(vendor, place, field)


def assert_differs_in(vendor: VtrixImitation, place: str, field: dict[str, object]) -> None:
    without, with_option = (submission.body for submission in vendor.submissions)
    before: Any = without[place]
    assert with_option == without | {place: before | field}
    assert with_option != without


SIZES = {
    ("480p", "16:9"): "832*480",
    ("480p", "9:16"): "480*832",
    ("480p", "1:1"): "624*624",
    ("1080p", "16:9"): "1920*1080",
    ("1080p", "9:16"): "1080*1920",
    ("1080p", "1:1"): "1440*1440",
    ("1080p", "4:3"): "1632*1248",
    ("1080p", "3:4"): "1248*1632",
}


@pytest.mark.parametrize(("pair", "size"), SIZES.items())
async def test_every_size_of_the_list_is_sent_and_taken(
    provider: Vtrix, vendor: VtrixImitation, pair: tuple[str, str], size: str
) -> None:
    resolution, shape = pair
    await submitted(provider, vendor, text(resolution=resolution, aspect_ratio=shape))
    sent: Any = vendor.submissions[0].body["parameters"]
    assert sent == {"size": size, "duration": 5}


def test_there_is_no_other_size() -> None:
    assert T2V.sizes == SIZES


@pytest.mark.parametrize("shape", ["flat", "wrapped"])
@pytest.mark.parametrize("model", VTRIX_MODELS, ids=lambda model: model.id)
def test_all_that_the_catalogue_offers_is_accepted(model: ModelSpec, shape: Shape, first: Media) -> None:
    asked = GenerationRequest(
        model=model,
        mode=model.modes[0],
        prompt="p" * (model.prompt_limit or 0),
        negative_prompt="n" * (model.negative_prompt_limit or 0) if model.has_negative_prompt else None,
        resolution=model.resolutions[-1],
        duration=model.durations[-1],
        aspect_ratio=model.aspect_ratios[-1] if model.aspect_ratio_modes else None,
        seed=model.max_seed,
        enhance_prompt=True,
        parameters={each.key: each.default for each in model.parameters},
        image=None if model is T2V else first,
    )
    pictures = {} if model is T2V else {"img_url": "data:image/png;base64,AAAA"}
    body = request_body(asked, pictures=pictures, shape=shape)
    content = (flat_content if shape == "flat" else unwrapped_content)(body)
    assert content is not None
    assert content_fault(model.id.removeprefix("vtrix/"), content) is None


@pytest.mark.parametrize(
    "content",
    [
        small_picture((359, 400)),
        small_picture((400, 2001)),
        small_picture(mode="RGBA"),
        small_picture(kind="GIF"),
        small_video(),
    ],
)
async def test_a_picture_that_can_not_be_used_is_refused_with_what_to_do(
    provider: Vtrix, vendor: VtrixImitation, tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(Refused) as caught:
        await provider.submit(image(stored(tmp_path, content)))
    assert caught.value.advice == ADVICE[Kind.PICTURE]
    assert not vendor.jobs


async def test_a_picture_that_is_gone_is_refused_and_never_sent(
    provider: Vtrix, vendor: VtrixImitation, first: Media
) -> None:
    first.path.unlink()
    with pytest.raises(Refused, match="FileNotFoundError"):
        await provider.submit(image(first))
    assert not vendor.calls


async def test_a_large_picture_gets_through(provider: Vtrix, vendor: VtrixImitation, tmp_path: Path) -> None:
    large = small_picture((1800, 1800), kind="BMP")
    assert 9_000_000 < len(large) < 10_000_000
    await submitted(provider, vendor, image(stored(tmp_path, large, "image/bmp")))
    assert vendor.submissions[0].media == {"img_url": large}


SOME = Media(path=Path("first.png"), content_type="image/png")
NO_FIELD: list[GenerationRequest] = [
    text(image=SOME),
    text(last_image=SOME),
    text(video=SOME),
    text(resolution="480p", aspect_ratio="4:3"),
    text(resolution="720p"),
    text(parameters={"steps": 30}),
    text(model=dataclasses.replace(T2V, id="vtrix/other")),
    image(SOME, image=None),
    image(SOME, last_image=SOME),
]
NO_FIELD_WITH_PICTURE: list[dict[str, Any]] = [
    {"negative_prompt": "blur"},
    {"aspect_ratio": "16:9"},
    {"parameters": {"fps": 24}},
]


@pytest.mark.parametrize("request_", NO_FIELD)
async def test_what_has_no_field_is_refused_and_never_sent(
    provider: Vtrix, vendor: VtrixImitation, request_: GenerationRequest
) -> None:
    with pytest.raises(Refused, match="vtrix"):
        await provider.submit(request_)
    assert not vendor.calls


@pytest.mark.parametrize("option", NO_FIELD_WITH_PICTURE)
async def test_what_has_no_field_beside_a_picture_is_refused_and_never_sent(
    provider: Vtrix, vendor: VtrixImitation, first: Media, option: dict[str, Any]
) -> None:
    with pytest.raises(Refused, match="vtrix"):
        await provider.submit(image(first, **option))
    assert not vendor.calls


# What a task becomes


@pytest.mark.parametrize("shape", ["list", "object"])
async def test_a_task_from_its_start_to_its_video(provider: Vtrix, vendor: VtrixImitation, shape: Any) -> None:
    vendor.output_shape = shape
    task_id = await submitted(provider, vendor)
    assert await provider.status(task_id, T2V) == Pending()
    vendor.finish(task_id, after_polls=1)
    vendor.progress = 0.35
    assert await provider.status(task_id, T2V) == Pending(0.35)
    finished = await provider.status(task_id, T2V)
    assert isinstance(finished, Finished)
    assert finished.cost == Cost(Decimal("0.50"), CostUnit.USD)
    async with aiohttp.ClientSession() as session, session.get(finished.video_url) as response:
        assert await response.read() == small_video()
    assert vendor.calls[1].path == f"/model/v1/generation/task/{task_id}"


def answers(**fields: object) -> Fault:
    return body_fault_of(200, fields)


@pytest.mark.parametrize(
    ("told", "progress"),
    [(0, 0.0), (0.35, 0.35), (1, 1.0), ("0.5", 0.5), (35, None), (-1, None), ("half", None), (None, None), ([], None)],
)
async def test_how_far_a_task_is(provider: Vtrix, vendor: VtrixImitation, told: object, progress: float | None) -> None:
    vendor.fault_next(Route.STATUS, answers(id="1", status="in_progress", progress=told))
    assert await provider.status("1", T2V) == Pending(progress)


@pytest.mark.parametrize("word", ["in_progress", "In_Progress", "pending", "queued", "in_queue", "processing"])
async def test_words_for_work(
    provider: Vtrix, vendor: VtrixImitation, caplog: pytest.LogCaptureFixture, word: str
) -> None:
    vendor.fault_next(Route.STATUS, answers(status=word), answers(output={"status": word}))
    assert await provider.status("1", T2V) == Pending()
    assert await provider.status("1", T2V) == Pending()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_word_that_nobody_knows_is_pending_and_told_once(
    provider: Vtrix, vendor: VtrixImitation, caplog: pytest.LogCaptureFixture
) -> None:
    task_id = await submitted(provider, vendor)
    for word in ("dreaming", "Dreaming", "floating", "dreaming"):
        vendor.say(task_id, word)
        assert await provider.status(task_id, T2V) == Pending()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [("dreaming" in line, "floating" in line) for line in told] == [(True, False), (False, True)]


FAILURES: list[tuple[object, str, Kind | None]] = [
    ("no cats", "no cats", None),
    ({"message": "no cats"}, "no cats", None),
    ({"code": "x", "message": "no cats"}, "no cats", None),
    ({"code": 110001, "message": "vendor rejected"}, "vendor rejected", None),
    ({"code": "002014001", "error_message": "video generation failed"}, "video generation failed", None),
    ({"code": 110001, "error_message": "m"}, "m", None),
    ({"code": 1002, "message": "m"}, "m", Kind.BUSY),
    ({"code": "DataInspectionFailed", "message": "m"}, "m", Kind.CONTENT),
    ({"code": 110001, "message": "DataInspectionFailed: m"}, "DataInspectionFailed: m", Kind.CONTENT),
    ({"code": 110001, "message": "vendor says InvalidParameter"}, "vendor says InvalidParameter", Kind.OPTIONS),
    ({"code": "Throttling.AllocationQuota", "message": "m"}, "m", Kind.BUSY),
    ({"code": "InternalError", "message": "m"}, "m", Kind.FAULT),
    ({"code": "ModelNotFound"}, "ModelNotFound", Kind.MODEL),
    (f"bad key {KEY}", "bad key [secret]", None),
    ("bad data:image/png;base64,AAAA+/==", "bad [picture]", None),
    ({}, "", None),
    ([], "", None),
    (None, "", None),
]


@pytest.mark.parametrize(("error", "reason", "kind"), FAILURES)
async def test_a_task_that_failed(
    provider: Vtrix, vendor: VtrixImitation, *, error: object, reason: str, kind: Kind | None
) -> None:
    task_id = await submitted(provider, vendor)
    vendor.fail(task_id, error)
    expected = Rejected(reason=reason, advice=None if kind is None else ADVICE[kind])
    assert await provider.status(task_id, T2V) == expected


async def test_a_fault_of_the_picture_needs_a_picture(provider: Vtrix, vendor: VtrixImitation, first: Media) -> None:
    error = {"code": "InvalidParameter.DataInspection", "message": "m"}
    task_id = await submitted(provider, vendor, image(first))
    vendor.fail(task_id, error)
    assert await provider.status(task_id, I2V) == Rejected(reason="m", advice=ADVICE[Kind.PICTURE])
    assert await provider.status(task_id, T2V) == Rejected(reason="m", advice=ADVICE[Kind.OPTIONS])


async def test_a_task_that_failed_for_want_of_funds_pauses_the_provider_and_then_ends(
    provider: Vtrix, vendor: VtrixImitation
) -> None:
    task_id = await submitted(provider, vendor)
    vendor.fail(task_id, {"code": 110001, "message": "Arrearage: overdue"})
    with pytest.raises(AuthFailed, match="overdue"):
        await provider.status(task_id, T2V)
    again = await provider.status(task_id, T2V)
    assert again == Rejected(reason="Arrearage: overdue", advice=ADVICE[Kind.ACCOUNT])


LINK = "https://vtrix.test/1.mp4"
IMAGE_FILE = {"type": "image", "url": "https://vtrix.test/1.png"}
VIDEO_FILE = {"type": "video", "url": LINK, "jobId": "upstream"}


@pytest.mark.parametrize(
    "output",
    [
        [{"content": [VIDEO_FILE]}],
        [{"content": [IMAGE_FILE, VIDEO_FILE]}],
        [{"content": [IMAGE_FILE]}, {"content": [VIDEO_FILE]}],
        [{"content": []}, {"content": [VIDEO_FILE]}],
        [{"content": VIDEO_FILE}],
        [{"content": [{"url": LINK}]}],
        [{"content": [{"type": "VIDEO", "url": [LINK]}]}],
        {"content": [VIDEO_FILE]},
        [VIDEO_FILE],
        VIDEO_FILE,
        {"status": "done", "video_url": LINK},
        [LINK],
        LINK,
    ],
)
async def test_where_the_link_of_a_video_may_stand(provider: Vtrix, vendor: VtrixImitation, output: Any) -> None:
    assert find_video(output) == LINK
    vendor.fault_next(Route.STATUS, answers(id="1", status="completed", output=output, unknown={"field": [1]}))
    assert await provider.status("1", T2V) == Finished(video_url=LINK)


@pytest.mark.parametrize(
    "output",
    [
        None,
        {},
        [],
        "text",
        [{"content": []}],
        [{"content": [IMAGE_FILE]}],
        [{"content": [{"type": "video", "url": "file:///etc/passwd"}]}],
        [{"content": [{"type": "video", "url": 5}]}],
        [{"content": "text"}],
        [None, 5],
    ],
)
async def test_completed_without_a_link_breaks_the_contract(
    provider: Vtrix, vendor: VtrixImitation, output: object
) -> None:
    vendor.fault_next(Route.STATUS, answers(id="1", status="completed", output=output))
    with pytest.raises(ContractBroken, match="link"):
        await provider.status("1", T2V)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"cost": "0.0065", "discount": 1}, Decimal("0.0065")),
        ({"cost": "0"}, Decimal(0)),
        ({"cost": 0.5}, Decimal("0.5")),
        ({"cost": "-1"}, None),
        ({"cost": "NaN"}, None),
        ({"cost": "Infinity"}, None),
        ({"cost": "1e999999"}, None),
        ({"cost": "1e-999999"}, None),
        ({"cost": "much"}, None),
        ({"cost": None}, None),
        ({"quantity": 1}, None),
        ("0.5", None),
        (None, None),
    ],
)
async def test_what_a_video_cost(provider: Vtrix, vendor: VtrixImitation, usage: object, cost: Decimal | None) -> None:
    vendor.fault_next(Route.STATUS, answers(status="completed", output=VIDEO_FILE, usage=usage))
    expected = None if cost is None else Cost(cost, CostUnit.USD)
    assert await provider.status("1", T2V) == Finished(video_url=LINK, cost=expected)


async def test_a_forgotten_task_is_unknown(provider: Vtrix, vendor: VtrixImitation) -> None:
    task_id = await submitted(provider, vendor)
    vendor.forget(task_id)
    with pytest.raises(UnknownTask, match="unknown"):
        await provider.status(task_id, T2V)


@pytest.mark.parametrize("task_id", ["1/../../x", "a b", "a?b=c#d", "%2e%2e", "../x", "schön"])
async def test_whatever_an_id_holds_stays_one_part_of_the_path(task_id: str) -> None:
    seen: list[bytes] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200, json={"status": "in_progress"})

    client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
    vtrix = Vtrix.connect(api_key=KEY, base_url="https://vendor.test/gate", client=client)
    assert await vtrix.status(task_id, T2V) == Pending()
    assert httpx.URL("https://x" + seen[0].decode()).path == f"/gate/model/v1/generation/task/{task_id}"
    assert not set(b"/?#") & set(seen[0].removeprefix(b"/gate/model/v1/generation/task/"))


@pytest.mark.parametrize("task_id", ["", ".", ".."])
async def test_an_id_that_can_not_be_asked_for(provider: Vtrix, vendor: VtrixImitation, task_id: str) -> None:
    with pytest.raises(ContractBroken):
        await provider.status(task_id, T2V)
    assert not vendor.calls


# What goes wrong


@pytest.mark.parametrize(
    ("fault", "kind", "job_runs"),
    [
        (faults.NO_ID, OutcomeUnknown, True),
        (body_fault_of(504, {"error": {"code": "SYNC_TIMEOUT", "message": "m"}}), OutcomeUnknown, False),
        (body_fault_of(200, {"id": " "}), OutcomeUnknown, False),
        (body_fault_of(200, {"id": 5}), OutcomeUnknown, False),
        (body_fault_of(200, {"error": f"odd {KEY}"}), OutcomeUnknown, False),
        (error_fault(200, 110001, "vendor rejected"), OutcomeUnknown, False),
        (error_fault(200, 110001, "DataInspectionFailed"), Refused, False),
        (error_fault(200, 1002, "so"), Unavailable, False),
        (error_fault(200, "Arrearage", "so"), AuthFailed, False),
        (error_fault(400, 1002, "rate limited"), Unavailable, False),
        (error_fault(400, "Arrearage", "overdue"), AuthFailed, False),
        (faults.BAD_REQUEST_AS_TEXT, Refused, False),
        (faults.BAD_REQUEST_AS_MESSAGE, Refused, False),
        (error_fault(400, "DataInspectionFailed", "m"), Refused, False),
        (Fault(status=400, body=b"<html>"), Refused, False),
    ],
)
async def test_a_submission_that_goes_wrong(
    provider: Vtrix,
    vendor: VtrixImitation,
    *,
    fault: Fault,
    kind: type[ProviderError],
    job_runs: bool,
) -> None:
    vendor.fault_next(Route.SUBMIT, fault)
    with pytest.raises(ProviderError) as caught:
        await provider.submit(text())
    assert type(caught.value) is kind
    assert_no_secret(caught.value)
    assert bool(vendor.jobs) is job_runs
    assert vendor.count(Route.SUBMIT) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.NOT_FOUND, Kind.MODEL),
        (error_fault(400, "DataInspectionFailed", "m"), Kind.CONTENT),
        (error_fault(400, 110001, "DataInspectionFailed: m"), Kind.CONTENT),
        (error_fault(400, "InvalidParameter", "m"), Kind.OPTIONS),
        (body_fault_of(400, {"error": "InvalidParameter: m"}), Kind.OPTIONS),
        (body_fault_of(400, {"message": "IPInfringementSuspect"}), Kind.CONTENT),
        (faults.BAD_REQUEST_AS_TEXT, None),
    ],
)
async def test_a_refusal_says_what_to_do(
    provider: Vtrix, vendor: VtrixImitation, fault: Fault, kind: Kind | None
) -> None:
    vendor.fault_next(Route.SUBMIT, fault)
    with pytest.raises(Refused) as caught:
        await provider.submit(text())
    assert caught.value.advice == (None if kind is None else ADVICE[kind])
    assert caught.value.vendor_message


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.NOT_FOUND, UnknownTask),
        (answers(id="1"), ContractBroken),
        (answers(status=5), ContractBroken),
        (error_fault(400, "Arrearage", "overdue"), AuthFailed),
    ],
)
async def test_a_look_at_a_task_that_goes_wrong(
    provider: Vtrix, vendor: VtrixImitation, fault: Fault, kind: type[ProviderError]
) -> None:
    task_id = await submitted(provider, vendor)
    vendor.fault_next(Route.STATUS, fault)
    with pytest.raises(ProviderError) as caught:
        await provider.status(task_id, T2V)
    assert type(caught.value) is kind
    assert_no_secret(caught.value)


# The key and the pictures


@pytest.mark.parametrize("answer", [faults.BAD_REQUEST, Fault(status=404), error_fault(200, 404, "no such task")])
async def test_whatever_shows_that_the_key_was_read_will_do(
    provider: Vtrix, vendor: VtrixImitation, answer: Fault
) -> None:
    vendor.fault_next(Route.STATUS, answer)
    await provider.check()


@pytest.mark.parametrize("answer", [Fault(body=b"<html>"), REDIRECT])
async def test_a_page_of_something_else_is_no_sign_of_a_key(
    provider: Vtrix, vendor: VtrixImitation, answer: Fault
) -> None:
    vendor.fault_next(Route.STATUS, answer)
    with pytest.raises(ContractBroken):
        await provider.check()


@pytest.mark.parametrize("answer", [None, faults.UNAUTHORIZED, faults.NO_BALANCE])
async def test_a_key_that_does_not_work(vendor: VtrixImitation, answer: Fault | None) -> None:
    vendor.fault_always(Route.STATUS, answer)
    wrong = "vt_wrong_key" if answer is None else KEY
    vtrix = Vtrix.connect(api_key=wrong, base_url=vendor.base_url)
    with pytest.raises(AuthFailed) as caught:
        await vtrix.check()
    assert wrong not in "".join(traceback.format_exception(caught.value))
    await vtrix.close()


async def test_nothing_shows_the_key_or_the_picture(
    provider: Vtrix, vendor: VtrixImitation, first: Media, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    picture = base64.b64encode(PICTURE).decode()
    await provider.status(await submitted(provider, vendor, image(first)), I2V)
    vendor.fault_next(Route.STATUS, CUT)
    with pytest.raises(Unavailable):
        await provider.status("1", I2V)
    echo = f"{KEY} data:image/png;base64,{picture}"
    vendor.fault_next(
        Route.SUBMIT,
        error_fault(400, "InvalidParameter", echo),
        error_fault(400, "odd", echo),
        error_fault(500, "odd", echo),
        error_fault(200, "odd", echo),
    )
    for _ in range(4):
        with pytest.raises(ProviderError) as caught:
            await provider.submit(image(first))
        assert_no_secret(caught.value)
        assert_no_secret(caught.value, picture[:20])
    assert caplog.records
    assert KEY not in caplog.text
    assert picture[:20] not in caplog.text
    assert KEY not in repr(provider)


# What the provider and the catalogue say


async def test_what_the_provider_tells_about_itself(provider: Vtrix) -> None:
    assert (provider.name, provider.title) == ("vtrix", "Vtrix")
    assert (provider.can_list, provider.can_cancel, provider.is_local) == (False, False, False)
    assert provider.trusted_hosts == frozenset({"127.0.0.1"})
    assert await provider.balance() is None
    assert list(Registry.of([provider]).models) == [T2V.id, I2V.id]
    default = Vtrix.connect(api_key=KEY)
    assert (default.requests_per_minute, default.trusted_hosts) == (60, frozenset({"cloud.vtrix.ai"}))
    await default.close()


def test_each_model_is_as_its_page_says() -> None:
    assert [spec for spec in MODELS if spec.provider == "vtrix"] == VTRIX_MODELS
    assert (T2V.modes, T2V.prompt_limit, T2V.negative_prompt_limit) == ((Mode.TEXT,), 800, 500)
    assert (T2V.resolutions, T2V.default_resolution) == (("480p", "1080p"), "1080p")
    assert dict(T2V.price.per_video) == {"480p": Decimal("0.10"), "1080p": Decimal("0.50")}
    assert (I2V.modes, I2V.prompt_limit, I2V.has_negative_prompt) == ((Mode.IMAGE,), 800, False)
    assert (I2V.resolutions, I2V.default_resolution) == (("480p", "720p"), "720p")
    assert dict(I2V.price.per_video) == {"480p": Decimal("0.085"), "720p": Decimal("0.2")}
    assert (I2V.image.min_side, I2V.image.max_side, I2V.image.alpha) == (360, 2000, False)
    assert I2V.image_strategy is ImageStrategy.DATA_URI
    for spec in VTRIX_MODELS:
        assert (spec.durations, spec.max_seed, spec.enhances_prompt) == ((5,), 2147483647, True)
        assert [(each.key, each.default) for each in spec.parameters] == [("watermark", False)]


# The imitation is as strict as the documents


def flat(model: str = "wan22_t2v_plus", *, given: object = None, **parameters: object) -> dict[str, object]:
    return {"model": model, "input": {"prompt": "p"} if given is None else given, "parameters": parameters}


URI = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (flat(), 200),
        (flat(size="832*480", duration=5, prompt_extend=False, watermark=True, seed=2147483647), 200),
        (flat(given={"prompt": "p", "negative_prompt": "n" * 500}), 200),
        ({"model": "wan22_t2v_plus", "input": {"prompt": "p"}}, 200),
        (flat("wan22_i2v_flash", given={"prompt": "p", "img_url": URI}, resolution="480P"), 200),
        ([], 404),
        (flat("wan22_i2v_plus"), 404),
        ({"model": "wan22_t2v_plus"}, 400),
        ({**flat(), "extra": 1}, 400),
        ({"model": "wan22_t2v_plus", "input": [{"params": {"input": {"prompt": "p"}}}]}, 400),
        (flat(given={}), 400),
        (flat(given={"prompt": ""}), 400),
        (flat(given={"prompt": "p" * 801}), 400),
        (flat(given={"prompt": "p", "negative_prompt": "n" * 501}), 400),
        (flat(given={"prompt": "p", "img_url": URI}), 400),
        (flat(size="1280*720"), 400),
        (flat(size="480P"), 400),
        (flat(size="1:1"), 400),
        (flat(duration=10), 400),
        (flat(duration=True), 400),
        (flat(seed=2147483648), 400),
        (flat(watermark="false"), 400),
        (flat(resolution="480P"), 400),
        (flat("wan22_i2v_flash", given={"prompt": "p"}), 400),
        (flat("wan22_i2v_flash", given={"prompt": "p", "img_url": URI}, resolution="1080P"), 400),
        (flat("wan22_i2v_flash", given={"prompt": "p", "img_url": "data:image/png;base64,AAAA"}), 400),
        (flat("wan22_i2v_flash", given={"prompt": "p", "img_url": "data:image/png;base64,A"}), 400),
        (flat("wan22_i2v_flash", given={"prompt": "p", "img_url": "data:nothing"}), 400),
        (flat("wan22_i2v_flash", given={"prompt": "p", "img_url": "http://127.0.0.1:9/x"}), 400),
    ],
)
async def test_what_the_imitation_accepts(vendor: VtrixImitation, body: object, status: int) -> None:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as client:
        answer = await client.post(f"{vendor.base_url}{SUBMIT_PATH}", json=body)
    assert answer.status_code == status, answer.text
    assert len(vendor.submissions) == (status == 200)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "wan22_t2v_plus", "input": [{"params": {"input": {"prompt": "p"}}}]}, 200),
        ({"model": "wan22_t2v_plus", "input": [{"params": {"input": {"prompt": "p"}, "parameters": {}}}]}, 200),
        ({"model": "wan22_t2v_plus", "input": [{"params": {"prompt": "p"}}]}, 400),
        ({"model": "wan22_t2v_plus", "input": []}, 400),
        (flat(), 400),
    ],
)
async def test_what_the_imitation_accepts_when_it_wants_it_wrapped(
    vendor: VtrixImitation, body: object, status: int
) -> None:
    vendor.body_shape = "wrapped"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as client:
        answer = await client.post(f"{vendor.base_url}{SUBMIT_PATH}", json=body)
    assert answer.status_code == status, answer.text


async def test_the_imitation_counts_requests() -> None:
    async with VtrixImitation(key=KEY, requests_per_minute=1) as vendor:
        vtrix = Vtrix.connect(api_key=KEY, base_url=vendor.base_url, requests_per_minute=None)
        await vtrix.submit(text())
        with pytest.raises(Unavailable):
            await vtrix.submit(text())
        assert vendor.busiest_minute() == 2
        await vtrix.close()
