"""How the parts are held together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from structlog.testing import capture_logs

from bot.vendors import compare_catalogue
from providers.contract import BeforeSending, Provider, at_once
from providers.registry import Registry
from providers.types import GenerationRequest, ModelSpec, Submission, TaskStatus


class Odd(Provider):
    """Raises what its contract doesn't name when it is asked for its list."""

    name: ClassVar[str] = "odd"
    title: ClassVar[str] = "Odd"
    closed = 0

    async def close(self) -> None:
        self.closed += 1

    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        raise AssertionError

    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        raise AssertionError

    async def check(self) -> None:
        raise AssertionError

    async def disagreements(self, models: Sequence[ModelSpec]) -> Sequence[str]:
        raise KeyError("price")


async def test_an_odd_list_of_a_vendor_does_not_stop_the_bot() -> None:
    stopped = asyncio.Event()
    stopped.set()
    with capture_logs() as lines:
        await compare_catalogue(Registry.of([Odd()]), stopped)
    assert [(line["log_level"], line["provider"]) for line in lines] == [("error", "odd")]


async def test_a_provider_that_another_took_the_place_of_is_closed_at_the_end_and_not_before() -> None:
    old, new = Odd(), Odd()
    registry = Registry.of([old])
    kept = registry.providers
    registry.become(Registry.of([new]))
    assert kept["odd"] is new, "who kept the mapping sees it"
    registry.become(Registry.of([new]))
    assert (old.closed, new.closed) == (0, 0)
    await registry.close()
    assert (old.closed, new.closed) == (1, 1)
