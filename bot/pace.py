"""A workspace's budget of Slack calls, shared by all replies that are being written in it.

Slack limits each method per workspace (SLACK tiers: start and stop 20 a minute, append 100, update 50), and answers 429
beyond. The budget stays below, so that what is left serves everything else that calls these methods.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Literal, TypeAlias

Call: TypeAlias = Literal["start", "append", "stop", "update"]

A_MINUTE: dict[Call, int] = {"start": 18, "append": 85, "stop": 18, "update": 42}
POST_SECONDS = 1.05
"""Between two posts in one channel: Slack takes about one a second."""
MAX_CHANNELS = 1_000
"""Channels whose last post is remembered."""


def whole() -> int:
    """Say that the budget is ours alone."""
    return 1


class Window:
    """At most `calls` in any `seconds`, over the number of those who `share` them; who asks first is served first."""

    def __init__(
        self, calls: int, clock: Callable[[], float], seconds: float = 60.0, share: Callable[[], int] = whole
    ) -> None:
        self._whole = calls
        self._share = share
        self._clock = clock
        self._seconds = seconds
        self._granted: deque[float] = deque()

    def is_free(self) -> bool:
        """Whether a call may be made at once."""
        return self._next() <= self._clock()

    async def take(self) -> None:
        """Return once one more call may be made."""
        now = self._clock()
        at = self._next()
        self._granted.append(at)
        try:
            if at > now:
                await asyncio.sleep(at - now)
        except asyncio.CancelledError:
            self._granted.remove(at)
            raise

    def _next(self) -> float:
        now = self._clock()
        while self._granted and self._granted[0] <= now - self._seconds:
            self._granted.popleft()
        calls = max(1, self._whole // self._share())
        if len(self._granted) < calls:
            return now
        return max(now, self._granted[-calls] + self._seconds)


class Pace:
    """One per workspace. `live` is how many replies are being written now; `share` says how many bots there are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, share: Callable[[], int] = whole) -> None:
        self._clock = clock
        self._share = share
        self._windows = {call: Window(calls, clock, share=share) for call, calls in A_MINUTE.items()}
        self._posts: dict[str, Window] = {}
        self.live = 0

    def interval(self, call: Call, shortest: float) -> float:
        """Return the seconds between two such calls of one reply: the more are written, the slower each is."""
        return max(shortest, self.live * self._share() * 60 / A_MINUTE[call])

    def is_free(self, call: Call) -> bool:
        return self._windows[call].is_free()

    async def take(self, call: Call) -> None:
        """Return once the budget has room for one more call, which is then taken."""
        await self._windows[call].take()

    async def take_post(self, channel: str) -> None:
        """Return once one more message may be posted in a channel."""
        if len(self._posts) >= MAX_CHANNELS:
            self._posts = {name: window for name, window in self._posts.items() if not window.is_free()}
        await self._posts.setdefault(channel, Window(1, self._clock, POST_SECONDS)).take()
