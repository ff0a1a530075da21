"""PostgreSQL itself: its schema, several who migrate at once, and what SQLite takes and it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from backend.adapters.migrate import downgrade, migrate
from backend.adapters.sql import Database
from backend.adapters.sql_history import SqlHistory
from backend.adapters.sql_tables import tables
from backend.domain import Audience, Document, Feedback, Origin, Query, Question, Run, RunMetadata, Visibility
from backend.ports import Entry
from tests.postgres_server import PostgresServer, needs_postgres

pytestmark = needs_postgres

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DOCUMENT = Document("T1", "d", Origin(), "Title", "", Visibility(), "ready", NOW, NOW, chunks=1)


def test_several_migrate_at_once_down_and_up_to_what_the_tables_say(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE fresh")
    url = postgres.url("fresh")
    with ThreadPoolExecutor(3) as several:
        list(several.map(lambda _: migrate(url), range(3)))
    downgrade(url)
    assert postgres.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "fresh") == [(1,)]
    migrate(url)

    engine = create_engine(url.replace("postgresql", "postgresql+psycopg"))
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), tables)
    engine.dispose()
    assert differences == []


@pytest.fixture
def url(database_url: Callable[[str], str]) -> str:
    return database_url("postgres")


async def test_characters_that_it_cannot_hold_are_left_out(url: str) -> None:
    database = Database.open(url)
    odd = "a\x00b\ud800 \\u0000"
    asked = Question(odd, "T1", Audience("C1", "U1"))
    run = Run("r1", asked, "answered", Query(odd, "T1"), (), odd, (), RunMetadata(), NOW)
    await database.runs.put(run)
    await database.feedbacks.put(Feedback("r1", "U1", 1, "button", odd, NOW))
    await database.documents.put(replace(DOCUMENT, title=odd))

    document = await database.documents.get("T1", "d")
    [past] = await SqlHistory(database.engine).runs("T1", NOW, limit=5)
    trace = await database.runs.get("r1")
    await database.close()
    assert document
    assert trace
    assert (document.title, past.question) == ("ab? \\u0000", "ab? \\u0000")


async def test_two_replicas_keep_and_drop_the_same_entry_at_once(url: str) -> None:
    one, other = Database.open(url), Database.open(url)
    entry = Entry(b"answer", "T1", ("a", "b"))
    for _ in range(5):
        puts = (database.cache.put("key", entry) for database in (one, other, one, other))
        await asyncio.gather(*puts, one.cache.forget("T1", ["a"]), other.cache.forget("T1", ["b"]))
    await one.cache.put("key", entry)
    assert await other.cache.get("key") == entry
    assert await other.cache.forget("T1", ["b"]) == 1
    assert await one.cache.holding("T1", "a") == 0
    await one.close()
    await other.close()


async def test_changes_from_two_replicas_are_all_seen(url: str) -> None:
    one, other = Database.open(url), Database.open(url)
    writes = (
        database.documents.put(replace(DOCUMENT, document_id=f"{name}{number}"))
        for number in range(20)
        for name, database in (("a", one), ("b", other))
    )
    await asyncio.gather(*writes)
    for database in (one, other):
        assert (await database.documents.catalogue("T1", Audience())).values == {"title": {"Title": 40}}
    await one.collections.add("T1", "c", "a1")
    await asyncio.gather(*(database.collections.add("T1", "c", "a1") for database in (one, other, one, other)))
    assert len(await other.collections.members("T1", "c")) == 1
    await one.close()
    await other.close()
