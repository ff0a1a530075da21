"""The sandbox's clock: real time plus what a test has skipped."""

from __future__ import annotations

import asyncio
import time


class Clock:
    """Tells the time and sleeps; `advance` moves it forward at once and wakes sleepers that are due."""

    def __init__(self) -> None:
        self._skipped = 0.0
        self._last_ts = 0
        self._moved = asyncio.Event()

    def now(self) -> float:
        """Seconds since the epoch, plus what was skipped."""
        return time.time() + self._skipped

    def advance(self, seconds: float) -> None:
        """Skip `seconds` (not negative)."""
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self._skipped += seconds
        self._moved.set()
        self._moved = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Return once `seconds` have passed on this clock."""
        due = self.now() + seconds
        while (left := due - self.now()) > 0:
            moved = self._moved
            try:
                async with asyncio.timeout(left):
                    await moved.wait()
            except TimeoutError:
                continue

    def next_ts(self) -> str:
        """A message timestamp that is later than every one before it, in Slack's form `seconds.microseconds`."""
        self._last_ts = max(self._last_ts + 1, int(self.now() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"
