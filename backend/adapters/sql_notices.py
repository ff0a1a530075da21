"""What people are to be told, in the state database."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.adapters.sql_common import translated, upsert
from backend.adapters.sql_tables import notices as table
from backend.domain import Notice


@dataclass(frozen=True, slots=True)
class SqlNotices:
    """ports.Notices."""

    engine: AsyncEngine

    async def put(self, notice: Notice) -> None:
        with translated():
            async with self.engine.begin() as connection:
                await upsert(connection, table, asdict(notice))

    async def list(self, team: str, *, limit: int = 50) -> tuple[Notice, ...]:
        order = (table.c.created_at, table.c.notice_id)
        wanted = select(table).where(table.c.team == team).order_by(*order).limit(limit)
        with translated():
            async with self.engine.connect() as connection:
                return tuple(Notice(**row) for row in (await connection.execute(wanted)).mappings())

    async def delete(self, team: str, notice_id: str) -> bool:
        with translated():
            async with self.engine.begin() as connection:
                one = (table.c.team == team) & (table.c.notice_id == notice_id)
                return (await connection.execute(delete(table).where(one))).rowcount > 0

    async def delete_of(self, team: str, document_id: str) -> None:
        with translated():
            async with self.engine.begin() as connection:
                of_it = (table.c.team == team) & (table.c.document_id == document_id)
                await connection.execute(delete(table).where(of_it))
