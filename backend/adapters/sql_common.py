"""What every table's adapter needs: SQLAlchemy's errors become ours, and inserts that conflict in both dialects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

from loguru import logger
from sqlalchemy import Insert, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from backend.errors import DatabaseUnavailable


@contextmanager
def translated() -> Iterator[None]:
    """Raise DatabaseUnavailable for whatever SQLAlchemy or the connection raises; statements and values stay out."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        cause = getattr(error, "orig", None) or error
        logger.bind(error=type(cause).__name__).error("database call failed")
        raise DatabaseUnavailable("The state database cannot be reached; try again in a moment.") from error


async def upsert(connection: AsyncConnection, table: Table, values: Mapping[str, object]) -> None:
    """Insert the row, or replace all its columns where one with the same primary key exists."""
    await connection.execute(_upsert(connection.dialect.name, table, tuple(values)), dict(values))


def inserting(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an insert that can say what happens where a row with the same primary key exists: `on_conflict_do_…`."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


@lru_cache(maxsize=64)
def _upsert(dialect: str, table: Table, names: tuple[str, ...]) -> Insert:
    """Return the statement, which is made once: to make one costs more than to run it."""
    insert = inserting(dialect, table)
    key = [column.name for column in table.primary_key]
    replaced = {name: insert.excluded[name] for name in names if name not in key}
    return insert.on_conflict_do_update(index_elements=key, set_=replaced)
