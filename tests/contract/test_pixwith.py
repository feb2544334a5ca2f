from __future__ import annotations

import asyncio
import dataclasses
import itertools
import logging
import re
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import aiohttp
import httpx
import pytest

from providers import http as layer
from providers.catalogue import PIXWITH_WAN_22_FAST as FAST
from providers.catalogue import PIXWITH_WAN_22_LITE as LITE
from providers.catalogue import PIXWITH_WAN_22_PRO as PRO
from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, ProviderError, Refused, Unavailable
from providers.options import OptionsRefused, Wish, check_options
from providers.pixwith import Pixwith, request_options
from providers.statuses import UnknownTask
from providers.types import CostUnit, Finished, GenerationRequest, Media, Mode, ModelSpec, Pending, Rejected
from tests.imitations import pixwith as faults
from tests.imitations import vendor as common
from tests.imitations.pixwith import PixwithImitation, body_fault, data_fault, error_fault, store_fault
from tests.imitations.vendor import Fault, Route, small_video

KEY = "key_contract_test_00000000"
PNG = b"\x89PNG\r\n\x1a\nfirst"
JPEG = b"\xff\xd8\xfflast"
LINK = "https://cdn.pixwith.ai/videos/1_0.mp4"
MODELS = (LITE, PRO, FAST)


@pytest.fixture
async def vendor() -> AsyncIterator[PixwithImitation]:
    async with PixwithImitation(key=KEY) as imitation:
        yield imitation


@pytest.fixture
async def provider(vendor: PixwithImitation) -> AsyncIterator[Pixwith]:
    pixwith = Pixwith.connect(api_key=KEY, base_url=vendor.base_url, requests_per_minute=None)
    yield pixwith
    await pixwith.close()


@pytest.fixture
def first(tmp_path: Path) -> Media:
    return stored(tmp_path / "first", PNG, "image/png")


@pytest.fixture
def last(tmp_path: Path) -> Media:
    return stored(tmp_path / "last", JPEG, "image/jpeg")


def stored(path: Path, content: bytes, content_type: str) -> Media:
    path.write_bytes(content)
    return Media(path=path, content_type=content_type)


TEXT = GenerationRequest(model=PRO, mode=Mode.TEXT, prompt="a cat", resolution="480p", duration=5)
OPTIONS = {"prompt_optimization": True, "aspect_ratio": "16:9", "resolution": "480p", "duration": 5}


def text(**options: Any) -> GenerationRequest:
    return dataclasses.replace(TEXT, **options)


def image(first: Media, **options: Any) -> GenerationRequest:
    return text(mode=Mode.IMAGE, image=first, **options)


def lite(first: Media, **options: Any) -> GenerationRequest:
    return image(first, **{"model": LITE, "resolution": "720p", **options})


async def submitted(provider: Pixwith, vendor: PixwithImitation, request: GenerationRequest | None = None) -> str:
    submission = await provider.submit(request or text())
    assert vendor.submissions[-1].job_id == submission.task_id
    assert not vendor.unknown
    return submission.task_id


def assert_no_secret(error: BaseException, *secrets: str) -> None:
    """Look at everything that a log could show of an error, the frames of our own modules included."""
    link: BaseException | None = error
    shown = "".join(traceback.format_exception(error))
    while link is not None:
        frames = [frame for frame, _ in traceback.walk_tb(link.__traceback__) if "/tests/" not in str(frame.f_code)]
        shown += f"{link!r} {vars(link)} {link.args}" + repr([frame.f_locals for frame in frames])
        link = link.__cause__ or link.__context__
    assert not [secret for secret in (KEY, *secrets) if secret in shown]


# What is sent


async def test_what_the_vendor_requires_goes_out_and_nothing_else(provider: Pixwith, vendor: PixwithImitation) -> None:
    submission = await provider.submit(text())
    (seen,) = vendor.submissions
    assert seen.body == {"prompt": "a cat", "model_id": "2-9", "options": OPTIONS}
    assert (submission.task_id, submission.estimated_seconds, submission.cost) == (seen.job_id, 150, None)


OPTION_CHANGES: list[tuple[dict[str, Any], dict[str, object]]] = [
    ({"resolution": "720p"}, {"resolution": "720p"}),
    ({"duration": 8}, {"duration": 8}),
    ({"aspect_ratio": "9:16"}, {"aspect_ratio": "9:16"}),
    ({"enhance_prompt": False}, {"prompt_optimization": False}),
]


@pytest.mark.parametrize("model", [PRO, FAST], ids=["pro", "fast"])
@pytest.mark.parametrize(("option", "fields"), OPTION_CHANGES)
async def test_each_option_changes_its_own_field(
    provider: Pixwith, vendor: PixwithImitation, model: ModelSpec, option: dict[str, Any], fields: dict[str, object]
) -> None:
    await submitted(provider, vendor, text(model=model))
    await submitted(provider, vendor, text(model=model, **option))
    without, with_option = (submission.body for submission in vendor.submissions)
    assert with_option == without | {"options": OPTIONS | fields}
    assert with_option != without


