"""The state databases that contract suites run over."""

from __future__ import annotations

import pytest

from backend.adapters.migrate import migrate
from backend.adapters.sql_tables import tables
from tests.postgres_server import PostgresServer, needs_postgres

SQL = ("sqlite", pytest.param("postgres", marks=needs_postgres))
"""Parameters of a fixture that opens `database_url(request.param)`."""


def emptied(server: PostgresServer) -> str:
    """Return the URL of the server's database, migrated and without a row."""
    migrate(server.url())
    names = ", ".join(f'"{table.name}"' for table in tables.sorted_tables)
    server.execute(f"TRUNCATE {names} CASCADE")
    return server.url()
