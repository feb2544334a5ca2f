from __future__ import annotations

import dataclasses
import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from providers import catalogue
from providers.catalogue import MODELS
from providers.catalogue import PIXAZO_WAN_21_KF2V_PLUS as KF2V
from providers.catalogue import PIXAZO_WAN_22_I2V_PLUS as I2V
from providers.catalogue import PIXAZO_WAN_22_T2V_PLUS as T2V
from providers.dashscope import ADVICE, Kind
from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, ProviderError, Refused, Unavailable
from providers.pixazo import Pixazo
from providers.registry import Registry
from providers.statuses import UnknownTask
from providers.types import Finished, GenerationRequest, Media, Mode, ModelSpec, Pending, Rejected
from tests.imitations import pixazo as faults
from tests.imitations.pixazo import I2V_PATH, T2V_PATH, PixazoImitation, body_fault_of, code_fault
from tests.imitations.vendor import (
    REDIRECT,
    Fault,
    Route,
    small_picture,
    small_video,
)

KEY = "pixazo_contract_test_key"
KF2V_PATH = "/wan-kf2v/v1/generateKeyframeRequest"
PNG = small_picture()
JPEG = small_picture((1920, 1080), kind="JPEG")
LINKS = {
    "https://cdn.test/first.png": PNG,
    "https://cdn.test/last.jpg": JPEG,
    "https://cdn.test/tiny.png": small_picture((359, 400)),
    "https://cdn.test/huge.png": small_picture((400, 2001)),
    "https://cdn.test/alpha.png": small_picture(mode="RGBA"),
    "https://cdn.test/moving.gif": small_picture(kind="GIF"),
    "https://cdn.test/clip.mp4": small_video(),
    "https://cdn.test/heavy.bmp": small_picture((2000, 1700), kind="BMP"),
}
PIXAZO_MODELS = [spec for spec in MODELS if spec.provider == "pixazo"]


def picture(name: str) -> Media:
    return Media(path=Path(name), content_type="image/png", url=f"https://cdn.test/{name}")


FIRST, LAST = picture("first.png"), picture("last.jpg")


async def fetch(link: str) -> bytes:
    if link not in LINKS:
        raise OSError(link)
    return LINKS[link]


@pytest.fixture
async def vendor() -> AsyncIterator[PixazoImitation]:
    async with PixazoImitation(key=KEY, fetch=fetch, kf2v_path=KF2V_PATH) as imitation:
        yield imitation


@pytest.fixture
async def provider(vendor: PixazoImitation) -> AsyncIterator[Pixazo]:
    pixazo = Pixazo.connect(api_key=KEY, base_url=vendor.base_url, requests_per_minute=None, kf2v_path=KF2V_PATH)
    yield pixazo
    await pixazo.close()


def plain(model: ModelSpec) -> GenerationRequest:
    """What a model is asked for when nothing was chosen."""
    (mode,) = model.modes
    return GenerationRequest(
        model=model,
        mode=mode,
        prompt="a cat",
        resolution=model.default_resolution,
        duration=model.default_duration,
        image=None if mode is Mode.TEXT else FIRST,
        last_image=LAST if mode is Mode.FIRST_LAST else None,
    )


def request(model: ModelSpec = I2V, **options: Any) -> GenerationRequest:
    return dataclasses.replace(plain(model), **options)


async def submitted(provider: Pixazo, vendor: PixazoImitation, asked: GenerationRequest | None = None) -> str:
    submission = await provider.submit(asked or request())
    assert vendor.submissions[-1].job_id == submission.task_id
    return submission.task_id


def assert_no_secret(error: BaseException) -> None:
    link: BaseException | None = error
    assert KEY not in "".join(traceback.format_exception(error))
    while link is not None:
        assert KEY not in f"{link!r} {vars(link)}"
        link = link.__cause__ or link.__context__


# What is sent

