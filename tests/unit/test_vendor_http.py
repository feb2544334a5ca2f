from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import Field

from providers import http as layer
from providers.budget import RequestBudget
from providers.contract import at_once
from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, ProviderError, Refused, Unavailable
from providers.http import UploadForm, VendorAnswer, VendorHttp
from providers.statuses import UnknownTask
from providers.vendor_words import VendorWords, vendor_words

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

KEY = "pd_very_secret_key"
NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)

Reply = Callable[[httpx.Request], httpx.Response]


class Ticket(VendorAnswer):
    id: str = Field(min_length=1)


def vendor(
    reply: Reply, *, base_url: str = "https://vendor.test/api/v1", budget: RequestBudget | None = None
) -> VendorHttp:
    return VendorHttp(
        name="vendor",
        base_url=base_url,
        headers={"Authorization": f"Bearer {KEY}"},
        client=httpx.AsyncClient(transport=httpx.MockTransport(reply)),
        auth_codes=frozenset({"insufficient_credits"}),
        budget=budget,
        max_answer_bytes=2000,
        now=lambda: NOW,
    )


def answers(status: int, content: object = None, **headers: str) -> Reply:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: httpx.Response(status, content=body, headers=named)


def breaks(error: type[httpx.RequestError], text: str = "broken") -> Reply:
    def reply(request: httpx.Request) -> httpx.Response:
        raise error(text, request=request)

    return reply


async def error_of_submit(http: VendorHttp) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await http.submit("/run", json={"prompt": "a cat"}, answer=Ticket, before_sending=at_once)
    assert_no_secret(caught.value)
    return caught.value


async def error_of_ask(http: VendorHttp) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await http.ask("/jobs/1", answer=Ticket)
    assert_no_secret(caught.value)
    return caught.value


def assert_no_secret(error: BaseException) -> None:
    """Look at everything that a log could show of an error, its causes and contexts and their frames included."""
    assert KEY not in "".join(traceback.format_exception(error))
    link: BaseException | None = error
    while link is not None:
        assert KEY not in f"{link} {link!r} {vars(link)} {link.args}"
        request: object = getattr(link, "_request", None)
        assert request is None
        trace = link.__traceback__
        frames = [frame for frame, _ in traceback.walk_tb(trace) if "/tests/" not in frame.f_code.co_filename]
        assert KEY not in repr([frame.f_locals for frame in frames])
        link = link.__cause__ or link.__context__


# Answers


async def test_an_answer_is_parsed_and_unknown_fields_pass() -> None:
    http = vendor(answers(202, {"id": "1", "more": {"a": 1}}))
    assert (await http.submit("/run", json={}, answer=Ticket, before_sending=at_once)).id == "1"
    assert (await http.ask("/jobs/1", answer=Ticket)).id == "1"


@pytest.mark.parametrize("base_url", ["https://vendor.test/some/path", "https://vendor.test/some/path/"])
async def test_the_path_of_the_base_url_is_kept(base_url: str) -> None:
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"id": "1"})

    http = vendor(reply, base_url=base_url)
    await http.submit("/run", json={"a": [1, None]}, answer=Ticket, before_sending=at_once)
    await http.ask("/jobs/a%2Fb", answer=Ticket)
    await http.ask("/poll", method="POST", json={"task_id": "1"}, answer=Ticket)
    assert [(str(r.url), r.method, r.content) for r in seen] == [
        ("https://vendor.test/some/path/run", "POST", b'{"a":[1,null]}'),
        ("https://vendor.test/some/path/jobs/a%2Fb", "GET", b""),
        ("https://vendor.test/some/path/poll", "POST", b'{"task_id":"1"}'),
    ]
    assert all(request.headers["Authorization"] == f"Bearer {KEY}" for request in seen)


async def test_the_timeouts_are_those_of_the_design() -> None:
    seen: list[Mapping[str, float]] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return httpx.Response(200, json={"id": "1"})

    http = vendor(reply)
    await http.submit("/run", json={}, answer=Ticket, before_sending=at_once)
    await http.ask("/jobs/1", answer=Ticket)
    assert (seen[0]["connect"], seen[0]["read"]) == (10, 60)
    assert set(seen[1].values()) == {30}


# Transport


NEVER_LEFT = [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError]
MAYBE_LEFT = [
    httpx.ReadTimeout,
    httpx.WriteTimeout,
    httpx.ReadError,
    httpx.WriteError,
    httpx.CloseError,
    httpx.RemoteProtocolError,
    httpx.LocalProtocolError,
    httpx.DecodingError,
]


@pytest.mark.parametrize("error", NEVER_LEFT)
async def test_a_submission_that_never_left_is_unavailable(error: type[httpx.RequestError]) -> None:
    assert type(await error_of_submit(vendor(breaks(error)))) is Unavailable


