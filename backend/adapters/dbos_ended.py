"""Which durable work has ended, read from DBOS's own table while no DBOS is open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import bindparam, create_engine, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from backend.adapters.dbos import ENDED
from backend.errors import DatabaseUnavailable
from backend.ports import Work

TABLE = "workflow_status"
SCHEMA = "dbos"
"""Where DBOS has its tables in PostgreSQL."""
TOGETHER = 500


def ended_work(url: str, work: Sequence[Work]) -> frozenset[Work]:
    """Return those that have ended, whatever came of them. Blocks. DatabaseUnavailable if it cannot be read."""
    parsed = make_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    if sqlite and not Path(parsed.database or "").exists():
        return frozenset()
    engine = create_engine(_sync(parsed))
    schema = None if sqlite else SCHEMA
    query = text(
        f"SELECT workflow_uuid FROM {TABLE if sqlite else f'{SCHEMA}.{TABLE}'}"  # noqa: S608 - two constants
        " WHERE workflow_uuid IN :names AND status IN :ended"
    ).bindparams(bindparam("names", expanding=True), bindparam("ended", expanding=True))
    by_name = {"/".join(one): one for one in work}
    names, found = list(by_name), set[str]()
    try:
        with engine.connect() as connection:
            if not inspect(connection).has_table(TABLE, schema=schema):
                return frozenset()
            for start in range(0, len(names), TOGETHER):
                values = {"names": names[start : start + TOGETHER], "ended": list(ENDED)}
                found |= set(connection.execute(query, values).scalars())
    except SQLAlchemyError as error:
        raise DatabaseUnavailable("The database of durable work cannot be read.") from error
    finally:
        engine.dispose()
    return frozenset(by_name[name] for name in found)


def _sync(url: URL) -> URL:
    return url if url.get_backend_name() == "sqlite" else url.set(drivername="postgresql+psycopg")
