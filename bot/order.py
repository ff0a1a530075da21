"""One turn of a thread at a time, in the order in which they were asked, and not too many threads at once."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

Position: TypeAlias = tuple[int, str]

SETTLE, SETTLE_LATE = 0.1, 1.0
"""Seconds that a turn waits at first, unless nothing can precede it: messages that arrive together are recorded in any
order. Those that arrive late arrive in a crowd, as after a reconnect."""
PATIENCE = 300.0
"""Seconds that a turn waits for earlier ones that are to be tried again: with a backend that is down for longer, each
question is told so by itself."""


@dataclass(order=True, slots=True)
class Waiter:
    position: Position
    number: int
    since: float = field(compare=False)
    settled: float = field(compare=False)
    """When it may go first."""
    admitted: asyncio.Future[None] = field(compare=False)


@dataclass(slots=True)
class Line:
    """The turns of one thread: who waits, whether one is at work, and whose outcome is still to come."""

    waiting: list[Waiter] = field(default_factory=list)
    busy: bool = False
    expected: set[Position] = field(default_factory=set)


class ThreadOrder:
    """A lock per key that goes to the waiter of the lowest position, and a bound over all keys."""

    def __init__(self, limit: int, *, patience: float = PATIENCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = asyncio.Semaphore(limit)
        self._lines: dict[Hashable, Line] = {}
        self._count = count()
        self._patience = patience
        self._clock = clock

    def expect(self, key: Hashable, position: Position) -> None:
        """Say that a turn was recorded: later ones of its key wait for its end, within reason."""
        self._lines.setdefault(key, Line()).expected.add(position)

    def done(self, key: Hashable, position: Position) -> None:
        """Say that a turn has come to its end."""
        if (line := self._lines.get(key)) is not None:
            line.expected.discard(position)
            self._admit(key)

    @asynccontextmanager
    async def turn(self, key: Hashable, position: Position, *, settle: float = SETTLE) -> AsyncIterator[None]:
        """Wait for this key's turn, `settle` seconds at least, then for a slot."""
        async with self.line(key, position, settle=settle), self.slot():
            yield

    @asynccontextmanager
    async def line(self, key: Hashable, position: Position, *, settle: float = SETTLE) -> AsyncIterator[None]:
        """Wait for this key's turn alone."""
        await self._enter(key, position, settle)
        try:
            yield
        finally:
            self._leave(key)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait until there are not too many at work."""
        async with self._slots:
            yield

    async def _enter(self, key: Hashable, position: Position, settle: float) -> None:
        loop, now = asyncio.get_running_loop(), self._clock()
        waiter = Waiter(position, next(self._count), now, now + settle, loop.create_future())
        heapq.heappush(self._lines.setdefault(key, Line()).waiting, waiter)
        for later in (settle, self._patience):
            loop.call_later(later, self._admit, key)
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.done() and not waiter.admitted.cancelled():
                self._leave(key)
            raise

    def _leave(self, key: Hashable) -> None:
        self._lines[key].busy = False
        self._admit(key)

    def _admit(self, key: Hashable) -> None:
        """Let the earliest waiter in if nobody is, and nobody else is to come first."""
        line = self._lines.get(key)
        if line is None or line.busy:
            return
        while line.waiting and line.waiting[0].admitted.done():
            heapq.heappop(line.waiting)
        if line.waiting and self._may_go(line, line.waiting[0]):
            line.busy = True
            heapq.heappop(line.waiting).admitted.set_result(None)
        elif not line.waiting and not line.expected:
            del self._lines[key]

    def _may_go(self, line: Line, waiter: Waiter) -> bool:
        now = self._clock() + 0.001  # timers may be early by as much
        if now < waiter.settled:
            return False
        earlier = {position for position in line.expected if position < waiter.position}
        if now < waiter.since + self._patience:
            return not earlier
        line.expected -= earlier
        return True