BODIES: list[tuple[str, str, dict[str, object], dict[str, object]]] = [
    ("wan2.2-i2v-plus", I2V_PATH, {"img_url": FIRST.url}, {"resolution": "1080P"}),
    ("wan2.2-i2v-flash", I2V_PATH, {"img_url": FIRST.url}, {"resolution": "720P"}),
    ("wan2.1-i2v-plus", I2V_PATH, {"img_url": FIRST.url}, {"resolution": "720P"}),
    ("wan2.1-i2v-turbo", I2V_PATH, {"img_url": FIRST.url}, {"resolution": "720P"}),
    ("wan2.2-t2v-plus", T2V_PATH, {}, {"size": "1920*1080"}),
    (
        "wan2.1-kf2v-plus",
        KF2V_PATH,
        {"first_frame_url": FIRST.url, "last_frame_url": LAST.url},
        {"resolution": "720P"},
    ),
]


@pytest.mark.parametrize(("wire_id", "path", "starts", "size"), BODIES)
async def test_what_goes_out_when_nothing_was_chosen(
    provider: Pixazo,
    vendor: PixazoImitation,
    *,
    wire_id: str,
    path: str,
    starts: dict[str, object],
    size: dict[str, object],
) -> None:
    (model,) = [spec for spec in PIXAZO_MODELS if spec.id == f"pixazo/{wire_id}"]
    await submitted(provider, vendor, plain(model))
    (seen,) = vendor.submissions
    assert seen.body == {
        "model": wire_id,
        "input": {"prompt": "a cat", **starts},
        "parameters": {**size, "duration": 5},
    }
    assert [call.path for call in vendor.calls] == [path]
    assert set(seen.media) == set(starts)


#: option, where its field is, the field
OPTIONS: list[tuple[dict[str, Any], str, dict[str, object]]] = [
    ({"prompt": "a dog"}, "input", {"prompt": "a dog"}),
    ({"negative_prompt": "blur"}, "input", {"negative_prompt": "blur"}),
    ({"enhance_prompt": True}, "parameters", {"prompt_extend": True}),
    ({"enhance_prompt": False}, "parameters", {"prompt_extend": False}),
    ({"parameters": {"watermark": True}}, "parameters", {"watermark": True}),
    ({"parameters": {"watermark": False}}, "parameters", {"watermark": False}),
    ({"seed": 0}, "parameters", {"seed": 0}),
    ({"seed": 2147483647}, "parameters", {"seed": 2147483647}),
]


@pytest.mark.parametrize("model", PIXAZO_MODELS, ids=lambda model: model.id)
@pytest.mark.parametrize(("option", "place", "field"), OPTIONS)
async def test_each_option_changes_its_own_field(
    provider: Pixazo,
    vendor: PixazoImitation,
    *,
    model: ModelSpec,
    option: dict[str, Any],
    place: str,
    field: dict[str, object],
) -> None:
    await submitted(provider, vendor, plain(model))
    await submitted(provider, vendor, request(model, **option))
    without, with_option = (submission.body for submission in vendor.submissions)
    before: Any = without[place]
    assert with_option == without | {place: before | field}
    assert with_option != without


Choice = tuple[ModelSpec, dict[str, Any], dict[str, object]]


def choices() -> Iterator[Choice]:
    """Every resolution, shape and length that the catalogue offers, with the field that it becomes."""
    for spec in PIXAZO_MODELS:
        for seconds in spec.durations:
            yield spec, {"duration": seconds}, {"duration": seconds}
        for name in () if spec.sizes else spec.resolutions:
            yield spec, {"resolution": name}, {"resolution": name.upper()}
        for (name, shape), size in spec.sizes.items():
            yield spec, {"resolution": name, "aspect_ratio": shape}, {"size": size}
    yield T2V, {"resolution": "480p"}, {"size": "832*480"}


@pytest.mark.parametrize(("model", "option", "field"), list(choices()))
async def test_every_choice_of_size_and_length_is_taken(
    provider: Pixazo, vendor: PixazoImitation, model: ModelSpec, option: dict[str, Any], field: dict[str, object]
) -> None:
    await submitted(provider, vendor, request(model, **option))
    sent: Any = vendor.submissions[0].body["parameters"]
    assert sent == sent | field


