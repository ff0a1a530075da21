"""Schema migrations of the state database, run from code: no ini file, no command line needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import SQLAlchemyError

from backend.adapters.sql import async_url
from backend.errors import DatabaseUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATING = 0x466F6F746E6F7465
"""Key of PostgreSQL's advisory lock under which one process at a time migrates."""


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database up to a revision, making it first where it is SQLite; nothing happens if it is there already.

    Raises:
        DatabaseUnavailable: it cannot be reached, or it knows a newer revision than this program.
    """
    _run(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str = "base") -> None:
    """Take the database back to a revision; `base` drops every table. DatabaseUnavailable if it cannot be done."""
    _run(url, lambda config: command.downgrade(config, revision))


def _run(url: str, step: Callable[[Config], None]) -> None:
    engine = create_engine(_sync_url(url))
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":  # several replicas may start at once
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATING})
            step(_config(connection))
            connection.commit()
    except (SQLAlchemyError, CommandError, OSError) as error:
        raise DatabaseUnavailable(f"The state database cannot be migrated: {type(error).__name__}.") from error
    finally:
        engine.dispose()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _sync_url(url: str) -> URL:
    parsed = async_url(url)
    if parsed.get_backend_name() != "sqlite":
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    return parsed.set(drivername="sqlite")
