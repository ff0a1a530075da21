"""The cache that survives a restart, in the state database. The oldest entries go first, by bytes and by age."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backend.adapters.sql_common import translated, upsert
from backend.adapters.sql_tables import cached, cached_documents
from backend.ports import CacheTier, Entry

BETWEEN_TRIMS = 50
"""Entries that are kept before the bounds are looked at again."""


@dataclass
class SqlCache:
    """ports.CacheStore in two tables."""

    engine: AsyncEngine
    bytes: int = 256_000_000
    age: timedelta = timedelta(days=7)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    tier: CacheTier = field(default="l3", init=False)
    _puts: int = field(default=0, init=False)

    async def get(self, key: str) -> Entry | None:
        fresh = cached.c.kept_at > self.now() - self.age
        with translated():
            async with self.engine.connect() as connection:
                row = (await connection.execute(select(cached).where(cached.c.key == key, fresh))).first()
        return Entry(row.value, row.team, tuple(row.documents)) if row else None

    async def put(self, key: str, entry: Entry) -> int:
        row = {
            "key": key,
            "team": entry.team,
            "documents": list(entry.documents),
            "value": entry.value,
            "size": len(entry.value),
            "kept_at": self.now(),
        }
        places = [{"key": key, "team": entry.team, "document_id": one} for one in entry.documents]
        self._puts += 1
        with translated():
            async with self.engine.begin() as connection:
                await upsert(connection, cached, row)  # first: of two who keep the same entry, the second waits here
                await connection.execute(delete(cached_documents).where(cached_documents.c.key == key))
                if places:
                    await connection.execute(insert(cached_documents), places)
                return await self._trim(connection) if self._puts % BETWEEN_TRIMS == 1 else 0

    async def forget(self, team: str, document_ids: Sequence[str]) -> int:
        held = cached_documents.c
        keys = select(held.key).where(held.team == team, held.document_id.in_(document_ids))
        with translated():
            async with self.engine.begin() as connection:
                return await _drop(connection, list(await connection.scalars(keys)))

    async def forget_answers(self, team: str) -> int:
        with translated():
            async with self.engine.begin() as connection:
                return await _drop(connection, list(await connection.scalars(_kept_for(team))))

    async def trim(self) -> int:
        """Drop what is too old or too much now; return how many entries that were."""
        with translated():
            async with self.engine.begin() as connection:
                return await self._trim(connection)

    async def holding(self, team: str, document_id: str) -> int:
        """Return how many entries hold words of this document."""
        held = cached_documents.c
        of_it = select(func.count()).where(held.team == team, held.document_id == document_id)
        with translated():
            async with self.engine.connect() as connection:
                return int(await connection.scalar(of_it) or 0)

    async def _trim(self, connection: AsyncConnection) -> int:
        """Drop what is too old, and then the oldest until the rest fits."""
        old = await connection.scalars(select(cached.c.key).where(cached.c.kept_at <= self.now() - self.age))
        gone = await _drop(connection, list(old))
        newest_first = func.sum(cached.c.size).over(order_by=(cached.c.kept_at.desc(), cached.c.key))
        sums = select(cached.c.key, newest_first.label("until_here")).subquery()
        over = await connection.scalars(select(sums.c.key).where(sums.c.until_here > self.bytes))
        return gone + await _drop(connection, list(over))


def _kept_for(team: str) -> Select[tuple[str]]:
    return select(cached.c.key).where(cached.c.team == team)


async def _drop(connection: AsyncConnection, keys: Sequence[str]) -> int:
    """Delete entries; what they are found by goes with them."""
    for start in range(0, len(keys), BETWEEN_TRIMS):
        some = keys[start : start + BETWEEN_TRIMS]
        await connection.execute(delete(cached).where(cached.c.key.in_(some)))
    return len(set(keys))
