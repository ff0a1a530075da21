"""Which documents were removed, in the state database."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.adapters.sql_common import translated, upsert
from backend.adapters.sql_tables import removals as table
from backend.domain import Removal


@dataclass(frozen=True, slots=True)
class SqlRemovals:
    """ports.Removals."""

    engine: AsyncEngine

    async def put(self, removal: Removal) -> None:
        with translated():
            async with self.engine.begin() as connection:
                await upsert(connection, table, asdict(removal))

    async def advance(self, removal: Removal) -> None:
        same = (table.c.team == removal.team) & (table.c.document_id == removal.document_id)
        with translated():
            async with self.engine.begin() as connection:
                await connection.execute(
                    update(table).where(same, table.c.removed_at == removal.removed_at).values(asdict(removal))
                )

    async def get(self, team: str, document_id: str) -> Removal | None:
        found = await self._read(table.c.team == team, table.c.document_id == document_id)
        return found[0] if found else None

    async def since(self, team: str, moment: datetime) -> frozenset[str]:
        wanted = select(table.c.document_id).where(table.c.team == team, table.c.removed_at >= moment)
        with translated():
            async with self.engine.connect() as connection:
                return frozenset((await connection.execute(wanted)).scalars())

    async def unpurged(self) -> tuple[Removal, ...]:
        return await self._read(table.c.purged_at.is_(None))

    async def _read(self, *wanted: ColumnElement[bool]) -> tuple[Removal, ...]:
        statement = select(table).where(*wanted).order_by(table.c.removed_at, table.c.document_id)
        with translated():
            async with self.engine.connect() as connection:
                return tuple(_removal(row) for row in (await connection.execute(statement)).mappings())


def _removal(row: RowMapping) -> Removal:
    return Removal(**row)
