"""How the parts are held together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from structlog.testing import capture_logs

from bot.app import compare_catalogue
from providers.contract import Provider
from providers.registry import Registry
from providers.types import GenerationRequest, ModelSpec, Submission, TaskStatus


class Odd(Provider):
    """Raises what its contract doesn't name when it is asked for its list."""

    name: ClassVar[str] = "odd"
    title: ClassVar[str] = "Odd"

    async def submit(self, request: GenerationRequest) -> Submission:
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
