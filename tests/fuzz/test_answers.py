"""Whatever a vendor answers, the bot hears of it by an error of ``providers.errors``, or in values that it can use.

Each adapter is asked over a real socket, with a fresh budget, so that no answer can make the next one wait. The tables
of ``tests/contract`` tell what each answer means; here it is only that none of them does harm: nothing else is raised,
and what comes out can be stored, shown, and counted with.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, cast

import httpx
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from providers.addresses import is_public
from providers.catalogue import DEMO, MODELS
from providers.contract import Provider
from providers.demo import DemoProvider
from providers.errors import ProviderError, Unavailable
from providers.links import LinkError, Links
from providers.pixazo import Pixazo
from providers.pixeldojo import PixelDojo
from providers.pixwith import Pixwith
from providers.types import Cost, Finished, KnownTask, Mode, ModelSpec, Pending, Rejected, Submission
from providers.vtrix import Vtrix
from tests.clocks import NOON
from tests.contract.wire import request_for
from tests.fuzz.inputs import inputs, patient
from tests.fuzz.vendor import ITSELF, ODD, AnyVendor, answers, any_vendor, bodies, garbage

#: for each call of each adapter
CALL_INPUTS: Final = 120
GARBAGE_INPUTS: Final = 60
#: beside each odd value in each field
TASK_FILE_INPUTS: Final = 100
LINK_INPUTS: Final = 400

pytestmark = patient
#: one loop for all inputs, since the vendor lives in it
in_one_loop: Final = pytest.mark.asyncio(loop_scope="module")

KEY: Final = "key_of_the_fuzzing"
LINK: Final = "https://cdn.example/video.mp4"
SINCE: Final = datetime(2026, 11, 18, tzinfo=UTC)
#: the longest that a guess of a vendor's may be, so that it can be added to an instant
A_DAY: Final = timedelta(days=1).total_seconds()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of an adapter, and what the vendor's documents (or its own programs) have as the answers to it."""

    vendor: str
    name: str
    ask: Callable[[Provider, Path], Awaitable[object]]
    documented: Sequence[object]
    #: that it makes; those before the last may get a good answer
    requests: int = 1

    def __str__(self) -> str:
        return f"{self.vendor} {self.name}"


def _model(vendor: str, mode: Mode) -> ModelSpec:
    return next(spec for spec in MODELS if spec.provider == vendor and mode in spec.modes)


def _submit(vendor: str, mode: Mode = Mode.TEXT) -> Callable[[Provider, Path], Awaitable[object]]:
    return lambda provider, folder: provider.submit(request_for(_model(vendor, mode), mode, folder))


def _status(vendor: str, task_id: str) -> Callable[[Provider, Path], Awaitable[object]]:
    return lambda provider, _: provider.status(task_id, _model(vendor, Mode.TEXT))


def _check(provider: Provider, _: Path) -> Awaitable[object]:
    return provider.check()


