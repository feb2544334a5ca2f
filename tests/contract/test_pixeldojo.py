from __future__ import annotations

import dataclasses
import json
import logging
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest

from providers.catalogue import PIXELDOJO_WAN_22_STANDARD as WAN_22
from providers.catalogue import PIXELDOJO_WAN_27_I2V as WAN_27
from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, ProviderError, Refused, Unavailable
from providers.pixeldojo import PixelDojo, find_video
from providers.types import (
    Cost,
    CostUnit,
    Finished,
    GenerationRequest,
    Media,
    Mode,
    Pending,
    Price,
    Rejected,
)
from tests.imitations import pixeldojo as faults
from tests.imitations.pixeldojo import TABLES, PixelDojoImitation, Route, small_video

if TYPE_CHECKING:
    from pydantic import JsonValue

KEY = "pd_contract_test_key"
PNG = b"\x89PNG\r\n\x1a\nimage"
LINKS = {
    "https://cdn.test/first.png": PNG,
    "https://cdn.test/last.png": PNG,
    "https://cdn.test/clip.mp4": small_video(),
}
FIRST = Media(path=Path("first.png"), content_type="image/png", url="https://cdn.test/first.png")
LAST = Media(path=Path("last.png"), content_type="image/png", url="https://cdn.test/last.png")
CLIP = Media(path=Path("clip.mp4"), content_type="video/mp4", url="https://cdn.test/clip.mp4")
UNREACHABLE = Media(path=Path("first.png"), content_type="image/png", url="https://cdn.test/gone.png")


async def fetch(link: str) -> bytes:
    if link not in LINKS:
        raise OSError(link)
    return LINKS[link]


@pytest.fixture
async def vendor() -> AsyncIterator[PixelDojoImitation]:
    async with PixelDojoImitation(key=KEY, fetch=fetch) as imitation:
        yield imitation


@pytest.fixture
async def provider(vendor: PixelDojoImitation) -> AsyncIterator[PixelDojo]:
    pixeldojo = PixelDojo.connect(api_key=KEY, base_url=vendor.base_url, requests_per_minute=None)
    yield pixeldojo
    await pixeldojo.close()


TEXT = GenerationRequest(model=WAN_22, mode=Mode.TEXT, prompt="a cat", resolution="480p", duration=5)
IMAGE = GenerationRequest(model=WAN_27, mode=Mode.IMAGE, prompt="a cat", resolution="720p", duration=5, image=FIRST)
EXTEND = dataclasses.replace(IMAGE, mode=Mode.EXTEND, image=None, video=CLIP)


def text(**options: Any) -> GenerationRequest:
    return dataclasses.replace(TEXT, **options)


def image(**options: Any) -> GenerationRequest:
    return dataclasses.replace(IMAGE, **options)


def extend(**options: Any) -> GenerationRequest:
    return dataclasses.replace(EXTEND, **options)


async def submitted(provider: PixelDojo, vendor: PixelDojoImitation, request: GenerationRequest | None = None) -> str:
    submission = await provider.submit(request or text())
    assert vendor.submissions[-1].job_id == submission.task_id
    return submission.task_id


def assert_no_secret(error: BaseException) -> None:
    link: BaseException | None = error
    assert KEY not in "".join(traceback.format_exception(error))
    while link is not None:
        assert KEY not in f"{link!r} {vars(link)}"
        link = link.__cause__ or link.__context__


# What is sent


async def test_a_text_goes_out_with_resolution_and_duration_only(
    provider: PixelDojo, vendor: PixelDojoImitation
) -> None:
    submission = await provider.submit(text())
    (seen,) = vendor.submissions
    assert seen.model == "wan-2.2-standard"
    assert seen.body == {"prompt": "a cat", "resolution": "480p", "duration": 5}
    assert submission.task_id == seen.job_id
    assert submission.cost == Cost(Decimal(3), CostUnit.CREDITS)
    assert submission.estimated_seconds is None


