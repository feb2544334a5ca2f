"""What the contract suite needs of each adapter: its imitation, its settings, and the shapes of its answers.

Who adds an adapter adds an entry to ``BENCHES``; without one the suite fails.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from bot.settings import Settings
from bot.vendors import make_providers
from providers.contract import Provider
from providers.demo import DemoProvider
from providers.types import GenerationRequest, ModelSpec, Pending
from tests.clocks import Clock
from tests.imitations.pixazo import PixazoImitation
from tests.imitations.pixeldojo import PixelDojoImitation
from tests.imitations.pixwith import PixwithImitation
from tests.imitations.vendor import Fault, Fetch, Route, VendorImitation
from tests.imitations.vtrix import VtrixImitation

KEY = "key_of_the_contract_suite"
#: more than any test makes
_NO_LIMIT = "100000"
_KF2V_PATH = "/wan-kf2v/v1/generateKeyframeRequest"

#: what leaves this machine, every value by its place: ``options.seed``
Wire = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One vendor. Errors are in its own words and shapes."""

    imitation: Callable[[Fetch], VendorImitation]
    #: an error with this HTTP status and message
    error: Callable[[int, str], object]
    #: an answer of success to a look at a task, without a link
    no_link: object
    #: the path of its base URL
    path: str = ""
    #: what the adapter needs beside key, address and limit
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    def fault(self, status: int, message: str, **headers: str) -> Fault:
        """Answer with an error; ``Retry_After="5"`` becomes a header."""
        return answer(self.error(status, message), status=status, headers=headers)


_PIXELDOJO_CODES = {
    400: "invalid_request",
    401: "unauthorized",
    402: "insufficient_credits",
    403: "insufficient_credits",
    404: "model_not_found",
    429: "rate_limited",
    500: "internal_error",
}
_VTRIX_CODES: Mapping[int, str | int] = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    429: 1002,
    500: "internal_error",
}


def _pixeldojo(fetch: Fetch) -> PixelDojoImitation:
    vendor = PixelDojoImitation(key=KEY, fetch=fetch)
    vendor.credits = 1_000_000
    return vendor


def _pixwith(fetch: Fetch) -> PixwithImitation:
    vendor = PixwithImitation(key=KEY, fetch=fetch)
    vendor.credits = 1_000_000
    return vendor


BENCHES: Mapping[str, Bench] = {
    "pixeldojo": Bench(
        imitation=_pixeldojo,
        path="/api/v1",
        error=lambda status, message: {"error": {"code": _PIXELDOJO_CODES.get(status, "odd"), "message": message}},
        no_link={"jobId": "job_1", "status": "completed", "output": {}},
    ),
    "pixazo": Bench(
        imitation=lambda fetch: PixazoImitation(key=KEY, fetch=fetch, kf2v_path=_KF2V_PATH),
        error=lambda _, message: {"error": message},
        no_link={"output": {"task_status": "SUCCEEDED"}},
        settings={"PIXAZO_KF2V_PATH": _KF2V_PATH},
    ),
    "pixwith": Bench(
        imitation=_pixwith,
        error=lambda _, message: {"code": 0, "message": message},
        no_link={"code": 1, "data": {"task_id": "1", "status": 2}},
    ),
    "vtrix": Bench(
        imitation=lambda fetch: VtrixImitation(key=KEY, fetch=fetch),
        error=lambda status, message: {"error": {"code": _VTRIX_CODES.get(status, "odd"), "message": message}},
        no_link={"id": "1", "status": "completed", "output": []},
    ),
}


