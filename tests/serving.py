"""Applications on loopback, for tests that need an HTTP server of their own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@asynccontextmanager
async def served(application: web.Application) -> AsyncGenerator[str]:
    """Serve an application within the block; gives its address."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class Recording:
    """A server that always answers the same, and remembers the requests, and the connections that they came by."""

    url: str
    requests: list[web.Request] = field(default_factory=list[web.Request])
    ports: list[int] = field(default_factory=list[int])

    @classmethod
    @asynccontextmanager
    async def answering(cls, answer: Callable[[], web.Response]) -> AsyncGenerator[Recording]:
        """Serve ``answer`` within the block, whatever is asked."""

        async def record(request: web.Request) -> web.Response:
            assert request.transport is not None
            recording.requests.append(request)
            recording.ports.append(request.transport.get_extra_info("peername")[1])
            return answer()

        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", record)
        async with served(application) as url:
            recording = cls(url)
            yield recording
