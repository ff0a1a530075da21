"""From hidden to gone: the bytes of removed documents leave the disk within `after`, though nothing else is written.

A removal takes a document out of every search at once, but the index keeps its bytes: in rows that are only marked, in
its word lists, and in older versions. Halfway to the deadline the index is written anew without them; once nobody can
be reading an older version any more, those are dropped, and with them what traces and records still say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from loguru import logger

from backend.domain import Removal
from backend.ports import IndexEraser, Removals, Runs

READING = timedelta(minutes=10)
"""A search in another process may still be reading a version that was the newest so long ago."""

TOGETHER = 50
"""Documents that are forgotten at a time: every blob's beginning is read for each lot, while nothing is ingested."""


class Forgetting(Protocol):
    async def forget(self, removals: Sequence[Removal]) -> None:
        """Delete what is still kept of removed documents beside the index."""


class Cached(Protocol):
    async def forget(self, team: str, document_ids: Sequence[str]) -> object:
        """Drop the answers that hold words of these documents. Unavailable if that cannot be done."""


@dataclass(frozen=True)
class Purge:
    """Carries removals to their end. `after` is the longest that a removed document's bytes may stay; `flush` makes the
    database let go of what was overwritten in it. `kept` are answers: they went with the removal, but one that was
    being written then may have come after."""

    removals: Removals
    index: IndexEraser
    ingest: Forgetting
    runs: Runs
    flush: Callable[[], Awaitable[None]]
    kept: Cached
    after: timedelta = timedelta(hours=24)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def reading(self) -> timedelta:
        """How long an older version is left to those who may be reading it: less where there is less time."""
        return min(READING, self.after / 4)

    async def run(self) -> None:
        """Do what is due; to be called now and then. Every step may be repeated. Unavailable if a part is down."""
        waiting = await self.removals.unpurged()
        if any(one.erased_at is None and one.removed_at + self.after / 2 <= self.now() for one in waiting):
            waiting = await self._erase(waiting)
        erased = [one for one in waiting if one.erased_at and one.erased_at + self.reading <= self.now()]
        if erased:
            await self._prune(erased)

    async def _erase(self, waiting: Sequence[Removal]) -> tuple[Removal, ...]:
        """Write the index anew without what was removed until now, also what has longer to wait."""
        version = await self.index.erase()
        erased = [replace(one, erased_version=version, erased_at=self.now()) for one in waiting]
        for removal in erased:
            await self.removals.advance(removal)
        logger.bind(documents=len(erased), version=version).info("removed documents erased")
        return tuple(erased)

    async def _prune(self, erased: Sequence[Removal]) -> None:
        kept = await self.index.prune(self.reading)
        # An index that was built anew counts its versions from one again: older ones went with it.
        gone = [
            one
            for one in erased
            if one.erased_version is not None and not kept.oldest < one.erased_version <= kept.newest
        ]
        await self._forget(gone)
        for removal in gone:
            await self.removals.advance(replace(removal, purged_at=self.now()))
        if gone:
            logger.bind(documents=len(gone)).info("removed documents purged")

    async def _forget(self, gone: Sequence[Removal]) -> None:
        for start in range(0, len(gone), TOGETHER):
            await self.ingest.forget(gone[start : start + TOGETHER])
        for team in {removal.team for removal in gone}:
            await self.kept.forget(team, [one.document_id for one in gone if one.team == team])
            await self.runs.redact(team, {one.document_id: one.removed_at for one in gone if one.team == team})
        await self.flush()
