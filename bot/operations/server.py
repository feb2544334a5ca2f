"""The HTTP server: health and metrics for machines, and the page for the operator.

    /healthz   200 while the event loop answers
    /readyz    200 when every part works, else 503; a line for each part
    /metrics   for Prometheus
    /          the page; 404 unless WANBOT_WEB_TOKEN is set

The first three name no community and no member and need no token. Nothing here changes anything but who is signed in.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web

from bot.operations.door import STAY, Door, TooManyTries
from bot.operations.page import STYLE, login_page
from bot.operations.readiness import Part

log = structlog.stdlib.get_logger(__name__)

_COOKIE: Final = "wanbot"
#: as Prometheus asks for it
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_BEARER: Final = "Bearer "
#: bytes; a form with a token
_LONGEST_BODY: Final = 16 * 1024
#: seconds that requests under way get at a stop
_LAST_REQUESTS: Final = 0.5
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Server:
    """The routes. Each answer comes from a function that was handed over."""

    def __init__(
        self,
        *,
        metrics: Callable[[], Awaitable[bytes]],
        parts: Callable[[], Awaitable[Sequence[Part]]],
        page: Callable[[], Awaitable[str]],
        door: Door | None,
    ) -> None:
        """Without a ``door`` there is no page."""
        self._metrics = metrics
        self._parts = parts
        self._page = page
        self._door = door

    @asynccontextmanager
    async def listening(self, address: str, port: int) -> AsyncGenerator[int]:
        """Serve within the block; gives the port. Raises ``OSError`` when it is taken."""
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=_LAST_REQUESTS)
        await runner.setup()
        try:
            site = web.TCPSite(runner, address, port)
            await site.start()
            bound: int = runner.addresses[0][1]
            log.info("health and metrics are served", address=address, port=bound, page=self._door is not None)
            yield bound
        finally:
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=_LONGEST_BODY)
        application.on_response_prepare.append(_add_headers)
        application.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/readyz", self._readiness),
                web.get("/metrics", self._scrape),
            ]
        )
        if self._door is not None:
            rooms = _Rooms(door=self._door, page=self._page)
            application.add_routes(
                [
                    web.get("/", rooms.overview),
                    web.get("/page.css", rooms.style),
                    web.post("/login", rooms.login),
                    web.post("/logout", rooms.logout),
                ]
            )
        return application

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readiness(self, _request: web.Request) -> web.Response:
        parts = await self._parts()
        is_ready = all(part.trouble is None for part in parts)
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return web.Response(text="".join(f"{part.line}\n" for part in parts), status=status)

    async def _scrape(self, _request: web.Request) -> web.Response:
        return web.Response(body=await self._metrics(), headers={"Content-Type": _METRICS_TYPE})


class _Rooms:
    """What lies behind the door, and the door itself."""

    def __init__(self, *, door: Door, page: Callable[[], Awaitable[str]]) -> None:
        self._door = door
        self._page = page

    async def overview(self, request: web.Request) -> web.Response:
        """The page, or the form that asks for the token."""
        header = request.headers.get("Authorization", "")
        if header.startswith(_BEARER):
            return await self._for_bearer(request, header.removeprefix(_BEARER).strip())
        if self._door.is_in(request.cookies.get(_COOKIE, "")):
            return _html(await self._page())
        answer = _html(login_page(), HTTPStatus.UNAUTHORIZED)
        answer.headers["WWW-Authenticate"] = _BEARER.strip()
        return answer

    async def style(self, _request: web.Request) -> web.Response:
        """How both look."""
        return web.Response(text=STYLE, content_type="text/css")

    async def login(self, request: web.Request) -> web.Response:
        """Let a browser in that brings the token."""
        token = str((await request.post()).get("token", ""))
        try:
            is_right = self._door.is_open_to(token, address=_address(request))
        except TooManyTries as error:
            return _wait(error)
        if not is_right:
            log.warning("a wrong token was tried on the web page", address=_address(request))
            return _html(login_page(problem="That isn't the token."), HTTPStatus.FORBIDDEN)
        answer = _to_page()
        answer.set_cookie(
            _COOKIE,
            self._door.let_in(),
            max_age=int(STAY.total_seconds()),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=_is_encrypted(request),
        )
        return answer

    async def logout(self, request: web.Request) -> web.Response:
        """Let a browser go."""
        self._door.send_out(request.cookies.get(_COOKIE, ""))
        answer = _to_page()
        answer.del_cookie(_COOKIE, path="/")
        return answer

    async def _for_bearer(self, request: web.Request, token: str) -> web.Response:
        try:
            if self._door.is_open_to(token, address=_address(request)):
                return _html(await self._page())
        except TooManyTries as error:
            return _wait(error)
        log.warning("a wrong token was tried on the web page", address=_address(request))
        return _html(login_page(problem="That isn't the token."), HTTPStatus.FORBIDDEN)


async def _add_headers(_request: web.Request, answer: web.StreamResponse) -> None:
    """Say what a browser may do with an answer, also with one that is an error."""
    answer.headers.update(_HEADERS)


def _html(text: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(text=text, content_type="text/html", status=status)


def _wait(error: TooManyTries) -> web.Response:
    seconds = int(error.wait.total_seconds())
    answer = _html(
        login_page(problem=f"Too many wrong tokens came from here. Wait {seconds} seconds."),
        HTTPStatus.TOO_MANY_REQUESTS,
    )
    answer.headers["Retry-After"] = str(seconds)
    return answer


def _to_page() -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/"})


def _address(request: web.Request) -> str:
    """Who asks. Behind a proxy that is the proxy, since what it says of others could be anybody's word."""
    return request.remote or ""


def _is_encrypted(request: web.Request) -> bool:
    """Whether the browser may send the cookie over TLS only; a proxy that says so can only make it stricter."""
    return request.secure or request.headers.get("X-Forwarded-Proto") == "https"
