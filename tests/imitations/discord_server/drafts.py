"""A message as it arrives: JSON, or JSON and files in one multipart body."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader, web

from .wire import ApiError, Problem

if TYPE_CHECKING:
    from .files import Upload
    from .wire import Payload


@dataclass(frozen=True)
class Draft:
    """The body of a request; `body` is a list for command synchronisation only."""

    body: Any = None
    files: dict[int, Upload] = field(default_factory=dict[int, "Upload"])

    @property
    def payload(self) -> Payload:
        return _expect(self.body, dict)

    @property
    def payloads(self) -> list[Payload]:
        return _expect(self.body, list)


async def read_draft(request: web.Request) -> Draft:
    if request.content_type.startswith("multipart/"):
        return await _read_multipart(request)
    raw = await request.read()
    return Draft(_parse(raw) if raw else None)


async def _read_multipart(request: web.Request) -> Draft:
    body: Any = {}
    files: dict[int, Upload] = {}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            raise ApiError(Problem.INVALID_JSON)
        content = bytes(await part.read())
        if part.name == "payload_json":
            body = _parse(content)
        elif found := re.fullmatch(r"files\[(\d+)\]", part.name or ""):
            files[int(found[1])] = (part.filename or "", content)
        else:
            raise ApiError(Problem.INVALID_JSON)
    return Draft(body, files)


def _expect(body: Any, kind: type) -> Any:
    if not isinstance(body, kind):
        raise ApiError(Problem.INVALID_JSON)
    return body


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise ApiError(Problem.INVALID_JSON) from None