@pytest.mark.parametrize("error", MAYBE_LEFT)
async def test_a_submission_that_may_have_left_is_unknown(error: type[httpx.RequestError]) -> None:
    assert type(await error_of_submit(vendor(breaks(error)))) is OutcomeUnknown


@pytest.mark.parametrize("error", NEVER_LEFT + MAYBE_LEFT)
async def test_a_question_without_an_answer_is_unavailable(error: type[httpx.RequestError]) -> None:
    assert type(await error_of_ask(vendor(breaks(error)))) is Unavailable


@pytest.mark.parametrize("error", NEVER_LEFT + MAYBE_LEFT)
async def test_a_transport_error_that_quotes_the_key_is_made_clean(error: type[httpx.RequestError]) -> None:
    http = vendor(breaks(error, f"Illegal header value b'Bearer {KEY}'"))
    await error_of_submit(http)
    await error_of_ask(http)


# Statuses


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, OutcomeUnknown),
        (307, OutcomeUnknown),
        (400, Refused),
        (401, AuthFailed),
        (402, AuthFailed),
        (403, AuthFailed),
        (404, Refused),
        (409, Refused),
        (413, Refused),
        (422, Refused),
        (429, Unavailable),
        (500, OutcomeUnknown),
        (502, OutcomeUnknown),
        (503, OutcomeUnknown),
        (504, OutcomeUnknown),
    ],
)
async def test_what_a_status_says_about_a_submission(status: int, kind: type[ProviderError]) -> None:
    error = await error_of_submit(vendor(answers(status, {"error": {"code": "c", "message": "m"}})))
    assert type(error) is kind
    assert (error.vendor_code, error.vendor_message) == ("c", "m")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, ContractBroken),
        (400, ContractBroken),
        (401, AuthFailed),
        (402, AuthFailed),
        (403, AuthFailed),
        (404, UnknownTask),
        (410, ContractBroken),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
async def test_what_a_status_says_about_a_question(status: int, kind: type[ProviderError]) -> None:
    error = await error_of_ask(vendor(answers(status, {"message": "m"})))
    assert type(error) is kind
    assert error.vendor_message == "m"


async def test_an_unknown_task_is_told_as_one() -> None:
    error = await error_of_ask(vendor(answers(404, b"<html>")))
    assert isinstance(error, ContractBroken)
    assert "task is unknown" in error.reason


async def test_redirects_are_not_followed() -> None:
    calls: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        calls.append(str(request.url))
        return httpx.Response(302, headers={"Location": "https://elsewhere.test/"})

    await error_of_ask(vendor(reply))
    assert calls == ["https://vendor.test/api/v1/jobs/1"]


@pytest.mark.parametrize("status", [200, 400, 403, 500])
async def test_a_code_about_funds_wins_over_the_status(status: int) -> None:
    http = vendor(answers(status, {"error": {"code": "insufficient_credits", "message": "No"}}))
    assert type(await error_of_submit(http)) is AuthFailed
    assert type(await error_of_ask(http)) is AuthFailed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>ok</html>",
        b"[]",
        b"null",
        b'{"other": 1}',
        b'{"id": null}',
        b'{"id": ""}',
        b"\xff\xfe",
        b"[" * 1500,
        b'{"id": "' + b"x" * 3000 + b'"}',
    ],
)
async def test_an_answer_that_is_not_as_documented(body: bytes) -> None:
    http = vendor(answers(200, body))
    assert type(await error_of_submit(http)) is OutcomeUnknown
    assert type(await error_of_ask(http)) is ContractBroken


async def test_the_field_at_fault_is_named_without_its_value() -> None:
    error = await error_of_ask(vendor(answers(200, {"id": ["what the vendor wrote"]})))
    assert "id: string_type" in error.reason
    assert "what the vendor wrote" not in "".join(traceback.format_exception(error))


# Waiting


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({}, 30),
        ({"Retry_After": "7"}, 7),
        ({"Retry_After": "0"}, 0),
        ({"Retry_After": "-5"}, 0),
        ({"Retry_After": "86400"}, 600),
        ({"Retry_After": "1e999"}, 600),
        ({"Retry_After": "nan"}, 30),
        ({"Retry_After": "soon"}, 30),
        ({"Retry_After": ""}, 30),
        ({"Retry_After": "Fri, 20 Nov 2026 12:01:30 GMT"}, 90),
        ({"Retry_After": "Fri, 20 Nov 2026 12:01:30 -0000"}, 90),
        ({"Retry_After": "Fri, 20 Nov 2026 11:00:00 GMT"}, 0),
        ({"Retry_After": "Fri, 20 Nov 2099 11:00:00 GMT"}, 600),
        ({"Retry_After": "Fri, 20 Nov 2026 12:00:00 +9999999999"}, 30),
    ],
)
async def test_how_long_a_429_wants_us_to_wait(header: dict[str, str], seconds: float) -> None:
    for error_of in (error_of_submit, error_of_ask):
        budget = RequestBudget(requests_per_minute=None, clock=lambda: 5.0)
        error = await error_of(vendor(answers(429, {}, **header), budget=budget))
        assert isinstance(error, Unavailable)
        assert error.retry_after == seconds
        assert budget.expected_wait() == seconds


