"""Sketches of documents, in the state database: found by the marks that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backend.adapters.sql_common import translated
from backend.adapters.sql_tables import sketches as table
from backend.domain import Document
from backend.ports import Kin

MOST = 20_000
"""Shared marks that are looked at: a sentence that stands in thousands of documents tells little about any two."""


_OWN = (table.c.team == bindparam("of")) & (table.c.document_id == bindparam("id"))
_DELETE = delete(table).where(_OWN)
_INSERT = insert(table)
_HITS = (
    # Bounded apart, which also keeps SQLite from reading the whole team in order of documents to group them.
    select(table.c.document_id, table.c.size)
    .where(
        table.c.team == bindparam("of"),
        table.c.visibility == bindparam("visible"),
        table.c.mark.in_(bindparam("marks", expanding=True)),
        table.c.document_id != bindparam("id"),
    )
    .limit(MOST)
    .subquery()
)
_SHARED = func.count().label("shared")
_KIN = (
    select(_HITS.c.document_id, _SHARED, func.max(_HITS.c.size).label("size"))
    .group_by(_HITS.c.document_id)
    .order_by(_SHARED.desc(), _HITS.c.document_id)
    .limit(bindparam("most"))
)
"""Made once: to make a statement costs more than to run it."""


@dataclass(frozen=True, slots=True)
class SqlSketches:
    """ports.Sketches."""

    engine: AsyncEngine

    async def put(self, document: Document, marks: frozenset[int]) -> None:
        with translated():
            async with self.engine.begin() as connection:
                await _put(connection, document, marks)

    async def meet(self, arrivals: Sequence[tuple[Document, frozenset[int]]], *, limit: int) -> list[tuple[Kin, ...]]:
        with translated():
            async with self.engine.begin() as connection:
                return [await _met(connection, document, marks, limit) for document, marks in arrivals]


async def _met(connection: AsyncConnection, document: Document, marks: frozenset[int], limit: int) -> tuple[Kin, ...]:
    await _put(connection, document, marks)
    known = {"of": document.team, "id": document.document_id, "visible": str(document.visibility)}
    found = await connection.execute(_KIN, {**known, "marks": sorted(marks), "most": limit})
    return tuple(Kin(**row) for row in found.mappings())


async def _put(connection: AsyncConnection, document: Document, marks: frozenset[int]) -> None:
    await connection.execute(_DELETE, {"of": document.team, "id": document.document_id})
    shared = {
        "team": document.team,
        "document_id": document.document_id,
        "visibility": str(document.visibility),
        "size": len(marks),
    }
    if marks:
        await connection.execute(_INSERT, [{**shared, "mark": mark} for mark in sorted(marks)])
