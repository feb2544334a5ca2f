"""What goes wrong between a bot and Discord."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from .answers import answer, cut, too_many
from .calls import matches

Handle = Callable[[], Awaitable[web.Response]]


class Fault(Protocol):
    """Stands between the request and its handling."""

    async def apply(self, request: web.Request, handle: Handle) -> web.Response: ...


@dataclass(frozen=True)
class Fails:
    """Answer an error; with `handled`, what was asked for is done nevertheless."""

    status: int = 500
    code: int = 0
    handled: bool = False

    async def apply(self, request: web.Request, handle: Handle) -> web.Response:
        if self.handled:
            await handle()
        return answer(self.status, {"message": f"{self.status}: imitated failure", "code": self.code})


@dataclass(frozen=True)
class RateLimited:
    """Answer 429."""

    retry_after: float = 0.05
    is_global: bool = False

    async def apply(self, request: web.Request, handle: Handle) -> web.Response:
        return too_many(self.retry_after, is_global=self.is_global)


@dataclass(frozen=True)
class CutBefore:
    """Cut the connection, and do nothing. aiohttp itself repeats a GET, PUT or DELETE once on a reused connection."""

    async def apply(self, request: web.Request, handle: Handle) -> web.Response:
        return cut(request)


@dataclass(frozen=True)
class CutAfter:
    """Do what was asked for, then cut the connection: the message exists, the bot doesn't know."""

    async def apply(self, request: web.Request, handle: Handle) -> web.Response:
        await handle()
        return cut(request)


@dataclass(frozen=True)
class Delay:
    """Take a while; with `after`, once it has been done."""

    seconds: float
    after: bool = False

    async def apply(self, request: web.Request, handle: Handle) -> web.Response:
        if self.after:
            response = await handle()
            await asyncio.sleep(self.seconds)
            return response
        await asyncio.sleep(self.seconds)
        return await handle()


@dataclass(eq=False)
class Rule:
    """A fault and where it strikes; `hits` counts how often it has."""

    method: str
    pattern: str
    fault: Fault
    left: int | None
    hits: int = 0

    def strikes(self, method: str, path: str) -> bool:
        return self.left != 0 and self.method in ("*", method) and matches(self.pattern, path)

    def take(self) -> Fault:
        self.hits += 1
        if self.left is not None:
            self.left -= 1
        return self.fault

    def end(self) -> None:
        self.left = 0


class Faults:
    """The faults to come; the first rule that fits is taken."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(self, method: str, pattern: str, fault: Fault, times: int | None = 1) -> Rule:
        """Let requests to a path fail `times` times, or (None) for ever; `*` is one part of the path, `**` many."""
        rule = Rule(method, pattern, fault, times)
        self._rules.append(rule)
        return rule

    def clear(self) -> None:
        self._rules.clear()

    def take(self, method: str, path: str) -> Fault | None:
        rule = next((rule for rule in self._rules if rule.strikes(method, path)), None)
        return rule.take() if rule else None
