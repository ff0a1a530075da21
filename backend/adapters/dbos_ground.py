"""What DBOS stands on: the file of its database, and a logger that is ours; and how it ends without the loop."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

from dbos import DBOS
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


async def shut_down(dbos: DBOS | None) -> None:
    """Interrupt the workflows (they stay recorded as pending), stop DBOS, and give the loop a thread pool of its own.

    `destroy` joins threads that may be waiting for this loop, so it runs on a thread of its own.
    """
    loop = asyncio.get_running_loop()
    if dbos is not None:
        for stop in dbos.background_thread_stop_events:
            stop.set()
        await _interrupt(dbos)
    with ThreadPoolExecutor(1, thread_name_prefix="dbos-destroy") as thread:
        await loop.run_in_executor(thread, partial(DBOS.destroy, destroy_registry=True))
    if dbos is not None:
        await _interrupt(dbos)
    loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))


async def _interrupt(dbos: DBOS) -> None:
    running = list(dbos._workflow_tasks)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