@pytest.mark.parametrize(("option", "fields"), OPTION_CHANGES[2:])
async def test_each_option_of_lite_changes_its_own_field(
    provider: Pixwith, vendor: PixwithImitation, first: Media, option: dict[str, Any], fields: dict[str, object]
) -> None:
    await submitted(provider, vendor, lite(first))
    await submitted(provider, vendor, lite(first, **option))
    without, with_option = (cast("dict[str, object]", submission.body["options"]) for submission in vendor.submissions)
    assert with_option == without | fields
    assert with_option != without


@pytest.mark.parametrize("said", [{"aspect_ratio": "16:9"}, {"enhance_prompt": True}])
async def test_saying_what_is_sent_anyway_changes_nothing(
    provider: Pixwith, vendor: PixwithImitation, said: dict[str, Any]
) -> None:
    await submitted(provider, vendor, text())
    await submitted(provider, vendor, text(**said))
    without, with_option = (submission.body for submission in vendor.submissions)
    assert with_option == without


@pytest.mark.parametrize(("model", "number"), [(LITE, "2-8"), (PRO, "2-9"), (FAST, "2-10")])
async def test_each_model_has_its_number(
    provider: Pixwith, vendor: PixwithImitation, first: Media, model: ModelSpec, number: str
) -> None:
    await submitted(provider, vendor, image(first, model=model, resolution="720p"))
    assert vendor.submissions[0].body["model_id"] == number


async def test_lite_is_sent_one_picture_and_no_duration(
    provider: Pixwith, vendor: PixwithImitation, first: Media
) -> None:
    await submitted(provider, vendor, lite(first))
    (seen,) = vendor.submissions
    assert seen.body["options"] == {"prompt_optimization": True, "aspect_ratio": "16:9", "resolution": "720p"}
    assert seen.media == {"image_urls.0": PNG}


async def test_an_empty_prompt_is_the_vendors_to_refuse(provider: Pixwith) -> None:
    with pytest.raises(Refused, match="prompt is required"):
        await provider.submit(text(prompt=""))


UNSENDABLE: dict[str, Callable[[Media, Media], GenerationRequest]] = {
    "negative prompt": lambda _first, _last: text(negative_prompt="blur"),
    "seed": lambda _first, _last: text(seed=0),
    "video": lambda first, _last: text(video=first, mode=Mode.EXTEND),
    "video beside the mode": lambda first, _last: text(video=first),
    "settings": lambda _first, _last: text(parameters={"watermark": True}),
    "other model": lambda _first, _last: text(model=dataclasses.replace(PRO, id="pixwith/other")),
    "no picture": lambda _first, _last: text(mode=Mode.IMAGE),
    "picture for a text": lambda first, _last: text(image=first),
    "no last picture": lambda first, _last: text(mode=Mode.FIRST_LAST, image=first),
    "no first picture": lambda _first, last: text(mode=Mode.FIRST_LAST, last_image=last),
    "webp": lambda first, _last: image(dataclasses.replace(first, content_type="image/webp")),
    "lite from text": lambda _first, _last: text(model=LITE, resolution="720p"),
    "lite with a last picture": lambda first, last: lite(first, last_image=last),
    "lite from two pictures": lambda first, last: dataclasses.replace(
        lite(first), mode=Mode.FIRST_LAST, last_image=last
    ),
    "lite of another length": lambda first, _last: lite(first, duration=8),
}


@pytest.mark.parametrize("case", UNSENDABLE)
async def test_what_has_no_field_is_refused_and_never_sent(
    provider: Pixwith, vendor: PixwithImitation, first: Media, last: Media, case: str
) -> None:
    with pytest.raises(Refused, match="pixwith"):
        await provider.submit(UNSENDABLE[case](first, last))
    assert not vendor.calls


NUMBERS = {LITE.id: "2-8", PRO.id: "2-9", FAST.id: "2-10"}
PICTURES = {Mode.TEXT: 0, Mode.IMAGE: 1, Mode.FIRST_LAST: 2}


def every_request(model: ModelSpec) -> Iterator[GenerationRequest]:
    for mode, resolution, duration, aspect_ratio, enhance_prompt in itertools.product(
        model.modes, model.resolutions, model.durations, (None, *model.aspect_ratios), (None, True, False)
    ):
        yield GenerationRequest(
            model=model,
            mode=mode,
            prompt="p",
            resolution=resolution,
            duration=duration,
            aspect_ratio=aspect_ratio if mode in model.aspect_ratio_modes else None,
            enhance_prompt=enhance_prompt,
        )


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_all_that_the_catalogue_offers_is_accepted(model: ModelSpec) -> None:
    for request in every_request(model):
        links = [LINK] * PICTURES[request.mode]
        body = {"prompt": "p", "model_id": NUMBERS[model.id], "options": dict(request_options(request))}
        assert body_fault(body | ({"image_urls": links} if links else {})) is None


# What the catalogue says


