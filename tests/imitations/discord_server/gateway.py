"""The gateway: sessions, their events, and what happens when a socket is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from aiohttp import WSMessage, WSMsgType, web

from .ids import shard_of
from .starts import SessionStarts
from .streams import compressor
from .waiting import eventually
from .wire import Payload

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .streams import Compressor
    from .world import World

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT = 0, 1, 2, 6, 7
INVALID_SESSION, HELLO, HEARTBEAT_ACK = 9, 10, 11
NOT_AUTHENTICATED, AUTHENTICATION_FAILED, ALREADY_AUTHENTICATED = 4003, 4004, 4005
UNKNOWN_ERROR, INVALID_SHARD, DISALLOWED_INTENTS = 4000, 4010, 4014
INTENTS = {"guilds": 1, "guild_messages": 1 << 9, "direct_messages": 1 << 12}
PRIVILEGED = 1 << 1 | 1 << 8 | 1 << 15
# With these a client says that it won't come back.
GOODBYE = (1000, 1001)

Drop = Literal["close", "abort", "reconnect"]


class Connection:
    """One socket; what is sent goes through a queue, so that order is kept."""

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport | None, compress: Compressor
    ) -> None:
        self.session: Session | None = None
        self._socket = socket
        self._transport = transport
        self._compress = compress
        self._queue: asyncio.Queue[Payload | bytes | int | str] = asyncio.Queue()

    def send(self, payload: Payload) -> None:
        self._queue.put_nowait(payload)

    def babble(self, text: str) -> None:
        """Send something that is no payload."""
        self._queue.put_nowait(text)

    def ping(self) -> None:
        """Ask for a sign that everything so far was read."""
        self._queue.put_nowait(b"read")

    def close(self, code: int) -> None:
        self._queue.put_nowait(code)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while not isinstance(item := await self._queue.get(), int):
                if isinstance(item, bytes):
                    await self._socket.ping(item)
                elif isinstance(item, str):
                    await self._compress.send(self._socket, item)
                else:
                    await self._compress.send(self._socket, json.dumps(item, separators=(",", ":")))
            await self._socket.close(code=item)


@dataclass(eq=False)
class Session:
    """What survives a lost socket: the events sent so far, for whoever resumes."""

    id: str
    shard_id: int
    shard_count: int
    intents: int
    connection: Connection | None = None
    ready: bool = False
    sent: list[Payload] = field(default_factory=list[Payload])

    def serves(self, guild_id: int | None, intent: str | None) -> bool:
        wanted = intent is None or bool(self.intents & INTENTS[intent])
        shard = 0 if guild_id is None else shard_of(guild_id, self.shard_count)
        return wanted and shard == self.shard_id

    def dispatch(self, event: str, data: Payload) -> None:
        payload: Payload = {"op": DISPATCH, "t": event, "s": len(self.sent) + 1, "d": data}
        self.sent.append(payload)
        if self.connection is not None:
            self.connection.send(payload)


class Gateway:
    """Accepts sockets and hands every event to the sessions that it concerns."""

    def __init__(self, world: World) -> None:
        self.url = ""
        self.sessions: dict[str, Session] = {}
        self.identifies: list[tuple[int, int]] = []
        self.starts = SessionStarts(world.settings.identify_seconds, world.settings.max_concurrency)
        self.resumes = 0
        self.heartbeats = 0
        self._world = world
        self._connections: set[Connection] = set()
        self._closed = False
        self._up = asyncio.Event()
        self._up.set()

    @property
    def connected(self) -> list[Session]:
        return [session for session in self.sessions.values() if session.connection is not None]

    @property
    def waiting(self) -> int:
        """How many sockets have not been greeted, or have not said who they are."""
        return sum(connection.session is None for connection in self._connections)

    def emit(self, event: str, data: Payload, guild_id: int | None = None, *, intent: str | None = None) -> bool:
        """Tell every session that serves the guild; False: none of them has a socket, some bot may hear it later."""
        concerned = [session for session in self.sessions.values() if session.serves(guild_id, intent)]
        for session in concerned:
            session.dispatch(event, data)
        return any(session.connection is not None for session in concerned)

    def babble(self, text: str) -> None:
        """Send every session something that is no payload."""
        for session in self.connected:
            if session.connection is not None:
                session.connection.babble(text)

    def close(self, code: int) -> None:
        """End every socket with a code of Discord's."""
        for connection in self._connections:
            connection.close(code)

    def drop(self, how: Drop = "close", *, resumable: bool = True) -> None:
        """Lose all sockets: by a close frame, by cutting the connection, or by asking for a reconnect."""
        if not resumable:
            self.sessions.clear()
        for connection in list(self._connections):
            self._detach(connection)
            if how == "abort":
                connection.abort()
            elif how == "reconnect":
                connection.send({"op": RECONNECT, "d": None, "s": None, "t": None})
            else:
                connection.close(UNKNOWN_ERROR)

    @contextlib.asynccontextmanager
    async def down(self, how: Drop = "close") -> AsyncGenerator[None]:
        """Keep bots away; what happens inside is replayed to those that resume."""
        self._up.clear()
        self.drop(how)
        try:
            yield
        finally:
            self._up.set()

    async def shut(self) -> None:
        """Close for good; a bot that is still there finds nobody."""
        self._closed = True
        self._up.set()
        for connection in list(self._connections):
            connection.close(1001)
        await eventually(lambda: not self._connections, what="a socket stays open")

    # one socket

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        if self._closed:
            raise web.HTTPServiceUnavailable
        compress = compressor(request.query.get("compress"))
        socket = web.WebSocketResponse(max_msg_size=0, timeout=0.5, compress=False, autoping=False)
        await socket.prepare(request)
        connection = Connection(socket, request.transport, compress)
        self._connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            await self._up.wait()
            connection.send({"op": HELLO, "d": {"heartbeat_interval": self._world.settings.heartbeat_ms}})
            while (frame := await socket.receive()).type in (WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG):
                if frame.type is WSMsgType.TEXT:
                    self._receive(connection, json.loads(frame.data))
                elif frame.type is WSMsgType.PING:
                    await socket.pong(frame.data)
                elif connection.session is not None:
                    connection.session.ready = True
            self._end_session(connection, frame)
        finally:
            self._connections.discard(connection)
            self._detach(connection)
            writer.cancel()
        return socket

    def _end_session(self, connection: Connection, last: WSMessage) -> None:
        # Only a close frame counts: aiohttp's own close code is 1000 after a killed process, too.
        if connection.session is not None and last.type is WSMsgType.CLOSE and last.data in GOODBYE:
            self.sessions.pop(connection.session.id, None)

    def _detach(self, connection: Connection) -> None:
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None

    def _receive(self, connection: Connection, message: Payload) -> None:
        op, data = message["op"], message.get("d")
        if op == HEARTBEAT:
            self.heartbeats += 1
            connection.send({"op": HEARTBEAT_ACK})
        elif op == IDENTIFY:
            self._identify(connection, data)
        elif op == RESUME:
            self._resume(connection, data)
        elif connection.session is None:
            connection.close(NOT_AUTHENTICATED)

    def _refusal(self, connection: Connection, data: Any) -> int | None:
        shard_id, shard_count = data.get("shard", [0, 1])
        if connection.session is not None:
            return ALREADY_AUTHENTICATED
        if data["token"] != self._world.settings.token:
            return AUTHENTICATION_FAILED
        if not 0 <= shard_id < shard_count:
            return INVALID_SHARD
        return DISALLOWED_INTENTS if data["intents"] & PRIVILEGED else None

    def _identify(self, connection: Connection, data: Any) -> None:
        if code := self._refusal(connection, data):
            connection.close(code)
            return
        shard_id, shard_count = data.get("shard", [0, 1])
        if not self.starts.take(shard_id):
            connection.send({"op": INVALID_SESSION, "d": False})
            return
        session = Session(secrets.token_hex(16), shard_id, shard_count, data["intents"], connection)
        connection.session = session
        self.sessions[session.id] = session
        mine = [guild for guild in self._world.guilds.values() if not guild.left and session.serves(guild.id, None)]
        session.dispatch("READY", self._ready(session, [guild.id for guild in mine]))
        if session.intents & INTENTS["guilds"]:
            for guild in mine:
                session.dispatch("GUILD_CREATE", guild.gateway_payload())
        connection.ping()
        self.identifies.append((shard_id, shard_count))

    def _ready(self, session: Session, guild_ids: list[int]) -> Payload:
        return {
            "v": 10,
            "user": self._world.bot.payload(),
            "guilds": [{"id": str(guild_id), "unavailable": True} for guild_id in guild_ids],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "shard": [session.shard_id, session.shard_count],
            "application": {"id": str(self._world.application_id), "flags": 0},
        }

    def _resume(self, connection: Connection, data: Any) -> None:
        session = self.sessions.get(data["session_id"])
        if session is None or data["token"] != self._world.settings.token or data["seq"] > len(session.sent):
            connection.send({"op": INVALID_SESSION, "d": False})
            return
        if session.connection is not None:
            session.connection.close(UNKNOWN_ERROR)
        for payload in session.sent[data["seq"] :]:
            connection.send(payload)
        connection.session, session.connection = session, connection
        session.dispatch("RESUMED", {})
        self.resumes += 1