async def test_a_503_may_name_a_wait_too() -> None:
    budget = RequestBudget(requests_per_minute=None, clock=lambda: 5.0)
    error = await error_of_ask(vendor(answers(503, b"", Retry_After="9"), budget=budget))
    assert isinstance(error, Unavailable)
    assert error.retry_after == 9
    assert budget.expected_wait() == 9


async def test_a_500_without_a_wait_holds_nobody() -> None:
    http = vendor(answers(500, b""))
    assert (await error_of_ask(http)).__dict__["retry_after"] is None
    assert http.budget.expected_wait() == 0


async def test_a_submission_that_would_wait_long_is_not_sent() -> None:
    calls: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(200, json={"id": "1"})

    http = vendor(reply, budget=RequestBudget(requests_per_minute=1, clock=lambda: 5.0))
    await http.submit("/run", json={}, answer=Ticket, before_sending=at_once)
    error = await error_of_submit(http)
    assert isinstance(error, Unavailable)
    assert error.retry_after == 60
    assert len(calls) == 1


async def test_every_request_has_a_slot() -> None:
    http = vendor(answers(200, {"id": "1"}), budget=RequestBudget(requests_per_minute=3, clock=lambda: 5.0))
    await http.submit("/run", json={}, answer=Ticket, before_sending=at_once)
    await http.ask("/jobs/1", answer=Ticket)
    assert http.budget.expected_wait() == 0
    await http.ask("/jobs/1", answer=Ticket)
    assert http.budget.expected_wait() == 60


# A vendor's words


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ({"error": "text"}, None, "text"),
        ({"error": {"code": "c", "message": "m"}}, "c", "m"),
        ({"error": {"code": 17, "message": "m", "status": 403}}, "17", "m"),
        ({"error": {"code": "c"}}, "c", None),
        ({"error": {"message": {"deep": 1}}}, None, None),
        ({"message": "m"}, None, "m"),
        ({"code": "c", "message": "m"}, "c", "m"),
        ({"statusCode": 401, "message": "m"}, None, "m"),
        ({"error": "code", "message": "m"}, "code", "m"),
        ({"error": None, "message": "m"}, None, "m"),
        ({"error": True}, None, None),
        ({"error": "  two\n lines  "}, None, "two lines"),
        ({"error": "no\0text of\0a database"}, None, "no text of a database"),
        ({"error": ""}, None, None),
        ({"error": "x" * 1000}, None, "x" * 500),
        ([], None, None),
        ("text", None, None),
    ],
)
def test_where_a_vendor_puts_its_words(content: object, code: str | None, message: str | None) -> None:
    assert vendor_words(json.dumps(content).encode()) == VendorWords(code, message)


@pytest.mark.parametrize("body", [b"", b"<html><body>502</body></html>", b"\xff", b"[" * 100_000])
def test_what_is_no_json_has_no_words(body: bytes) -> None:
    assert vendor_words(body) == VendorWords()


# Secrets


@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
async def test_a_vendor_that_repeats_the_key_is_not_quoted(status: int) -> None:
    reply = answers(status, {"error": {"code": f"bad:{KEY}", "message": f"Invalid API key {KEY}"}})
    for error in (await error_of_submit(vendor(reply)), await error_of_ask(vendor(reply))):
        assert error.vendor_message == "Invalid API key [secret]"
        assert error.vendor_code == "bad:[secret]"


async def test_nothing_shows_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with raw_server(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}") as base_url:
        http = real(base_url)
        with pytest.raises(AuthFailed):
            await http.submit("/run", json={}, answer=Ticket, before_sending=at_once)
        await http.close()
    assert caplog.records
    assert KEY not in caplog.text
    assert KEY not in f"{http!r} {http}"