def test_the_catalogue_says_what_the_page_says() -> None:
    assert (LITE.modes, LITE.resolutions) == ((Mode.IMAGE,), ("720p",))
    for model in (PRO, FAST):
        assert model.modes == (Mode.TEXT, Mode.IMAGE, Mode.FIRST_LAST)
        assert (model.resolutions, model.durations) == (("480p", "720p"), (5, 8))
    for model in MODELS:
        assert (model.aspect_ratios, model.default_aspect_ratio) == (("16:9", "9:16"), "16:9")
        assert (model.has_seed, model.has_negative_prompt, model.parameters) == (False, False, ())
        assert model.enhances_prompt is True
        assert set(model.image.content_types) == {"image/png", "image/jpeg"}
        assert model.image.max_bytes <= faults.MOST_BYTES


@pytest.mark.parametrize(
    ("model", "resolution", "duration", "dollars"),
    [
        (LITE, "*", 1, "0.10"),
        (FAST, "480p", 5, "0.10"),
        (FAST, "720p", 5, "0.15"),
        (PRO, "480p", 5, "0.20"),
        (PRO, "720p", 5, "0.40"),
        (PRO, "720p", 8, "0.64"),
    ],
)
def test_the_assumed_prices(model: ModelSpec, resolution: str, duration: int, dollars: str) -> None:
    prices = model.price.per_second or model.price.per_video
    assert model.price.unit is CostUnit.USD
    assert prices[resolution] * duration == Decimal(dollars)


def test_lite_has_one_length_which_may_be_named_and_nothing_else() -> None:
    for said in (None, 5):
        assert check_options(LITE, Wish(prompt="p", has_image=True, duration=said)).duration == 5
    with pytest.raises(OptionsRefused, match="fixed length, about 5 seconds; leave this out"):
        check_options(LITE, Wish(prompt="p", has_image=True, duration=8))


@pytest.mark.parametrize(
    ("model", "wish", "option"),
    [
        (LITE, {}, "image"),
        (LITE, {"has_image": True, "has_last_image": True}, "last_image"),
        (LITE, {"has_image": True, "resolution": "480p"}, "resolution"),
        (PRO, {"resolution": "1080p"}, "resolution"),
        (PRO, {"duration": 6}, "duration"),
        (FAST, {"aspect_ratio": "1:1"}, "aspect_ratio"),
        (FAST, {"seed": 1}, "seed"),
        (FAST, {"negative_prompt": "blur"}, "negative_prompt"),
        (FAST, {"settings": "watermark=true"}, "settings"),
        (FAST, {"has_video": True}, "video"),
    ],
)
def test_what_the_models_do_not_have_is_refused_before(model: ModelSpec, wish: dict[str, Any], option: str) -> None:
    with pytest.raises(OptionsRefused) as caught:
        check_options(model, Wish(prompt="p", **wish))
    assert [problem.option for problem in caught.value.problems] == [option]


# Pictures


async def test_pictures_are_uploaded_in_their_order(
    provider: Pixwith, vendor: PixwithImitation, first: Media, last: Media
) -> None:
    await submitted(provider, vendor, text(mode=Mode.FIRST_LAST, image=first, last_image=last))
    (seen,) = vendor.submissions
    assert seen.media == {"image_urls.0": PNG, "image_urls.1": JPEG}
    kept = [f"{vendor.base_url}/images/{key}" for key in vendor.uploads]
    assert seen.body["image_urls"] == kept
    assert [call.route for call in vendor.calls] == [Route.FORM, Route.STORE] * 2 + [Route.SUBMIT]


async def test_no_file_name_of_ours_leaves(
    provider: Pixwith, vendor: PixwithImitation, first: Media, last: Media
) -> None:
    await submitted(provider, vendor, text(mode=Mode.FIRST_LAST, image=first, last_image=last))
    one, other = (upload.name for upload in vendor.uploads.values())
    assert re.fullmatch(r"[0-9a-f]{32}\.png", one)
    assert re.fullmatch(r"[0-9a-f]{32}\.jpg", other)


async def test_the_store_sees_nothing_of_ours(provider: Pixwith, vendor: PixwithImitation, first: Media) -> None:
    await submitted(provider, vendor, image(first))
    (upload,) = vendor.uploads.values()
    assert KEY not in str(upload.headers)
    assert "Api-Key" not in upload.headers


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_a_store_may_say_yes_in_three_ways(
    provider: Pixwith, vendor: PixwithImitation, first: Media, status: int
) -> None:
    vendor.stored_status = status
    await submitted(provider, vendor, image(first))


class Swallow(httpx.AsyncBaseTransport):
    """Takes an upload in, block by block, and keeps no more than their lengths."""

    def __init__(self) -> None:
        self.blocks: list[int] = []
        self.stated = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/store":
            self.stated = int(request.headers["Content-Length"])
            self.blocks = [len(block) async for block in cast("httpx.AsyncByteStream", request.stream)]
            return httpx.Response(204)
        form = {"upload_url": {"url": "https://api.pixwith.ai/store", "fields": {"key": "k"}}, "image_url": LINK}
        return httpx.Response(200, json={"code": 1, "data": form if path.endswith("pre_url") else {"task_id": "1"}})


