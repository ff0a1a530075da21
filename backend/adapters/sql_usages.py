"""What a team uses of what it may, counted in the state database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.adapters.sql_common import inserting, translated
from backend.adapters.sql_tables import documents, intake
from backend.ports import Usage


@dataclass(frozen=True, slots=True)
class SqlUsages:
    """ports.Usages."""

    engine: AsyncEngine

    async def of(self, team: str) -> Usage:
        kept = (documents.c.team == team) & (documents.c.status != "deleted")
        with translated():
            async with self.engine.connect() as connection:
                wanted = select(func.count(), func.coalesce(func.sum(documents.c.size), 0)).where(kept)
                number, size = (await connection.execute(wanted)).one()
                return Usage(int(number), int(size))

    async def pages(self, team: str, day: date) -> int:
        with translated():
            async with self.engine.connect() as connection:
                today = (intake.c.team == team) & (intake.c.day == day.isoformat())
                return int(await connection.scalar(select(intake.c.pages).where(today)) or 0)

    async def add_page(self, team: str, day: date) -> None:
        with translated():
            async with self.engine.begin() as connection:
                earlier = (intake.c.team == team) & (intake.c.day < day.isoformat())
                await connection.execute(delete(intake).where(earlier))
                first = inserting(connection.dialect.name, intake).values(team=team, day=day.isoformat(), pages=1)
                more = {"pages": intake.c.pages + 1}
                await connection.execute(first.on_conflict_do_update(index_elements=["team", "day"], set_=more))