async def test_a_picture_alone_is_enough(provider: Pixazo, vendor: PixazoImitation) -> None:
    await submitted(provider, vendor, request(prompt=""))
    assert vendor.submissions[0].body["input"] == {"img_url": FIRST.url}


async def test_the_vendor_fetches_the_pictures(provider: Pixazo, vendor: PixazoImitation) -> None:
    await submitted(provider, vendor, plain(KF2V))
    assert vendor.submissions[0].media == {"first_frame_url": PNG, "last_frame_url": JPEG}


@pytest.mark.parametrize(
    "name", ["gone.png", "tiny.png", "huge.png", "alpha.png", "moving.gif", "clip.mp4", "heavy.bmp"]
)
async def test_a_picture_that_can_not_be_used_is_refused_with_what_to_do(
    provider: Pixazo, vendor: PixazoImitation, name: str
) -> None:
    with pytest.raises(Refused) as caught:
        await provider.submit(request(image=picture(name)))
    assert caught.value.advice in {ADVICE[Kind.PICTURE], ADVICE[Kind.OPTIONS]}
    assert not vendor.jobs


async def test_an_empty_prompt_where_one_is_needed_is_the_vendors_to_refuse(provider: Pixazo) -> None:
    with pytest.raises(Refused, match="Invalid request parameters") as caught:
        await provider.submit(request(T2V, prompt=""))
    assert caught.value.advice == ADVICE[Kind.OPTIONS]


NO_FIELD: list[GenerationRequest] = [
    request(aspect_ratio="16:9"),
    request(last_image=LAST),
    request(video=FIRST),
    request(image=None),
    request(parameters={"steps": 30}),
    request(image=dataclasses.replace(FIRST, url=None)),
    request(T2V, image=FIRST),
    request(T2V, resolution="480p", aspect_ratio="4:3"),
    request(KF2V, last_image=None),
    request(model=dataclasses.replace(I2V, id="pixazo/other")),
]


@pytest.mark.parametrize("request_", NO_FIELD)
async def test_what_has_no_field_is_refused_and_never_sent(
    provider: Pixazo, vendor: PixazoImitation, request_: GenerationRequest
) -> None:
    with pytest.raises(Refused, match="pixazo"):
        await provider.submit(request_)
    assert not vendor.calls


async def test_the_base_urls_own_path_is_kept() -> None:
    seen: list[httpx.Request] = []

    def reply(asked: httpx.Request) -> httpx.Response:
        seen.append(asked)
        return httpx.Response(200, json={"output": {"task_id": "1"}})

    client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
    pixazo = Pixazo.connect(api_key=KEY, base_url="https://vendor.test/gate/", kf2v_path="/kf2v", client=client)
    await pixazo.submit(plain(KF2V))
    assert str(seen[0].url) == "https://vendor.test/gate/kf2v"
    assert seen[0].headers["Cache-Control"] == "no-cache"
    assert seen[0].headers["Content-Type"] == "application/json"


# First and last frame


async def test_without_its_path_first_and_last_frames_are_not_offered(vendor: PixazoImitation) -> None:
    without = Pixazo.connect(api_key=KEY, base_url=vendor.base_url)
    offered = Registry.of([without]).models
    assert list(offered) == [spec.id for spec in PIXAZO_MODELS if spec is not KF2V]
    with pytest.raises(Refused, match="PIXAZO_KF2V_PATH"):
        await without.submit(plain(KF2V))
    assert not vendor.calls
    await without.close()


def test_with_its_path_first_and_last_frames_are_offered(provider: Pixazo) -> None:
    assert list(Registry.of([provider]).models) == [spec.id for spec in PIXAZO_MODELS]


def test_a_path_without_its_slash_is_not_taken() -> None:
    with pytest.raises(ValueError, match="slash"):
        Pixazo.connect(api_key=KEY, kf2v_path="kf2v")


# What a task becomes