async def test_a_picture_is_read_while_it_is_sent(tmp_path: Path) -> None:
    swallow = Swallow()
    provider = Pixwith.connect(api_key=KEY, client=httpx.AsyncClient(transport=swallow))
    large = stored(tmp_path / "large", bytes(9_000_000), "image/png")
    await provider.submit(image(large))
    assert max(swallow.blocks) <= 64 * 1024
    assert sum(swallow.blocks) == swallow.stated > 9_000_000


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (common.CUT, Unavailable),
        (store_fault(500), Unavailable),
        (store_fault(503, Retry_After="5"), Unavailable),
        (store_fault(408), Unavailable),
        (store_fault(429), Unavailable),
        (common.REDIRECT, Unavailable),
        (store_fault(400), Refused),
        (store_fault(401), Refused),
        (store_fault(403), Refused),
        (store_fault(404), Refused),
        (store_fault(413), Refused),
    ],
)
async def test_an_upload_that_goes_wrong_starts_nothing(
    provider: Pixwith, vendor: PixwithImitation, first: Media, fault: Fault, kind: type[ProviderError]
) -> None:
    vendor.fault_next(Route.STORE, fault)
    with pytest.raises(ProviderError) as caught:
        await provider.submit(image(first))
    assert type(caught.value) is kind
    if isinstance(caught.value, Refused):
        assert caught.value.advice
    (upload,) = vendor.uploads.values()
    assert_no_secret(caught.value, upload.fields["x-amz-signature"], upload.fields["policy"])
    assert vendor.count(Route.SUBMIT) == 0


async def test_a_store_may_say_when_it_has_time_again(
    provider: Pixwith, vendor: PixwithImitation, first: Media
) -> None:
    vendor.fault_next(Route.STORE, store_fault(503, Retry_After="7"))
    with pytest.raises(Unavailable) as caught:
        await provider.submit(image(first))
    assert caught.value.retry_after == 7
    await submitted(provider, vendor, image(first))


async def test_a_store_that_hangs_is_left(
    provider: Pixwith, vendor: PixwithImitation, first: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer, "UPLOAD_TOTAL", 0.05)
    vendor.fault_next(Route.STORE, common.HANG)
    with pytest.raises(Unavailable, match="took too long"):
        await provider.submit(image(first))
    assert vendor.count(Route.SUBMIT) == 0


async def test_a_picture_that_is_gone_is_refused(provider: Pixwith, vendor: PixwithImitation, first: Media) -> None:
    first.path.unlink()
    with pytest.raises(Refused, match="can't be read") as caught:
        await provider.submit(image(first))
    assert str(first.path) not in "".join(traceback.format_exception(caught.value))
    assert not vendor.jobs


@pytest.mark.parametrize("content", [b"GIF89a", b""])
async def test_what_is_no_picture_is_refused(
    provider: Pixwith, vendor: PixwithImitation, tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(Refused) as caught:
        await provider.submit(image(stored(tmp_path / "gif", content, "image/png")))
    assert caught.value.vendor_message == "Invalid image format"
    assert not vendor.jobs


FORM: dict[str, Any] = {"upload_url": {"url": "https://store.test/", "fields": {"key": "k"}}, "image_url": LINK}


def form_at(url: object) -> dict[str, Any]:
    return {**FORM, "upload_url": {"url": url, "fields": {"key": "k"}}}


@pytest.mark.parametrize(
    "form",
    [
        None,
        [],
        {},
        {**FORM, "upload_url": "https://store.test/"},
        {**FORM, "upload_url": {"url": "https://store.test/"}},
        {**FORM, "upload_url": {"url": "https://store.test/", "fields": []}},
        {**FORM, "upload_url": {"url": "https://store.test/", "fields": {"key": {}}}},
        {**FORM, "image_url": None},
        {**FORM, "image_url": "file:///etc/passwd"},
        form_at(None),
        form_at(""),
        form_at("http://store.test/"),
        form_at("ftp://store.test/"),
        form_at("//store.test/"),
        form_at("https://"),
        form_at("https://name:word@store.test/"),
        form_at("https://store.test:port/"),
        form_at("https://127.0.0.1:99999/"),
        form_at("https://xn--a/"),
        form_at("https://10.0.0.1/"),
        form_at("https://169.254.169.254/latest"),
        form_at("https://[::1]/"),
        form_at("https://localhost:9/"),
        form_at("http://127.0.0.2/"),
    ],
)
async def test_a_form_that_can_not_be_used_is_refused(
    provider: Pixwith, vendor: PixwithImitation, first: Media, form: object
) -> None:
    vendor.fault_next(Route.FORM, data_fault(form))
    with pytest.raises(Refused) as caught:
        await provider.submit(image(first))
    assert_no_secret(caught.value, "word@")
    assert [call.route for call in vendor.calls] == [Route.FORM]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (common.CUT, Unavailable),
        (common.HTML_502, Unavailable),
        (common.REDIRECT, Refused),
        (Fault(body=b"<html>"), Refused),
        (Fault(status=404), Refused),
        (error_fault("no room"), Refused),
        (error_fault("?", code=7), Refused),
        (faults.INVALID_FORMAT, Refused),
        (faults.INVALID_KEY, AuthFailed),
        (error_fault("Invalid API KEY", status=400), AuthFailed),
        (faults.NO_CREDITS, AuthFailed),
        (Fault(status=401), AuthFailed),
        (faults.TOO_MANY, Unavailable),
        (store_fault(429), Unavailable),
    ],
)
async def test_asking_for_a_form_that_goes_wrong_starts_nothing(
    provider: Pixwith, vendor: PixwithImitation, first: Media, fault: Fault, kind: type[ProviderError]
) -> None:
    vendor.fault_next(Route.FORM, fault)
    with pytest.raises(ProviderError) as caught:
        await provider.submit(image(first))
    assert type(caught.value) is kind
    assert_no_secret(caught.value)
    assert [call.route for call in vendor.calls] == [Route.FORM]


