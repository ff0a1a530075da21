"""Socket Mode: two connections, so that one is there while Slack renews the other, and a watch over both.

slack_sdk reconnects by itself. What it does not notice is that its own tasks have ended: then a connection looks open
and hears nothing. Such a one is built anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from loguru import logger
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.teams import Teams
from bot.telemetry import Telemetry

CONNECTIONS = 2
"""Slack takes up to ten of an app, and sends each event to one of them."""
CHECK_SECONDS = 5.0
DEAF_SECONDS = 45.0
"""How long a connection may be away before it is built anew: slack_sdk's own attempts come first."""
OPENING_SECONDS = 30.0


@dataclass(slots=True)
class Link:
    """One connection, and since when it is known to work."""

    handler: AsyncSocketModeHandler
    heard: float

    async def hears(self) -> bool:
        """Whether the socket is open and somebody reads from it."""
        client = self.handler.client
        readers = (client.message_receiver, client.message_processor, client.current_session_monitor)
        return await client.is_connected() and all(reader is not None and not reader.done() for reader in readers)


@dataclass(slots=True)
class Links:
    """Open with `connect`, then keep `watch` running; `close` ends all. `client` is used to ask for addresses."""

    teams: Teams
    app_token: str
    client: AsyncWebClient
    connections: int = CONNECTIONS
    deaf_after: float = DEAF_SECONDS
    check_every: float = CHECK_SECONDS
    clock: Callable[[], float] = time.monotonic
    rebuilt: int = 0
    links: list[Link] = field(default_factory=list)

    async def connect(self) -> None:
        """Return once the first connection is there; the others follow by the watch."""
        self.links = [self._built() for _ in range(self.connections)]
        await self.links[0].handler.connect_async()  # type: ignore[no-untyped-call]
        for link in self.links[1:]:
            await self._connected(link)

    async def hearing(self) -> int:
        """Return how many connections work."""
        return sum([await link.hears() for link in self.links])

    def queued(self) -> int:
        """Return how many events were received and not yet looked at."""
        return sum(link.handler.client.message_queue.qsize() for link in self.links)

    async def figures(self, telemetry: Telemetry) -> None:
        """Tell how the connections do."""
        up, wanted = await self.hearing(), self.connections
        telemetry.sockets(up=up, wanted=wanted, rebuilt=self.rebuilt, queued=self.queued())

    async def is_hearing(self) -> bool:
        return await self.hearing() > 0

    async def watch(self) -> None:
        """Build connections anew that have been deaf for too long."""
        while True:
            await asyncio.sleep(self.check_every)
            for link in list(self.links):
                await self._look(link)

    async def _look(self, link: Link) -> None:
        if await link.hears():
            link.heard = self.clock()
        elif self.clock() - link.heard >= self.deaf_after:
            logger.bind(seconds=round(self.clock() - link.heard)).warning("socket deaf, building it anew")
            self.rebuilt += 1
            fresh = self._built()
            self.links[self.links.index(link)] = fresh
            await link.handler.close_async()  # type: ignore[no-untyped-call]
            await self._connected(fresh)

    async def _connected(self, link: Link) -> None:
        """Connect; slack_sdk tries for ever, so what takes too long is left to the watch."""
        try:
            async with asyncio.timeout(OPENING_SECONDS):
                await link.handler.connect_async()  # type: ignore[no-untyped-call]
        except TimeoutError:
            logger.warning("socket not connected yet")

    def _built(self) -> Link:
        app = cast(AsyncApp, self.teams)  # all that the handler wants of an app is `async_dispatch` and `logger`
        return Link(AsyncSocketModeHandler(app, self.app_token, web_client=self.client), self.clock())

    async def close(self) -> None:
        for link in self.links:
            await link.handler.close_async()  # type: ignore[no-untyped-call]
