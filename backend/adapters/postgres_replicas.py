"""What several backends agree on through PostgreSQL: by advisory locks, which end with the session that holds them.

So nobody compares clocks: a backend that is killed is gone at once, one whose machine or network vanishes after
`VANISHED`, and one that hangs once it has not spoken for `SILENT`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from types import TracebackType

from loguru import logger
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from backend.adapters.sql import async_url
from backend.adapters.sql_common import translated
from backend.errors import DatabaseUnavailable, Unavailable

FOOTNOTE, LIVING = 0x466F6F74, 0x466F6F75
"""First halves of our locks' keys: of what is named below, and of backends' marks."""
RECORDS, WRITING, COLLECTIONS, LEADING, INDEX, BUILDING = 1, 2, 3, 4, 5, 6

BEAT = 2.0
"""Seconds between signs of life."""
VANISHED = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""A machine that answers no more is noticed within 25 seconds; by default, systems take two hours."""
SILENT, WORKING = "-c idle_session_timeout=30s", "-c idle_session_timeout=15min"
"""How long a session may say nothing before it loses its locks: one that gives signs of life, and one under whose lock
the index is written, which takes longest where a large one is written anew."""
PATIENCE = 300.0
"""Seconds to wait for a lock that another backend holds."""

_TAKE = text("SELECT pg_advisory_lock(:space, :key)")
_LET_GO = text("SELECT pg_advisory_unlock(:space, :key)")
_TRY = text("SELECT pg_try_advisory_lock(:space, :key)")
_TRY_SHARED = text("SELECT pg_try_advisory_lock_shared(:space, :key)")
_LIVING = text(
    "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = :space AND objsubid = 2 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@dataclass
class SharedLock:
    """replicas.Lock: asyncio's among the tasks of this process, the database's among processes."""

    engine: AsyncEngine
    key: int
    here: asyncio.Lock = field(default_factory=asyncio.Lock)
    _held: AsyncConnection | None = field(default=None, init=False)

    async def __aenter__(self) -> None:
        async with contextlib.AsyncExitStack() as undone:
            await undone.enter_async_context(self.here)
            self._held = await self._taken()
            undone.pop_all()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        connection, self._held = self._held, None
        try:
            if connection is not None:
                await _let_go(connection, self.key)
        finally:
            self.here.release()

    async def _taken(self) -> AsyncConnection:
        with translated():
            connection = await self.engine.connect()
        async with contextlib.AsyncExitStack() as undone:
            undone.push_async_callback(_drop, connection)
            try:
                with translated():
                    async with asyncio.timeout(PATIENCE):
                        await connection.execute(_TAKE, {"space": FOOTNOTE, "key": self.key})
            except TimeoutError:
                raise DatabaseUnavailable("Another backend is writing for very long; try again later.") from None
            undone.pop_all()
        return connection


@asynccontextmanager
async def writing_beside(url: str) -> AsyncIterator[SharedLock]:
    """Yield the lock under which backends write to the index, for who is none of them."""
    engine = _engine(url, WORKING, isolation="AUTOCOMMIT")
    try:
        yield SharedLock(engine, WRITING)
    finally:
        await engine.dispose()


@asynccontextmanager
async def tried(url: str, key: int) -> AsyncIterator[bool]:
    """Hold one of our locks for as long as the block lasts, however long, if nobody has it; yield whether."""
    engine = _engine(url, "", isolation="AUTOCOMMIT")
    try:
        with translated():
            session = await engine.connect()
        async with contextlib.AsyncExitStack() as undone:
            undone.push_async_callback(_drop, session)
            with translated():
                got = await _got(session, _TRY, FOOTNOTE, key)
            yield got
    finally:
        await engine.dispose()


@dataclass
class PostgresReplicas:
    """replicas.Replicas. `open` it before anything that is shared is touched."""

    name: str
    records: SharedLock
    collections: SharedLock
    writing: SharedLock
    engine: AsyncEngine
    together: bool
    _session: AsyncConnection | None = None
    _leading: bool = False
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, name: str, *, together: bool) -> AsyncIterator[PostgresReplicas]:
        """Be one of the backends until the block ends. `together`: whether there may be others, because nothing that
        they need is in this one's folder.

        Raises:
            Unavailable: another one runs with which this one cannot share, or under the same name.
            DatabaseUnavailable: the database cannot be reached.
        """
        working = _engine(url, WORKING, isolation="AUTOCOMMIT")
        alive = _engine(url, SILENT, isolation="AUTOCOMMIT")
        records, collections, writing = (SharedLock(working, key) for key in (RECORDS, COLLECTIONS, WRITING))
        replicas = cls(name, records, collections, writing, alive, together)
        beating: asyncio.Task[None] | None = None
        try:
            await replicas._begin()
            beating = asyncio.create_task(replicas._beat())
            yield replicas
        finally:
            if beating is not None:
                beating.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await beating
            await replicas._end()
            await alive.dispose()
            await working.dispose()

    async def leads(self) -> bool:
        async with self._turn:
            if self._session is not None and not self._leading:
                with translated():
                    self._leading = await _got(self._session, _TRY, FOOTNOTE, LEADING)
                if self._leading:
                    logger.bind(replica=self.name).info("backend leads")
            return self._leading

    async def living(self) -> frozenset[str]:
        with translated():
            async with self.engine.connect() as connection:
                marks = await connection.scalars(_LIVING, {"space": LIVING})
                return frozenset(str(mark) for mark in marks)

    def gone(self, names: Collection[str], living: Collection[str]) -> list[str]:
        return [name for name in names if str(_mark(name)) not in living]

    # ----------------------------------------------------------------------------------------------------- this session

    async def _begin(self) -> None:
        """Take what says that this backend lives, and that it keeps company or none."""
        with translated():
            session = await self.engine.connect()
        async with contextlib.AsyncExitStack() as undone:
            undone.push_async_callback(_drop, session)
            with translated():
                alone = await _got(session, _TRY_SHARED if self.together else _TRY, FOOTNOTE, INDEX)
                own = alone and await _got(session, _TRY, LIVING, _mark(self.name))
            if not own:
                raise Unavailable(_SAME_NAME if alone else _NOT_SHARED)
            undone.pop_all()
        self._session = session

    async def _beat(self) -> None:
        """Give signs of life; where the session is lost, so is all that it held, until there is a new one."""
        while True:
            await asyncio.sleep(BEAT)
            try:
                async with self._turn, asyncio.timeout(PATIENCE):
                    if self._session is None:
                        await self._begin()
                        logger.bind(replica=self.name).info("backend lives again")
                    else:
                        await self._session.execute(text("SELECT 1"))
            except (SQLAlchemyError, OSError, Unavailable) as error:
                logger.bind(replica=self.name, error=type(error).__name__).warning("sign of life failed")
                await self._end()

    async def _end(self) -> None:
        session, self._session, self._leading = self._session, None, False
        if session is not None:
            await _drop(session)