async def test_nobody_waits_long_for_a_form(first: Media, vendor: PixwithImitation) -> None:
    provider = Pixwith.connect(api_key=KEY, base_url=vendor.base_url, requests_per_minute=1)
    await provider.check()
    with pytest.raises(Unavailable) as caught:
        await provider.submit(image(first))
    assert caught.value.retry_after is not None
    assert vendor.count(Route.FORM) == 0
    await provider.close()


# What a task becomes


async def test_a_task_from_its_start_to_its_video(provider: Pixwith, vendor: PixwithImitation) -> None:
    task_id = await submitted(provider, vendor)
    assert await provider.status(task_id, PRO) == Pending()
    vendor.finish(task_id, after_polls=1)
    assert await provider.status(task_id, PRO) == Pending()
    finished = await provider.status(task_id, PRO)
    assert isinstance(finished, Finished)
    assert (finished.cost, finished.expires_at) == (None, None)
    async with aiohttp.ClientSession() as session, session.get(finished.video_url) as response:
        assert await response.read() == small_video()


async def test_a_task_that_failed_has_no_reason(provider: Pixwith, vendor: PixwithImitation) -> None:
    task_id = await submitted(provider, vendor)
    vendor.fail(task_id)
    assert await provider.status(task_id, PRO) == Rejected(reason="")


async def test_should_a_failure_ever_have_a_reason_it_is_told(provider: Pixwith, vendor: PixwithImitation) -> None:
    vendor.fault_next(Route.STATUS, data_fault({"status": 3, "message": f"no cats {KEY}"}))
    assert await provider.status("1", PRO) == Rejected(reason="no cats [secret]")


@pytest.mark.parametrize("number", [1, "1", " 1 "])
async def test_in_the_works(
    provider: Pixwith, vendor: PixwithImitation, number: object, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.fault_next(Route.STATUS, data_fault({"status": number}))
    assert await provider.status("1", PRO) == Pending()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_status_that_nobody_knows_is_pending_and_told_once(
    provider: Pixwith, vendor: PixwithImitation, caplog: pytest.LogCaptureFixture
) -> None:
    task_id = await submitted(provider, vendor)
    for word in ("4", "dreaming", "0", "4", KEY):
        vendor.say(task_id, word)
        assert await provider.status(task_id, PRO) == Pending()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert ["'4'" in line for line in told] == [True, False, False, False]
    assert KEY not in caplog.text


@pytest.mark.parametrize("number", [2, "2"])
@pytest.mark.parametrize("urls", [[LINK], [LINK, "https://other"], LINK])
async def test_where_the_link_of_a_video_may_stand(
    provider: Pixwith, vendor: PixwithImitation, number: object, urls: object
) -> None:
    vendor.fault_next(Route.STATUS, data_fault({"status": number, "result_urls": urls}))
    assert await provider.status("1", PRO) == Finished(video_url=LINK)


@pytest.mark.parametrize("urls", [None, [], "", [""], [None], [5], {}, "soon", "file:///etc/passwd", ["data:,x"]])
async def test_completed_without_a_link_breaks_the_contract(
    provider: Pixwith, vendor: PixwithImitation, urls: object
) -> None:
    vendor.fault_next(Route.STATUS, data_fault({"status": 2, "result_urls": urls}))
    with pytest.raises(ContractBroken, match="link"):
        await provider.status("1", PRO)


@pytest.mark.parametrize("data", [None, [], "text", {}, {"status": None}, {"status": ""}, {"status": [2]}])
async def test_a_status_that_can_not_be_read_breaks_the_contract(
    provider: Pixwith, vendor: PixwithImitation, data: object
) -> None:
    vendor.fault_next(Route.STATUS, data_fault(data))
    with pytest.raises(ContractBroken, match="status"):
        await provider.status("1", PRO)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (150, 150),
        ("90", 90),
        (2.5, 2.5),
        (0, 0),
        (-1, None),
        ("soon", None),
        (None, None),
        ([], None),
        ("inf", None),
        # no instant can be so far away
        (1e300, None),
        (86_401, None),
    ],
)
async def test_how_long_it_may_take(
    provider: Pixwith, vendor: PixwithImitation, told: object, seconds: float | None
) -> None:
    vendor.estimated_time = told
    assert (await provider.submit(text())).estimated_seconds == seconds


# What goes wrong


