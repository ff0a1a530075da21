"""What teams, channels and users spend on models, per day, in the state database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.adapters.sql_common import inserting, translated
from backend.adapters.sql_tables import spendings
from backend.ports import Scope, Spent


@dataclass(frozen=True, slots=True)
class SqlSpendings:
    """ports.Spendings."""

    engine: AsyncEngine

    async def of(self, team: str, day: date, subjects: Mapping[Scope, str]) -> dict[Scope, Spent]:
        columns = spendings.c
        named = or_(*(and_(columns.scope == scope, columns.subject == name) for scope, name in subjects.items()))
        wanted = select(spendings).where(columns.team == team, columns.day == day.isoformat(), named)
        with translated():
            async with self.engine.connect() as connection:
                rows = (await connection.execute(wanted)).all()
        known = {row.scope: Spent(row.tokens, row.cost) for row in rows}
        return {scope: known.get(scope, Spent()) for scope in subjects}

    async def add(self, team: str, day: date, subjects: Mapping[Scope, str], spent: Spent) -> None:
        columns = spendings.c
        with translated():
            async with self.engine.begin() as connection:
                more = {"tokens": columns.tokens + spent.tokens, "cost": columns.cost + spent.cost}
                key = [column.name for column in spendings.primary_key]
                new = inserting(connection.dialect.name, spendings)
                for scope, subject in sorted(subjects.items()):  # one order: two writers never wait in a ring
                    row = {"team": team, "day": day.isoformat(), "scope": scope, "subject": subject}
                    first = new.values(**row, tokens=spent.tokens, cost=spent.cost)
                    await connection.execute(first.on_conflict_do_update(index_elements=key, set_=more))
