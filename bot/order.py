"""One turn of a thread at a time, the earliest waiting one first, and not too many threads at once."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from itertools import count

SETTLE = 0.1
"""Seconds that an idle key waits before its first turn, unless nothing can precede it: messages that arrive together
are recorded in any order."""


class ThreadOrder:
    """A lock per key that goes to the waiter of the lowest position, and a bound over all keys."""

    def __init__(self, limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._waiting: dict[Hashable, list[tuple[tuple[int, str], int, asyncio.Future[None]]]] = {}
        self._count = count()

    @asynccontextmanager
    async def turn(self, key: Hashable, position: tuple[int, str], *, first: bool = False) -> AsyncIterator[None]:
        """Wait for this key's turn, then for a slot. `first`: nothing of this key can come before it."""
        await self._enter(key, position, 0.0 if first else SETTLE)
        try:
            async with self._slots:
                yield
        finally:
            self._leave(key)

    async def _enter(self, key: Hashable, position: tuple[int, str], settle: float) -> None:
        loop = asyncio.get_running_loop()
        if key not in self._waiting:
            self._waiting[key] = []
            loop.call_later(settle, self._leave, key)
        admitted = loop.create_future()
        heapq.heappush(self._waiting[key], (position, next(self._count), admitted))
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self._leave(key)
            raise

    def _leave(self, key: Hashable) -> None:
        """Pass the turn on to the earliest waiter, if there is one."""
        waiting = self._waiting[key]
        while waiting:
            _, _, admitted = heapq.heappop(waiting)
            if not admitted.done():
                admitted.set_result(None)
                return
        del self._waiting[key]
