"""Answers on the wire, exactly as discord.py wants them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from .wire import Payload


def answer(status: int, body: object = None, headers: dict[str, str] | None = None) -> web.Response:
    """Answer in JSON; discord.py takes it for text if the content type says a word more."""
    if body is None:
        return web.Response(status=status, headers=headers)
    content = json.dumps(body).encode()
    return web.Response(status=status, body=content, headers={"Content-Type": "application/json"} | (headers or {}))


def too_many(retry_after: float, *, is_global: bool = False, headers: dict[str, str] | None = None) -> web.Response:
    """Answer 429. Without the Via header discord.py would take it for a ban."""
    body: Payload = {"message": "You are being rate limited.", "retry_after": retry_after, "global": is_global}
    scope = "global" if is_global else "user"
    base = {"Via": "1.1 google", "Retry-After": f"{retry_after:.3f}", "X-RateLimit-Scope": scope}
    return answer(429, body, base | ({"X-RateLimit-Global": "true"} if is_global else {}) | (headers or {}))


def cut(request: web.Request) -> web.Response:
    """Cut the connection; the response goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)
