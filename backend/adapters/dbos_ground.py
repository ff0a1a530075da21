"""What DBOS stands on: the file of its database, and a logger that is ours."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from loguru import logger
from sqlalchemy.engine import make_url


def prepare_sqlite(url: str) -> None:
    """Make the folder, and set WAL: it is kept in the file, so DBOS's own connections have it too."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    path = Path(parsed.database)
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


class _ToLoguru(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        logger.bind(library="dbos").opt(exception=record.exc_info).log(record.levelname, record.getMessage())


def listen_quietly() -> None:
    """DBOS writes to the console unless its logger has a handler already."""
    dbos_logger = logging.getLogger("dbos")
    dbos_logger.propagate = False
    if not any(isinstance(handler, _ToLoguru) for handler in dbos_logger.handlers):
        dbos_logger.handlers[:] = [_ToLoguru()]
