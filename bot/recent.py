"""What somebody has asked lately, as the bot remembers it: which run answered where. The words are the backend's."""

from __future__ import annotations

import time

import msgspec
from sqlalchemy import Column, Float, String, Table, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import upsert
from bot.store import ANSWERS, METADATA

HOMES = Table(
    "homes",
    METADATA,
    Column("team", String, primary_key=True),
    Column("user", String, primary_key=True),
    Column("visited_at", Float, nullable=False),
)
SCANNED = 60
"""Messages that are looked through for the newest questions: a long answer has several."""


class Asked(msgspec.Struct, frozen=True):
    """One question of somebody. `ts` is our first message that answers it, or of no use where `thread_ts` is "": then
    only they saw the answer."""

    run_id: str
    channel: str
    ts: str
    thread_ts: str
    at: float

    @property
    def is_whispered(self) -> bool:
        return not self.thread_ts


class Recent:
    """Reads the answers that bot.store keeps, and keeps who has a Home."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def questions(self, team: str, user: str, limit: int) -> list[Asked]:
        """Return what this person asked last and had answered or declined by a run, the newest first."""
        where = (ANSWERS.c.team == team, ANSWERS.c.asker == user, ANSWERS.c.run_id != "")
        newest = select(ANSWERS).where(*where).order_by(ANSWERS.c.created_at.desc()).limit(SCANNED)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(newest)).mappings().all()
        found: dict[str, Asked] = {}
        for row in rows:  # the last one of a run is its first message
            found[row["run_id"]] = Asked(row["run_id"], row["channel"], row["ts"], row["thread_ts"], row["created_at"])
        return list(found.values())[:limit]

    async def note_visit(self, team: str, user: str) -> None:
        statement = upsert(self._engine, HOMES).values(team=team, user=user, visited_at=time.time())
        newest = {"visited_at": statement.excluded.visited_at}
        async with self._engine.begin() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["team", "user"], set_=newest))

    async def visited(self, team: str, user: str) -> float | None:
        """Return when this person last opened their Home, None if they have none."""
        where = (HOMES.c.team == team, HOMES.c.user == user)
        async with self._engine.connect() as connection:
            at: float | None = (await connection.execute(select(HOMES.c.visited_at).where(*where))).scalar()
        return at
