"""Listens to the requests to Discord where they leave: also to those that discord.py repeats by itself."""

from __future__ import annotations

import json
from http import HTTPStatus
from types import SimpleNamespace
from typing import Final, Protocol

import aiohttp

#: where Discord gave no code of its own
NO_CODE: Final = 0


class DiscordObserver(Protocol):
    """Is told of requests to Discord; must be quick and raise nothing."""

    def discord_answered(self, status: int | None) -> None:
        """Note an answer by its HTTP status; None: there was none."""
        ...

    def discord_refused(self, code: int) -> None:
        """Note an error by Discord's own code, as in 50013; 0: it gave none."""
        ...


def trace_of(observer: DiscordObserver) -> aiohttp.TraceConfig:
    """What discord.py hands to its session: commands, cards, videos and the gateway's handshake go through it.

    Nothing of an address is kept: those of answers hold a token.
    """

    async def on_answer(
        _session: aiohttp.ClientSession, context: SimpleNamespace, answer: aiohttp.TraceRequestEndParams
    ) -> None:
        context.status = answer.response.status
        observer.discord_answered(answer.response.status)

    async def on_failure(
        _session: aiohttp.ClientSession, _context: SimpleNamespace, _failure: aiohttp.TraceRequestExceptionParams
    ) -> None:
        observer.discord_answered(None)

    async def on_body(
        _session: aiohttp.ClientSession, context: SimpleNamespace, body: aiohttp.TraceResponseChunkReceivedParams
    ) -> None:
        if context.status >= HTTPStatus.BAD_REQUEST:
            observer.discord_refused(code_in(body.chunk))

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(on_answer)
    trace.on_request_exception.append(on_failure)
    trace.on_response_chunk_received.append(on_body)
    return trace


def code_in(body: bytes) -> int:
    """Discord's own code in the body of an error."""
    try:
        answer: object = json.loads(body)
    except ValueError:
        return NO_CODE
    code: object = answer.get("code") if isinstance(answer, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - JSON is untyped until the next line
    return code if isinstance(code, int) else NO_CODE
