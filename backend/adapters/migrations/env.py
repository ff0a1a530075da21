"""Alembic runs this file; the connection comes from `backend.adapters.migrate`."""

from __future__ import annotations

from alembic import context
from sqlalchemy.engine import Connection

from backend.adapters.sql_tables import tables


def run(connection: Connection) -> None:
    """Batch mode, because SQLite alters a table by copying it."""
    context.configure(connection=connection, target_metadata=tables, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
