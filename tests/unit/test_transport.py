"""What a server sees of downloads and questions, and how its failures are told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from aiohttp import web

from providers.transport import AiohttpTransport
from tests.serving import Recording


def downloads() -> httpx.AsyncClient:
    """A client as the bot has one for links."""
    return httpx.AsyncClient(transport=AiohttpTransport(repeats=True), trust_env=False)


@pytest.fixture
async def server() -> AsyncIterator[Recording]:
    headers = {"Set-Cookie": "seen=yes; Path=/"}
    async with Recording.answering(lambda: web.Response(body=b"a video", headers=headers)) as recording:
        yield recording


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with downloads() as made:
        yield made


async def test_the_headers_are_those_of_the_request_and_no_others(server: Recording, client: httpx.AsyncClient) -> None:
    sent = {"Host": "cdn.example:8443", "Accept-Encoding": "identity", "Connection": "close"}
    request = httpx.Request("GET", f"{server.url}/a%2Fb.mp4?sign=a%2Bb%3D&x", headers=sent)
    response = await client.send(request)
    assert response.content == b"a video"
    (seen,) = server.requests
    assert dict(seen.headers) == sent
    assert seen.raw_path == "/a%2Fb.mp4?sign=a%2Bb%3D&x", "a signed link is asked for as it is"


async def test_a_connection_is_kept_for_the_same_name_alone(server: Recording, client: httpx.AsyncClient) -> None:
    for name in ("one.example", "one.example", "another.example", "one.example"):
        response = await client.get(server.url, extensions={"sni_hostname": name})
        assert response.content == b"a video"
    first, again, another, last = server.ports
    assert first == again == last, "a handshake less"
    assert another != first, "who may speak for one name needn't for another at the same address"


async def test_a_server_that_sets_cookies_never_sees_them_again(server: Recording) -> None:
    transport = AiohttpTransport(repeats=True)
    for _ in range(2):
        response = await transport.handle_async_request(httpx.Request("GET", server.url))
        assert await response.aread() == b"a video"
    assert not any("Cookie" in request.headers for request in server.requests)
    await transport.aclose()


async def test_a_kept_connection_that_its_server_has_closed_meanwhile_is_no_failure() -> None:
    answers = 0

    async def once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answers
        answers += 1
        # says nothing of closing, and closes
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nvideo")

    async with listening(once) as address, downloads() as client:
        for _ in range(3):
            assert (await client.get(f"http://{address}")).content == b"video"
    assert answers == 3


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[str]:
    """A server of bare sockets, which answers once its client has asked; gives the address behind the scheme."""
    connections: list[asyncio.Task[None]] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.append(task)
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    async with server, asyncio.timeout(20):
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await asyncio.gather(*connections)


@pytest.mark.parametrize("repeats", [True, False])
async def test_a_request_that_went_out_in_vain_is_sent_again_only_where_that_may_be(*, repeats: bool) -> None:
    heard = 0

    async def hear_two(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nvideo")
        if heard == 1:
            # the next one is heard and never answered
            await reader.readuntil(b"\r\n\r\n")
            heard += 1

    transport = AiohttpTransport(repeats=repeats)
    async with listening(hear_two) as address, httpx.AsyncClient(transport=transport) as client:
        await client.get(f"http://{address}")
        if repeats:
            assert (await client.get(f"http://{address}")).content == b"video"
        else:
            with pytest.raises(httpx.ReadError):
                await client.get(f"http://{address}")
    assert heard == (3 if repeats else 2)


async def test_an_answer_may_have_long_headers() -> None:
    async def verbose(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        policy = b"Content-Security-Policy: " + b"x" * 20_000
        writer.write(b"HTTP/1.1 200 OK\r\n" + policy + b"\r\nContent-Length: 5\r\n\r\nvideo")

    async with listening(verbose) as address, downloads() as client:
        assert (await client.get(f"http://{address}")).content == b"video"


async def test_a_question_may_have_a_body(server: Recording) -> None:
    async with httpx.AsyncClient(transport=AiohttpTransport()) as client:
        await client.post(server.url, json={"task": "1"})
    (seen,) = server.requests
    assert (seen.method, seen.content_type, seen.content_length) == ("POST", "application/json", 12)


@pytest.mark.parametrize("trust_env", [True, False])
async def test_the_proxies_of_the_environment_are_used_where_that_is_wished(
    server: Recording, monkeypatch: pytest.MonkeyPatch, *, trust_env: bool
) -> None:
    asked = 0

    async def proxy(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy")

    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with listening(proxy) as address:
        monkeypatch.setenv("HTTP_PROXY", f"http://{address}")
        monkeypatch.setenv("http_proxy", f"http://{address}")
        async with httpx.AsyncClient(transport=AiohttpTransport(trust_env=trust_env)) as client:
            answer = await client.get(server.url)
    assert answer.content == (b"proxy" if trust_env else b"a video")
    assert asked == trust_env


async def test_a_download_that_is_left_closes_its_connection() -> None:
    is_closed = asyncio.Event()

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                writer.write(bytes(65536))
                await writer.drain()
        except ConnectionError:
            is_closed.set()

    async with listening(endless) as address, downloads() as client:
        async with client.stream("GET", f"http://{address}") as response:
            async for _ in response.aiter_raw():
                break
        await is_closed.wait()


async def test_over_tls_the_name_is_asked_for_and_its_certificate_is_checked() -> None:
    asked: list[str | None] = []
    # it has no certificate at all
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def nothing(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        raise AssertionError("nobody gets that far")

    async with (
        listening(nothing, tls=tls) as address,
        downloads() as client,
    ):
        with pytest.raises(httpx.ConnectError):
            await client.get(f"https://{address}", extensions={"sni_hostname": "cdn.example"})
    assert asked == ["cdn.example"]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", httpx.ReadError),
        (b"no HTTP at all\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nonly", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", httpx.RemoteProtocolError),
    ],
)
async def test_what_goes_wrong_is_an_error_of_httpx(answer: bytes, error: type[httpx.TransportError]) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with listening(serve) as address, downloads() as client:
        with pytest.raises(error):
            await client.get(f"http://{address}")


async def test_silence_ends_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as address, downloads() as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"http://{address}", timeout=httpx.Timeout(5.0, read=0.1))


async def test_nobody_there_is_no_connection() -> None:
    async with downloads() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")


async def test_a_transport_that_was_never_used_is_closed_all_the_same() -> None:
    async with downloads():
        pass  # nothing was asked
