"""What the bot remembers beside its turns: ratings, quiet threads, questions handed on, what is settled for channels.

No texts: what was asked and said stays with Slack and the backend.
"""

from __future__ import annotations

import time
from typing import Literal

import msgspec
from sqlalchemy import Column, Float, Integer, String, Table, delete, select
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.channel_settings import ChannelSettings
from bot.database import upsert
from bot.store import ANSWERS, METADATA

Rating = Literal[1, -1]
Kind = Literal["button", "reaction"]
Mode = Literal["muted", "followed"]
"""What somebody has said of a thread: do not answer without a mention, or do."""

REACTIONS = Table(
    "reactions",
    METADATA,
    Column("run_id", String, primary_key=True),
    Column("user", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("rating", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
)
COMMENTS = Table(
    "comments",
    METADATA,
    Column("run_id", String, primary_key=True),
    Column("user", String, primary_key=True),
    Column("rated_at", Float, nullable=False),
)
MODES = Table(
    "thread_modes",
    METADATA,
    Column("team", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("thread_ts", String, primary_key=True),
    Column("mode", String, nullable=False),
)
HANDED_ON = Table(
    "handed_on",
    METADATA,
    Column("run_id", String, primary_key=True),
    Column("team", String, nullable=False, index=True),
    Column("channel", String, nullable=False, index=True),
    Column("ts", String, nullable=False, index=True),
    Column("thread_ts", String, nullable=False, index=True),
    Column("expert", String, nullable=False),
    Column("asker", String, nullable=False),
    Column("asked_channel", String, nullable=False),
    Column("asked_ts", String, nullable=False),
)
CHANNEL_SETTINGS = Table(
    "channel_settings",
    METADATA,
    Column("team", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("settings", String, nullable=False),
)
"""`settings` is JSON: a setting that is new needs no other table."""

BUTTON = ":button"
"""What stands for the buttons under an answer among the reactions; no emoji's name has a colon in it."""


class Standing(msgspec.Struct, frozen=True):
    """One person's rating of one run, as it stands: the newest button or reaction that was not taken back.

    `commented`: they have said why, and the backend has it.
    """

    rating: Rating
    kind: Kind
    at: float
    commented: bool = False


class HandedOn(msgspec.Struct, frozen=True):
    """A question that an expert was asked. `ts` is our message to them, in the thread where they answer; `expert` is a
    user's id, or "" where a whole channel was asked. It was asked in `asked_channel` by `asker`, in the thread
    `asked_ts`, which is "" where only they read."""

    run_id: str
    team: str
    channel: str
    ts: str
    thread_ts: str
    expert: str
    asker: str
    asked_channel: str
    asked_ts: str

    @property
    def in_place(self) -> bool:
        """Whether the expert was asked in the very thread of the question."""
        return (self.channel, self.thread_ts) == (self.asked_channel, self.asked_ts)


class Records:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    # ------------------------------------------------------------------------------------------------------ ratings

    async def react(self, run_id: str, user: str, name: str, rating: Rating | None) -> None:
        """Note a reaction, or with None its removal."""
        row = {"run_id": run_id, "user": user, "name": name}
        async with self._engine.begin() as connection:
            if rating is None:
                where = (REACTIONS.c.run_id == run_id, REACTIONS.c.user == user, REACTIONS.c.name == name)
                await connection.execute(delete(REACTIONS).where(*where))
            else:
                values = {"rating": rating, "created_at": time.time()}
                statement = upsert(self._engine, REACTIONS).values(row | values)
                keys = ["run_id", "user", "name"]
                await connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))

    async def standing(self, run_id: str, user: str) -> Standing | None:
        """Return how this person rates this run now."""
        where = (REACTIONS.c.run_id == run_id, REACTIONS.c.user == user)
        newest = select(REACTIONS).where(*where).order_by(REACTIONS.c.created_at.desc()).limit(1)
        told = select(COMMENTS.c.rated_at).where(COMMENTS.c.run_id == run_id, COMMENTS.c.user == user)
        async with self._engine.connect() as connection:
            row = (await connection.execute(newest)).mappings().first()
            rated_at = (await connection.execute(told)).scalar()
        if row is None:
            return None
        kind: Kind = "button" if row["name"] == BUTTON else "reaction"
        return Standing(1 if row["rating"] > 0 else -1, kind, row["created_at"], rated_at == row["created_at"])

    async def note_comment(self, run_id: str, user: str, standing: Standing) -> None:
        """Note that the backend has a comment with this rating."""
        statement = upsert(self._engine, COMMENTS).values(run_id=run_id, user=user, rated_at=standing.at)
        statement = statement.on_conflict_do_update(index_elements=["run_id", "user"], set_={"rated_at": standing.at})
        async with self._engine.begin() as connection:
            await connection.execute(statement)

    async def thread_of(self, team: str, channel: str, ts: str) -> str | None:
        """Return the thread of a message of ours that answers, None if it is not one."""
        where = (ANSWERS.c.team == team, ANSWERS.c.channel == channel, ANSWERS.c.ts == ts)
        async with self._engine.connect() as connection:
            thread_ts: str | None = (await connection.execute(select(ANSWERS.c.thread_ts).where(*where))).scalar()
        return thread_ts

    async def askers(self, team: str, channel: str, thread_ts: str) -> frozenset[str]:
        """Return the users whom we have answered in this thread."""
        where = (ANSWERS.c.team == team, ANSWERS.c.channel == channel, ANSWERS.c.thread_ts == thread_ts)
        async with self._engine.connect() as connection:
            return frozenset((await connection.execute(select(ANSWERS.c.asker).where(*where))).scalars())

    # ------------------------------------------------------------------------------------------------ quiet threads

    async def put_mode(self, team: str, channel: str, thread_ts: str, mode: Mode) -> None:
        statement = upsert(self._engine, MODES).values(team=team, channel=channel, thread_ts=thread_ts, mode=mode)
        statement = statement.on_conflict_do_update(
            index_elements=["team", "channel", "thread_ts"], set_={"mode": mode}
        )
        async with self._engine.begin() as connection:
            await connection.execute(statement)

    async def mode(self, team: str, channel: str, thread_ts: str) -> Mode | None:
        """Return what was last said of the thread, None if nothing was."""
        where = (MODES.c.team == team, MODES.c.channel == channel, MODES.c.thread_ts == thread_ts)
        async with self._engine.connect() as connection:
            match (await connection.execute(select(MODES.c.mode).where(*where))).scalar():
                case "muted":
                    return "muted"
                case "followed":
                    return "followed"
        return None

    # ----------------------------------------------------------------------------------------------------- channels

    async def put_channel_settings(self, team: str, channel: str, settings: ChannelSettings) -> None:
        written = msgspec.json.encode(settings).decode()
        statement = upsert(self._engine, CHANNEL_SETTINGS).values(team=team, channel=channel, settings=written)
        statement = statement.on_conflict_do_update(index_elements=["team", "channel"], set_={"settings": written})
        async with self._engine.begin() as connection:
            await connection.execute(statement)

    async def channel_settings(self, team: str, channel: str) -> ChannelSettings | None:
        """Return what is settled for a channel, None where nothing was."""
        where = (CHANNEL_SETTINGS.c.team == team, CHANNEL_SETTINGS.c.channel == channel)
        async with self._engine.connect() as connection:
            found = (await connection.execute(select(CHANNEL_SETTINGS.c.settings).where(*where))).scalar()
        return msgspec.json.decode(found, type=ChannelSettings) if found else None

    async def move_channel_settings(self, team: str, old: str, new: str) -> None:
        """Have one channel's settings under another id, unless something is settled there already."""
        if (settings := await self.channel_settings(team, old)) is None:
            return
        written = msgspec.json.encode(settings).decode()
        moved = (
            upsert(self._engine, CHANNEL_SETTINGS)
            .values(team=team, channel=new, settings=written)
            .on_conflict_do_nothing()
        )
        where = (CHANNEL_SETTINGS.c.team == team, CHANNEL_SETTINGS.c.channel == old)
        async with self._engine.begin() as connection:
            await connection.execute(moved)
            await connection.execute(delete(CHANNEL_SETTINGS).where(*where))

    # ------------------------------------------------------------------------------------------------------ experts

    async def put_handed_on(self, handed_on: HandedOn) -> None:
        statement = upsert(self._engine, HANDED_ON).values(msgspec.structs.asdict(handed_on)).on_conflict_do_nothing()
        async with self._engine.begin() as connection:
            await connection.execute(statement)

    async def handed_on(self, run_id: str) -> HandedOn | None:
        """Return to whom a run's question was handed on."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(HANDED_ON).where(HANDED_ON.c.run_id == run_id))).mappings().first()
        return _handed_on(row)

    async def handed_on_in(self, team: str, channel: str, thread_ts: str) -> HandedOn | None:
        """Return the question that was last handed on in this thread."""
        columns = HANDED_ON.c
        where = (columns.team == team, columns.channel == channel, columns.thread_ts == thread_ts)
        statement = select(HANDED_ON).where(*where).order_by(columns.ts.desc()).limit(1)
        async with self._engine.connect() as connection:
            return _handed_on((await connection.execute(statement)).mappings().first())


def _handed_on(row: RowMapping | None) -> HandedOn | None:
    return HandedOn(**{field: row[field] for field in HandedOn.__struct_fields__}) if row else None
