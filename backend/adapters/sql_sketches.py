"""Sketches of documents, in the state database: found by the marks that they share."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.adapters.sql_common import translated
from backend.adapters.sql_tables import sketches as table
from backend.domain import Document
from backend.ports import Kin

MOST = 20_000
"""Shared marks that are looked at: a sentence that stands in thousands of documents tells little about any two."""


@dataclass(frozen=True, slots=True)
class SqlSketches:
    """ports.Sketches."""

    engine: AsyncEngine

    async def put(self, document: Document, marks: frozenset[int]) -> None:
        own = (table.c.team == document.team) & (table.c.document_id == document.document_id)
        shared = {
            "team": document.team,
            "document_id": document.document_id,
            "visibility": str(document.visibility),
            "size": len(marks),
        }
        with translated():
            async with self.engine.begin() as connection:
                await connection.execute(delete(table).where(own))
                if marks:
                    await connection.execute(insert(table), [{**shared, "mark": mark} for mark in sorted(marks)])

    async def kin(self, document: Document, marks: frozenset[int], *, limit: int) -> tuple[Kin, ...]:
        # Bounded apart, which also keeps SQLite from reading the whole team in order of documents to group them.
        hits = (
            select(table.c.document_id, table.c.size)
            .where(
                table.c.team == document.team,
                table.c.visibility == str(document.visibility),
                table.c.mark.in_(sorted(marks)),
                table.c.document_id != document.document_id,
            )
            .limit(MOST)
            .subquery()
        )
        shared = func.count().label("shared")
        grouped = select(hits.c.document_id, shared, func.max(hits.c.size).label("size")).group_by(hits.c.document_id)
        wanted = grouped.order_by(shared.desc(), hits.c.document_id).limit(limit)
        with translated():
            async with self.engine.connect() as connection:
                return tuple(Kin(**row) for row in (await connection.execute(wanted)).mappings())
