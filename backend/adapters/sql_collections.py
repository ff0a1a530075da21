"""The record of collections, and of which documents belong to them, in the state database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import RowMapping, Select, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.adapters.sql_common import inserting, translated, upsert
from backend.adapters.sql_tables import collection_documents as belonging
from backend.adapters.sql_tables import collections as table
from backend.adapters.sql_tables import documents
from backend.codec import metadata_from_json, metadata_to_json
from backend.domain import Collection, Member, Visibility

UNFINISHED = ("queued", "discovering")


@dataclass(frozen=True, slots=True)
class SqlCollections:
    """ports.Collections."""

    engine: AsyncEngine

    async def get(self, team: str, collection_id: str) -> Collection | None:
        key = (table.c.team == team) & (table.c.collection_id == collection_id)
        rows = await self._read(select(table).where(key))
        return _collection(rows[0]) if rows else None

    async def put(self, collection: Collection) -> None:
        with translated():
            async with self.engine.begin() as connection:
                await upsert(connection, table, _values(collection))

    async def add(self, team: str, collection_id: str, document_id: str) -> None:
        row = {"team": team, "collection_id": collection_id, "document_id": document_id}
        with translated():
            async with self.engine.begin() as connection:
                first = inserting(connection.dialect.name, belonging).values(row)
                await connection.execute(first.on_conflict_do_nothing())

    async def members(self, team: str, collection_id: str) -> tuple[Member, ...]:
        of_it = (belonging.c.team == team) & (belonging.c.collection_id == collection_id)
        same = (documents.c.team == belonging.c.team) & (documents.c.document_id == belonging.c.document_id)
        told = (documents.c.document_id, documents.c.url, documents.c.status, documents.c.reason, documents.c.chunks)
        wanted = select(*told).select_from(belonging.join(documents, same)).where(of_it).order_by(told[0])
        return tuple(Member(**row) for row in await self._read(wanted))

    async def unfinished(self) -> tuple[Collection, ...]:
        wanted = select(table).where(table.c.status.in_(UNFINISHED)).order_by(table.c.created_at)
        return tuple(_collection(row) for row in await self._read(wanted))

    async def _read(self, wanted: Select[tuple[object, ...]]) -> list[RowMapping]:
        with translated():
            async with self.engine.connect() as connection:
                return list((await connection.execute(wanted)).mappings())


def _values(collection: Collection) -> Mapping[str, object]:
    fields = {column.name: getattr(collection, column.name) for column in table.columns}
    stated = metadata_to_json(collection.stated)
    return {**fields, "visibility": str(collection.visibility), "stated": stated}


def _collection(row: RowMapping) -> Collection:
    stated, visibility = metadata_from_json(row["stated"]), Visibility.parse(row["visibility"])
    return Collection(**{**row, "stated": stated, "visibility": visibility})