@pytest.mark.parametrize(
    ("fault", "kind", "task_runs"),
    [
        (Fault(takes_job=True, body=b'{"data": {"task_id": "1"}}'), OutcomeUnknown, True),
        (data_fault(None, takes_job=True), OutcomeUnknown, True),
        (data_fault({}, takes_job=True), OutcomeUnknown, True),
        (data_fault({"task_id": " "}, takes_job=True), OutcomeUnknown, True),
        (error_fault("?", code=2, takes_job=True), OutcomeUnknown, True),
        (faults.INVALID_KEY, AuthFailed, False),
        (error_fault("invalid api key: abc"), AuthFailed, False),
        (error_fault("Invalid API KEY", status=400), AuthFailed, False),
        (faults.NO_CREDITS, AuthFailed, False),
        (error_fault("CREDITS NOT ENOUGH!"), AuthFailed, False),
        (error_fault("Credits not enough", status=422), AuthFailed, False),
        (faults.INVALID_FORMAT, Refused, False),
        (faults.INVALID_URL, Refused, False),
        (error_fault("Invalid image url", status=400), Refused, False),
        (error_fault("The prompt is not allowed"), Refused, False),
        (error_fault("Failed to generate: accuracy"), Refused, False),
        (faults.TOO_MANY, Unavailable, False),
        (error_fault("Requests are too frequent"), Unavailable, False),
        (error_fault("Rate limit exceeded"), Unavailable, False),
        (error_fault("rate exceeded", status=400), Unavailable, False),
    ],
)
async def test_a_submission_that_goes_wrong(
    provider: Pixwith,
    vendor: PixwithImitation,
    fault: Fault,
    kind: type[ProviderError],
    task_runs: bool,  # noqa: FBT001
) -> None:
    vendor.fault_next(Route.SUBMIT, fault)
    with pytest.raises(ProviderError) as caught:
        await provider.submit(text())
    assert type(caught.value) is kind
    assert_no_secret(caught.value)
    assert bool(vendor.jobs) is task_runs
    assert vendor.count(Route.SUBMIT) == 1


@pytest.mark.parametrize(
    ("message", "advice"), [("Invalid image format", "PNG or JPEG"), ("Invalid image url", "another picture")]
)
async def test_a_refusal_says_what_to_do(
    provider: Pixwith, vendor: PixwithImitation, message: str, advice: str
) -> None:
    vendor.fault_next(Route.SUBMIT, error_fault(message))
    with pytest.raises(Refused) as caught:
        await provider.submit(text())
    assert advice in (caught.value.advice or "")
    assert caught.value.vendor_message == message


@pytest.mark.parametrize("message", [None, 5, {"text": "no"}, ["no"], "", f"no {KEY}"])
async def test_a_message_of_any_kind_is_a_refusal(provider: Pixwith, vendor: PixwithImitation, message: Any) -> None:
    vendor.fault_next(Route.SUBMIT, error_fault(message))
    with pytest.raises(Refused) as caught:
        await provider.submit(text())
    assert_no_secret(caught.value)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (common.HTML_502, Unavailable),
        (store_fault(429, Retry_After="5"), Unavailable),
        (faults.TOO_MANY, Unavailable),
        (error_fault("too many requests", status=400), Unavailable),
        (Fault(body=b'{"data": {"status": 1}}'), ContractBroken),
        (Fault(status=404), UnknownTask),
        (error_fault("What?"), ContractBroken),
        (error_fault("?", code=-1), ContractBroken),
        (faults.INVALID_KEY, AuthFailed),
        (error_fault("Invalid API KEY", status=400), AuthFailed),
        (faults.NO_CREDITS, AuthFailed),
        (faults.INVALID_URL, ContractBroken),
        (error_fault("Invalid image format", status=400), ContractBroken),
    ],
)
async def test_a_look_at_a_task_that_goes_wrong(
    provider: Pixwith, vendor: PixwithImitation, fault: Fault, kind: type[ProviderError]
) -> None:
    task_id = await submitted(provider, vendor)
    vendor.fault_next(Route.STATUS, fault)
    with pytest.raises(ProviderError) as caught:
        await provider.status(task_id, PRO)
    assert type(caught.value) is kind
    assert_no_secret(caught.value)


@pytest.mark.parametrize("fault", [faults.TOO_MANY, store_fault(429)])
async def test_after_too_many_requests_nobody_asks_before_it_is_time(
    provider: Pixwith, vendor: PixwithImitation, fault: Fault
) -> None:
    vendor.fault_next(Route.SUBMIT, fault)
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            await provider.submit(text())
        assert caught.value.retry_after == pytest.approx(30, abs=1)
    assert vendor.count(Route.SUBMIT) == 1


async def test_a_hanging_upload_can_be_left(provider: Pixwith, vendor: PixwithImitation, first: Media) -> None:
    vendor.fault_next(Route.STORE, common.HANG)
    waiting = asyncio.create_task(provider.submit(image(first)))
    while not vendor.count(Route.STORE):  # noqa: ASYNC110 - the imitation has no event for it
        await asyncio.sleep(0.001)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_stopped_vendor_is_unavailable(provider: Pixwith, vendor: PixwithImitation, first: Media) -> None:
    await vendor.stop()
    for request in (text(), image(first)):
        with pytest.raises(Unavailable):
            await provider.submit(request)
    with pytest.raises(Unavailable):
        await provider.status("1", PRO)


# Key and credits


async def test_what_is_left_is_told(provider: Pixwith, vendor: PixwithImitation) -> None:
    await provider.check()
    assert await provider.balance() == Decimal(500)
    assert {call.route for call in vendor.calls} == {Route.CREDITS}


