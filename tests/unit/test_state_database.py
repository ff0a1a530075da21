"""The state database itself: its migrations, its failures, and several writers at once."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from backend.adapters.migrate import downgrade, migrate
from backend.adapters.sql import Database
from backend.adapters.sql_tables import tables
from backend.domain import Audience, Document, Origin, Visibility
from backend.errors import DatabaseUnavailable

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/data/footnote.sqlite"


def tables_in(url: str) -> set[str]:
    engine = create_engine(url)
    with engine.connect() as connection:
        names = set(inspect(connection).get_table_names())
    engine.dispose()
    return names - {"alembic_version"}


def test_the_migrations_make_what_the_tables_say(tmp_path: Path) -> None:
    migrate(url_of(tmp_path))

    engine = create_engine(url_of(tmp_path))
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), tables)
    engine.dispose()

    assert differences == []


def test_going_down_leaves_nothing_and_up_again_works(tmp_path: Path) -> None:
    migrate(url_of(tmp_path))
    downgrade(url_of(tmp_path), "base")
    assert tables_in(url_of(tmp_path)) == set()

    migrate(url_of(tmp_path))
    migrate(url_of(tmp_path))
    assert tables_in(url_of(tmp_path)) == set(tables.tables)


def test_an_unknown_revision_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable):
        migrate(url_of(tmp_path), "9999")


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/name", ""])
def test_a_url_of_no_database_that_we_know_is_refused(url: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        Database.open(url)


async def test_the_catalogue_notices_what_another_process_wrote(tmp_path: Path) -> None:
    migrate(url_of(tmp_path))
    here, there = Database.open(url_of(tmp_path)), Database.open(url_of(tmp_path))
    try:
        assert (await here.documents.catalogue("T1", Audience())).values == {}
        for title in ("Old", "New"):
            await there.documents.put(Document("T1", "d", Origin(), title, "", Visibility(), "ready", NOW, NOW))
            assert (await here.documents.catalogue("T1", Audience())).values == {"title": {title: 1}}
    finally:
        await here.close()
        await there.close()


async def test_concurrent_writes_are_all_kept(tmp_path: Path) -> None:
    migrate(url_of(tmp_path))
    database = Database.open(url_of(tmp_path))
    documents = [
        Document("T1", f"d{number}", Origin(), "Title", "", Visibility(), "ready", NOW, NOW) for number in range(40)
    ]
    await asyncio.gather(*(database.documents.put(document) for document in documents))
    catalogue = await database.documents.catalogue("T1", Audience())
    await database.close()

    assert catalogue.values == {"title": {"Title": 40}}


async def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    database = Database.open(f"sqlite:///{tmp_path}/no/such/folder/x.sqlite")
    with pytest.raises(DatabaseUnavailable):
        await database.ping()
    with pytest.raises(DatabaseUnavailable):
        await database.documents.get("T1", "d1")
    with pytest.raises(DatabaseUnavailable):
        await database.documents.catalogue("T1", Audience())
    await database.close()
    for thread in set(threading.enumerate()) - before:
        if (
            "_connection_worker" in thread.name
        ):  # aiosqlite's; for a connection that failed it still answers to this loop
            await asyncio.to_thread(thread.join, 30)
