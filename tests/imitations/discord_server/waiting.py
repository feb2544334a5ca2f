"""Waiting for what another process will do soon."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def eventually(predicate: Callable[[], T | None], timeout: float = 5.0, what: str = "") -> T:  # noqa: ASYNC109
    """Ask `predicate` again and again until it is truthy, and return what it said."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        if time.monotonic() > deadline:
            raise TimeoutError(what or f"not within {timeout} s: {predicate}")
        await asyncio.sleep(0.005)
    return value