async def test_without_credits_the_check_fails(provider: Pixwith, vendor: PixwithImitation) -> None:
    vendor.credits = 0
    assert await provider.balance() == 0
    with pytest.raises(AuthFailed, match="funds"):
        await provider.check()


@pytest.mark.parametrize("data", [None, {}, [], {"credits": None}, {"credits": "many"}, {"credits": "NaN"}])
async def test_credits_that_can_not_be_read_break_the_contract(
    provider: Pixwith, vendor: PixwithImitation, data: object
) -> None:
    vendor.fault_always(Route.CREDITS, data_fault(data))
    calls: list[Callable[[], Awaitable[object]]] = [provider.balance, provider.check]
    for call in calls:
        with pytest.raises(ContractBroken, match="credits"):
            await call()


async def test_a_wrong_key_stops_everything(vendor: PixwithImitation, first: Media) -> None:
    wrong = "key_wrong_00000000"
    provider = Pixwith.connect(api_key=wrong, base_url=vendor.base_url)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: provider.submit(text()),
        lambda: provider.submit(image(first)),
        lambda: provider.status("1", PRO),
        provider.balance,
        provider.check,
    ]
    for call in calls:
        with pytest.raises(AuthFailed) as caught:
            await call()
        assert_no_secret(caught.value, wrong)
    assert not vendor.jobs
    assert not vendor.uploads
    await provider.close()


async def test_nothing_shows_a_secret(
    provider: Pixwith, vendor: PixwithImitation, first: Media, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await provider.status(await submitted(provider, vendor, image(first)), PRO)
    vendor.fault_next(Route.STORE, common.CUT)
    with pytest.raises(Unavailable):
        await provider.submit(image(first))
    assert caplog.records
    form = layer.UploadForm("https://store.test/?secret", {"policy": "secret"})
    assert "secret" not in repr(form)
    for secret in (KEY, *(upload.fields["x-amz-signature"] for upload in vendor.uploads.values())):
        assert secret not in caplog.text + repr(provider)


# What the provider says of itself


async def test_what_the_provider_tells_about_itself(vendor: PixwithImitation) -> None:
    provider = Pixwith.connect(api_key=KEY, base_url=vendor.base_url)
    assert (provider.name, provider.title) == ("pixwith", "Pixwith")
    assert (provider.can_list, provider.can_cancel, provider.is_local) == (False, False, False)
    assert provider.requests_per_minute == 60
    assert provider.trusted_hosts == frozenset({"127.0.0.1"})
    with pytest.raises(ContractBroken):
        await provider.recent_tasks(since=datetime.now(UTC))
    await provider.close()


# The imitation is as strict as the documents


BASE = {"prompt": "p", "model_id": "2-10", "options": OPTIONS}
LITE_OPTIONS = {"prompt_optimization": True, "aspect_ratio": "16:9", "resolution": "720p"}
LITE_BASE = {"prompt": "p", "model_id": "2-8", "options": LITE_OPTIONS, "image_urls": ["https://cdn.test/1.png"]}


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in BASE.items() if key != name}


def options_without(name: str) -> dict[str, object]:
    return {**BASE, "options": {key: value for key, value in OPTIONS.items() if key != name}}


def options_with(**changed: object) -> dict[str, object]:
    return {**BASE, "options": {**OPTIONS, **changed}}


async def fetch(link: str) -> bytes:
    content = {"https://cdn.test/1.png": PNG, "https://cdn.test/2.gif": b"GIF89a"}.get(link)
    if content is None:
        raise OSError(link)
    return content


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (BASE, "success"),
        ({**BASE, "model_id": "2-9"}, "success"),
        ({**BASE, "image_urls": ["https://cdn.test/1.png"] * 2}, "success"),
        (LITE_BASE, "success"),
        ({**BASE, "more": 1}, "success"),
        ([], "JSON object"),
        (without("prompt"), "prompt"),
        ({**BASE, "prompt": " "}, "prompt"),
        (without("model_id"), "model_id"),
        ({**BASE, "model_id": "2-7"}, "model_id"),
        (without("options"), "options"),
        ({**BASE, "options": []}, "options"),
        (options_without("prompt_optimization"), "prompt_optimization"),
        (options_with(prompt_optimization="true"), "prompt_optimization"),
        (options_without("aspect_ratio"), "aspect_ratio"),
        (options_with(aspect_ratio="1:1"), "aspect_ratio"),
        (options_without("resolution"), "resolution"),
        (options_with(resolution="1080p"), "resolution"),
        (options_without("duration"), "duration"),
        (options_with(duration=6), "duration"),
        (options_with(duration="5"), "duration"),
        ({**BASE, "image_urls": []}, "image_urls"),
        ({**BASE, "image_urls": "https://cdn.test/1.png"}, "image_urls"),
        ({**BASE, "image_urls": ["https://cdn.test/1.png"] * 3}, "image_urls"),
        ({**BASE, "image_urls": ["https://cdn.test/gone.png"]}, "Invalid image url"),
        ({**BASE, "image_urls": ["https://cdn.test/2.gif"]}, "Invalid image format"),
        ({**LITE_BASE, "image_urls": ["https://cdn.test/1.png"] * 2}, "image_urls"),
        ({**BASE, "model_id": "2-8", "options": LITE_OPTIONS}, "image_urls"),
        ({**LITE_BASE, "options": {**LITE_OPTIONS, "duration": 5}}, "duration"),
        ({**LITE_BASE, "options": {**LITE_OPTIONS, "resolution": "480p"}}, "resolution"),
    ],
)
async def test_what_the_imitation_accepts(body: Any, message: str) -> None:
    async with PixwithImitation(key=KEY, fetch=fetch) as vendor, httpx.AsyncClient(headers={"Api-Key": KEY}) as client:
        answer = (await client.post(f"{vendor.base_url}/api/task/create", json=body)).json()
        assert message in answer["message"]
        assert len(vendor.submissions) == answer["code"] == (message == "success")


