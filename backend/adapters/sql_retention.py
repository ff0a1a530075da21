"""What the state database keeps only for a while: its old rows, found and deleted, a few at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, ColumnElement, Delete, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.adapters.sql_common import translated
from backend.adapters.sql_tables import api_keys, audit, feedback, runs, spendings
from backend.redact import WITHHELD, stripped

BATCH = 200
"""Rows per transaction: a question that is to be stored meanwhile waits for one of these."""


@dataclass(frozen=True, slots=True)
class SqlRetention:
    """retention.Keeping."""

    engine: AsyncEngine

    async def drop_runs(self, before: datetime) -> int:
        """Delete runs, with their feedback."""
        return await self._drop(runs.c.run_id, runs.c.created_at < before)

    async def drop_feedback(self, before: datetime) -> int:
        return await self._drop_all(delete(feedback).where(feedback.c.created_at < before))

    async def drop_spendings(self, before: datetime) -> int:
        return await self._drop_all(delete(spendings).where(spendings.c.day < before.date().isoformat()))

    async def drop_audit(self, before: datetime) -> int:
        """Delete old entries of the log, and keys that ended before."""
        ended = or_(api_keys.c.revoked_at < before, api_keys.c.expires_at < before)
        await self._drop_all(delete(api_keys).where(ended))
        return await self._drop(audit.c.deed_id, audit.c.at < before)

    async def strip_traces(self, before: datetime) -> int:
        """Take the words out of traces that have some; return how many those were."""
        wordy = runs.c.trace["question"]["text"].as_string() != WITHHELD
        old = select(runs.c.run_id, runs.c.trace).where(runs.c.created_at < before, wordy).limit(BATCH)
        count = 0
        while True:
            with translated():
                async with self.engine.begin() as connection:
                    rows = (await connection.execute(old)).all()
                    for row in rows:
                        changed = update(runs).where(runs.c.run_id == row.run_id).values(trace=stripped(row.trace))
                        await connection.execute(changed)
            count += len(rows)
            if len(rows) < BATCH:
                return count

    async def _drop(self, key: Column[str], old: ColumnElement[bool]) -> int:
        count = 0
        while True:
            with translated():
                async with self.engine.begin() as connection:
                    keys: Sequence[str] = (await connection.scalars(select(key).where(old).limit(BATCH))).all()
                    await connection.execute(delete(key.table).where(key.in_(keys)))
            count += len(keys)
            if len(keys) < BATCH:
                return count

    async def _drop_all(self, statement: Delete) -> int:
        with translated():
            async with self.engine.begin() as connection:
                return (await connection.execute(statement)).rowcount
