"""Where the bot's memory is: a SQLite file of its own, or, so that several bots share it, a schema in PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
SCHEMA, WORK_SCHEMA = "footnote_bot", "footnote_bot_work"
"""PostgreSQL's schemas for what the bot remembers and for its durable work: the backend's tables are beside them."""
CONNECTIONS = 5
"""How many each pool of a bot keeps; PostgreSQL takes 100 in all unless told otherwise."""


def build_engine(database: Path | str) -> AsyncEngine:
    """Return an engine on a SQLite file, in WAL mode so that readers never wait, or on a database by its URL."""
    if isinstance(database, str) and database.startswith("postgresql"):
        options = {"options": f"-c search_path={SCHEMA} -c timezone=UTC"}
        url = parsed(database)
        return create_async_engine(url, connect_args=options, pool_pre_ping=True, pool_size=CONNECTIONS)
    engine = create_async_engine(f"sqlite+aiosqlite:///{database}" if isinstance(database, Path) else parsed(database))

    def configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA busy_timeout=5000")
        cursor.close()

    event.listen(engine.sync_engine, "connect", configure)
    return engine


def upsert(engine: AsyncEngine, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an insert that can say what happens where such a row exists: `on_conflict_do_…`."""
    return postgresql.insert(table) if engine.dialect.name == "postgresql" else sqlite.insert(table)


def parsed(url: str) -> URL:
    """Return a URL with the driver that we have. ValueError where it names no database of ours."""
    try:
        given = make_url(url)
        return given.set(drivername=DRIVERS[given.drivername.partition("+")[0]])
    except (ArgumentError, KeyError):
        raise ValueError("must begin with sqlite:// or postgresql://") from None


def plain(url: URL) -> str:
    """Return a URL as everybody else takes it: without a driver."""
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False)
