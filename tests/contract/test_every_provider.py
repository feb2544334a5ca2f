"""The contract of ``providers.contract``, kept by every adapter that the bot can build.

Nothing here knows one vendor from another: what differs is in ``benches``. A vendor's own shapes, words and
faults are tested in its own file.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import inspect
import logging
import pkgutil
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from aiohttp import web
from pydantic import SecretStr

import providers
from bot.settings import Settings
from bot.vendors import make_providers
from providers import http as layer
from providers.__main__ import make_providers as make_providers_alone
from providers.catalogue import MODELS, PIXAZO_WAN_22_I2V_PLUS, PIXELDOJO_WAN_22_STANDARD, PIXWITH_WAN_22_PRO
from providers.contract import BeforeSending, Provider, at_once
from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, ProviderError, Refused, Unavailable
from providers.links import Links
from providers.options import Wish
from providers.registry import Registry
from providers.types import Finished, GenerationRequest, Mode, ModelSpec, Pending, Rejected, Submission
from tests.clocks import Clock
from tests.contract.benches import BENCHES, KEY, Stage, VendorStage, answer, environment, on_stage, vendor_at
from tests.contract.wire import disagreements, fetch, offers, plain_wish, request_for
from tests.imitations.vendor import (
    CUT,
    CUT_AFTER_JOB,
    HANG,
    HANG_AFTER_JOB,
    HTML_502,
    REDIRECT,
    Fault,
    Route,
)

BUILT = make_providers(Settings.load(environment()), clock=Clock())
EVERY = [provider.name for provider in BUILT]
VENDORS = [name for name in EVERY if name in BENCHES]
WRONG_KEY = "another_key_that_nobody_knows"


@pytest.fixture
async def stage(name: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with on_stage(name, folder=tmp_path, fetch=fetch) as opened:
        yield opened


@pytest.fixture
async def vendors(name: str, tmp_path: Path) -> AsyncIterator[VendorStage]:
    async with on_stage(name, folder=tmp_path, fetch=fetch) as opened:
        assert isinstance(opened, VendorStage)
        yield opened


@pytest.fixture(autouse=True)
def no_secret_in_any_log_line(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    lines = "\n".join(caplog.handler.format(record) for record in caplog.get_records("call"))
    assert not secrets_in(lines)


every_adapter = pytest.mark.parametrize("name", EVERY)
every_vendor = pytest.mark.parametrize("name", VENDORS)


def models_of(name: str) -> list[ModelSpec]:
    return [spec for spec in MODELS if spec.provider == name and spec.successor is None]


def first_model(name: str) -> ModelSpec:
    """One that needs no picture, if there is one."""
    return min(models_of(name), key=lambda spec: Mode.TEXT not in spec.modes)


def plain(name: str, folder: Path) -> GenerationRequest:
    spec = first_model(name)
    return request_for(spec, spec.modes[0], folder)


# The table


def test_every_adapter_has_an_imitation() -> None:
    without = {name for name in EVERY if name not in BENCHES}
    assert without == {"demo"}, "add an entry to BENCHES in tests/contract/benches.py"
    assert list(BENCHES) == VENDORS, "an imitation without an adapter that the bot builds"


def test_every_adapter_of_the_package_is_built_by_the_bot() -> None:
    modules = [importlib.import_module(f"providers.{each.name}") for each in pkgutil.iter_modules(providers.__path__)]
    adapters = {
        adapter.name
        for module in modules
        for _, adapter in inspect.getmembers(module, inspect.isclass)
        if issubclass(adapter, Provider) and not inspect.isabstract(adapter)
    }
    assert adapters == set(EVERY)


def test_the_package_alone_builds_what_the_bot_builds(tmp_path: Path) -> None:
    assert [provider.name for provider in make_providers_alone(environment(), tmp_path)] == EVERY


def test_every_model_of_the_catalogue_is_offered_when_all_is_set() -> None:
    registry = Registry.of(BUILT)
    assert list(registry.models) == [spec.id for spec in MODELS if spec.successor is None]
    assert {spec.provider for spec in registry.models.values()} == set(EVERY)


def test_without_keys_there_is_the_demo_alone() -> None:
    assert [provider.name for provider in make_providers(Settings.load({}), clock=Clock())] == ["demo"]


# What an adapter says of itself


@every_adapter
async def test_an_adapter_says_who_it_is(name: str, stage: Stage) -> None:
    provider = stage.provider
    assert (provider.name, bool(provider.title)) == (name, True)
    assert all(spec.id == name or spec.id.startswith(f"{name}/") for spec in models_of(name))
    assert provider.is_local is (name not in BENCHES)
    assert provider.is_local or provider.requests_per_minute == 100_000
    assert provider.trusted_hosts == (frozenset() if provider.is_local else {"127.0.0.1"})


@every_adapter
async def test_closing_twice_does_no_harm(stage: Stage) -> None:
    await stage.provider.close()
    await stage.provider.close()


@every_adapter
async def test_what_is_left_at_the_vendor_is_a_number_or_not_known(stage: Stage) -> None:
    balance = await stage.provider.balance()
    assert balance is None or (isinstance(balance, Decimal) and balance > 0)


@every_adapter
async def test_an_adapter_and_the_catalogue_have_nothing_to_disagree_about(name: str, stage: Stage) -> None:
    assert list(await stage.provider.disagreements(models_of(name))) == []


# What becomes of a task


class Doubt(Exception):  # noqa: N818 - it is no error of anybody
    """Whoever asked doesn't want it any more."""


