"""How questions and downloads travel: httpx asks, aiohttp moves the bytes, which takes it half the work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.request import getproxies

import aiohttp
import httpx
from yarl import URL

if TYPE_CHECKING:
    import ssl

#: bytes of one answer that wait in memory before its sender is held up
_WAITING: Final = 256 * 1024
#: seconds for which a connection waits for the next request; no server closes one after so short a time
_KEPT: Final = 2.0
#: bytes of a line or a header of an answer: as much as httpx would take, where aiohttp stops at eight KiB
_LONGEST: Final = 64 * 1024
#: headers that aiohttp would add by itself
_ADDED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


@lru_cache(maxsize=1)
def trusted_certificates() -> ssl.SSLContext:
    """What every client of ours checks certificates with; reading them takes a while."""
    return httpx.create_ssl_context()


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends requests, and streams the answers as they come.

    It knows no cookies, follows no redirect, and unpacks nothing. A connection is kept for the next request to the
    same address under the same name (``sni_hostname`` among the extensions). Nothing is made before the first request.
    """

    def __init__(self, *, trust_env: bool = False, repeats: bool = False) -> None:
        """Set up.

        Args:
            trust_env: whether the environment's proxies are used.
            repeats: whether a GET is sent again, once, whose kept connection is closed before any answer.
        """
        self._trust_env = trust_env
        self._repeats = repeats
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; a body must be in memory."""
        self._session = self._session or _new_session(trust_env=self._trust_env, repeats=self._repeats)
        times = request.extensions.get("timeout", {})
        with _errors_of_httpx():
            response = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                data=request.content or None,
                headers=[(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw],
                allow_redirects=False,
                server_hostname=request.extensions.get("sni_hostname"),
                timeout=aiohttp.ClientTimeout(sock_connect=times.get("connect"), sock_read=times.get("read")),
            )
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of_httpx():
            async for piece in self._response.content.iter_any():
                yield piece

    async def aclose(self) -> None:
        self._response.close()


def _new_session(*, trust_env: bool, repeats: bool) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT, ssl=trusted_certificates()),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
        auto_decompress=False,
        read_bufsize=_WAITING,
        max_line_size=_LONGEST,
        max_field_size=_LONGEST,
        skip_auto_headers=_ADDED,
        # where there are any: they are looked for again before each request, which takes longer than the request
        trust_env=trust_env and bool(getproxies()),
    )
    # there is no other way to say so; the tests of what a vendor sees would tell
    session._retry_connection = repeats  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return session


@contextmanager
def _errors_of_httpx() -> Generator[None]:
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout(str(error)) from error
    except aiohttp.ServerTimeoutError as error:
        raise httpx.ReadTimeout(str(error)) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error)) from error
    except aiohttp.ClientConnectionError as error:
        raise httpx.ReadError(str(error)) from error
    except aiohttp.ClientError as error:
        # what came isn't HTTP, or less than was announced
        raise httpx.RemoteProtocolError(str(error)) from error