@pytest.mark.parametrize("style", ["alibaba", "v2"])
async def test_a_task_from_its_start_to_its_video(provider: Pixazo, vendor: PixazoImitation, style: Any) -> None:
    vendor.answer_style = style
    task_id = await submitted(provider, vendor)
    assert await provider.status(task_id, I2V) == Pending()
    vendor.finish(task_id, after_polls=1)
    assert await provider.status(task_id, I2V) == Pending()
    finished = await provider.status(task_id, I2V)
    assert isinstance(finished, Finished)
    assert (finished.cost, finished.expires_at) == (None, None)
    async with aiohttp.ClientSession() as session, session.get(finished.video_url) as response:
        assert await response.read() == small_video()


def answers(**fields: object) -> Fault:
    return body_fault_of(200, fields)


@pytest.mark.parametrize("word", ["PENDING", "RUNNING", "SUSPENDED", "QUEUED", "PROCESSING", " running "])
async def test_words_for_work(
    provider: Pixazo, vendor: PixazoImitation, caplog: pytest.LogCaptureFixture, word: str
) -> None:
    vendor.fault_next(Route.STATUS, answers(output={"task_status": word}))
    assert await provider.status("1", I2V) == Pending()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_word_that_nobody_knows_is_pending_and_told_once(
    provider: Pixazo, vendor: PixazoImitation, caplog: pytest.LogCaptureFixture
) -> None:
    task_id = await submitted(provider, vendor)
    for word in ("DREAMING", "dreaming", "Floating", "DREAMING"):
        vendor.say(task_id, word)
        assert await provider.status(task_id, I2V) == Pending()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [("dreaming" in line, "floating" in line) for line in told] == [(True, False), (False, True)]


FAILURES: list[tuple[object, str, Kind | None]] = [
    ({"code": "DataInspectionFailed", "message": "no cats"}, "no cats", Kind.CONTENT),
    ({"code": "data_inspection_failed"}, "data_inspection_failed", Kind.CONTENT),
    ({"code": "IPInfringementSuspect", "message": "a mouse"}, "a mouse", Kind.CONTENT),
    ({"code": "InvalidParameter.DataInspection", "message": "m"}, "m", Kind.PICTURE),
    ({"code": "InternalError.Algo.InvalidParameter", "message": "m"}, "m", Kind.PICTURE),
    ({"code": "InvalidURL", "message": "m"}, "m", Kind.PICTURE),
    ({"code": "InvalidFile.Format", "message": "m"}, "m", Kind.PICTURE),
    ({"code": "InvalidParameter", "message": "url error"}, "url error", Kind.PICTURE),
    ({"code": "InvalidParameter", "message": "m"}, "m", Kind.OPTIONS),
    ({"code": "UnsupportedOperation", "message": "m"}, "m", Kind.OPTIONS),
    ({"code": "ModelNotFound", "message": "m"}, "m", Kind.MODEL),
    ({"code": "Throttling.RateQuota", "message": "m"}, "m", Kind.BUSY),
    ({"code": "InternalError.Timeout", "message": "m"}, "m", Kind.FAULT),
    ({"code": "Dreaming", "message": "m"}, "m", None),
    ({"error": {"code": "DataInspectionFailed", "message": "m"}}, "m", Kind.CONTENT),
    ("Input data may contain inappropriate content.", "Input data may contain inappropriate content.", Kind.CONTENT),
    (f"bad key {KEY}", "bad key [secret]", None),
    ({}, "", None),
    (None, "", None),
]


@pytest.mark.parametrize("style", ["alibaba", "v2"])
@pytest.mark.parametrize(("error", "reason", "kind"), FAILURES)
async def test_a_task_that_failed(
    provider: Pixazo, vendor: PixazoImitation, *, error: object, reason: str, kind: Kind | None, style: Any
) -> None:
    vendor.answer_style = style
    task_id = await submitted(provider, vendor)
    vendor.fail(task_id, error)
    expected = Rejected(reason=reason, advice=None if kind is None else ADVICE[kind])
    assert await provider.status(task_id, I2V) == expected


