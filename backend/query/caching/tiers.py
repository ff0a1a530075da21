"""Caches one behind the other: the nearest first, each filled from the next, none of them needed.

A cache that fails or dawdles is passed over for a while and counted: an answer never waits for a cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal, Protocol, TypeAlias, TypeVar

from loguru import logger

from backend.domain import Cached
from backend.errors import Unavailable
from backend.ports import CacheStore, CacheTier, Entry

T = TypeVar("T")
CacheName: TypeAlias = Literal["answers", "vectors", "readings"]

DEADLINES: dict[CacheTier, float] = {"l1": 1.0, "l2": 0.25, "l3": 2.0}
"""Seconds that a call may take."""
PAUSE = 5.0
"""Seconds for which a cache that failed is left alone."""
REMEMBERED = 900.0
"""Seconds for which a run that began before a document went might still want to keep words of it."""


class CacheFigures(Protocol):
    """Counts what caches do."""

    def looked_up(self, cache: CacheName, result: Cached) -> None: ...
    def evicted(self, tier: CacheTier, entries: int) -> None: ...
    def cache_failed(self, tier: CacheTier) -> None: ...


class Uncounted:
    """CacheFigures where nobody counts."""

    def looked_up(self, cache: CacheName, result: Cached) -> None:
        pass

    def evicted(self, tier: CacheTier, entries: int) -> None:
        pass

    def cache_failed(self, tier: CacheTier) -> None:
        pass


@dataclass
class Tiers:
    """The caches, nearest first; without any, nothing is kept."""

    stores: Sequence[CacheStore] = ()
    figures: CacheFigures = field(default_factory=Uncounted)
    pause: float = PAUSE
    _resumes: dict[CacheTier, float] = field(default_factory=dict, init=False)
    _forgotten: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    _emptied: dict[str, float] = field(default_factory=dict, init=False)
    """When all of a team's was dropped."""

    async def get(self, key: str) -> tuple[Entry, CacheTier] | None:
        """Return what is kept under a key and where it was found; it moves to the nearer caches."""
        began = monotonic()
        for place, store in enumerate(self.stores):
            entry = await self._tried(store, store.get(key))
            if entry is not None:
                if not self._gone(entry, began):
                    await self._fill(self.stores[:place], key, entry)
                return entry, store.tier
        return None

    async def put(self, key: str, entry: Entry, *, began: float) -> None:
        """Keep an entry everywhere, unless a document of it, or all of its team's, went since `began` (of
        `time.monotonic`)."""
        if not self._gone(entry, began):
            await self._fill(self.stores, key, entry)

    async def forget(self, team: str, document_ids: Sequence[str]) -> None:
        """Drop all that holds words of these documents, as far as the caches can be reached."""
        now = monotonic()
        self._forgotten = {key: at for key, at in self._forgotten.items() if at > now - REMEMBERED}
        self._forgotten.update({(team, one): now for one in document_ids})
        for store in self.stores:
            self._resumes.pop(store.tier, None)  # this is worth a try even where a moment ago nothing answered
            await self._tried(store, store.forget(team, document_ids))

    async def forget_answers(self, team: str) -> None:
        """Drop all answers that are kept for a team, as far as the caches can be reached."""
        self._emptied[team] = monotonic()
        for store in self.stores:
            self._resumes.pop(store.tier, None)
            await self._tried(store, store.forget_answers(team))

    def _gone(self, entry: Entry, began: float) -> bool:
        """Whether something was dropped since then that this entry holds words of."""
        forgotten = max((self._forgotten.get((entry.team, one), -1.0) for one in entry.documents), default=-1.0)
        return max(forgotten, self._emptied.get(entry.team, -1.0)) >= began

    async def _fill(self, stores: Sequence[CacheStore], key: str, entry: Entry) -> None:
        for store in stores:
            gone = await self._tried(store, store.put(key, entry))
            if gone:
                self.figures.evicted(store.tier, gone)

    async def _tried(self, store: CacheStore, call: Awaitable[T]) -> T | None:
        """Await the call; None where the cache fails, is slow, or is left alone because it was."""
        if self._resumes.get(store.tier, 0.0) > monotonic():
            _drop(call)
            return None
        try:
            async with asyncio.timeout(DEADLINES[store.tier]):
                return await call
        except (Unavailable, TimeoutError) as error:
            self._resumes[store.tier] = monotonic() + self.pause
            self.figures.cache_failed(store.tier)
            logger.bind(tier=store.tier, error=type(error).__name__).warning("cache unavailable")
            return None


def _drop(call: Awaitable[object]) -> None:
    """Close a coroutine that will not be awaited."""
    if asyncio.iscoroutine(call):
        call.close()