async def test_the_imitation_answers_as_the_documents_show(vendor: PixwithImitation) -> None:
    async with httpx.AsyncClient(headers={"Api-Key": KEY}, base_url=f"{vendor.base_url}/api/task") as client:
        taken = (await client.post("/create", json={**BASE, "more": 1})).json()
        task_id = taken["data"]["task_id"]
        assert taken == {"code": 1, "message": "success", "data": {"task_id": task_id, "estimated_time": 150}}
        assert vendor.unknown == {"more"}
        vendor.finish(task_id)
        got = (await client.post("/get", json={"task_id": task_id})).json()
        assert (got["data"]["status"], len(got["data"]["result_urls"])) == (2, 1)
        assert (await client.post("/get_credits", json={})).json() == {"code": 1, "data": {"credits": 490}}
        refused = await client.post("/create", json={}, headers={"Api-Key": "other"})
        assert refused.json() == {"code": 0, "message": "Invalid API KEY"}


async def put(
    client: httpx.AsyncClient,
    form: dict[str, Any],
    *,
    fields: dict[str, str] | None = None,
    file: tuple[str, bytes, str] = ("x.png", PNG, "image/png"),
    headers: dict[str, str] | None = None,
) -> int:
    data = form["upload_url"]["fields"] if fields is None else fields
    answer = await client.post(form["upload_url"]["url"], data=data, files={"file": file}, headers=headers)
    return answer.status_code


async def test_the_imitations_store_takes_its_own_form_only(vendor: PixwithImitation) -> None:
    async with httpx.AsyncClient() as client:
        wish = {"image_name": "x.png", "content_type": "image/png"}
        answer = await client.post(f"{vendor.base_url}/api/task/pre_url", json=wish, headers={"Api-Key": KEY})
        form = answer.json()["data"]
        fields = form["upload_url"]["fields"]
        assert list(fields)[:2] == ["key", "Content-Type"]
        assert await put(client, form, headers={"Api-Key": KEY}) == 400
        assert await put(client, form, fields={}) == 403
        assert await put(client, form, fields=dict(reversed(fields.items()))) == 403
        assert await put(client, form, fields={**fields, "policy": "other"}) == 403
        assert await put(client, form, file=("x.png", PNG, "image/jpeg")) == 403
        assert await put(client, form, file=("x.png", bytes(faults.MOST_BYTES + 1), "image/png")) == 400
        assert (await client.get(form["image_url"])).status_code == 404
        assert await put(client, form) == 204
        assert (await client.get(form["image_url"])).content == PNG
        for upload in vendor.uploads.values():
            upload.until = datetime.now(UTC) - timedelta(seconds=1)
        assert await put(client, form) == 403


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("x.gif", "image/gif"), ("x.png", "image/jpeg"), ("x", "image/png"), ("x.webp", "image/webp"), ("x.png", None)],
)
async def test_the_imitation_gives_forms_for_png_and_jpeg_only(
    vendor: PixwithImitation, name: str, content_type: str | None
) -> None:
    async with httpx.AsyncClient(headers={"Api-Key": KEY}) as client:
        wish = {"image_name": name, "content_type": content_type}
        answer = await client.post(f"{vendor.base_url}/api/task/pre_url", json=wish)
        assert answer.json() == {"code": 0, "message": "Invalid image format"}


async def test_the_imitation_counts_requests_and_credits() -> None:
    async with PixwithImitation(key=KEY, requests_per_minute=2) as vendor:
        vendor.credits = 15
        provider = Pixwith.connect(api_key=KEY, base_url=vendor.base_url, requests_per_minute=None)
        await provider.submit(text())
        with pytest.raises(AuthFailed):
            await provider.submit(text())
        with pytest.raises(Unavailable):
            await provider.submit(text())
        await provider.close()


async def test_the_imitation_lives_its_tasks_itself(provider: Pixwith, vendor: PixwithImitation) -> None:
    vendor.polls = 1
    task_id = await submitted(provider, vendor)
    assert await provider.status(task_id, PRO) == Pending()
    assert isinstance(await provider.status(task_id, PRO), Finished)
    vendor.error = "no cats"
    other = await submitted(provider, vendor)
    await provider.status(other, PRO)
    assert await provider.status(other, PRO) == Rejected(reason="")
