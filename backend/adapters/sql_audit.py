"""The audit log in the state database. A trigger refuses to change a row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import insert, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.access import Deed, Deeds
from backend.adapters.sql_common import translated
from backend.adapters.sql_tables import audit as table


@dataclass(frozen=True, slots=True)
class SqlAudit:
    """access.Audit."""

    engine: AsyncEngine

    async def add(self, deed: Deed) -> None:
        with translated():
            async with self.engine.begin() as connection:
                await connection.execute(insert(table).values(asdict(deed)))

    async def page(
        self, *, since: datetime | None = None, of: str = "", team: str = "", limit: int = 50, cursor: str | None = None
    ) -> Deeds:
        columns = table.c
        wanted = [columns.at >= since] if since else []
        if of:
            wanted.append(or_(columns.key == of, columns.user == of, columns.action == of, columns.target == of))
        wanted += [columns.team == team] if team else []
        wanted += [columns.deed_id < cursor] if cursor else []
        latest = select(table).where(*wanted).order_by(columns.deed_id.desc()).limit(limit + 1)
        with translated():
            async with self.engine.connect() as connection:
                deeds = [Deed(**row) for row in (await connection.execute(latest)).mappings()]
        more = len(deeds) > limit
        return Deeds(tuple(deeds[:limit]), deeds[limit - 1].deed_id if more else None)