_JOB: Final = {
    "jobId": "job_1",
    "apiId": "wan-2.2-standard",
    "prompt": "a cat",
    "createdAt": "2026-11-18T12:00:00.000Z",
}
_FORM: Final = {"url": f"{ITSELF}/store", "fields": {"key": "a.png", "policy": "x"}}
CALLS: Final = (
    Call(
        vendor="pixeldojo",
        name="submit",
        ask=_submit("pixeldojo"),
        documented=({"jobId": "job_1", "status": "pending", "creditCost": 3, "expiresAt": "2026-11-18T13:00:00.000Z"},),
    ),
    Call(
        vendor="pixeldojo",
        name="status",
        ask=_status("pixeldojo", "job_1"),
        documented=(
            {"jobId": "job_1", "status": "pending", "creditCost": 3},
            {
                "status": "completed",
                "output": {"video": LINK},
                "creditCost": 3,
                "expiresAt": "2026-11-18T13:00:00.000Z",
            },
            {"status": "completed", "output": {"videos": [LINK]}, "assets": [{"url": LINK}], "expiresAt": 1795003200},
            {"status": "failed", "error": {"code": "internal_error", "message": "The generation failed"}},
        ),
    ),
    Call(
        vendor="pixeldojo",
        name="list",
        ask=lambda provider, _: provider.recent_tasks(since=SINCE),
        documented=(
            {"jobs": [_JOB, _JOB]},
            {"data": [{**_JOB, "input": {"prompt": "a cat"}}]},
            [_JOB],
        ),
    ),
    Call(
        vendor="pixeldojo",
        name="models",
        ask=lambda provider, _: provider.disagreements([_model("pixeldojo", Mode.TEXT)]),
        documented=({"models": [{"apiId": "wan-2.2-standard", "creditCost": {"type": "fixed", "amount": 3}}]},),
    ),
    Call(
        vendor="pixazo",
        name="submit",
        ask=_submit("pixazo"),
        documented=({"request_id": "r", "output": {"task_id": "t", "task_status": "PENDING"}},),
    ),
    Call(
        vendor="pixazo",
        name="status",
        ask=_status("pixazo", "t"),
        documented=(
            {"request_id": "r", "output": {"task_id": "t", "task_status": "RUNNING"}},
            {"output": {"task_status": "SUCCEEDED", "video_url": LINK}, "usage": {"duration": 5}},
            {"output": {"task_status": "FAILED", "code": "DataInspectionFailed", "message": "inappropriate content"}},
            {"request_id": "r", "status": "COMPLETED", "output": {"media_url": [LINK]}},
            {"output": {"task_status": "UNKNOWN"}},
        ),
    ),
    Call(
        vendor="pixwith",
        name="submit",
        ask=_submit("pixwith"),
        documented=({"code": 1, "message": "success", "data": {"task_id": "9", "estimated_time": 150}},),
    ),
    Call(
        vendor="pixwith",
        name="upload",
        ask=_submit("pixwith", Mode.IMAGE),
        requests=3,
        documented=(
            {"code": 1, "data": {"upload_url": _FORM, "image_url": "https://a.example/a.png"}},
            {"code": 0, "message": "Invalid image format"},
        ),
    ),
    Call(
        vendor="pixwith",
        name="status",
        ask=_status("pixwith", "9"),
        documented=(
            {"code": 1, "message": "success", "data": {"task_id": "9", "status": 1}},
            {"code": 1, "data": {"task_id": "9", "status": 2, "result_urls": [LINK]}},
            {"code": 1, "data": {"task_id": "9", "status": 3, "message": "x"}},
            {"code": 0, "message": "Task does not exist"},
        ),
    ),
    Call(
        vendor="pixwith",
        name="credits",
        ask=lambda provider, _: provider.balance(),
        documented=({"code": 1, "data": {"credits": 500}}, {"code": 0, "message": "Invalid API KEY"}),
    ),
    Call(
        vendor="vtrix",
        name="submit",
        ask=_submit("vtrix"),
        documented=({"id": "v", "created_at": 1795003200, "status": "in_progress", "model": "m"},),
    ),
    Call(
        vendor="vtrix",
        name="status",
        ask=_status("vtrix", "v"),
        documented=(
            {"id": "v", "status": "in_progress", "progress": 0.5},
            {
                "status": "completed",
                "output": [{"content": [{"type": "video", "url": LINK, "jobId": "u"}]}],
                "usage": {"cost": "0.10", "discount": 1},
            },
            {"status": "failed", "error": {"code": 1002, "error_message": "too many"}},
        ),
    ),
    *(
        Call(vendor=vendor, name="check", ask=_check, documented=({"message": "task not found"},))
        for vendor in ("pixeldojo", "pixazo", "vtrix")
    ),
)
SUBMISSIONS: Final = tuple(call for call in CALLS if call.name == "submit")

_CONNECT: Final[Mapping[str, Callable[..., Provider]]] = {
    "pixeldojo": PixelDojo.connect,
    "pixazo": Pixazo.connect,
    "pixwith": Pixwith.connect,
    "vtrix": Vtrix.connect,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendor() -> AsyncIterator[AnyVendor]:
    async with any_vendor() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0)) as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answers")


def test_every_adapter_is_asked() -> None:
    assert {call.vendor for call in CALLS} == set(_CONNECT) == {spec.provider for spec in MODELS} - {"demo"}


@in_one_loop
@pytest.mark.parametrize("call", CALLS, ids=str)
@inputs(CALL_INPUTS)
@given(chosen=st.data())
async def test_no_answer_of_a_vendor_does_harm(
    call: Call, vendor: AnyVendor, client: httpx.AsyncClient, folder: Path, chosen: st.DataObject
) -> None:
    answer = chosen.draw(answers(call.documented))
    good = b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(call.documented[0]).encode()
    vendor.answers = [*[good] * chosen.draw(st.integers(0, call.requests - 1)), answer]
    await _does_no_harm(call, vendor, client, folder)


@in_one_loop
@pytest.mark.parametrize("call", SUBMISSIONS, ids=str)
@inputs(GARBAGE_INPUTS)
@given(noise=garbage)
async def test_no_noise_instead_of_an_answer_does_harm(
    call: Call, vendor: AnyVendor, client: httpx.AsyncClient, folder: Path, noise: bytes
) -> None:
    vendor.answers = [noise]
    await _does_no_harm(call, vendor, client, folder)


async def _does_no_harm(call: Call, vendor: AnyVendor, client: httpx.AsyncClient, folder: Path) -> None:
    connect = _CONNECT[call.vendor]
    provider = connect(api_key=KEY, base_url=vendor.address, requests_per_minute=None, client=client)
    before = vendor.requests
    try:
        result = await call.ask(provider, folder)
    except ProviderError as error:
        _is_useful_error(error)
    else:
        _is_useful(result)
    assert vendor.requests - before <= call.requests, "nothing is asked twice"


