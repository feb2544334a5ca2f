"""Fetching what a vendor's link leads to, and going nowhere else for it.

A link is text of another's making. Each host, of the link and of every redirect, is resolved once; all its
addresses have to be public; and the connection is made to one of these very addresses, while the name only
goes into the Host header and the TLS handshake. A name that resolves differently a moment later (DNS
rebinding) therefore gains nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import httpx

from providers.addresses import Resolve, is_public, system_resolve, url_of

log = logging.getLogger(__name__)

MAX_REDIRECTS = 3
#: bytes written at once
_CHUNK = 1024 * 1024
_TIMES = httpx.Timeout(10.0, read=60.0)
_OK = 200
_PORTS = {"http": 80, "https": 443}


class LinkError(Exception):
    """A link gave no file. No text of it holds the link's path or query: those may carry a signature."""


class LinkFailed(LinkError):  # noqa: N818 - the reaction is the name
    """The link gave no file this time: network, 5xx, too slow, too large, cut off. Try again."""


class LinkRefused(LinkFailed):
    """The link leads where none may lead: another scheme, or an address that isn't public. Don't try again."""


class LinkDead(LinkError):  # noqa: N818
    """The link's server said 4xx; ``status`` is that code. Ask the vendor for a fresh link, or give up."""

    def __init__(self, status: int) -> None:
        """Keep the status, on which the caller decides how long to try."""
        super().__init__(f"the link answered with HTTP status {status}")
        self.status = status


class Links:
    """Streams links to disk.

    Its client must tell kept connections apart by the name that they were made for, ``sni_hostname`` among the
    extensions, since it is asked for addresses.
    """

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        trusted_hosts: Collection[str] = (),
        resolve: Resolve = system_resolve,
    ) -> None:
        self._client = client
        self._trusted = frozenset(host.lower().strip("[]") for host in trusted_hosts)
        self._resolve = resolve

    def trust(self, hosts: Collection[str]) -> None:
        """Also follow links to these hosts when their addresses are private."""
        self._trusted |= {host.lower().strip("[]") for host in hosts}

    async def fetch(self, url: str, target: Path, *, max_bytes: int, seconds: float, allow_file: bool) -> int:
        """Save what a link leads to as ``target``; gives its bytes. Nothing is left on failure.

        Args:
            url: http or https; ``file:`` only with ``allow_file``.
            target: the file to write.
            max_bytes: what is longer is not kept.
            seconds: for the whole of it, redirects included.
            allow_file: whether the link is a local provider's, and may name a file.

        Raises:
            LinkDead, LinkRefused, LinkFailed: see there.
        """
        part = target.with_name(f"{target.name}.part")
        try:
            async with asyncio.timeout(seconds):
                size = await self._save(url, part, max_bytes, allow_file=allow_file)
            if size == 0:
                raise LinkFailed("the file behind the link is empty")
            part.replace(target)
        except TimeoutError as error:
            raise LinkFailed(f"the download took longer than {seconds:g} seconds") from error
        except OSError as error:
            raise LinkFailed(f"the file can't be read or kept: {error.strerror or type(error).__name__}") from error
        finally:
            part.unlink(missing_ok=True)
        return size

    async def _save(self, url: str, part: Path, max_bytes: int, *, allow_file: bool) -> int:
        place = _parsed(url)
        if place.scheme == "file":
            if not allow_file:
                raise LinkRefused("a link of this provider may not name a file")
            return await asyncio.to_thread(_copy, place.path, part, max_bytes)
        started = time.monotonic()
        try:
            async with self._response(place) as response:
                size = await _stream(response, part, max_bytes)
        except httpx.HTTPError as error:
            # The error's own text may hold the link, and with it a signature.
            raise LinkFailed(f"the download broke off: {type(error).__name__}") from error
        log.info("Fetched %.1f MiB in %.1f s from %s", size / 2**20, time.monotonic() - started, place.host)
        return size

    @asynccontextmanager
    async def _response(self, place: httpx.URL) -> AsyncGenerator[httpx.Response]:
        """The answer at the end of the redirects, its body not yet read."""
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._ask(place)
            try:
                if not response.has_redirect_location:
                    _check_status(response)
                    yield response
                    return
                place = _next(place, response)
            finally:
                await response.aclose()
        raise LinkFailed(f"the link was redirected more than {MAX_REDIRECTS} times")

    async def _ask(self, place: httpx.URL) -> httpx.Response:
        """Connect to the first address that takes us."""
        addresses = await self._addresses(place)
        for address in addresses[:-1]:
            try:
                return await self._send(place, address)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._send(place, addresses[-1])

    async def _send(self, place: httpx.URL, address: str) -> httpx.Response:
        request = self._client.build_request(
            "GET",
            place.copy_with(host=address),
            headers={
                "Host": place.netloc.decode("ascii"),
                # What comes is written as it is: a small answer can't become a huge one by unpacking.
                "Accept-Encoding": "identity",
            },
            timeout=_TIMES,
            extensions={"sni_hostname": place.raw_host.decode("ascii")},
        )
        try:
            return await self._client.send(request, stream=True, follow_redirects=False, auth=None)
        except (httpx.InvalidURL, UnicodeError) as error:
            # httpx reads where a redirect leads to also when it doesn't go there
            raise LinkRefused("the redirect can't be read") from error

    async def _addresses(self, place: httpx.URL) -> Sequence[str]:
        """All addresses of the link's host, checked.

        Raises:
            LinkRefused: the scheme isn't http or https, or an address isn't public.
            LinkFailed: the name can't be resolved.
        """
        if place.scheme not in _PORTS or not place.host or place.userinfo:
            raise LinkRefused("only plain http and https links are followed")
        try:
            addresses = await self._resolve(place.raw_host.decode("ascii"), place.port or _PORTS[place.scheme])
        except (OSError, UnicodeError) as error:
            raise LinkFailed(f"the host {place.host} can't be found") from error
        if not addresses:
            raise LinkFailed(f"the host {place.host} has no address")
        if place.host not in self._trusted and not all(is_public(address) for address in addresses):
            log.warning("Refused a link to %s: it leads to an address that is not public", place.host)
            raise LinkRefused(f"the host {place.host} has an address that is not public")
        return addresses


