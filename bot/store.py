"""What the bot remembers (see bot.database for where): which of its messages answer what. No texts.

A turn's messages are written as soon as Slack has them, so that a later attempt at the same turn edits them instead of
posting again; an answer's run is what a reaction on the message rates.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
from sqlalchemy import Column, Float, Integer, MetaData, String, Table, delete, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import upsert
from bot.thread_document import document_id_of

METADATA = MetaData()

TURNS = Table(
    "turns",
    METADATA,
    Column("key", String, primary_key=True),
    Column("began_at", Float, nullable=False),
)
POSTED = Table(
    "posted",
    METADATA,
    Column("key", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("ts", String, nullable=False),
)
MAKING = Table(
    "making",
    METADATA,
    Column("key", String, primary_key=True),
)
"""Turns of which Slack may have one message more than is noted."""
THREADS = Table(
    "threads",
    METADATA,
    Column("team", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("thread_ts", String, primary_key=True),
)
ANSWERS = Table(
    "answers",
    METADATA,
    Column("team", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("ts", String, primary_key=True),
    Column("thread_ts", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("asker", String, nullable=False),
    Column("created_at", Float, nullable=False),
)
THREAD_DOCUMENTS = Table(
    "thread_documents",
    METADATA,
    Column("document_id", String, primary_key=True),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("thread_ts", String, nullable=False),
    Column("until_ts", String, nullable=False),
    Column("user", String, nullable=False),
    Column("changes", Integer, nullable=False),
)


class IngestedThread(msgspec.Struct, frozen=True):
    """A thread that is a document: up to which message somebody (`user`) wanted it, and how often it was changed."""

    team: str
    channel: str
    thread_ts: str
    until_ts: str
    user: str
    changes: int = 0

    @property
    def document_id(self) -> str:
        return document_id_of(self.team, self.channel, self.thread_ts)


class Answer(msgspec.Struct, frozen=True):
    """One message that answers: where it stands, which run wrote it, who asked. `run_id` is "" for error messages.

    `thread_ts` is "" where only the asker saw it: then `ts` is that of the question's turn, and no message's.
    """

    team: str
    channel: str
    ts: str
    thread_ts: str
    run_id: str
    asker: str


class PostedMessages:
    """The messages of one turn that Slack has, in order."""

    def __init__(self, store: Store, key: str, ts: list[str]) -> None:
        self._store = store
        self._key = key
        self._ts = ts

    @property
    def ts(self) -> Sequence[str]:
        return tuple(self._ts)

    async def intend(self) -> None:
        """Say that a message is about to be made."""
        await self._store.put_making(self._key, making=True)

    async def dismiss(self) -> None:
        """Say that none was."""
        await self._store.put_making(self._key, making=False)

    async def add(self, ts: str) -> None:
        self._ts.append(ts)
        await self._store.put_posted(self._key, len(self._ts) - 1, ts)

    async def drop_last(self) -> None:
        self._ts.pop()
        await self._store.drop_posted(self._key, len(self._ts))


class Store:
    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = self._engine = engine

    async def create_tables(self) -> None:
        async with self._engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)

    async def begin_turn(self, key: str) -> bool:
        """Note that work on a turn begins; return whether it had begun before."""
        statement = upsert(self._engine, TURNS).values(key=key, began_at=time.time()).on_conflict_do_nothing()
        async with self._engine.begin() as connection:
            return (await connection.execute(statement.returning(TURNS.c.key))).first() is None

    async def posted(self, key: str) -> PostedMessages:
        statement = select(POSTED.c.ts).where(POSTED.c.key == key).order_by(POSTED.c.number)
        async with self._engine.connect() as connection:
            return PostedMessages(self, key, list((await connection.execute(statement)).scalars()))

    async def put_posted(self, key: str, number: int, ts: str) -> None:
        """Note a message, which is then no longer one that may have been made."""
        statement = upsert(self._engine, POSTED).values(key=key, number=number, ts=ts)
        statement = statement.on_conflict_do_update(index_elements=["key", "number"], set_={"ts": ts})
        async with self._engine.begin() as connection:
            await connection.execute(statement)
            await connection.execute(delete(MAKING).where(MAKING.c.key == key))

    async def put_making(self, key: str, *, making: bool) -> None:
        """Note that a message of a turn is about to be made, or that none was."""
        async with self._engine.begin() as connection:
            if making:
                await connection.execute(upsert(self._engine, MAKING).values(key=key).on_conflict_do_nothing())
            else:
                await connection.execute(delete(MAKING).where(MAKING.c.key == key))

    async def is_making(self, key: str) -> bool:
        """Whether a message of a turn may have been made that is not noted."""
        async with self._engine.connect() as connection:
            return (await connection.execute(select(MAKING.c.key).where(MAKING.c.key == key))).first() is not None

    async def drop_answers(self, team: str, channel: str, ts: Sequence[str]) -> None:
        """Forget that these messages are answers: they are gone."""
        where = (ANSWERS.c.team == team, ANSWERS.c.channel == channel, ANSWERS.c.ts.in_(ts))
        async with self._engine.begin() as connection:
            await connection.execute(delete(ANSWERS).where(*where))

    async def drop_posted(self, key: str, number: int) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(delete(POSTED).where(POSTED.c.key == key, POSTED.c.number == number))

    async def known_ts(self, ts: Sequence[str]) -> set[str]:
        """Return which of these messages belong to some turn already."""
        async with self._engine.connect() as connection:
            return set((await connection.execute(select(POSTED.c.ts).where(POSTED.c.ts.in_(ts)))).scalars())

    async def put_answer(self, answer: Answer) -> None:
        values = msgspec.structs.asdict(answer) | {"created_at": time.time()}
        statement = upsert(self._engine, ANSWERS).values(values)
        statement = statement.on_conflict_do_update(
            index_elements=["team", "channel", "ts"], set_={"run_id": answer.run_id}
        )
        async with self._engine.begin() as connection:
            await connection.execute(statement)

    async def join_thread(self, team: str, channel: str, thread_ts: str) -> None:
        """Make a thread ours: replies in it need no mention from now on, also while the first answer is written."""
        row = {"team": team, "channel": channel, "thread_ts": thread_ts}
        async with self._engine.begin() as connection:
            await connection.execute(upsert(self._engine, THREADS).values(row).on_conflict_do_nothing())

    async def leave_thread(self, team: str, channel: str, thread_ts: str) -> None:
        """Have nothing more to do with a thread: what its first message asked was refused."""
        where = (THREADS.c.team == team, THREADS.c.channel == channel, THREADS.c.thread_ts == thread_ts)
        async with self._engine.begin() as connection:
            await connection.execute(delete(THREADS).where(*where))

    async def is_ours(self, team: str, channel: str, thread_ts: str) -> bool:
        """Whether we answer, or have answered, in this thread."""
        where = (THREADS.c.team == team, THREADS.c.channel == channel, THREADS.c.thread_ts == thread_ts)
        async with self._engine.connect() as connection:
            return (await connection.execute(select(THREADS.c.team).where(*where))).first() is not None

    async def put_thread(self, thread: IngestedThread) -> None:
        """Remember a thread as a document; once more, with what was wanted last."""
        row = msgspec.structs.asdict(thread) | {"document_id": thread.document_id}
        wanted = {"until_ts": thread.until_ts, "user": thread.user}
        statement = upsert(self._engine, THREAD_DOCUMENTS).values(row)
        async with self._engine.begin() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["document_id"], set_=wanted))

    async def thread(self, team: str, channel: str, thread_ts: str) -> IngestedThread | None:
        """Return the thread if it is a document."""
        where = THREAD_DOCUMENTS.c.document_id == document_id_of(team, channel, thread_ts)
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(THREAD_DOCUMENTS).where(where))).mappings().first()
        return _thread(row)

    async def count_change(self, thread: IngestedThread) -> int:
        """Note that a thread has changed; return how often that was."""
        changes = THREAD_DOCUMENTS.c.changes
        statement = update(THREAD_DOCUMENTS).where(THREAD_DOCUMENTS.c.document_id == thread.document_id)
        async with self._engine.begin() as connection:
            counted = await connection.execute(statement.values(changes=changes + 1).returning(changes))
            return int(counted.scalar() or 0)

    async def drop_thread(self, document_id: str) -> IngestedThread | None:
        """Forget that a thread is this document; return what was known of it."""
        statement = delete(THREAD_DOCUMENTS).where(THREAD_DOCUMENTS.c.document_id == document_id)
        async with self._engine.begin() as connection:
            return _thread((await connection.execute(statement.returning(THREAD_DOCUMENTS))).mappings().first())

    async def run_of(self, team: str, channel: str, ts: str) -> str | None:
        """Return the run that wrote this message, or None if it is not an answer of ours."""
        where = (ANSWERS.c.team == team, ANSWERS.c.channel == channel, ANSWERS.c.ts == ts)
        async with self._engine.connect() as connection:
            run_id: str | None = (await connection.execute(select(ANSWERS.c.run_id).where(*where))).scalar()
        return run_id or None


def _thread(row: RowMapping | None) -> IngestedThread | None:
    return IngestedThread(**{field: row[field] for field in IngestedThread.__struct_fields__}) if row else None