@pytest.mark.parametrize("word", ["FAILED", "CANCELED", "CANCELLED", "ERROR", "failed"])
async def test_words_for_an_end_without_a_video(provider: Pixazo, vendor: PixazoImitation, word: str) -> None:
    vendor.fault_next(Route.STATUS, answers(output={"task_status": word, "message": "so"}))
    assert await provider.status("1", I2V) == Rejected(reason="so")


async def test_a_fault_of_the_picture_is_none_where_there_was_none(provider: Pixazo, vendor: PixazoImitation) -> None:
    task_id = await submitted(provider, vendor, plain(T2V))
    vendor.fail(task_id, {"code": "InvalidParameter.DataInspection", "message": "m"})
    assert await provider.status(task_id, T2V) == Rejected(reason="m", advice=ADVICE[Kind.OPTIONS])


@pytest.mark.parametrize("code", ["Arrearage", "InvalidApiKey", "AccessDenied.Unpurchased"])
async def test_a_task_that_failed_for_want_of_funds_pauses_the_provider_and_then_ends(
    provider: Pixazo, vendor: PixazoImitation, code: str
) -> None:
    task_id = await submitted(provider, vendor)
    vendor.fail(task_id, {"code": code, "message": f"overdue {KEY}"})
    with pytest.raises(AuthFailed) as caught:
        await provider.status(task_id, I2V)
    assert_no_secret(caught.value)
    again = await provider.status(task_id, I2V)
    assert again == Rejected(reason="overdue [secret]", advice=ADVICE[Kind.ACCOUNT])


LINK = "https://dashscope-result-sh.oss-accelerate.aliyuncs.com/1.mp4?Expires=1"


@pytest.mark.parametrize(
    "body",
    [
        {"output": {"task_status": "SUCCEEDED", "video_url": LINK}},
        {"output": {"task_status": "succeeded", "url": LINK}},
        {"output": {"task_status": "SUCCEEDED", "output_url": LINK}},
        {"output": {"task_status": "SUCCEEDED", "video": {"url": LINK}}},
        {"output": {"task_status": "SUCCEEDED", "result": {"url": LINK}}},
        {"output": {"task_status": "SUCCEEDED", "video_url": "", "url": LINK}},
        {"output": {"task_status": "SUCCEEDED"}, "video_url": LINK},
        {"status": "COMPLETED", "output": {"media_url": [LINK]}},
        {"status": "COMPLETED", "output": {"media_url": LINK}},
        {"status": "COMPLETED", "output": [LINK]},
        {"status": "COMPLETED", "output": LINK},
        {"status": "done", "output_url": LINK},
        {"status": "success", "url": LINK},
    ],
)
async def test_where_the_link_of_a_video_may_stand(
    provider: Pixazo, vendor: PixazoImitation, body: dict[str, object]
) -> None:
    vendor.fault_next(Route.STATUS, answers(**body, request_id="r", unknown={"field": [1]}))
    assert await provider.status("1", I2V) == Finished(video_url=LINK)


@pytest.mark.parametrize(
    "fields",
    [{}, {"video_url": None}, {"video_url": ""}, {"video_url": "file:///etc/passwd"}, {"video_url": 5}, {"video": []}],
)
async def test_success_without_a_link_breaks_the_contract(
    provider: Pixazo, vendor: PixazoImitation, fields: dict[str, object]
) -> None:
    vendor.fault_next(Route.STATUS, answers(output={"task_status": "SUCCEEDED", **fields}))
    with pytest.raises(ContractBroken, match="link"):
        await provider.status("1", I2V)


async def test_a_forgotten_task_is_unknown(provider: Pixazo, vendor: PixazoImitation) -> None:
    task_id = await submitted(provider, vendor)
    vendor.forget(task_id)
    with pytest.raises(UnknownTask, match="unknown"):
        await provider.status(task_id, I2V)


# What goes wrong