OPTIONS_22: list[tuple[dict[str, Any], dict[str, object]]] = [
    ({"resolution": "1080p"}, {"resolution": "1080p"}),
    ({"duration": 10}, {"duration": 10}),
    ({"aspect_ratio": "9:16"}, {"aspect_ratio": "9:16"}),
    ({"seed": 0}, {"seed": 0}),
    ({"image": FIRST, "mode": Mode.IMAGE}, {"image_url": FIRST.url}),
    (
        {"image": FIRST, "last_image": LAST, "mode": Mode.FIRST_LAST},
        {"image_url": FIRST.url, "last_image_url": LAST.url},
    ),
    ({"parameters": {"frames": 81}}, {"num_frames": 81}),
    ({"parameters": {"shift": 7.5}}, {"sample_shift": 7.5}),
    ({"parameters": {"steps": 40}}, {"sample_steps": 40}),
    ({"parameters": {"fps": 24}}, {"frames_per_second": 24}),
    ({"parameters": {"interpolate": False}}, {"interpolate_output": False}),
]
OPTIONS_27: list[tuple[dict[str, Any], dict[str, object]]] = [
    ({"resolution": "1080p"}, {"resolution": "1080p"}),
    ({"duration": 15}, {"duration": 15}),
    ({"negative_prompt": "blur"}, {"negative_prompt": "blur"}),
    ({"enhance_prompt": True}, {"enable_prompt_expansion": True}),
    ({"enhance_prompt": False}, {"enable_prompt_expansion": False}),
    ({"seed": 7}, {"seed": 7}),
    ({"last_image": LAST, "mode": Mode.FIRST_LAST}, {"last_frame_url": LAST.url}),
]


@pytest.mark.parametrize(("option", "fields"), OPTIONS_22)
async def test_each_option_of_22_changes_its_own_fields(
    provider: PixelDojo, vendor: PixelDojoImitation, option: dict[str, Any], fields: dict[str, object]
) -> None:
    await submitted(provider, vendor, text())
    await submitted(provider, vendor, text(**option))
    assert_differs_in(vendor, fields)


@pytest.mark.parametrize(("option", "fields"), OPTIONS_27)
async def test_each_option_of_27_changes_its_own_fields(
    provider: PixelDojo, vendor: PixelDojoImitation, option: dict[str, Any], fields: dict[str, object]
) -> None:
    await submitted(provider, vendor, image())
    await submitted(provider, vendor, image(**option))
    assert_differs_in(vendor, fields)


def assert_differs_in(vendor: PixelDojoImitation, fields: dict[str, object]) -> None:
    without, with_option = (submission.body for submission in vendor.submissions)
    assert with_option == without | fields
    assert with_option != without


async def test_a_clip_is_extended(provider: PixelDojo, vendor: PixelDojoImitation) -> None:
    await submitted(provider, vendor, extend())
    (seen,) = vendor.submissions
    assert seen.model == "wan-2.7-i2v"
    assert seen.body == {
        "prompt": "a cat",
        "video_url": CLIP.url,
        "mode": "video-extend",
        "resolution": "720p",
        "duration": 5,
    }
    assert seen.media == {"video_url": small_video()}


async def test_an_empty_prompt_is_left_out_where_none_is_needed(
    provider: PixelDojo, vendor: PixelDojoImitation
) -> None:
    await submitted(provider, vendor, image(prompt=""))
    assert "prompt" not in vendor.submissions[0].body


async def test_an_empty_prompt_where_one_is_needed_is_the_vendors_to_refuse(provider: PixelDojo) -> None:
    with pytest.raises(Refused, match="prompt"):
        await provider.submit(text(prompt=""))


async def test_the_vendor_fetches_the_pictures(provider: PixelDojo, vendor: PixelDojoImitation) -> None:
    await submitted(provider, vendor, text(image=FIRST, last_image=LAST, mode=Mode.FIRST_LAST))
    assert vendor.submissions[0].media == {"image_url": PNG, "last_image_url": PNG}


