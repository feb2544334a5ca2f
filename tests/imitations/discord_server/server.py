"""The server: sockets on one side, a test's hands on the other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from .answers import answer, too_many
from .calls import Call, LoggedRequest, Requests, Routes
from .drafts import read_draft
from .faults import Faults
from .limits import Limits
from .rest import Rest
from .waiting import eventually
from .webhooks import Webhooks
from .wire import ApiError, Payload, Problem
from .world import Settings, World

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterable

    from .commands import Sync
    from .gateway import Drop
    from .guilds import Guild
    from .interactions import Interaction

PREFIX = "/api/v10"
# Files reach it whole; what is too large for Discord is decided by the handlers.
LARGEST_BODY = 1 << 30


class DiscordServer:
    """Discord on a local port, while its context lasts; see the package for what it does."""

    def __init__(
        self,
        *,
        token: str = Settings.token,
        shards: int = Settings.shards,
        upload_limit: int = Settings.upload_limit,
        ack_seconds: float = Settings.ack_seconds,
        token_seconds: float = Settings.token_seconds,
        nonce_seconds: float = Settings.nonce_seconds,
        link_seconds: float = Settings.link_seconds,
        heartbeat_ms: int = Settings.heartbeat_ms,
        identify_seconds: float = Settings.identify_seconds,
        max_concurrency: int = Settings.max_concurrency,
    ) -> None:
        self.token = token
        self.requests = Requests()
        self.faults = Faults()
        self.limits = Limits()
        self.world = World(
            Settings(
                token=token,
                shards=shards,
                upload_limit=upload_limit,
                ack_seconds=ack_seconds,
                token_seconds=token_seconds,
                nonce_seconds=nonce_seconds,
                link_seconds=link_seconds,
                heartbeat_ms=heartbeat_ms,
                identify_seconds=identify_seconds,
                max_concurrency=max_concurrency,
            )
        )
        self.gateway = self.world.gateway
        self._failures: list[Exception] = []
        self._routes = Routes()
        Rest(self.world, self._routes)
        Webhooks(self.world, self._routes)
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=0.1)

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=LARGEST_BODY)
        application.router.add_get("/gateway", self.gateway.handle)
        application.router.add_get("/gateway/", self.gateway.handle)
        application.router.add_get("/attachments/{rest:.*}", self._serve_file)
        application.router.add_get("/ephemeral-attachments/{rest:.*}", self._serve_file)
        application.router.add_route("*", PREFIX + "{path:/.*}", self._serve_api)
        return application

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.world.files.base_url = f"http://{host}:{port}"
        self.gateway.url = f"ws://{host}:{port}/gateway"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.gateway.shut()
        await self._runner.cleanup()
        if self._failures and kind is None:
            raise ExceptionGroup("the imitation itself failed", self._failures)

    # what a test asks and does

    @property
    def base_url(self) -> str:
        return self.world.files.base_url

    @property
    def api_url(self) -> str:
        """What DISCORD_API_URL (or `Route.BASE`) is to be."""
        return self.base_url + PREFIX

    @property
    def gateway_url(self) -> str:
        """What `DiscordWebSocket.DEFAULT_GATEWAY` is to be."""
        return self.gateway.url

    @property
    def syncs(self) -> list[Sync]:
        return self.world.commands.syncs

    @property
    def commands(self) -> list[Payload]:
        return self.world.commands.registered()

    def add_guild(self, name: str = "guild", *, premium_tier: int = 0, shard: int | None = None) -> Guild:
        return self.world.add_guild(name, premium_tier=premium_tier, shard=shard)

    async def wait_for(self, predicate: Callable[[], object], timeout: float = 5.0) -> None:  # noqa: ASYNC109
        await eventually(predicate, timeout)

    async def wait_ready(self, shards: Iterable[int] | None = None, timeout: float = 15.0) -> None:  # noqa: ASYNC109
        """Wait until the bot has read READY on all shards (of the count that it named last)."""
        await eventually(lambda: self._is_ready(shards), timeout, f"identified: {self.gateway.identifies}")

    async def wait_synced(self, timeout: float = 15.0) -> None:  # noqa: ASYNC109
        """Wait until commands were registered."""
        await eventually(lambda: self.syncs, timeout, "no commands were registered")

    async def wait_gone(self, timeout: float = 15.0) -> None:  # noqa: ASYNC109
        """Wait until no bot is connected."""
        await eventually(lambda: not self.gateway.connected, timeout, "still connected")

    def redeliver(self, interaction: Interaction) -> None:
        """Send the same INTERACTION_CREATE once more."""
        self.world.interactions.deliver(interaction)

    def drop_gateway(self, how: Drop = "close", *, resumable: bool = True) -> None:
        """Lose all sockets; see `Gateway.drop`."""
        self.gateway.drop(how, resumable=resumable)

    def gateway_down(self, how: Drop = "close") -> contextlib.AbstractAsyncContextManager[None]:
        """Lose all sockets and let none back in until the context ends."""
        return self.gateway.down(how)

    def drop_uploads(self) -> None:
        """Let the links of files end that members attached to commands and forms."""
        self.world.files.drop_uploads()

    def _is_ready(self, shards: Iterable[int] | None) -> bool:
        if not self.gateway.identifies:
            return False
        count = self.gateway.identifies[-1][1]
        wanted = set(range(count) if shards is None else shards)
        there = {
            session.shard_id for session in self.gateway.connected if session.ready and session.shard_count == count
        }
        return wanted <= there

    # answering

    async def _serve_file(self, request: web.Request) -> web.Response:
        stored = self.world.files.fetch(request.path, request.query)
        if stored is None:
            return web.Response(status=404, text="This content is no longer available.")
        kind = stored.content_type or "application/octet-stream"
        return web.Response(body=stored.content, content_type=kind)

    async def _serve_api(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        logged = LoggedRequest(request.method, path)
        self.requests.append(logged)
        fault = self.faults.take(request.method, path)

        async def handle() -> web.Response:
            return await self._limited(request, path, logged)

        response = await (fault.apply(request, handle) if fault else handle())
        logged.seconds = time.monotonic() - logged.at
        if not _is_gone(request):
            logged.status = response.status
        return response

    async def _limited(self, request: web.Request, path: str, logged: LoggedRequest) -> web.Response:
        bucket = self.limits.find(request.method, path)
        if bucket is None:
            return await self._handled(request, path, logged)
        headers, wait = bucket.count(path)
        if wait is not None:
            return too_many(wait, headers=headers)
        response = await self._handled(request, path, logged)
        response.headers.update(headers)
        return response

    async def _handled(self, request: web.Request, path: str, logged: LoggedRequest) -> web.Response:
        try:
            body = await self._dispatch(request, path, logged)
        except ApiError as error:
            return answer(error.status, error.body)
        except Exception as error:
            if _is_gone(request):
                # a bot that was killed while it uploaded
                raise
            # a bug of the imitation, or a body that no library sends; it fails the test at its end
            self._failures.append(error)
            return answer(500, {"message": repr(error), "code": 0})
        return answer(204) if body is None else answer(200, body)

    async def _dispatch(self, request: web.Request, path: str, logged: LoggedRequest) -> Any:
        route, params = self._routes.find(request.method, path)
        if not route.public and request.headers.get("Authorization") != f"Bot {self.token}":
            raise ApiError(Problem.UNAUTHORIZED)
        draft = await read_draft(request)
        logged.body = draft.body
        return await route.handler(Call(params, request.query, draft))


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
