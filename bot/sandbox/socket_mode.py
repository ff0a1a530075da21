"""Socket Mode: single-use URLs, `hello`, envelopes to one of the connections, acknowledgements, `disconnect`."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from uuid import uuid4

from aiohttp import WSMsgType, web
from loguru import logger

from bot.sandbox.events import Parcel
from bot.sandbox.outbox import Attempt, NotDelivered
from bot.sandbox.values import APP_ID, Json
from bot.sandbox.world import World

MAX_CONNECTIONS = 10
"""Per app, as Slack allows."""


@dataclass(eq=False)
class Connection:
    """One open socket and the envelopes that wait for their acknowledgement on it."""

    socket: web.WebSocketResponse
    request: web.Request
    waiting: dict[str, asyncio.Future[Json]] = field(default_factory=dict)
    is_retired: bool = False
    """Told to go: it may still acknowledge, but gets nothing new."""

    def settle(self, text: str) -> None:
        """Take one message of the app: an acknowledgement, or something to ignore."""
        try:
            body = json.loads(text)
        except ValueError:
            return
        if not isinstance(body, dict):
            return
        future = self.waiting.get(str(body.get("envelope_id")))
        if future is not None and not future.done():
            payload = body.get("payload")
            future.set_result(payload if isinstance(payload, dict) else {})

    def lose(self) -> None:
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(NotDelivered("connection_failed"))

    def abort(self) -> None:
        """Cut the line without a goodbye."""
        if self.request.transport is not None:
            self.request.transport.abort()


class SocketMode:
    """The carrier over WebSockets. Events wait for a connection; commands and interactions do not wait long."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ack_seconds = world.options.ack_seconds
        self._tickets: set[str] = set()
        self._connections: list[Connection] = []
        self._turn = 0
        self._opened = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        return any(not connection.is_retired for connection in self._connections)

    def open_ticket(self) -> str:
        """A ticket that opens one connection, once."""
        ticket = secrets.token_urlsafe(16)
        self._tickets.add(ticket)
        return ticket

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve `GET /link?ticket=…` until the socket closes."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=404, text="unknown or used ticket")
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        await self._talk(Connection(socket, request))
        return socket

    async def _talk(self, connection: Connection) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            await connection.socket.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            await connection.socket.close()
            return
        await connection.socket.send_json(self._hello())
        self._joined(connection)
        try:
            async for message in connection.socket:
                if message.type is WSMsgType.TEXT:
                    connection.settle(message.data)
        finally:
            self._left(connection)

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self._connections) + 1,
            "connection_info": {"app_id": APP_ID},
            "debug_info": {"host": "sandbox", "build_number": 1, "approximate_connection_time": 3600},
        }

    def _joined(self, connection: Connection) -> None:
        self._connections.append(connection)
        self._opened.set()
        self._world.tell("bot", connected=True)
        logger.bind(connections=len(self._connections)).debug("socket opened")

    def _left(self, connection: Connection) -> None:
        self._connections.remove(connection)
        connection.lose()
        if not self.is_connected:
            self._opened.clear()
            self._world.tell("bot", connected=False)

    async def carry(self, parcel: Parcel, attempt: Attempt) -> Json:
        connection = await self._pick(parcel)
        envelope_id = str(uuid4())
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        connection.waiting[envelope_id] = future
        try:
            async with asyncio.timeout(self._ack_seconds):
                await connection.socket.send_json(envelope(envelope_id, parcel, attempt))
                return await future
        except TimeoutError:
            raise NotDelivered("timeout") from None
        except ConnectionError:
            raise NotDelivered("connection_failed") from None
        finally:
            del connection.waiting[envelope_id]
            future.cancel()

    async def _pick(self, parcel: Parcel) -> Connection:
        """The next connection in turn; an event waits for one as long as it takes."""
        try:
            async with asyncio.timeout(None if parcel.is_event else self._ack_seconds):
                while not self.is_connected:
                    await self._opened.wait()
        except TimeoutError:
            raise NotDelivered("not_connected") from None
        ready = [connection for connection in self._connections if not connection.is_retired]
        self._turn += 1
        return ready[self._turn % len(ready)]

    async def refresh(self, reason: str = "refresh_requested") -> None:
        """Ask every connection to reconnect, as Slack does every hour or so; those that stay are cut."""
        for connection in list(self._connections):
            connection.is_retired = True
            await connection.socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})
            asyncio.get_running_loop().call_later(self._world.options.retire_seconds, connection.abort)
        self._opened.clear()

    def drop(self) -> None:
        """Cut every connection without a word."""
        for connection in list(self._connections):
            connection.is_retired = True
            connection.abort()
        self._opened.clear()

    async def close(self) -> None:
        for connection in list(self._connections):
            await connection.socket.close()


def envelope(envelope_id: str, parcel: Parcel, attempt: Attempt) -> Json:
    body: Json = {
        "envelope_id": envelope_id,
        "type": parcel.kind,
        "payload": parcel.payload,
        "accepts_response_payload": not parcel.is_event,
    }
    if parcel.is_event:
        body |= {"retry_attempt": attempt.number, "retry_reason": attempt.reason}
    return body
