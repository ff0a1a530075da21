"""What a team uses of what it may: one contract for the adapter and the fake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import pytest

from backend.adapters.sql import Database
from backend.domain import Document, Origin, Visibility
from backend.ports import Documents, Usage, Usages
from tests.databases import SQL
from tests.fakes.state import FakeDocuments, FakeUsages

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY, TOMORROW = date(2026, 11, 20), date(2026, 11, 21)
DOCUMENT = Document("T1", "d", Origin(), "T", "", Visibility(), "ready", NOW, NOW, size=5)


@dataclass(frozen=True)
class State:
    documents: Documents
    usages: Usages


@pytest.fixture(params=["fake", *SQL])
async def state(request: pytest.FixtureRequest, database_url: Callable[[str], str]) -> AsyncIterator[State]:
    if request.param == "fake":
        documents = FakeDocuments()
        yield State(documents, FakeUsages(documents))
        return
    database = Database.open(database_url(request.param))
    yield State(database.documents, database.usages)
    await database.close()


async def test_documents_and_their_bytes_are_counted_until_they_are_removed(state: State) -> None:
    assert await state.usages.of("T1", TODAY) == Usage(0, 0, 0)
    for one in (
        DOCUMENT,
        replace(DOCUMENT, document_id="e", size=3_000_000_000, status="failed"),
        replace(DOCUMENT, document_id="f", status="deleted"),
        replace(DOCUMENT, team="T2"),
    ):
        await state.documents.put(one)
    assert await state.usages.of("T1", TODAY) == Usage(2, 3_000_000_005, 0)
    assert await state.documents.get("T1", "d") == DOCUMENT


async def test_pages_are_counted_by_team_and_day_and_earlier_days_are_forgotten(state: State) -> None:
    for team, day in (("T1", TODAY), ("T1", TODAY), ("T2", TODAY), ("T1", TOMORROW)):
        await state.usages.add_page(team, day)
    assert [(await state.usages.of("T1", day)).pages for day in (TODAY, TOMORROW)] == [0, 1]
    assert (await state.usages.of("T2", TODAY)).pages == 1
