"""What several bots over one PostgreSQL agree on: who lives, who starts, and who is at work in a thread.

By advisory locks, which end with the session that holds them, so that nobody compares clocks. A bot that is killed is
gone at once, one whose machine vanishes after 25 seconds, one that hangs after 30; its work is taken over `GRACE`
later. Until then it has noticed itself: it says nothing to Slack that is not `sure` to live, and what it was doing when
it lost its session it begins anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import psycopg
from dbos import error as dbos_error
from loguru import logger
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection as Session
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from bot.database import SCHEMA, parsed, plain

STARTING, LIVING = 0x466F6F7A, 0x466F6F7B
"""First halves of our locks' keys; a thread's is one number of 64 bits."""
BEAT = 1.0
"""Seconds between signs of life."""
SURE, GRACE = 4.0, 6.0
"""Seconds since its last sign of life for which a bot is sure that it lives, and for which another one must have been
gone until its work is taken over. The second is the longer one: who is taken for dead has fallen silent before."""
HUNG = 10.0
"""Seconds in which the database has to answer a sign of life."""
LOOK = 0.2
"""Seconds between two looks whether a lock is free."""
STARTED = 60.0
"""Seconds to wait for another one that starts, or that takes over what this one left."""
KEPT = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "connect_timeout": 5}
LOST = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c idle_session_timeout=30s"

_TRY = text("SELECT pg_try_advisory_lock(:space, :key)")
_LET_GO = text("SELECT pg_advisory_unlock(:space, :key)")
_TRY_THREAD = text("SELECT pg_try_advisory_lock(:key)")
_LET_THREAD_GO = text("SELECT pg_advisory_unlock(:key)")
_TELL = text(f"SELECT pg_notify('{SCHEMA}', :told) IS NOT NULL")
_LIVING = text(
    "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = :space AND objsubid = 2 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class NoPeer(Exception):
    """This bot cannot be one of the others; the message is one line that names the setting."""


class Untold(Exception):
    """The others did not hear it."""


class Peers(Protocol):
    """The other bots, seen from this one, whose `name` stays the same for as long as its folder."""

    @property
    def name(self) -> str: ...
    @property
    def alone(self) -> bool:
        """Whether there can be no others."""

    @property
    def living(self) -> int:
        """How many bots there are, this one included, as was last seen."""

    async def sure(self) -> None:
        """Return once it is certain that no other bot takes this one for dead."""

    def starting(self) -> AbstractAsyncContextManager[None]:
        """Be the only one to make tables within the block."""

    def at_work(self, thread: str) -> AbstractAsyncContextManager[None]:
        """Be the only one at work in a thread within the block."""

    async def tell(self, told: str) -> None:
        """Let the others hear something. Untold if the database is down."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Peers where the bot's memory is in its own folder."""

    name: str = "bot"
    alone: bool = True
    living: int = 1

    async def sure(self) -> None: ...

    def starting(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def at_work(self, thread: str) -> AbstractAsyncContextManager[None]:  # noqa: ARG002
        return nullcontext()

    async def tell(self, told: str) -> None: ...


@dataclass
class PostgresPeers:
    """Peers over PostgreSQL. `abandon` is called when this bot has lost its session and may be taken for dead, `resume`
    when it lives again, before it is sure of that."""

    name: str
    engine: AsyncEngine
    clock: Callable[[], float] = time.monotonic
    alone: bool = False
    abandon: Callable[[], Awaitable[object]] | None = None
    resume: Callable[[], Awaitable[object]] | None = None
    living: int = field(default=1, init=False)
    lives: int = field(default=0, init=False)
    """How many sessions this bot has had: with a new one, what it saw of others counts no more."""
    _session: Session | None = field(default=None, init=False)
    _heard: float = field(default=float("-inf"), init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, name: str) -> AsyncIterator[PostgresPeers]:
        """Be one of the bots until the block ends.

        Raises:
            NoPeer: the database cannot be used, or another bot of this name lives.
        """
        options = {"options": LOST, "connect_timeout": 5}
        engine = create_async_engine(
            parsed(url), poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=options
        )
        peers = cls(name, engine)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(engine.dispose)
            stack.push_async_callback(peers._drop)
            await peers._begin()
            beating = asyncio.create_task(peers._beat())
            stack.push_async_callback(_ended, beating)
            yield peers

    async def is_sure(self) -> bool:
        return self.clock() - self._heard <= SURE

    async def sure(self) -> None:
        while not await self.is_sure():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(LOOK / 4)

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[None]:
        async with asyncio.timeout(STARTED):
            while not await self._ask(_TRY, space=STARTING, key=1):  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(LOOK)
        try:
            await self._ask(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            yield
        finally:
            await self._ask(_LET_GO, space=STARTING, key=1)

    @asynccontextmanager
    async def at_work(self, thread: str) -> AsyncIterator[None]:
        key = int.from_bytes(sha256(thread.encode()).digest()[:8], signed=True)
        while not await self._ask(_TRY_THREAD, key=key):  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(LOOK)
        life = self.lives
        try:
            yield
        finally:
            if life == self.lives:  # with its session a lock has gone, and may be another's now
                await self._ask(_LET_THREAD_GO, key=key)

    async def tell(self, told: str) -> None:
        if not await self._ask(_TELL, told=told):
            raise Untold

    async def listen(self, hear: Callable[[str | None], None]) -> None:
        """Hear, for ever, what is told, by this one too; None says that something may have been missed."""
        address = make_conninfo(plain(self.engine.url), **KEPT)
        while True:
            try:
                async with await AsyncConnection.connect(address, autocommit=True) as line:
                    await line.execute(f"LISTEN {SCHEMA}".encode())
                    hear(None)
                    async for told in line.notifies():
                        hear(told.payload)
            except (psycopg.Error, OSError) as error:
                logger.bind(error=type(error).__name__).warning("other bots not heard: the database is away")
            await asyncio.sleep(BEAT)

    async def gone(self, names: Collection[str]) -> set[str]:
        """Return which of these bots do not live. SQLAlchemyError if the database is down."""
        async with self._turn:
            if self._session is None:
                return set()
            marks = set(await self._session.scalars(_LIVING, {"space": LIVING}))
            self.living = max(1, len(marks))
        self.living = max(1, len(marks))
        return {name for name in names if mark_of(name) not in marks}

    @asynccontextmanager
    async def in_place_of(self, name: str) -> AsyncIterator[bool]:
        """Keep a bot that is gone from coming back, and others from doing the same; yield False where it is back."""
        life, taken = self.lives, await self._ask(_TRY, space=LIVING, key=mark_of(name))
        try:
            yield taken
        finally:
            if taken and life == self.lives:
                await self._ask(_LET_GO, space=LIVING, key=mark_of(name))

    # ----------------------------------------------------------------------------------------------------- this session

    async def _begin(self) -> None:
        """Take what says that this bot lives."""
        deadline = self.clock() + STARTED
        while not await self._marked():
            if self.clock() > deadline:
                raise NoPeer(f"FOOTNOTE_DATA_DIR: another bot of the name in {NAME_FILE} uses this database")
            await asyncio.sleep(LOOK)
        self._heard = self.clock()

    async def _marked(self) -> bool:
        try:
            session = await self.engine.connect()
            self._session, self.lives = session, self.lives + 1
            if await session.scalar(_TRY, {"space": LIVING, "key": mark_of(self.name)}):
                return True
        except (SQLAlchemyError, OSError) as error:
            logger.bind(error=type(error).__name__).warning("database of the bots not reached")
            if not self.lives:
                raise NoPeer("FOOTNOTE_DATABASE_URL: the database cannot be reached") from None
        await self._drop()
        return False

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            began = self.clock()
            try:
                async with asyncio.timeout(HUNG), self._turn:
                    assert self._session is not None
                    await self._session.execute(text("SELECT 1"))
                self._heard = began
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                logger.bind(bot=self.name, error=type(error).__name__).warning("sign of life failed")
                await self._come_back()

    async def _come_back(self) -> None:
        """Leave all work, since others may take it over, and take up what they have not once this bot lives again."""
        self._heard = float("-inf")
        await self._drop()
        await _done(self.abandon)
        while not await self._taken_up():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(BEAT)
        self._heard = self.clock()
        logger.bind(bot=self.name).info("bot lives again")

    async def _taken_up(self) -> bool:
        """Return whether this bot lives, and has begun anew what it left."""
        if not await self._marked():
            return False
        await _done(self.abandon)  # what the queue has given out meanwhile
        try:
            await _done(self.resume)
        except (SQLAlchemyError, dbos_error.DBOSException, OSError) as error:
            logger.bind(bot=self.name, error=type(error).__name__).warning("work not taken up")
            await self._drop()
            return False
        return True

    async def _drop(self) -> None:
        """Close the session itself, and with it end its locks."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(SQLAlchemyError, OSError):
                await session.invalidate()
                await session.close()

    async def _ask(self, statement: object, **values: object) -> bool:
        """Return what the database says, False where it says nothing: then the next sign of life fails, too."""
        return await asyncio.shield(self._asked(statement, values))  # cut off in the middle, a session is broken

    async def _asked(self, statement: object, values: Mapping[str, object]) -> bool:
        async with self._turn:
            if self._session is None:
                return False
            with suppress(SQLAlchemyError, OSError):
                done = await self._session.execute(statement, values)  # type: ignore[call-overload]
                return bool(done.scalar()) if done.returns_rows else True
        return False


NAME_FILE = "bot-name"


def own_name(folder: Path) -> str:
    """Return this bot's name, which is made at the first start."""
    file = folder / NAME_FILE
    if not file.exists():
        file.write_text(f"{uuid4().hex[:12]}\n")
    return file.read_text().strip()


def mark_of(name: str) -> int:
    """Return the number that stands for a bot; two of a few dozen names are the same once in ten million."""
    return int.from_bytes(sha256(name.encode()).digest()[:4]) >> 1


async def _done(work: Callable[[], Awaitable[object]] | None) -> None:
    if work is not None:
        await work()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