@pytest.mark.parametrize("key", ["", " ", "two\nlines", "schlüssel", "nul\0", "space "])
def test_a_key_that_no_header_can_carry_is_told_without_it(key: str) -> None:
    with pytest.raises(ValueError, match="the key") as caught:
        VendorHttp(name="vendor", base_url="http://vendor.test", headers={"Api-Key": key})
    assert not key.strip() or key not in repr(caught.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "vendor.test",
        "ftp://vendor.test",
        "http://",
        "http://vendor.test:port",
        "https://u:hunter2@vendor.test",
        "https://vendor.test/?key=hunter2",
        "https://vendor.test/#hunter2",
    ],
)
def test_a_base_url_that_can_not_be_used_is_told_without_it(base_url: str) -> None:
    with pytest.raises(ValueError, match="the base URL") as caught:
        VendorHttp(name="vendor", base_url=base_url, headers={})
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("https://pixeldojo.ai/api/v1", "pixeldojo.ai"),
        ("http://Vendor.test", "vendor.test"),
        ("http://127.0.0.1:8080/x", "127.0.0.1"),
        ("http://[::1]:8080", "::1"),
    ],
)
def test_the_trusted_host(base_url: str, host: str) -> None:
    assert VendorHttp(name="v", base_url=base_url, headers={}).trusted_host == host


# Real sockets


@asynccontextmanager
async def raw_server(
    answer: bytes, *, then: Callable[[asyncio.StreamWriter], AsyncIterator[bytes]] | None = None
) -> AsyncGenerator[str]:
    """Answer every connection with these bytes, then with what ``then`` gives, then close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        try:
            if then is not None:
                async for chunk in then(writer):
                    writer.write(chunk)
                    await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def real(base_url: str) -> VendorHttp:
    return VendorHttp(name="vendor", base_url=base_url, headers={"Api-Key": KEY}, max_answer_bytes=100_000)


async def endless(_: asyncio.StreamWriter) -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 10_000


async def trickling(_: asyncio.StreamWriter) -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(0.005)


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000000000\r\n\r\n"


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    async with raw_server(CHUNKED, then=endless) as base_url:
        http = real(base_url)
        assert type(await error_of_submit(http)) is OutcomeUnknown
        assert type(await error_of_ask(http)) is ContractBroken
        await http.close()


async def test_a_trickling_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer, "SUBMIT_TOTAL", 0.03)
    monkeypatch.setattr(layer, "ASK_TOTAL", 0.03)
    async with raw_server(CHUNKED, then=trickling) as base_url:
        http = real(base_url)
        assert type(await error_of_submit(http)) is OutcomeUnknown
        assert type(await error_of_ask(http)) is Unavailable
        await http.close()


#: its host is no name in any alphabet
NOWHERE = b"HTTP/1.1 307 Elsewhere\r\nLocation: https://xn--a/\r\nContent-Length: 0\r\n\r\n"
#: it has no host at all
NO_PLACE = NOWHERE.replace(b"https://xn--a/", b"data:text/plain,a")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", b"nonsense\r\n\r\n", NOWHERE, NO_PLACE]
)
async def test_a_connection_that_is_cut(answer: bytes) -> None:
    async with raw_server(answer) as base_url:
        http = real(base_url)
        assert type(await error_of_submit(http)) is OutcomeUnknown
        assert type(await error_of_ask(http)) is Unavailable
        await http.close()


async def test_nobody_listens() -> None:
    async with raw_server(b"") as base_url:
        pass
    http = real(base_url)
    assert type(await error_of_submit(http)) is Unavailable
    assert type(await error_of_ask(http)) is Unavailable
    await http.close()


async def test_a_cancelled_request_gives_its_slot_back() -> None:
    async with raw_server(CHUNKED, then=trickling) as base_url:
        http = real(base_url)
        task = asyncio.create_task(http.ask("/jobs/1", answer=Ticket))
        while not http.budget.in_flight:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert http.budget.in_flight == 0
        await http.close()


# Where files are put


@pytest.mark.parametrize(
    ("addresses", "is_taken"),
    [
        (["93.184.216.34"], True),
        (["93.184.216.34", "2606:2800:220:1::1"], True),
        (["10.0.0.1"], False),
        (["93.184.216.34", "127.0.0.1"], False),
        (["169.254.169.254"], False),
        (["::1"], False),
        (None, True),
    ],
)
async def test_a_store_by_a_name_that_leads_inside_gets_no_file(
    tmp_path: Path, addresses: list[str] | None, *, is_taken: bool
) -> None:
    asked: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(204)

    async def resolve(host: str, port: int) -> list[str]:
        assert (host, port) == ("store.test", 443)
        if addresses is None:
            raise OSError("nobody knows the name")
        return addresses

    client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
    http = VendorHttp(name="vendor", base_url="https://vendor.test", headers={}, client=client, resolve=resolve)
    file = tmp_path / "a.png"
    file.write_bytes(b"a picture")
    form = UploadForm("https://store.test/put", {"key": "k"})
    put = http.upload(form, path=file, filename="a.png", content_type="image/png")
    if is_taken:
        await put
    else:
        with pytest.raises(Refused, match="not safe"):
            await put
    assert asked == ["store.test"] * is_taken
