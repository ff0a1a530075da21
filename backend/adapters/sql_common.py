"""What every table's adapter needs: SQLAlchemy's errors become ours, and insert-or-replace in both dialects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from loguru import logger
from sqlalchemy import Table
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
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    key = [column.name for column in table.primary_key]
    rest = {name: value for name, value in values.items() if name not in key}
    await connection.execute(insert(table).values(values).on_conflict_do_update(index_elements=key, set_=rest))