def answer(
    content: object, *, status: int = 200, takes_job: bool = False, headers: Mapping[str, str] | None = None
) -> Fault:
    """Answer with this, as JSON unless it is bytes; ``Retry_After`` becomes a header's name."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
    return Fault(status=status, body=body, headers={"Content-Type": "application/json", **named}, takes_job=takes_job)


class Stage(ABC):
    """One adapter as the bot makes it, and what a test may do on the other side."""

    provider: Provider

    @abstractmethod
    async def finish(self, task_id: str, model: ModelSpec) -> None:
        """Let a task end in a video, told at the next look."""

    @abstractmethod
    def fail(self, task_id: str) -> None:
        """Let a task end without a video."""

    @abstractmethod
    def forget(self, task_id: str) -> None:
        """Know nothing of a task any more."""

    @abstractmethod
    async def sent(self, request: GenerationRequest) -> Wire:
        """Submit; give what arrived."""


class VendorStage(Stage):
    """An adapter and the imitation of its vendor."""

    def __init__(self, bench: Bench, vendor: VendorImitation, provider: Provider) -> None:
        self.bench = bench
        self.vendor = vendor
        self.provider = provider

    async def finish(self, task_id: str, model: ModelSpec) -> None:
        self.vendor.finish(task_id)

    def fail(self, task_id: str) -> None:
        self.vendor.fail(task_id)

    def forget(self, task_id: str) -> None:
        self.vendor.forget(task_id)

    async def sent(self, request: GenerationRequest) -> Wire:
        await self.provider.submit(request)
        (path,) = [call.path for call in self.vendor.calls if call.route is Route.SUBMIT][-1:]
        submission = self.vendor.submissions[-1]
        # a picture that was uploaded has another name each time
        own = f"http://127.0.0.1:{self.vendor.port}/"
        body = {
            place: "a link to its own store" if isinstance(value, str) and value.startswith(own) else value
            for place, value in leaves(submission.body)
        }
        return {"path": path, **body}


class LocalStage(Stage):
    """The adapter that draws on this machine."""

    def __init__(self, folder: Path, clock: Clock, provider: Provider) -> None:
        self.folder = folder
        self.clock = clock
        self.provider = provider

    async def finish(self, task_id: str, model: ModelSpec) -> None:
        self.clock.advance(60)
        async with asyncio.timeout(60):
            while isinstance(await self.provider.status(task_id, model), Pending):  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.02)

    def fail(self, task_id: str) -> None:
        (self.folder / task_id / "failed").touch()

    def forget(self, task_id: str) -> None:
        (self.folder / task_id / "task.json").unlink()

    async def sent(self, request: GenerationRequest) -> Wire:
        task_id = (await self.provider.submit(request)).task_id
        wire = dict(leaves(json.loads((self.folder / task_id / "task.json").read_bytes())))
        await self.provider.cancel(task_id)
        if wire["seed"] == int(task_id[:7], 16):
            # made up, since nobody asked for one
            del wire["seed"]
        wire["shape"] = [wire.pop(part) for part in ("width", "height", "turns_with_image")]
        return {place: Path(value).name if isinstance(value, str) else value for place, value in wire.items()}


def environment(**settings: str) -> dict[str, str]:
    """Settings with a key for every vendor that has one, and all that any adapter needs."""
    keys = {name: KEY for name in Settings.names() if name.endswith("_API_KEY")}
    return keys | {name: value for bench in BENCHES.values() for name, value in bench.settings.items()} | settings


@asynccontextmanager
async def on_stage(name: str, *, folder: Path, fetch: Fetch, key: str = KEY) -> AsyncGenerator[Stage]:
    """Open an adapter, and its imitation where it has one."""
    if name == DemoProvider.name:
        settings = {"DATA_DIR": str(folder), "DEMO_SECONDS": "8"}
        clock = Clock()
        async with _made(settings, clock) as provider:
            yield LocalStage(folder / "demo", clock, provider)
        return
    bench = BENCHES[name]
    async with bench.imitation(fetch) as vendor:
        address = f"http://127.0.0.1:{vendor.port}{bench.path}"
        async with vendor_at(name, address, key=key) as provider:
            yield VendorStage(bench, vendor, provider)


@asynccontextmanager
async def vendor_at(name: str, address: str, *, key: str = KEY) -> AsyncGenerator[Provider]:
    """Make one vendor's adapter as the bot makes it."""
    prefix = name.upper()
    own = {f"{prefix}_API_KEY": key, f"{prefix}_BASE_URL": address, f"{prefix}_REQUESTS_PER_MINUTE": _NO_LIMIT}
    async with _made({**own, **BENCHES[name].settings, "DEMO_PROVIDER": "false"}, Clock()) as provider:
        yield provider


@asynccontextmanager
async def _made(settings: Mapping[str, str], clock: Clock) -> AsyncGenerator[Provider]:
    (provider,) = make_providers(Settings.load(settings), clock=clock)
    try:
        yield provider
    finally:
        await provider.close()


def leaves(content: object, place: str = "") -> list[tuple[str, object]]:
    """Every value in JSON, by its place."""
    if isinstance(content, dict):
        inner = list(cast("dict[str, object]", content).items())
    elif isinstance(content, list):
        inner = [(str(index), each) for index, each in enumerate(cast("list[object]", content))]
    else:
        return [(place, content)]
    return [leaf for name, value in inner for leaf in leaves(value, f"{place}.{name}" if place else name)]