@pytest.mark.parametrize(
    ("fault", "kind", "job_runs"),
    [
        (faults.NO_TASK_ID, OutcomeUnknown, True),
        (body_fault_of(200, {"output": {"task_id": " "}}), OutcomeUnknown, False),
        (body_fault_of(200, {"output": None}), OutcomeUnknown, False),
        (body_fault_of(200, {"output": ["task_id"]}), OutcomeUnknown, False),
        (body_fault_of(200, {"success": False, "error": KEY}), OutcomeUnknown, False),
        (code_fault(200, "InternalError"), OutcomeUnknown, False),
        (code_fault(200, "DataInspectionFailed"), Refused, False),
        (body_fault_of(200, {"output": {"code": "InvalidParameter", "message": "m"}}), Refused, False),
        (code_fault(200, "Throttling"), Unavailable, False),
        (code_fault(200, "Arrearage"), AuthFailed, False),
        (code_fault(429, "Throttling.RateQuota"), Unavailable, False),
        (code_fault(400, "Throttling"), Unavailable, False),
        (faults.UNAUTHORIZED_BY_AZURE, AuthFailed, False),
        (faults.NO_CREDITS, AuthFailed, False),
        (code_fault(400, "Arrearage"), AuthFailed, False),
        (code_fault(400, "arrearage"), AuthFailed, False),
        (body_fault_of(400, {"error": {"code": "Arrearage", "message": "overdue"}}), AuthFailed, False),
        (code_fault(400, "DataInspectionFailed"), Refused, False),
        (code_fault(404, "ModelNotFound"), Refused, False),
        (Fault(status=400, body=b"<html>"), Refused, False),
    ],
)
async def test_a_submission_that_goes_wrong(
    provider: Pixazo,
    vendor: PixazoImitation,
    fault: Fault,
    kind: type[ProviderError],
    job_runs: bool,  # noqa: FBT001
) -> None:
    vendor.fault_next(Route.SUBMIT, fault)
    with pytest.raises(ProviderError) as caught:
        await provider.submit(request())
    assert type(caught.value) is kind
    assert_no_secret(caught.value)
    assert bool(vendor.jobs) is job_runs
    assert vendor.count(Route.SUBMIT) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.BAD_REQUEST, Kind.OPTIONS),
        (faults.error_fault(400, "Invalid parameters"), Kind.OPTIONS),
        (faults.NOT_FOUND, Kind.MODEL),
        (code_fault(400, "DataInspectionFailed", "m"), Kind.CONTENT),
        (code_fault(400, "InvalidParameter", "Model not exist"), Kind.MODEL),
        (body_fault_of(400, {"error": {"code": "InvalidURL", "message": "m"}}), Kind.PICTURE),
        (body_fault_of(400, {"error": "InvalidParameter.DataInspection: timed out"}), Kind.PICTURE),
        (code_fault(400, "InternalError", "m"), Kind.FAULT),
        (faults.error_fault(400, "nobody knows"), None),
    ],
)
async def test_a_refusal_says_what_to_do(
    provider: Pixazo, vendor: PixazoImitation, fault: Fault, kind: Kind | None
) -> None:
    vendor.fault_next(Route.SUBMIT, fault)
    with pytest.raises(Refused) as caught:
        await provider.submit(request())
    assert caught.value.advice == (None if kind is None else ADVICE[kind])
    assert caught.value.vendor_message


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.NOT_FOUND, UnknownTask),
        (answers(output={"task_id": "1"}), ContractBroken),
        (answers(output={"task_status": 5}), ContractBroken),
        (faults.NO_CREDITS, AuthFailed),
        (code_fault(200, "InvalidApiKey"), AuthFailed),
        (code_fault(400, "Arrearage"), AuthFailed),
    ],
)
async def test_a_look_at_a_task_that_goes_wrong(
    provider: Pixazo, vendor: PixazoImitation, fault: Fault, kind: type[ProviderError]
) -> None:
    task_id = await submitted(provider, vendor)
    vendor.fault_next(Route.STATUS, fault)
    with pytest.raises(ProviderError) as caught:
        await provider.status(task_id, I2V)
    assert type(caught.value) is kind
    assert_no_secret(caught.value)


# The key