async def test_a_picture_that_can_not_be_fetched_is_refused(provider: PixelDojo, vendor: PixelDojoImitation) -> None:
    with pytest.raises(Refused) as caught:
        await provider.submit(image(image=UNREACHABLE))
    assert "image_url could not be fetched" in (caught.value.vendor_message or "")
    assert not vendor.jobs


NO_FIELD: list[GenerationRequest] = [
    text(negative_prompt="blur"),
    text(enhance_prompt=True),
    text(video=CLIP, mode=Mode.EXTEND),
    text(parameters={"watermark": True}),
    image(aspect_ratio="16:9"),
    image(parameters={"steps": 30}),
    image(image=dataclasses.replace(FIRST, url=None)),
    text(model=dataclasses.replace(WAN_22, id="pixeldojo/other")),
]


@pytest.mark.parametrize("request_", NO_FIELD)
async def test_what_has_no_field_is_refused_and_never_sent(
    provider: PixelDojo, vendor: PixelDojoImitation, request_: GenerationRequest
) -> None:
    with pytest.raises(Refused, match="pixeldojo"):
        await provider.submit(request_)
    assert not vendor.calls


# What a job becomes


async def test_a_job_from_its_start_to_its_video(provider: PixelDojo, vendor: PixelDojoImitation) -> None:
    job_id = await submitted(provider, vendor)
    assert await provider.status(job_id, WAN_22) == Pending()
    vendor.finish(job_id, after_polls=1)
    assert await provider.status(job_id, WAN_22) == Pending()
    finished = await provider.status(job_id, WAN_22)
    assert isinstance(finished, Finished)
    assert finished.cost == Cost(Decimal(3), CostUnit.CREDITS)
    expires_at = vendor.jobs[job_id].expires_at
    assert finished.expires_at is not None
    assert abs(finished.expires_at - expires_at) < timedelta(milliseconds=1)
    async with aiohttp.ClientSession() as session, session.get(finished.video_url) as response:
        assert await response.read() == small_video()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("no cats", "no cats"),
        ({"code": "moderated", "message": "no cats"}, "no cats"),
        ({"code": "moderated"}, "moderated"),
        ({}, ""),
        (None, ""),
        (f"bad key {KEY}", "bad key [secret]"),
    ],
)
async def test_a_job_that_failed(provider: PixelDojo, vendor: PixelDojoImitation, error: object, reason: str) -> None:
    job_id = await submitted(provider, vendor)
    vendor.fail(job_id, error)
    assert await provider.status(job_id, WAN_22) == Rejected(reason=reason)


