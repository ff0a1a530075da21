"""API keys in the state database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from backend.access import BETWEEN_USES, ROLES, ApiKey
from backend.adapters.sql_common import translated
from backend.adapters.sql_tables import api_keys as table


@dataclass(frozen=True, slots=True)
class SqlApiKeys:
    """access.ApiKeys."""

    engine: AsyncEngine

    async def add(self, key: ApiKey) -> None:
        row = {**asdict(key), "roles": "+".join(sorted(key.roles))}
        with translated():
            async with self.engine.begin() as connection:
                await connection.execute(insert(table).values(row))

    async def get(self, key_id: str) -> ApiKey | None:
        with translated():
            async with self.engine.connect() as connection:
                row = (await connection.execute(select(table).where(table.c.key_id == key_id))).mappings().first()
        return _key(row) if row else None

    async def list(self) -> tuple[ApiKey, ...]:
        order = (table.c.name, table.c.created_at.desc(), table.c.key_id)
        with translated():
            async with self.engine.connect() as connection:
                return tuple(_key(row) for row in (await connection.execute(select(table).order_by(*order))).mappings())

    async def expire(self, key_ids: Sequence[str], at: datetime) -> None:
        later = or_(table.c.expires_at.is_(None), table.c.expires_at > at)
        await self._set(key_ids, later, expires_at=at)

    async def revoke(self, key_ids: Sequence[str], at: datetime) -> None:
        await self._set(key_ids, table.c.revoked_at.is_(None), revoked_at=at)

    async def used(self, key_id: str, at: datetime) -> None:
        long_ago = or_(table.c.last_used_at.is_(None), table.c.last_used_at <= at - BETWEEN_USES)
        await self._set([key_id], long_ago, last_used_at=at)

    async def _set(self, key_ids: Sequence[str], where: ColumnElement[bool], **values: datetime) -> None:
        with translated():
            async with self.engine.begin() as connection:
                await connection.execute(update(table).where(table.c.key_id.in_(key_ids), where).values(**values))


def _key(row: RowMapping) -> ApiKey:
    named = row["roles"].split("+")
    return ApiKey(**{**row, "roles": frozenset(role for role in ROLES if role in named)})
