"""A vendor of which nothing can be trusted, on a real socket of this machine, and the bytes that it answers with."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gzip
import json
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from hypothesis import strategies as st

#: stands in an answer for the vendor's own address
ITSELF: Final = "http://itself.example"
#: what stands at the end of a header
_END: Final = b"\r\n\r\n"


class AnyVendor:
    """Answers every request with the next of its answers, the last one again and again, and hangs up."""

    def __init__(self) -> None:
        self.address = ""
        #: whole answers, from the first byte of the status line on
        self.answers: list[bytes] = []
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await _whole_request(reader)
            self.requests += 1
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            writer.write(answer.replace(ITSELF.encode(), self.address.encode()))
            await writer.drain()
        writer.close()


async def _whole_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(_END)
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))


@asynccontextmanager
async def any_vendor() -> AsyncGenerator[AnyVendor]:
    """Open a port for it."""
    vendor = AnyVendor()
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
    async with server:
        vendor.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield vendor


# --- values that are not what they should be ----------------------------------------------------------

_NUMBERS: Final = (0, -1, 1, 2, 3, 1.5, -0.0, 1e308, 5e-324, 10**30, -(10**400), float("nan"), float("inf"))
_TEXTS: Final = (
    # nothing, and numbers as texts
    *("", " ", "0", "1", "2", "3", "-1", "null", "true", "NaN", "1e999999", "9" * 4000, "x" * 3000),
    # what can't be stored or shown
    *("\0", "a\0b", "\u202e", "@everyone", "﷽" * 100, "\U0001f98a"),
    # addresses and paths
    # and none that a name server would be asked for
    *(
        "http://",
        "https://[::1]:9/a",
        "HTTPS://[::1]:9/\0",
        "https://[::1]:9/\nb",
        "https://xn--a/",
        "https://[::1]:99999/",
    ),
    *("https://127.0.0.1:99999/", "file:///etc/passwd", "data:image/png,x", "../..", ".", "..", "%2e", "a/b", "?", "#"),
    # words of vendors
    *(
        "completed",
        "failed",
        "SUCCEEDED",
        "FAILED",
        "UNKNOWN",
        " Completed\t",
        "COMPLETED\0",
        "in_progress",
        "Arrearage",
    ),
    *("InternalError.Algo", "too many requests", "Invalid API KEY", "Credits not enough", "rate"),
    # moments
    *("1970-01-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-30"),
)
_MOMENTS: Final = (253402300800, -62135596801, 1e18)
_HOLDERS: Final[tuple[Any, ...]] = (
    *(
        [],
        {},
        [[]],
        [{}],
        [None],
        {"": ""},
        {"url": None},
        {"url": {"url": "https://[::1]:9/a"}},
        {"error": {"error": "x"}},
    ),
    *(
        {"video": "https://[::1]:9/a"},
        {"code": 1},
        {"message": ["x"]},
        {"status": "failed"},
        [["https://[::1]:9/a"]],
        ["http://"],
    ),
)
#: what no document has anywhere
ODD: Final[tuple[Any, ...]] = (None, True, False, *_NUMBERS, *_TEXTS, *_MOMENTS, *_HOLDERS)
_NAMES: Final = (
    *("jobId", "id", "task_id", "status", "task_status", "output", "error", "code", "message", "data", "url", "video"),
    *(
        "creditCost",
        "usage",
        "cost",
        "progress",
        "expiresAt",
        "createdAt",
        "result_urls",
        "upload_url",
        "fields",
        "",
        "\0",
    ),
)


def _odd(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(ODD))


def _any_json(chance: random.Random, depth: int = 3) -> Any:
    match chance.randrange(4) if depth else 0:
        case 1:
            return [_any_json(chance, depth - 1) for _ in range(chance.randrange(5))]
        case 2:
            return {chance.choice(_NAMES): _any_json(chance, depth - 1) for _ in range(chance.randrange(6))}
        case _:
            return _odd(chance)


# --- answers with changes -----------------------------------------------------------------------------

#: what holds a value in JSON, and under which name or number
_Place = tuple[Any, Any]

#: as most vendors write them
_ERRORS: Final[Sequence[Any]] = (
    {"error": {"code": "rate_limited", "message": "Too many requests"}},
    {"code": "Arrearage", "message": "Access denied"},
    {"code": 0, "message": "Invalid API KEY"},
    {"error": "Invalid request parameters"},
)


def _names_in(holder: object) -> Sequence[Any]:
    """The names of an object, the numbers of a list; anything else holds nothing."""
    if isinstance(holder, dict):
        return list(cast("dict[str, object]", holder))
    return range(len(cast("list[object]", holder))) if isinstance(holder, list) else ()


def _places(holder: Any) -> list[_Place]:
    """Every place in JSON, however deep."""
    names = _names_in(holder)
    return [(holder, name) for name in names] + [place for name in names for place in _places(holder[name])]


def _replace(holder: Any, name: Any, chance: random.Random) -> None:
    holder[name] = _odd(chance)


def _replace_by_its_like(holder: Any, name: Any, chance: random.Random) -> None:
    """A number by a number, a text by a text: what every check of types lets through."""
    kinds = [(int, float), str, list, dict, type(None)]
    kind = next(kind for kind in kinds if isinstance(holder[name], kind))
    alike: list[Any] = [each for each in ODD if isinstance(each, kind)]
    holder[name] = copy.deepcopy(chance.choice(alike))


def _remove(holder: Any, name: Any, _: random.Random) -> None:
    del holder[name]


def _wrap(holder: Any, name: Any, chance: random.Random) -> None:
    value = holder[name]
    holder[name] = chance.choice(([value], {"url": value}, [value] * 3, {"error": value}))


def _as_text(holder: Any, name: Any, chance: random.Random) -> None:
    text = str(holder[name])[:300]
    holder[name] = chance.choice((text, json.dumps(text), f" {text}\0", text * 300))


def _swap(holder: Any, name: Any, chance: random.Random) -> None:
    other = chance.choice(_names_in(holder))
    holder[name], holder[other] = holder[other], holder[name]


_CHANGES: Final[Sequence[Callable[[Any, Any, random.Random], None]]] = (
    *(_replace, _replace_by_its_like, _replace_by_its_like),
    *(_remove, _wrap, _as_text, _swap),
)


def _changed(documented: Sequence[Any], chance: random.Random) -> Any:
    """A copy of one of the answers with up to four changes."""
    whole = [copy.deepcopy(chance.choice(_ERRORS if chance.randrange(6) == 0 else documented))]
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        if places := _places(whole):
            chance.choice(_CHANGES)(*chance.choice(places), chance)
    return whole[0] if whole else None


# --- bytes --------------------------------------------------------------------------------------------


def _cut_off(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randint(0, len(body))]


def _with_a_wrong_byte(body: bytes, chance: random.Random) -> bytes:
    content = bytearray(body or b" ")
    content[chance.randrange(len(content))] = chance.randrange(256)
    return bytes(content)


def _in_another_encoding(body: bytes, chance: random.Random) -> bytes:
    text = body.decode(errors="replace")
    return chance.choice((text.encode("utf-16"), text.encode("utf-8-sig"), text.encode("latin-1", "replace") + b"\xe9"))


def _deep(body: bytes, chance: random.Random) -> bytes:
    opening, closing = chance.choice(((b"[", b"]"), (b'{"error":', b"}")))
    depth = chance.choice((1, 150, 5000))
    return opening * depth + body + closing * depth


def _with_a_huge_number(_: bytes, chance: random.Random) -> bytes:
    return b'{"code": %s}' % (b"9" * chance.choice((400, 4300, 5000)))


def _as_something_else(body: bytes, chance: random.Random) -> bytes:
    # twice, as a page, with half a letter
    return chance.choice((body + body, b"<html>" + body + b"</html>", body.replace(b"a", b"\\ud83d")))


_SPOILS: Final[Sequence[Callable[[bytes, random.Random], bytes]]] = (
    *(_cut_off, _with_a_wrong_byte, _in_another_encoding),
    *(_deep, _with_a_huge_number, _as_something_else),
)
_STATUSES: Final = (
    *(200, 201, 202, 204, 206, 304, 400, 401, 402, 403, 404, 409, 418, 422, 429, 451),
    *(500, 502, 503, 504, 599, 100, 101, 199, 299, 999),
)
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_PLACES: Final = (
    *(b"http://127.0.0.1:9/", b"https://xn--a/", b"http://[", b"http://a:99999/", b"//", b"\xff", b"", b"file:///"),
)
_WAITS: Final = (
    *(b"0", b"-5", b"1e400", b"nan", b"soon", b"\xff\xfe", b"", b"(" * 500, b"\xd9\xa3"),
    *(b"Wed, 99 Foo 9999 99:99:99 +9999999", b"Fri, 31 Dec 9999 23:59:59 -2359", b"Mon, 1 Jan 0001 00:00:00 +2359"),
)
_HEADERS: Final = (
    *(b"Retry-After: " + wait for wait in _WAITS),
    *(b"Content-Type: text/html; charset=\xff", b"Set-Cookie: a=b", b"X: " + b"y" * 5000, b"Upgrade: h2c"),
    *(b"Content-Encoding: gzip", b"Content-Encoding: br", b"Content-Encoding: \xff", b"Transfer-Encoding: chunked"),
    *(b"Transfer-Encoding: \xff", b"Content-Length: 5", b"Content-Length: 99999", b"Content-Length: x"),
    *(b"no colon", b": no name", b"\tfolded"),
)


def _body(documented: Sequence[Any], chance: random.Random) -> bytes:
    match chance.randrange(8):
        case 0:
            body = chance.randbytes(chance.randrange(80))
        case 1 | 2:
            body = json.dumps(_any_json(chance)).encode()
        case _:
            body = json.dumps(_changed(documented, chance)).encode()
    return chance.choice(_SPOILS)(body, chance) if chance.randrange(6) == 0 else body


def _answer(documented: Sequence[Any], chance: random.Random) -> bytes:
    body = _body(documented, chance)
    # 200 and no more than a body, mostly: what is refused at the door gets no deeper
    status = chance.choice(_STATUSES) if chance.randrange(4) == 0 else 200
    headers = chance.sample(_HEADERS, chance.randrange(3)) if chance.randrange(4) == 0 else []
    if chance.randrange(20) == 0:
        status, headers = chance.choice(_REDIRECTS), [b"Location: " + chance.choice(_PLACES)]
    if b"Content-Encoding: gzip" in headers and chance.randrange(2):
        body = gzip.compress(body, 1)
    return b"HTTP/1.1 %d Any\r\n%s\r\n%s" % (status, b"".join(line + b"\r\n" for line in headers), body)


def bodies(documented: Sequence[Any]) -> st.SearchStrategy[bytes]:
    """Copies of the documented answers with changes, any JSON, any bytes.

    They are made from a seed, which is much quicker than to have Hypothesis make each part.
    """
    return st.integers(0, 2**64 - 1).map(lambda seed: _body(documented, random.Random(seed)))


def answers(documented: Sequence[Any]) -> st.SearchStrategy[bytes]:
    """Whole HTTP answers, with such bodies, under any status and with odd headers."""
    return st.integers(0, 2**64 - 1).map(lambda seed: _answer(documented, random.Random(seed)))


def _begun(version: int, reason: bytes, header: bytes, body: bytes) -> bytes:
    return b"HTTP/1.%d %s\r\n%s\r\n\r\n%s" % (version, reason, header, body)


_bytes: Final = st.binary(max_size=30)
#: no answer at all, or the beginning of one
garbage: Final[st.SearchStrategy[bytes]] = (
    st.binary(max_size=200)
    | st.builds(_begun, st.integers(0, 2), _bytes, _bytes, _bytes)
    | st.sampled_from((b"", b"HTTP", b"HTTP/1.1 200 OK\r\nX: " + b"\0" * 100_000, b"\0" * 100_000))
)