async def test_a_word_that_nobody_knows_is_pending_and_told_once(
    provider: PixelDojo, vendor: PixelDojoImitation, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await submitted(provider, vendor)
    for word in ("processing", "Processing", "dreaming", "processing"):
        vendor.say(job_id, word)
        assert await provider.status(job_id, WAN_22) == Pending()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [("processing" in line, "dreaming" in line) for line in told] == [(True, False), (False, True)]


def job_answers(**fields: object) -> faults.Fault:
    return faults.Fault(body=json.dumps({"jobId": "job_1", "status": "completed", **fields}).encode())


LINK = "https://temp.pixeldojo.ai/1.mp4"


@pytest.mark.parametrize(
    ("output", "assets"),
    [
        ({"video": LINK}, None),
        ({"video": [LINK, "https://other"]}, None),
        ({"video": {"url": LINK}}, None),
        ({"video": [{"url": LINK}]}, None),
        ({"video": None, "videos": [LINK]}, None),
        ({"videos": [{"url": LINK}]}, None),
        ({"assets": [{"url": LINK, "type": "video"}]}, None),
        (None, [{"url": LINK}]),
        ({"image": "https://x/1.png"}, [{"url": LINK}]),
    ],
)
def test_where_the_link_of_a_video_may_stand(output: JsonValue, assets: JsonValue) -> None:
    assert find_video(output, assets) == LINK


@pytest.mark.parametrize(
    "output",
    [
        None,
        {},
        [],
        "text",
        {"video": None},
        {"video": ""},
        {"video": []},
        {"video": {}},
        {"video": "file:///etc/passwd"},
        {"image": LINK},
        {"video": {"url": 5}},
    ],
)
async def test_completed_without_a_link_breaks_the_contract(
    provider: PixelDojo, vendor: PixelDojoImitation, output: object
) -> None:
    vendor.fault_next(Route.STATUS, job_answers(output=output))
    with pytest.raises(ContractBroken, match="link"):
        await provider.status("job_1", WAN_22)


@pytest.mark.parametrize(
    ("told", "expires_at"),
    [
        ("2025-01-23T12:00:00Z", datetime(2025, 1, 23, 12, tzinfo=UTC)),
        ("2025-01-23T12:00:00.5+02:00", datetime(2025, 1, 23, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2025-01-23T12:00:00", datetime(2025, 1, 23, 12, tzinfo=UTC)),
        (1737633600, datetime(2025, 1, 23, 12, tzinfo=UTC)),
        (1737633600000, datetime(2025, 1, 23, 12, tzinfo=UTC)),
        ("tomorrow", None),
        ("", None),
        (None, None),
        ({}, None),
        (1e300, None),
        ("9999-12-31T23:59:59-23:59", None),
        ("0001-01-01T00:00:00+23:59", None),
    ],
)
async def test_when_a_video_expires(
    provider: PixelDojo, vendor: PixelDojoImitation, told: object, expires_at: datetime | None
) -> None:
    vendor.fault_next(Route.STATUS, job_answers(output={"video": LINK}, expiresAt=told))
    finished = await provider.status("job_1", WAN_22)
    assert finished == Finished(video_url=LINK, expires_at=expires_at)


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        (13, Decimal(13)),
        (2.5, Decimal("2.5")),
        ("4", Decimal(4)),
        (-1, None),
        ("much", None),
        (None, None),
        ([], None),
        ("1e999999", None),
        (5e-324, None),
    ],
)
async def test_what_a_video_cost(
    provider: PixelDojo, vendor: PixelDojoImitation, told: object, cost: Decimal | None
) -> None:
    vendor.fault_next(Route.STATUS, job_answers(output={"video": LINK}, creditCost=told))
    finished = await provider.status("job_1", WAN_22)
    assert isinstance(finished, Finished)
    assert finished.cost == (None if cost is None else Cost(cost, CostUnit.CREDITS))


@pytest.mark.parametrize("task_id", ["job_1/../../models", "a b", "a?b=c#d", "%2e%2e", "../models", "schön", "a%2Fb"])
async def test_whatever_an_id_holds_stays_one_part_of_the_path(task_id: str) -> None:
    seen: list[bytes] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200, json={"status": "pending"})

    client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
    provider = PixelDojo.connect(api_key=KEY, base_url="https://vendor.test/api/v1", client=client)
    assert await provider.status(task_id, WAN_22) == Pending()
    (path,) = seen
    assert path.startswith(b"/api/v1/jobs/")
    assert httpx.URL("https://x" + path.decode()).path == f"/api/v1/jobs/{task_id}"
    assert not set(b"/?#") & set(path.removeprefix(b"/api/v1/jobs/"))


@pytest.mark.parametrize("task_id", ["", ".", ".."])
async def test_an_id_that_can_not_be_asked_for(provider: PixelDojo, vendor: PixelDojoImitation, task_id: str) -> None:
    with pytest.raises(ContractBroken):
        await provider.status(task_id, WAN_22)
    assert not vendor.calls


# What goes wrong


