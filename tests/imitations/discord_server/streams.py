"""The compressions that a client may ask the gateway for."""

from __future__ import annotations

import importlib
import zlib
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from aiohttp import web


class Compressor(Protocol):
    """One per connection: both streams remember what went before."""

    async def send(self, socket: web.WebSocketResponse, text: str) -> None: ...


class Plain:
    async def send(self, socket: web.WebSocketResponse, text: str) -> None:
        await socket.send_str(text)


class Zlib:
    """zlib-stream; longer messages come in two frames, of which only the last ends with the flush marker."""

    LONG = 1024

    def __init__(self) -> None:
        self._stream = zlib.compressobj()

    async def send(self, socket: web.WebSocketResponse, text: str) -> None:
        data = self._stream.compress(text.encode()) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        if len(data) > self.LONG:
            half = len(data) // 2
            await socket.send_bytes(data[:half])
            data = data[half:]
        await socket.send_bytes(data)


class Zstd:
    """zstd-stream, which clients ask for where Python has it (3.14, or the zstandard package)."""

    def __init__(self, stream: Any, flush: Any) -> None:
        self._stream = stream
        self._flush = flush

    async def send(self, socket: web.WebSocketResponse, text: str) -> None:
        await socket.send_bytes(self._stream.compress(text.encode()) + self._stream.flush(self._flush))


def compressor(name: str | None) -> Compressor:
    if name is None:
        return Plain()
    if name == "zlib-stream":
        return Zlib()
    if name == "zstd-stream":
        return _zstd()
    raise ValueError(f"unknown compression {name}")


def _zstd() -> Compressor:
    try:
        package: Any = importlib.import_module("zstandard")
    except ImportError:
        standard: Any = importlib.import_module("compression.zstd")
        stream = standard.ZstdCompressor()
        return Zstd(stream, stream.FLUSH_BLOCK)
    return Zstd(package.ZstdCompressor().compressobj(), package.COMPRESSOBJ_FLUSH_BLOCK)