@every_adapter
async def test_what_is_withheld_in_the_last_moment_starts_nothing(name: str, stage: Stage, tmp_path: Path) -> None:
    asked = 0

    async def doubt() -> None:
        nonlocal asked
        asked += 1
        raise Doubt

    with pytest.raises(Doubt):
        await stage.provider.submit(plain(name, tmp_path), before_sending=doubt)
    assert asked == 1
    if isinstance(stage, VendorStage):
        assert (stage.vendor.jobs, stage.vendor.submissions) == ({}, [])
    else:
        assert not list(tmp_path.glob("**/*.json"))


@every_adapter
async def test_the_last_moment_is_told_once_and_before_anything_is_started(
    name: str, stage: Stage, tmp_path: Path
) -> None:
    started: list[int] = []

    async def note() -> None:
        started.append(len(stage.vendor.jobs) if isinstance(stage, VendorStage) else 0)

    await stage.provider.submit(plain(name, tmp_path), before_sending=note)
    assert started == [0]


@every_adapter
async def test_a_task_from_its_start_to_its_video(name: str, stage: Stage, tmp_path: Path) -> None:
    request = plain(name, tmp_path)
    submission = await stage.provider.submit(request)
    assert submission.task_id.strip() == submission.task_id != ""
    assert submission.estimated_seconds is None or submission.estimated_seconds >= 0
    working = await stage.provider.status(submission.task_id, request.model)
    assert isinstance(working, Pending)
    assert working.progress is None or 0 <= working.progress <= 1
    await stage.finish(submission.task_id, request.model)
    finished = await stage.provider.status(submission.task_id, request.model)
    assert isinstance(finished, Finished)
    assert await size_of(finished, stage.provider, tmp_path) > 0


async def size_of(finished: Finished, provider: Provider, folder: Path) -> int:
    async with httpx.AsyncClient() as client:
        links = Links(client=client, trusted_hosts=provider.trusted_hosts)
        target, local = folder / "video.mp4", provider.is_local
        return await links.fetch(finished.video_url, target, max_bytes=10**8, seconds=10, allow_file=local)


@every_adapter
async def test_a_task_that_failed_is_rejected(name: str, stage: Stage, tmp_path: Path) -> None:
    request = plain(name, tmp_path)
    task_id = (await stage.provider.submit(request)).task_id
    stage.fail(task_id)
    assert isinstance(await stage.provider.status(task_id, request.model), Rejected)