def _is_useful_error(error: ProviderError) -> None:
    assert error.reason
    assert KEY not in str(error)
    _can_be_stored(str(error))
    _can_be_stored(error.vendor_message or "")
    assert len(error.vendor_message or "") <= 500
    if isinstance(error, Unavailable):
        assert error.retry_after is None or 0 <= error.retry_after <= 600


def _is_useful(result: object) -> None:
    match result:
        case Submission():
            assert 0 < len(result.task_id) <= 200
            _can_be_stored(result.task_id)
            assert result.estimated_seconds is None or 0 <= result.estimated_seconds <= A_DAY
            _can_be_counted_with(result.cost)
        case Finished():
            assert result.video_url.lower().startswith(("http://", "https://"))
            _can_be_stored(result.video_url)
            _can_be_counted_with(result.cost)
            assert result.expires_at is None or result.expires_at.astimezone(UTC).year
        case Pending():
            assert result.progress is None or 0 <= result.progress <= 1
        case Rejected():
            _can_be_stored(result.reason)
            assert len(result.reason) <= 500
        case list():
            for row in cast("list[object]", result):
                _is_useful(row)
        case KnownTask():
            _can_be_stored(result.task_id)
            assert result.created_at.astimezone(UTC) >= SINCE
        case _:
            # a line about a model, what is left, or nothing
            assert str(result)


def _can_be_stored(text: str) -> None:
    assert text.encode().decode() == text
    assert "\0" not in text, "PostgreSQL refuses it"


def _can_be_counted_with(cost: Cost | None) -> None:
    if cost is not None:
        assert 0 <= cost.amount < 10**9
        assert len(f"{cost.amount:f}") < 100


# --- the adapter that draws here ---------------------------------------------------------------------

_TASK: Final = {
    "prompt": "a cat",
    "width": 854,
    "height": 480,
    "duration_seconds": 2,
    "frames_per_second": 16,
    "seed": 5,
    "image": None,
    "last_image": None,
    "turns_with_image": False,
    "started_at": "2026-11-18T11:00:00Z",
}


@in_one_loop
@pytest.mark.parametrize("name", _TASK)
async def test_no_odd_value_in_the_file_of_a_drawing_does_harm(folder: Path, name: str) -> None:
    for odd in ODD:
        await _looks_at_a_drawing(folder, json.dumps({**_TASK, name: odd}).encode())


@in_one_loop
@inputs(TASK_FILE_INPUTS)
@given(content=bodies([_TASK]))
async def test_no_file_in_place_of_that_of_a_drawing_does_harm(folder: Path, content: bytes) -> None:
    await _looks_at_a_drawing(folder, content)


async def _looks_at_a_drawing(folder: Path, content: bytes) -> None:
    task = folder / "demo" / "0123456789abcdef"
    task.mkdir(parents=True, exist_ok=True)
    (task / "task.json").write_bytes(content)
    # drawn already, so that no look begins to draw
    (task / "video.mp4").touch()
    provider = DemoProvider(folder=folder / "demo", seconds=8, now=lambda: NOON)
    with suppress(ProviderError):
        assert isinstance(await provider.status(task.name, DEMO), Finished | Pending)
    await provider.close()


# --- where its links lead ----------------------------------------------------------------------------

_hosts: Final = st.sampled_from(
    ("a.example", "127.0.0.1", "[::1]", "0x7f.1", "LOCALHOST", "a" * 300, "\uff41.b", "xn--a")
)
_links: Final = (
    st.builds(
        "{}://{}{}{}{}".format,
        st.sampled_from(("http", "https", "HTTP", "file", "ftp", "javascript", "", "http\0")),
        st.sampled_from(("", "user@", "user:password@", "@", "a@b@")),
        _hosts | st.text(max_size=10),
        st.sampled_from(("", ":80", ":0", ":99999", ":-1", ":x", ":")),
        st.sampled_from(("", "/", "/a b", "/\r\nX: y", "?a=\ud800", "#", "/" + "a" * 70_000, "//b", "\\@b")),
    )
    | st.text(max_size=40)
    | st.sampled_from([each for each in ODD if isinstance(each, str)])
)
#: what a name may resolve to; none of them is to be gone to
_addresses: Final = st.lists(
    st.sampled_from(
        (
            *("127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1", "", "x", "fe80::1%1"),
            "0.0.0.0",  # noqa: S104 - nothing listens there, it is to be refused
        )
    ),
    max_size=3,
)


@in_one_loop
@inputs(LINK_INPUTS)
@given(link=_links, addresses=_addresses)
async def test_no_link_leads_into_this_machine_or_its_network(
    client: httpx.AsyncClient, folder: Path, link: str, addresses: list[str]
) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        assert host.isascii()
        assert 0 < port < 65536
        return addresses

    assert not any(is_public(address) for address in addresses)
    links = Links(client=client, resolve=resolve)
    target = folder / "result"
    with pytest.raises(LinkError):
        await links.fetch(link, target, max_bytes=1000, seconds=5, allow_file=False)
    assert not list(folder.glob("result*")), "nothing is left"
