"""What a team uses of what it may, counted in the state database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.dml import ReturningInsert

from backend.adapters.sql_common import inserting, translated
from backend.adapters.sql_tables import documents, intake
from backend.ports import Usage

_PAGES = select(intake.c.pages).where(intake.c.team == bindparam("whose"), intake.c.day == bindparam("today"))
_OF = select(func.count(), func.coalesce(func.sum(documents.c.size), 0), _PAGES.scalar_subquery()).where(
    documents.c.team == bindparam("whose"), documents.c.status != "deleted"
)
"""Made once, as below: to make a statement costs more than to run it."""


@dataclass(frozen=True, slots=True)
class SqlUsages:
    """ports.Usages."""

    engine: AsyncEngine

    async def of(self, team: str, day: date) -> Usage:
        with translated():
            async with self.engine.connect() as connection:
                number, size, pages = (await connection.execute(_OF, {"whose": team, "today": day.isoformat()})).one()
                return Usage(int(number), int(size), int(pages or 0))

    async def add_page(self, team: str, day: date) -> None:
        with translated():
            async with self.engine.begin() as connection:
                added = _add_page(connection.dialect.name)
                if await connection.scalar(added, {"team": team, "day": day.isoformat(), "pages": 1}) == 1:
                    earlier = (intake.c.team == team) & (intake.c.day < day.isoformat())
                    await connection.execute(delete(intake).where(earlier))


@lru_cache(maxsize=2)
def _add_page(dialect: str) -> ReturningInsert[int]:
    """Return the statement that counts one more and returns how many there are now."""
    first = inserting(dialect, intake)
    more = {"pages": intake.c.pages + 1}
    return first.on_conflict_do_update(index_elements=["team", "day"], set_=more).returning(intake.c.pages)
