"""What is enqueued right after something else waits a moment for company; what comes alone does not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from loguru import logger

from backend.adapters.dbos_work import Named
from backend.errors import DatabaseUnavailable
from backend.ports import Work

LULL = 0.1
"""Seconds between two records in the queue: half of its poll, so that nothing is taken up much later for it."""
TOGETHER = 8
"""Pieces of work in one record. If the process dies, all of them are begun again that have not ended."""


@dataclass(eq=False)
class Bursts:
    """Hands pieces of work to `start`, several at once where they come fast.

    What waits is in the documents' records and nowhere else yet: `lost` is told of it if it cannot be enqueued, and
    after a crash `Ingest.resume` or `Stranded` finds it.
    """

    start: Callable[[Sequence[Named]], Awaitable[None]]
    lost: Callable[[Sequence[Named]], None]
    lull: float = LULL
    together: int = TOGETHER
    waiting: list[Named] = field(default_factory=list)
    _last: float = field(default=-1e9, init=False)
    _timer: asyncio.Task[None] | None = field(default=None, init=False)

    def __contains__(self, work: Work) -> bool:
        return any(one[:3] == work for one in self.waiting)

    async def add(self, work: Named) -> None:
        """Enqueue it: at once after a lull, else in company. DatabaseUnavailable only where it was alone."""
        if not self.waiting and monotonic() - self._last >= self.lull:
            self._last = monotonic()
            await self.start([work])
            return
        self.waiting.append(work)
        if len(self.waiting) >= self.together:
            await self.flush()
        elif self._timer is None:
            self._timer = asyncio.create_task(self._after_the_lull())

    async def flush(self) -> None:
        """Enqueue what waits."""
        works, self.waiting = self.waiting, []
        if not works:
            return
        self._last = monotonic()
        try:
            await self.start(works)
        except DatabaseUnavailable:
            logger.bind(documents=len(works)).warning("work not enqueued, will be begun anew")
            self.lost(works)

    async def close(self) -> None:
        """Enqueue what waits, for the last time."""
        if self._timer:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
        await self.flush()

    async def _after_the_lull(self) -> None:
        await asyncio.sleep(self.lull)
        self._timer = None
        await self.flush()