@pytest.mark.parametrize(
    ("fault", "kind", "job_runs"),
    [
        (faults.NO_JOB_ID, OutcomeUnknown, True),
        (faults.Fault(takes_job=True, status=202, body=b'{"jobId": " "}'), OutcomeUnknown, True),
        (faults.NO_CREDITS_OLD, AuthFailed, False),
        (faults.error_fault(400, "insufficient_credits", "Not enough"), AuthFailed, False),
    ],
)
async def test_a_submission_that_goes_wrong(
    provider: PixelDojo,
    vendor: PixelDojoImitation,
    fault: faults.Fault,
    kind: type[ProviderError],
    job_runs: bool,  # noqa: FBT001
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
        (faults.Fault(body=b'{"jobId": "job_1"}'), ContractBroken),
        (faults.NO_CREDITS_OLD, AuthFailed),
    ],
)
async def test_a_look_at_a_job_that_goes_wrong(
    provider: PixelDojo, vendor: PixelDojoImitation, fault: faults.Fault, kind: type[ProviderError]
) -> None:
    job_id = await submitted(provider, vendor)
    vendor.fault_next(Route.STATUS, fault)
    with pytest.raises(ProviderError) as caught:
        await provider.status(job_id, WAN_22)
    assert type(caught.value) is kind
    assert_no_secret(caught.value)


# The key


@pytest.mark.parametrize("answer", [None, faults.NO_CREDITS_OLD, faults.error_fault(401, "unauthorized", "no")])
async def test_a_key_that_does_not_work(vendor: PixelDojoImitation, answer: faults.Fault | None) -> None:
    vendor.fault_always(Route.STATUS, answer)
    wrong = "pd_wrong_key" if answer is None else KEY
    provider = PixelDojo.connect(api_key=wrong, base_url=vendor.base_url)
    with pytest.raises(AuthFailed) as caught:
        await provider.check()
    assert wrong not in "".join(traceback.format_exception(caught.value))
    await provider.close()


# The list


@pytest.mark.parametrize("shape", ["jobs", "data", "bare"])
async def test_the_vendors_list_tells_what_became_of_a_submission(
    provider: PixelDojo, vendor: PixelDojoImitation, shape: Any
) -> None:
    vendor.list_shape = shape
    vendor.fault_next(Route.SUBMIT, faults.CUT_AFTER_JOB)
    before = datetime.now(UTC)
    with pytest.raises(OutcomeUnknown):
        await provider.submit(image(prompt="a lost cat"))
    (task,) = await provider.recent_tasks(since=before)
    assert (task.task_id, task.model, task.prompt) == (vendor.submissions[0].job_id, WAN_27.id, "a lost cat")
    assert task.created_at.tzinfo is not None


async def test_older_tasks_are_left_out(vendor: PixelDojoImitation, provider: PixelDojo) -> None:
    job = vendor.jobs[await submitted(provider, vendor)]
    since = job.created_at.replace(microsecond=900_000)
    job.created_at = since.replace(microsecond=0)
    assert len(await provider.recent_tasks(since=since)) == 1
    job.created_at -= timedelta(seconds=1)
    assert not await provider.recent_tasks(since=since)


EPOCH = datetime.fromtimestamp(0, tz=UTC)
NOON = datetime(2025, 1, 23, 12, tzinfo=UTC)
ISO = "2025-01-23T12:00:00Z"
ROW: dict[str, object] = {"jobId": "1", "apiId": "wan-2.7-i2v", "prompt": "p", "createdAt": ISO}


def without(*names: str) -> dict[str, object]:
    return {name: value for name, value in ROW.items() if name not in names}