@pytest.mark.parametrize(
    "answer",
    [
        faults.BAD_REQUEST,
        faults.error_fault(404, "Task not found"),
        Fault(status=404),
        code_fault(200, "InvalidParameter", "no such task"),
    ],
)
async def test_whatever_shows_that_the_key_was_read_will_do(
    provider: Pixazo, vendor: PixazoImitation, answer: Fault
) -> None:
    vendor.fault_next(Route.STATUS, answer)
    await provider.check()


@pytest.mark.parametrize("answer", [faults.NOT_FOUND, Fault(body=b"<html>"), REDIRECT])
async def test_a_page_of_something_else_is_no_sign_of_a_key(
    provider: Pixazo, vendor: PixazoImitation, answer: Fault
) -> None:
    vendor.fault_next(Route.STATUS, answer)
    with pytest.raises(ContractBroken):
        await provider.check()


@pytest.mark.parametrize("answer", [None, faults.UNAUTHORIZED, faults.FORBIDDEN, faults.NO_CREDITS])
async def test_a_key_that_does_not_work(vendor: PixazoImitation, answer: Fault | None) -> None:
    vendor.fault_always(Route.STATUS, answer)
    wrong = "px_wrong_key" if answer is None else KEY
    pixazo = Pixazo.connect(api_key=wrong, base_url=vendor.base_url)
    with pytest.raises(AuthFailed) as caught:
        await pixazo.check()
    assert wrong not in "".join(traceback.format_exception(caught.value))
    await pixazo.close()


# What the provider and the catalogue say


async def test_what_the_provider_tells_about_itself(provider: Pixazo) -> None:
    assert (provider.name, provider.title) == ("pixazo", "Pixazo")
    assert (provider.can_list, provider.can_cancel, provider.is_local) == (False, False, False)
    assert provider.trusted_hosts == frozenset({"127.0.0.1"})
    assert await provider.balance() is None
    default = Pixazo.connect(api_key=KEY)
    assert (default.requests_per_minute, default.trusted_hosts) == (60, frozenset({"gateway.pixazo.ai"}))
    await default.close()


PRICES = [
    (catalogue.PIXAZO_WAN_22_I2V_PLUS, {"480p": "0.125", "1080p": "0.75"}, (5,), "1080p"),
    (catalogue.PIXAZO_WAN_22_I2V_FLASH, {"480p": "0.085", "720p": "0.2"}, (5,), "720p"),
    (catalogue.PIXAZO_WAN_21_I2V_PLUS, {"720p": "0.75"}, (5,), "720p"),
    (catalogue.PIXAZO_WAN_21_I2V_TURBO, {"480p": "0.2", "720p": "0.2"}, (3, 4, 5), "720p"),
    (catalogue.PIXAZO_WAN_22_T2V_PLUS, {"480p": "0.10", "1080p": "0.50"}, (5,), "1080p"),
    (catalogue.PIXAZO_WAN_21_KF2V_PLUS, {"720p": "0.6"}, (5,), "720p"),
]


@pytest.mark.parametrize(("spec", "prices", "durations", "default"), PRICES)
def test_each_model_is_as_its_page_says(
    spec: ModelSpec, prices: dict[str, str], durations: tuple[int, ...], default: str
) -> None:
    assert dict(spec.price.per_video) == {name: Decimal(price) for name, price in prices.items()}
    assert (spec.resolutions, spec.default_resolution) == (tuple(prices), default)
    assert (spec.durations, spec.default_duration) == (durations, 5)
    assert (spec.prompt_limit, spec.negative_prompt_limit, spec.max_seed) == (800, 500, 2147483647)
    assert spec.enhances_prompt is True
    assert [(each.key, each.default) for each in spec.parameters] == [("watermark", False)]
    assert (spec.image.min_side, spec.image.max_side, spec.image.alpha) == (360, 2000, False)


# The imitation is as strict as the documents

GOOD: dict[str, Any] = {"model": "wan2.2-i2v-plus", "input": {"img_url": FIRST.url}, "parameters": {}}


