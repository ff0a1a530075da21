"""What the bot remembers of turns: which were asked in a thread, which have ended, which were edited, stopped or taken
back since. No texts."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
from sqlalchemy import Boolean, Column, Float, Index, Integer, String, Table, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import upsert
from bot.store import MAKING, METADATA, POSTED, TURNS
from bot.thread import Turn

MAX_EDITS = 10
"""How often one question is answered again because it was edited."""
REMEMBERED = 30 * 86_400.0
"""Seconds for which a question's answer follows its deletion."""
HOPELESS = 2 * 3_600.0
"""Seconds after which a turn that has not ended is not waited for: jobs give up after an hour."""

ASKED = Table(
    "asked",
    METADATA,
    Column("key", String, primary_key=True),
    Column("thread", String, nullable=False),
    Column("ts", String, nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("edited_ts", String, nullable=False),
    Column("edits", Integer, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("stopped", Boolean, nullable=False),
)
Index("asked_thread", ASKED.c.thread, ASKED.c.ts)


class Asked(msgspec.Struct, frozen=True):
    """A turn as it stands. `edited_ts` is the newest edit's event, "" where there was none; `ended`: of that edit."""

    ended: bool
    edited_ts: str
    withdrawn: bool
    stopped: bool


class Ledger:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def ask(self, turn: Turn) -> bool:
        """Note a turn; one that is known stays as it is. Return whether it has no outcome yet."""
        row = {"key": turn.key, "thread": turn.thread, "ts": turn.ts, "asked_at": time.time()}
        row |= {"ended": False, "edited_ts": "", "edits": 0, "withdrawn": False, "stopped": False}
        async with self._engine.begin() as connection:
            await connection.execute(upsert(self._engine, ASKED).values(row).on_conflict_do_nothing())
            ended = await connection.execute(select(ASKED.c.ended).where(ASKED.c.key == turn.key))
            return not ended.scalar()

    async def asked(self, key: str) -> Asked | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(ASKED).where(ASKED.c.key == key))).mappings().first()
        return Asked(*(row[name] for name in Asked.__struct_fields__)) if row else None

    async def all_asked(self, keys: Sequence[str]) -> dict[str, Asked]:
        """Return those of these turns that are known."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(ASKED).where(ASKED.c.key.in_(keys)))).mappings().all()
        return {row["key"]: Asked(*(row[name] for name in Asked.__struct_fields__)) for row in rows}

    async def end(self, key: str, edited_ts: str) -> None:
        """Note that a turn has its outcome, unless it was edited meanwhile."""
        await self._set(key, edited_ts, ended=True)

    async def _set(self, key: str, edited_ts: str, **values: object) -> None:
        where = (ASKED.c.key == key, ASKED.c.edited_ts == edited_ts)
        async with self._engine.begin() as connection:
            await connection.execute(update(ASKED).where(*where).values(**values))

    async def edit(self, turn: Turn) -> bool:
        """Note that a turn is to be answered as it was edited (`turn.edited_ts`); return whether it is.

        It is where the turn is known and the last one of its thread, and was not edited since, or too often before.
        """
        later = ASKED.alias()
        where = (
            ASKED.c.key == turn.key,
            ASKED.c.withdrawn.is_(False),
            ASKED.c.edited_ts < turn.edited_ts,
            ASKED.c.edits < MAX_EDITS,
            ~exists().where(later.c.thread == ASKED.c.thread, later.c.ts > ASKED.c.ts),
        )
        values = {"edited_ts": turn.edited_ts, "edits": ASKED.c.edits + 1, "ended": False, "stopped": False}
        async with self._engine.begin() as connection:
            await connection.execute(update(ASKED).where(*where).values(**values))
        known = await self.asked(turn.key)
        return known is not None and known.edited_ts == turn.edited_ts

    async def withdraw(self, key: str) -> bool:
        """Note that a question was taken back; return whether we know it."""
        async with self._engine.begin() as connection:
            statement = update(ASKED).where(ASKED.c.key == key).values(withdrawn=True)
            return (await connection.execute(statement)).rowcount > 0

    async def stop(self, thread: str, before: str) -> None:
        """Note that what was asked in a thread before a ts, and has no outcome yet, gets no other than what it has."""
        where = (ASKED.c.thread == thread, ASKED.c.ts < before, ASKED.c.ended.is_(False))
        async with self._engine.begin() as connection:
            await connection.execute(update(ASKED).where(*where).values(stopped=True))

    async def unfinished(self) -> Sequence[tuple[str, str]]:
        """Return thread and ts of every turn that has no outcome yet."""
        where = (ASKED.c.ended.is_(False), ASKED.c.withdrawn.is_(False), ASKED.c.asked_at > time.time() - HOPELESS)
        async with self._engine.connect() as connection:
            rows = await connection.execute(select(ASKED.c.thread, ASKED.c.ts).where(*where))
            return [(thread, ts) for thread, ts in rows]

    async def has_earlier(self, turn: Turn) -> bool:
        """Whether something that was asked earlier in a turn's thread has no outcome yet, whichever bot is at it."""
        here = (ASKED.c.thread == turn.thread, ASKED.c.ts < turn.ts, ASKED.c.asked_at > time.time() - HOPELESS)
        where = (*here, ASKED.c.ended.is_(False), ASKED.c.withdrawn.is_(False))
        async with self._engine.connect() as connection:
            return (await connection.execute(select(ASKED.c.key).where(*where).limit(1))).first() is not None

    async def forget(self, older: float = REMEMBERED) -> None:
        """Forget turns that were asked so many seconds ago."""
        before = time.time() - older
        old = select(TURNS.c.key).where(TURNS.c.began_at < before)
        async with self._engine.begin() as connection:
            await connection.execute(delete(ASKED).where(ASKED.c.asked_at < before))
            for table in (POSTED, MAKING):
                await connection.execute(delete(table).where(table.c.key.in_(old)))
            await connection.execute(delete(TURNS).where(TURNS.c.began_at < before))