def listing(*rows: object) -> faults.Fault:
    return faults.Fault(body=json.dumps({"jobs": rows, "total": 1}).encode())


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        (ROW, "p"),
        ({**without("jobId"), "id": "1"}, "p"),
        ({**without("apiId"), "modelId": "wan-2.7-i2v"}, "p"),
        ({**without("apiId"), "model": "pixeldojo/wan-2.7-i2v"}, "p"),
        ({**without("prompt"), "input": {"prompt": "q"}}, "q"),
        ({**without("prompt"), "params": {"prompt": "q"}}, "q"),
        ({**without("prompt"), "request": {"prompt": "q"}}, "q"),
        ({**without("prompt"), "input": {"image_url": "x"}}, ""),
        ({**ROW, "prompt": None}, ""),
        ({**without("createdAt"), "created_at": ISO}, "p"),
        ({**ROW, "createdAt": 1737633600}, "p"),
        ({**ROW, "createdAt": 1737633600000}, "p"),
    ],
)
async def test_a_row_in_any_of_its_shapes(
    provider: PixelDojo, vendor: PixelDojoImitation, row: object, prompt: str
) -> None:
    vendor.fault_next(Route.LIST, listing(row))
    (task,) = await provider.recent_tasks(since=EPOCH)
    assert (task.task_id, task.model, task.prompt, task.created_at) == ("1", WAN_27.id, prompt, NOON)


@pytest.mark.parametrize(
    "row",
    [
        None,
        "row",
        [],
        {},
        without("jobId"),
        without("apiId"),
        without("createdAt"),
        without("prompt"),
        {**ROW, "createdAt": "once"},
        {**ROW, "jobId": ""},
        {**ROW, "jobId": "a\0b"},
        {**ROW, "createdAt": "9999-12-31T23:59:59-23:59"},
    ],
)
async def test_a_row_that_can_not_be_read_is_left_out(
    provider: PixelDojo, vendor: PixelDojoImitation, row: object
) -> None:
    vendor.fault_next(Route.LIST, listing(row, {**ROW, "jobId": "good"}))
    assert [task.task_id for task in await provider.recent_tasks(since=EPOCH)] == ["good"]


@pytest.mark.parametrize("body", [b"{}", b"null", b'"text"', b'{"jobs": {}}', b"<html>"])
async def test_a_list_that_is_none(provider: PixelDojo, vendor: PixelDojoImitation, body: bytes) -> None:
    vendor.fault_next(Route.LIST, faults.Fault(body=body))
    with pytest.raises(ContractBroken):
        await provider.recent_tasks(since=EPOCH)


# What the provider says of itself


async def test_what_the_provider_tells_about_itself(vendor: PixelDojoImitation) -> None:
    provider = PixelDojo.connect(api_key=KEY, base_url=vendor.base_url)
    assert (provider.name, provider.can_list, provider.can_cancel, provider.is_local) == (
        "pixeldojo",
        True,
        False,
        False,
    )
    assert provider.requests_per_minute == 10
    assert provider.trusted_hosts == frozenset({"127.0.0.1"})
    assert await provider.balance() is None
    await provider.close()


# The imitation is as strict as the documents


BASE_22 = {"prompt": "p", "resolution": "480p", "duration": 5}
BASE_27 = {"image_url": "https://cdn.test/first.png"}