def _parsed(url: str) -> httpx.URL:
    place = url_of(url)
    if place is None:
        raise LinkRefused("the link can't be read")
    return place


def _next(place: httpx.URL, response: httpx.Response) -> httpx.URL:
    following = url_of(response.headers["Location"], base=place)
    if following is None:
        raise LinkRefused("the redirect can't be read")
    return following


def _check_status(response: httpx.Response) -> None:
    if response.is_client_error:
        raise LinkDead(response.status_code)
    if response.status_code != _OK:
        raise LinkFailed(f"the link answered with HTTP status {response.status_code}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise LinkFailed("the file behind the link is packed, which was not asked for")


async def _stream(response: httpx.Response, part: Path, max_bytes: int) -> int:
    """Write the body as it comes, in a thread; a body shorter than announced is an error of httpx."""
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal():
        _check_length(int(announced), max_bytes)
    size = written = 0
    pieces: list[bytes] = []
    file = await asyncio.to_thread(part.open, "wb")
    try:
        async for piece in response.aiter_raw():
            size += len(piece)
            _check_length(size, max_bytes)
            pieces.append(piece)
            if size - written >= _CHUNK:
                await asyncio.to_thread(file.writelines, pieces)
                pieces, written = [], size
        await asyncio.to_thread(file.writelines, pieces)
    finally:
        file.close()
    return size


def _check_length(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise LinkFailed(f"the file behind the link is larger than {max_bytes / 2**20:g} MiB")


def _copy(path: str, part: Path, max_bytes: int) -> int:
    size = 0
    with Path(path).open("rb") as file, part.open("wb") as out:
        for chunk in _chunks(file):
            size += len(chunk)
            _check_length(size, max_bytes)
            out.write(chunk)
    return size


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