@every_adapter
async def test_a_task_that_is_known_no_more_breaks_the_contract(name: str, stage: Stage, tmp_path: Path) -> None:
    request = plain(name, tmp_path)
    task_id = (await stage.provider.submit(request)).task_id
    stage.forget(task_id)
    with pytest.raises(ContractBroken):
        await stage.provider.status(task_id, request.model)


@every_vendor
async def test_a_word_that_nobody_knows_is_pending_and_told_once(
    name: str, vendors: VendorStage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    request = plain(name, tmp_path)
    task_id = (await vendors.provider.submit(request)).task_id
    for word in ("dreaming", "floating", "dreaming", KEY):
        vendors.vendor.say(task_id, word)
        assert await vendors.provider.status(task_id, request.model) == Pending()
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [("dreaming" in line, "floating" in line) for line in told] == [(True, False), (False, True), (False, False)]


@every_adapter
async def test_only_who_says_so_can_stop_a_task(name: str, stage: Stage, tmp_path: Path) -> None:
    request = plain(name, tmp_path)
    task_id = (await stage.provider.submit(request)).task_id
    assert await stage.provider.cancel(task_id) is stage.provider.can_cancel
    if not stage.provider.can_cancel:
        assert isinstance(await stage.provider.status(task_id, request.model), Pending)


@every_adapter
async def test_only_who_says_so_can_list_tasks(stage: Stage) -> None:
    since = datetime.now(UTC)
    if stage.provider.can_list:
        assert list(await stage.provider.recent_tasks(since=since)) == []
    else:
        with pytest.raises(ContractBroken):
            await stage.provider.recent_tasks(since=since)


@pytest.mark.parametrize("name", [provider.name for provider in BUILT if provider.can_list])
async def test_a_lost_submission_is_found_where_tasks_can_be_listed(
    name: str, vendors: VendorStage, tmp_path: Path
) -> None:
    request, before = plain(name, tmp_path), datetime.now(UTC) - timedelta(seconds=1)
    vendors.vendor.fault_next(Route.SUBMIT, CUT_AFTER_JOB)
    with pytest.raises(OutcomeUnknown):
        await vendors.provider.submit(request)
    (found,) = await vendors.provider.recent_tasks(since=before)
    (job_id,) = vendors.vendor.jobs
    assert (found.task_id, found.model, found.prompt) == (job_id, request.model.id, request.prompt)


@every_vendor
async def test_fields_that_no_document_has_change_nothing(
    name: str, vendors: VendorStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proper = web.json_response

    def with_news(content: Any, **more: Any) -> web.Response:
        return proper(with_more(content), **more)

    monkeypatch.setattr(web, "json_response", with_news)
    request = plain(name, tmp_path)
    task_id = (await vendors.provider.submit(request)).task_id
    assert isinstance(await vendors.provider.status(task_id, request.model), Pending)
    vendors.vendor.fail(task_id, "no cats")
    assert isinstance(await vendors.provider.status(task_id, request.model), Rejected)
    vendors.vendor.finish(task_id)
    assert isinstance(await vendors.provider.status(task_id, request.model), Finished)
    await vendors.provider.check()


def with_more(content: Any) -> Any:
    """Add to every object what the vendor may come to tell some day."""
    if isinstance(content, dict):
        fields = cast("dict[str, Any]", content)
        return {"new": {"a": [1]}, **{name: with_more(value) for name, value in fields.items()}, "newer": None}
    return [with_more(each) for each in cast("list[Any]", content)] if isinstance(content, list) else content


# The key


@every_adapter
async def test_the_right_key_passes_and_costs_nothing(stage: Stage) -> None:
    await stage.provider.check()
    if isinstance(stage, VendorStage):
        assert stage.vendor.calls
        assert not stage.vendor.jobs


@every_vendor
async def test_a_wrong_key_stops_everything(name: str, tmp_path: Path) -> None:
    async with on_stage(name, folder=tmp_path, fetch=fetch, key=WRONG_KEY) as stage:
        request = plain(name, tmp_path)
        calls: list[Callable[[], Awaitable[object]]] = [
            stage.provider.check,
            lambda: stage.provider.submit(request),
            lambda: stage.provider.status("1", request.model),
        ]
        if stage.provider.can_list:
            calls.append(lambda: stage.provider.recent_tasks(since=datetime.now(UTC)))
        for call in calls:
            assert type(await error_of(call())) is AuthFailed
        assert isinstance(stage, VendorStage)
        assert not stage.vendor.jobs


@every_vendor
@pytest.mark.parametrize("key", ["", "schlüssel", "two\nlines", "open "])
def test_a_key_that_no_header_can_carry_is_refused_unseen(name: str, key: str) -> None:
    settings = Settings.load(environment())
    odd = settings.model_copy(update={f"{name}_api_key": SecretStr(key)})
    with pytest.raises(ValueError, match=name) as caught:
        make_providers(odd, clock=Clock())
    assert not key or key not in "".join(traceback.format_exception(caught.value))


# What goes wrong

Wrong = Fault | Callable[[VendorStage], Fault]


def says(status: int, **headers: str) -> Callable[[VendorStage], Fault]:
    """An error in the vendor's own words, which repeat our key."""
    return lambda stage: stage.bench.fault(status, f"nobody knows {KEY}", **headers)


BROKEN_JSON = answer(b'{"id": "d758", "jobId": "d758', takes_job=True)
HTML = answer(b"<html><h1>Welcome</h1></html>", takes_job=True)
EMPTY = answer({}, takes_job=True)

WRONG_FOR_BOTH: list[tuple[str, Wrong, type[ProviderError], type[ProviderError]]] = [
    ("400", says(400), Refused, ContractBroken),
    ("401", says(401), AuthFailed, AuthFailed),
    ("402", says(402), AuthFailed, AuthFailed),
    ("403", says(403), AuthFailed, AuthFailed),
    ("404", says(404), Refused, ContractBroken),
    ("422", says(422), Refused, ContractBroken),
    ("429", says(429), Unavailable, Unavailable),
    ("500", says(500), OutcomeUnknown, Unavailable),
    ("502 as a page", HTML_502, OutcomeUnknown, Unavailable),
    ("503", says(503), OutcomeUnknown, Unavailable),
    ("504 without a word", Fault(status=504), OutcomeUnknown, Unavailable),
    ("a page", HTML, OutcomeUnknown, ContractBroken),
    ("half an answer", BROKEN_JSON, OutcomeUnknown, ContractBroken),
    ("a list", answer([], takes_job=True), OutcomeUnknown, ContractBroken),
    ("nothing in it", EMPTY, OutcomeUnknown, ContractBroken),
    ("a redirect", REDIRECT, OutcomeUnknown, ContractBroken),
    ("cut off", CUT, OutcomeUnknown, Unavailable),
    ("cut off after the fact", CUT_AFTER_JOB, OutcomeUnknown, Unavailable),
    ("cut off within the answer", Fault(body=b'{"id": "d7', cut=True, takes_job=True), OutcomeUnknown, Unavailable),
]
wrong = pytest.mark.parametrize(
    ("fault", "on_submit", "on_status"),
    [row[1:] for row in WRONG_FOR_BOTH],
    ids=[row[0] for row in WRONG_FOR_BOTH],
)


def told(fault: Wrong, stage: VendorStage) -> Fault:
    return fault if isinstance(fault, Fault) else fault(stage)


@wrong
@every_vendor
async def test_a_submission_that_goes_wrong_is_told_by_its_class_and_never_repeated(
    name: str,
    vendors: VendorStage,
    tmp_path: Path,
    *,
    fault: Wrong,
    on_submit: type[ProviderError],
    on_status: type[ProviderError],
) -> None:
    answered = told(fault, vendors)
    vendors.vendor.fault_next(Route.SUBMIT, answered)
    error = await error_of(vendors.provider.submit(plain(name, tmp_path)))
    assert type(error) is on_submit
    assert vendors.vendor.count(Route.SUBMIT) == 1
    assert bool(vendors.vendor.jobs) is answered.takes_job


@wrong
@every_vendor
async def test_a_look_that_goes_wrong_is_told_by_its_class_and_can_be_repeated(
    name: str,
    vendors: VendorStage,
    tmp_path: Path,
    *,
    fault: Wrong,
    on_submit: type[ProviderError],
    on_status: type[ProviderError],
) -> None:
    request = plain(name, tmp_path)
    task_id = (await vendors.provider.submit(request)).task_id
    vendors.vendor.fault_next(Route.STATUS, dataclasses.replace(told(fault, vendors), takes_job=False))
    error = await error_of(vendors.provider.status(task_id, request.model))
    assert isinstance(error, on_status)
    if on_status is not Unavailable:
        assert isinstance(await vendors.provider.status(task_id, request.model), Pending)


@every_vendor
async def test_success_without_a_link_breaks_the_contract(name: str, vendors: VendorStage) -> None:
    vendors.vendor.fault_next(Route.STATUS, answer(vendors.bench.no_link))
    error = await error_of(vendors.provider.status("1", first_model(name)))
    assert type(error) is ContractBroken
    assert "link" in str(error)


WISHES: list[tuple[str | None, float]] = [
    (None, 30),
    ("5", 5),
    ("0", 0),
    ("9999", 600),
    ("soon", 30),
    ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
]


@pytest.mark.parametrize(("named", "seconds"), WISHES)
@every_vendor
async def test_after_a_429_the_vendors_wish_is_told(
    name: str, vendors: VendorStage, tmp_path: Path, *, named: str | None, seconds: float
) -> None:
    headers = {} if named is None else {"Retry_After": named}
    request = plain(name, tmp_path)
    vendors.vendor.fault_next(Route.SUBMIT, vendors.bench.fault(429, "too many", **headers))
    error = await error_of(vendors.provider.submit(request))
    assert isinstance(error, Unavailable)
    assert error.retry_after == seconds


@every_vendor
async def test_after_a_429_nobody_asks_before_it_is_time(name: str, vendors: VendorStage, tmp_path: Path) -> None:
    request = plain(name, tmp_path)
    vendors.vendor.fault_next(Route.SUBMIT, vendors.bench.fault(429, "too many"))
    for _ in range(2):
        error = await error_of(vendors.provider.submit(request))
        assert isinstance(error, Unavailable)
        assert error.retry_after == pytest.approx(30, abs=2)
    assert vendors.vendor.count(Route.SUBMIT) == 1


@every_vendor
async def test_a_vendor_that_is_not_there_was_told_nothing(name: str, vendors: VendorStage, tmp_path: Path) -> None:
    await vendors.vendor.stop()
    request = plain(name, tmp_path)
    calls = [vendors.provider.submit(request), vendors.provider.status("1", request.model), vendors.provider.check()]
    for call in calls:
        assert type(await error_of(call)) is Unavailable


@every_vendor
async def test_a_vendor_that_lets_nobody_in_was_told_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("SUBMIT_TIMEOUT", "ASK_TIMEOUT"):
        monkeypatch.setattr(layer, limit, httpx.Timeout(30, connect=0.2))
    request = plain(name, tmp_path)
    with full_port() as port:
        async with vendor_at(name, f"http://127.0.0.1:{port}{BENCHES[name].path}") as provider:
            assert type(await error_of(provider.submit(request))) is Unavailable
            assert type(await error_of(provider.status("1", request.model))) is Unavailable


class full_port:  # noqa: N801 - used as a function
    """A port whose queue is full, so that connecting to it takes for ever."""

    def __enter__(self) -> int:
        self._sockets = ExitStack()
        server = self._sockets.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = self._sockets.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(server.getsockname())
        return int(server.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._sockets.close()


@every_vendor
async def test_a_submission_that_nobody_answers_has_no_known_outcome(
    name: str, vendors: VendorStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer, "SUBMIT_TOTAL", 0.3)
    vendors.vendor.fault_next(Route.SUBMIT, HANG_AFTER_JOB)
    assert type(await error_of(vendors.provider.submit(plain(name, tmp_path)))) is OutcomeUnknown
    assert len(vendors.vendor.jobs) == vendors.vendor.count(Route.SUBMIT) == 1


@every_vendor
async def test_a_look_that_nobody_answers_can_be_repeated(
    name: str, vendors: VendorStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = plain(name, tmp_path)
    task_id = (await vendors.provider.submit(request)).task_id
    monkeypatch.setattr(layer, "ASK_TOTAL", 0.2)
    vendors.vendor.fault_next(Route.STATUS, HANG)
    assert type(await error_of(vendors.provider.status(task_id, request.model))) is Unavailable


@every_vendor
async def test_a_vendor_that_hangs_can_be_left(name: str, vendors: VendorStage, tmp_path: Path) -> None:
    vendors.vendor.fault_next(Route.SUBMIT, HANG_AFTER_JOB)
    waiting = asyncio.create_task(vendors.provider.submit(plain(name, tmp_path)))
    while not vendors.vendor.jobs:  # noqa: ASYNC110 - the imitation has no event for it
        await asyncio.sleep(0.001)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


# What goes out


@pytest.mark.parametrize("model", list(Registry.of(BUILT).models.values()), ids=lambda spec: spec.id)
async def test_the_catalogue_and_the_wire_agree(model: ModelSpec, tmp_path: Path) -> None:
    async with on_stage(model.provider, folder=tmp_path, fetch=fetch) as stage:
        assert await disagreements(stage, model, tmp_path) == []


def test_every_option_of_the_command_is_compared() -> None:
    compared = {name for spec in MODELS for mode in spec.modes for offer in offers(spec, mode) for name in offer.wish}
    started = {name for mode in Mode for name in plain_wish(mode)}
    assert compared | started == {field.name for field in dataclasses.fields(Wish)}


BROKEN: list[tuple[ModelSpec, dict[str, Any], str]] = [
    (PIXWITH_WAN_22_PRO, {"has_seed": True}, "seed=0: offered, and refused"),
    (PIXELDOJO_WAN_22_STANDARD, {"has_seed": False}, "seed=0: not offered, and the adapter takes it"),
    (PIXELDOJO_WAN_22_STANDARD, {"durations": (5,)}, "duration=10: not offered, and the adapter takes it"),
    (PIXELDOJO_WAN_22_STANDARD, {"modes": (Mode.TEXT,)}, "from image: not offered, and the adapter takes it"),
    (PIXAZO_WAN_22_I2V_PLUS, {"resolutions": ("480p", "720p", "1080p")}, "resolution=720p: offered, and refused"),
    (PIXAZO_WAN_22_I2V_PLUS, {"negative_prompt_limit": 501}, "offered, and refused"),
    (PIXAZO_WAN_22_I2V_PLUS, {"aspect_ratio_modes": (Mode.IMAGE,)}, "aspect_ratio=16:9: offered, and refused"),
    (PIXAZO_WAN_22_I2V_PLUS, {"parameters": ()}, "settings=watermark=False: not offered, and the adapter takes it"),
]


@pytest.mark.parametrize(("spec", "change", "line"), BROKEN)
async def test_a_spec_that_does_not_fit_its_adapter_is_found(
    spec: ModelSpec, change: dict[str, Any], line: str, tmp_path: Path
) -> None:
    broken = dataclasses.replace(spec, **change)
    async with on_stage(spec.provider, folder=tmp_path, fetch=fetch) as stage:
        assert [each for each in await disagreements(stage, broken, tmp_path) if line in each]


async def test_an_adapter_that_drops_an_option_is_found(tmp_path: Path) -> None:
    spec = PIXELDOJO_WAN_22_STANDARD
    async with on_stage(spec.provider, folder=tmp_path, fetch=fetch) as stage:
        submit = stage.provider.submit

        async def without_seed(request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
            return await submit(dataclasses.replace(request, seed=None), before_sending=before_sending)

        stage.provider.submit = without_seed
        lines = await disagreements(stage, spec, tmp_path)
    assert len(lines) == 2 * len(spec.modes)
    assert all("seed" in line and "changes nothing" in line for line in lines)


async def test_an_adapter_that_changes_more_than_was_asked_for_is_found(tmp_path: Path) -> None:
    spec = PIXELDOJO_WAN_22_STANDARD
    async with on_stage(spec.provider, folder=tmp_path, fetch=fetch) as stage:
        submit = stage.provider.submit

        async def longer(request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
            asked = request if request.seed is None else dataclasses.replace(request, duration=10)
            return await submit(asked, before_sending=before_sending)

        stage.provider.submit = longer
        lines = await disagreements(stage, spec, tmp_path)
    assert any("seed=0: changes more than its own field: duration, seed" in line for line in lines)


# Secrets


def secrets_in(text: str) -> list[str]:
    """Our keys, or so much of them that the rest could be guessed."""
    return [key for key in (KEY, WRONG_KEY) if key[:8] in text or key[-8:] in text]


async def error_of(call: Awaitable[object]) -> ProviderError:
    """The error of a call, of which nothing that a log could show holds a secret."""
    with pytest.raises(ProviderError) as caught:
        await call
    link: BaseException | None = caught.value
    shown = "".join(traceback.format_exception(caught.value))
    while link is not None:
        frames = [
            frame for frame, _ in traceback.walk_tb(link.__traceback__) if "/providers/" in frame.f_code.co_filename
        ]
        shown += f"{link!r} {vars(link)} {link.args} {[frame.f_locals for frame in frames]!r}"
        link = link.__cause__ or link.__context__
    assert not secrets_in(shown)
    return caught.value


@every_adapter
async def test_a_repr_shows_no_key(stage: Stage) -> None:
    assert not secrets_in(repr(stage.provider))


@every_vendor
@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_vendor_that_repeats_our_key_is_not_quoted(
    name: str, vendors: VendorStage, tmp_path: Path, status: int
) -> None:
    request = plain(name, tmp_path)
    task_id = (await vendors.provider.submit(request)).task_id
    for start in (0, layer.MAX_MESSAGE - len(KEY) // 2):
        fault = vendors.bench.fault(status, f"{'x' * start}{KEY}")
        vendors.vendor.fault_next(Route.SUBMIT, fault)
        vendors.vendor.fault_next(Route.STATUS, fault)
        await error_of(vendors.provider.submit(request))
        await error_of(vendors.provider.status(task_id, request.model))


@every_vendor
async def test_a_reason_that_repeats_our_key_is_not_quoted(name: str, vendors: VendorStage, tmp_path: Path) -> None:
    request = plain(name, tmp_path)
    task_id = (await vendors.provider.submit(request)).task_id
    for error in (KEY, f"{'x' * (layer.MAX_MESSAGE - len(KEY) // 2)}{KEY}", {"code": KEY, "message": KEY}):
        vendors.vendor.fail(task_id, error)
        assert not secrets_in(repr(await vendors.provider.status(task_id, request.model)))


@every_vendor
async def test_an_answer_that_repeats_our_key_and_has_no_link_is_not_shown(name: str, vendors: VendorStage) -> None:
    content = {**cast("dict[str, Any]", vendors.bench.no_link), "error": KEY, "message": KEY}
    vendors.vendor.fault_next(Route.STATUS, answer(with_key(content)))
    await error_of(vendors.provider.status("1", first_model(name)))


def with_key(content: Any) -> Any:
    """Add our key to every object and list."""
    if isinstance(content, dict):
        return {**{name: with_key(value) for name, value in cast("dict[str, Any]", content).items()}, "echo": KEY}
    return [*cast("list[Any]", content), {"echo": KEY}] if isinstance(content, list) else content