@pytest.mark.parametrize(
    ("model", "body", "status"),
    [
        ("wan-9", BASE_22, 404),
        ("wan-2.2-standard", BASE_22, 202),
        ("wan-2.2-standard", {}, 400),
        ("wan-2.2-standard", [], 400),
        ("wan-2.2-standard", {**BASE_22, "negative_prompt": "n"}, 400),
        ("wan-2.2-standard", {**BASE_22, "seed": None}, 400),
        ("wan-2.2-standard", {**BASE_22, "seed": "1"}, 400),
        ("wan-2.2-standard", {**BASE_22, "seed": True}, 400),
        ("wan-2.2-standard", {**BASE_22, "duration": 7}, 400),
        ("wan-2.2-standard", {**BASE_22, "resolution": "480P"}, 400),
        ("wan-2.2-standard", {**BASE_22, "num_frames": 80}, 400),
        ("wan-2.2-standard", {**BASE_22, "sample_steps": 30.5}, 400),
        ("wan-2.2-standard", {**BASE_22, "interpolate_output": 1}, 400),
        ("wan-2.2-standard", {**BASE_22, "image_url": "data:image/png;base64,AAAA"}, 400),
        ("wan-2.2-standard", {**BASE_22, "image_url": CLIP.url}, 400),
        ("wan-2.7-i2v", {}, 400),
        ("wan-2.7-i2v", BASE_27, 202),
        ("wan-2.7-i2v", {**BASE_27, "mode": "video-extend"}, 400),
        ("wan-2.7-i2v", {**BASE_27, "last_image_url": LAST.url}, 400),
        ("wan-2.7-i2v", {**BASE_27, "duration": 16}, 400),
        ("wan-2.7-i2v", {**BASE_27, "prompt": "p" * 5001}, 400),
        ("wan-2.7-i2v", {**BASE_27, "negative_prompt": "n" * 501}, 400),
    ],
)
async def test_what_the_imitation_accepts(vendor: PixelDojoImitation, model: str, body: object, status: int) -> None:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as client:
        answer = await client.post(f"{vendor.base_url}/models/{model}/run", json=body)
        assert answer.status_code == status, answer.text
        assert len(vendor.submissions) == (status == 202)
        assert vendor.calls[-1].status == status


async def test_the_imitation_answers_as_the_documents_show(vendor: PixelDojoImitation) -> None:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as client:
        taken = (await client.post(f"{vendor.base_url}/models/wan-2.7-i2v/run", json=BASE_27)).json()
        assert set(taken) == {"jobId", "status", "statusUrl", "creditCost", "creditsRemaining", "expiresAt"}
        assert (taken["status"], taken["creditCost"], taken["creditsRemaining"]) == ("pending", 13, 987)
        models = (await client.get(f"{vendor.base_url}/models")).json()
    assert {model["apiId"] for model in models["models"]} == {"wan-2.2-standard", "wan-2.7-i2v"}


async def test_the_imitation_counts_requests_and_credits() -> None:
    async with PixelDojoImitation(key=KEY, requests_per_minute=2) as vendor:
        vendor.credits = 4
        provider = PixelDojo.connect(api_key=KEY, base_url=vendor.base_url, requests_per_minute=None)
        await provider.submit(text())
        with pytest.raises(AuthFailed):
            await provider.submit(text())
        with pytest.raises(Unavailable):
            await provider.submit(text())
        assert vendor.busiest_minute() == 3
        await provider.close()


async def test_the_imitation_fetches_over_http_and_lives_its_jobs_itself() -> None:
    async with PixelDojoImitation(key=KEY) as store, PixelDojoImitation(key=KEY) as vendor:
        store.video = small_video()
        store.polls = 0
        provider = PixelDojo.connect(api_key=KEY, base_url=store.base_url, requests_per_minute=None)
        first = await provider.status((await provider.submit(text())).task_id, WAN_22)
        assert isinstance(first, Finished)
        clip = dataclasses.replace(CLIP, url=first.video_url)
        other = PixelDojo.connect(api_key=KEY, base_url=vendor.base_url, requests_per_minute=None)
        await other.submit(extend(video=clip))
        assert vendor.submissions[0].media == {"video_url": small_video()}
        await provider.close()
        await other.close()


async def test_the_vendors_list_and_ours_are_compared(provider: PixelDojo) -> None:
    assert await provider.disagreements([WAN_22, WAN_27]) == []
    dearer = dataclasses.replace(WAN_22, price=Price(unit=CostUnit.CREDITS, per_video={"*": Decimal(2)}))
    assert await provider.disagreements([dearer]) == [
        "pixeldojo/wan-2.2-standard costs 3 of the vendor's credits, the catalogue says 2"
    ]


async def test_a_model_that_the_vendor_dropped_is_told(provider: PixelDojo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TABLES, "wan-2.7-i2v")
    assert await provider.disagreements([WAN_27]) == ["pixeldojo/wan-2.7-i2v isn't in the vendor's list any more"]