def body(model: str = "wan2.2-i2v-plus", *, given: dict[str, object] | None = None, **parameters: object) -> object:
    return {"model": model, "input": GOOD["input"] if given is None else given, "parameters": parameters}


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (GOOD, 200),
        (body("wan2.1-i2v-turbo", duration=3, resolution="480P", seed=0, watermark=True), 200),
        ({"model": "wan2.2-i2v-plus", "input": GOOD["input"]}, 200),
        ([], 400),
        ({}, 400),
        ({**GOOD, "extra": 1}, 400),
        ({**GOOD, "input": []}, 400),
        (body("wan2.2-t2v-plus"), 400),
        (body("wan-9"), 400),
        (body(given={}), 400),
        (body(given={"img_url": "data:image/png;base64,AAAA"}), 400),
        (body(given={"img_url": "https://cdn.test/gone.png"}), 400),
        (body(given={"img_url": "https://cdn.test/tiny.png"}), 400),
        (body(given={"img_url": "https://cdn.test/clip.mp4"}), 400),
        (body(given={**GOOD["input"], "prompt": "p" * 801}), 400),
        (body(given={**GOOD["input"], "negative_prompt": "n" * 501}), 400),
        (body(resolution="720P"), 400),
        (body(resolution="480p"), 400),
        (body(duration=3), 400),
        (body(duration="5"), 400),
        (body("wan2.1-i2v-turbo", duration=6), 400),
        (body("wan2.1-i2v-plus", resolution="480P"), 400),
        (body("wan2.2-i2v-flash", resolution="1080P"), 400),
        (body(seed=-1), 400),
        (body(seed=2147483648), 400),
        (body(watermark="true"), 400),
        (body(prompt_extend=1), 400),
        (body(size="1920*1080"), 400),
    ],
)
async def test_what_the_imitation_accepts(vendor: PixazoImitation, sent: object, status: int) -> None:
    async with httpx.AsyncClient(headers={"Ocp-Apim-Subscription-Key": KEY}) as client:
        answer = await client.post(f"{vendor.base_url}{I2V_PATH}", json=sent)
    assert answer.status_code == status, answer.text
    assert len(vendor.submissions) == (status == 200)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (body("wan2.2-t2v-plus", given={"prompt": "p"}), 200),
        (body("wan2.2-t2v-plus", given={"prompt": "p"}, size="624*624"), 200),
        (body("wan2.2-t2v-plus", given={"prompt": "p"}, size="1280*720"), 400),
        (body("wan2.2-t2v-plus", given={"prompt": "p"}, size="1:1"), 400),
        (body("wan2.2-t2v-plus", given={"prompt": ""}), 400),
        (body("wan2.2-t2v-plus", given={"prompt": "p"}, resolution="480P"), 400),
        (GOOD, 400),
    ],
)
async def test_what_the_imitation_accepts_as_text(vendor: PixazoImitation, sent: object, status: int) -> None:
    async with httpx.AsyncClient(headers={"Ocp-Apim-Subscription-Key": KEY}) as client:
        answer = await client.post(f"{vendor.base_url}{T2V_PATH}", json=sent)
    assert answer.status_code == status, answer.text


async def test_the_imitation_counts_requests_and_fetches_over_http() -> None:
    async with PixazoImitation(key=KEY, requests_per_minute=2) as vendor:
        vendor.polls, vendor.video = 0, small_video()
        pixazo = Pixazo.connect(api_key=KEY, base_url=vendor.base_url, requests_per_minute=None)
        first = await pixazo.status((await pixazo.submit(plain(T2V))).task_id, T2V)
        assert isinstance(first, Finished)
        clip = dataclasses.replace(FIRST, url=first.video_url)
        with pytest.raises(Unavailable):
            await pixazo.submit(request(image=clip))
        vendor.requests_per_minute = None
        pixazo_again = Pixazo.connect(api_key=KEY, base_url=vendor.base_url, requests_per_minute=None)
        with pytest.raises(Refused):
            await pixazo_again.submit(request(image=clip))
        assert vendor.last_fault == "img_url is no picture"
        assert vendor.busiest_minute() == 4
        await pixazo.close()
        await pixazo_again.close()
