"""How links are followed: httpx asks, aiohttp moves the bytes, which for large files takes it half the work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Final

import aiohttp
import httpx
from yarl import URL

from providers.http import trusted_certificates

#: bytes of one download that wait in memory before its sender is held up
_WAITING: Final = 256 * 1024
#: seconds for which a connection waits for the next download
_KEPT: Final = 2.0
#: headers that aiohttp would add by itself
_ADDED: Final = ("Accept", "Accept-Encoding", "User-Agent")


class DownloadTransport(httpx.AsyncBaseTransport):
    """Sends requests without a body, and streams the answers as they come.

    It knows no proxies and no cookies, follows no redirect, and unpacks nothing. A connection is kept for the next
    request to the same address under the same name (``sni_hostname`` among the extensions). Nothing is made before the
    first request.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        self._session = self._session or _new_session()
        times = request.extensions.get("timeout", {})
        with _errors_of_httpx():
            response = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
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


def _new_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT, ssl=trusted_certificates()),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
        auto_decompress=False,
        read_bufsize=_WAITING,
        skip_auto_headers=_ADDED,
    )


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