_NOT_SHARED = (
    "Another backend uses this database, and the two cannot share an index: set FOOTNOTE_INDEX_URI and"
    " FOOTNOTE_BLOBS_URI to an object store for all of them (docs/scaling.md), or stop the other."
)
_SAME_NAME = (
    "Another backend of the same name uses this database: was its data folder copied? Delete the file `replica` in it."
)


def _engine(url: str, silent: str, *, isolation: str) -> AsyncEngine:
    options = {"options": f"{VANISHED} {silent}"}
    return create_async_engine(
        async_url(url), pool_pre_ping=True, isolation_level=isolation, connect_args=options, pool_size=4
    )


def _mark(name: str) -> int:
    """Return the number that stands for a backend; two of a few dozen names are the same once in ten million."""
    return int.from_bytes(sha256(name.encode()).digest()[:4]) >> 1


async def _got(connection: AsyncConnection, attempt: object, space: int, key: int) -> bool:
    return bool(await connection.scalar(attempt, {"space": space, "key": key}))  # type: ignore[call-overload]


async def _let_go(connection: AsyncConnection, key: int) -> None:
    async with contextlib.AsyncExitStack() as undone:
        undone.push_async_callback(_drop, connection)  # with the connection, the lock is gone
        with contextlib.suppress(SQLAlchemyError, OSError):
            await connection.execute(_LET_GO, {"space": FOOTNOTE, "key": key})
            undone.pop_all()
            await connection.close()


async def _drop(connection: AsyncConnection) -> None:
    """Close the session itself, and with it end its locks, rather than give it back to the pool."""
    with contextlib.suppress(SQLAlchemyError, OSError):
        await connection.invalidate()
        await connection.close()
