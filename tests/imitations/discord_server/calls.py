"""Requests as the handlers see them, and the table of what is answered."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .drafts import Draft
from .wire import ApiError, Payload, Problem, invalid


@dataclass(frozen=True)
class Call:
    """One request: path parameters, query and body."""

    params: Mapping[str, str]
    query: Mapping[str, str]
    draft: Draft

    @property
    def payload(self) -> Payload:
        return self.draft.payload

    def id(self, name: str) -> int:
        return snowflake(name, self.params[name])

    def query_id(self, name: str) -> int | None:
        return snowflake(name, self.query[name]) if name in self.query else None


def snowflake(name: str, value: Any) -> int:
    if not str(value).isdigit():
        raise invalid(name, f'Value "{value}" is not snowflake.', "NUMBER_TYPE_COERCE")
    return int(value)


Answer = Any
Handler = Callable[[Call], Awaitable[Answer]]


@dataclass
class LoggedRequest:
    """One request, for tests to count; `status` stays 0 when no answer was sent."""

    method: str
    path: str
    at: float = field(default_factory=time.monotonic)
    status: int = 0
    seconds: float = 0.0
    body: Any = None


class Requests(list[LoggedRequest]):
    """All requests to the API, oldest first."""

    def to(self, method: str, pattern: str) -> list[LoggedRequest]:
        """List those to a path; `*` stands for one part of it."""
        return [request for request in self if request.method == method and matches(pattern, request.path)]


@dataclass(frozen=True)
class Route:
    """One row of the table; the public ones need no bot token."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    public: bool


class Routes:
    """Finds the handler of a request."""

    def __init__(self) -> None:
        self._rows: list[Route] = []

    def add(self, method: str, template: str, handler: Handler, *, public: bool = False) -> None:
        # a name keeps to one part of the path: {message}
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))
        self._rows.append(Route(method, pattern, handler, public))

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        for row in self._rows:
            if row.method == method and (found := row.pattern.fullmatch(path)):
                return row, found.groupdict()
        raise ApiError(Problem.NOT_FOUND)


def matches(pattern: str, path: str) -> bool:
    """Tell whether a path is meant; `*` stands for one part of it, `**` for any number."""
    expression = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]+")
    return re.fullmatch(expression, path) is not None
