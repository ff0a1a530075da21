"""The state database (SQLAlchemy, async): SQLite by default, PostgreSQL by its URL."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from backend.adapters.postgres_text import let_only_storable_pass, storable_json
from backend.adapters.sql_audit import SqlAudit
from backend.adapters.sql_cache import SqlCache
from backend.adapters.sql_collections import SqlCollections
from backend.adapters.sql_common import translated
from backend.adapters.sql_documents import SqlDocuments
from backend.adapters.sql_keys import SqlApiKeys
from backend.adapters.sql_notices import SqlNotices
from backend.adapters.sql_removals import SqlRemovals
from backend.adapters.sql_runs import SqlFeedbacks, SqlRuns
from backend.adapters.sql_sketches import SqlSketches
from backend.adapters.sql_spendings import SqlSpendings
from backend.adapters.sql_usages import SqlUsages
from backend.errors import DatabaseUnavailable

ASYNC_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
BUSY_TIMEOUT = 10_000
"""Milliseconds that a writer waits for another one; commits take a few."""


@dataclass(frozen=True, slots=True)
class Database:
    """An open database, already migrated (`backend.adapters.migrate`). Whoever opens it closes it."""

    engine: AsyncEngine
    documents: SqlDocuments
    runs: SqlRuns
    feedbacks: SqlFeedbacks
    removals: SqlRemovals
    notices: SqlNotices
    sketches: SqlSketches
    usages: SqlUsages
    collections: SqlCollections
    cache: SqlCache
    spendings: SqlSpendings
    api_keys: SqlApiKeys
    audit: SqlAudit

    @classmethod
    def open(cls, url: str) -> Database:
        """Open `sqlite:///path` or `postgresql://…`; connections are made when they are needed.

        Raises:
            DatabaseUnavailable: the URL names no database that can be used.
        """
        engine = _engine(async_url(url))
        return cls(
            engine,
            SqlDocuments(engine),
            SqlRuns(engine),
            SqlFeedbacks(engine),
            SqlRemovals(engine),
            SqlNotices(engine),
            SqlSketches(engine),
            SqlUsages(engine),
            SqlCollections(engine),
            SqlCache(engine),
            SqlSpendings(engine),
            SqlApiKeys(engine),
            SqlAudit(engine),
        )

    async def close(self) -> None:
        await self.engine.dispose()

    async def flush(self) -> None:
        """Move what SQLite's log still holds of overwritten rows out of it. Other databases have their own vacuum."""
        if self.engine.dialect.name == "sqlite":
            with translated():
                async with self.engine.connect() as connection:
                    await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))

    async def ping(self) -> None:
        """Return if the database answers. DatabaseUnavailable otherwise."""
        with translated():
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))


def async_url(url: str) -> URL:
    """Return the URL with the async driver of its database."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise DatabaseUnavailable("FOOTNOTE_DATABASE_URL is not a database URL.") from None
    driver = ASYNC_DRIVERS.get(parsed.drivername.partition("+")[0])
    if driver is None:
        raise DatabaseUnavailable("FOOTNOTE_DATABASE_URL must begin with sqlite:// or postgresql://.")
    return parsed.set(drivername=driver)


def _engine(url: URL) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url)
        event.listen(engine.sync_engine, "connect", _tune_sqlite)
        return engine
    engine = create_async_engine(url, pool_pre_ping=True, json_serializer=storable_json)
    event.listen(engine.sync_engine, "connect", let_only_storable_pass)
    return engine


def _tune_sqlite(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001 - SQLAlchemy passes it
    """WAL lets readers go on beside the writer; with it `synchronous=NORMAL` loses no consistency, at worst the last
    commits before a power cut; the index would be as far behind, and ingestion resumes. `secure_delete` overwrites what
    is removed with zeros instead of leaving it in free pages."""
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        f"busy_timeout={BUSY_TIMEOUT}",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
