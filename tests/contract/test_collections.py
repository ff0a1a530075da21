"""What the record of collections promises, by the fake and by the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from backend.adapters.sql import Database
from backend.domain import Collection, Document, Member, Metadata, Origin, Visibility
from backend.ports import Collections, Documents
from tests.databases import SQL
from tests.fakes.state import FakeCollections, FakeDocuments

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class State:
    documents: Documents
    collections: Collections


@pytest.fixture(params=["fake", *SQL])
async def state(request: pytest.FixtureRequest, database_url: Callable[[str], str]) -> AsyncIterator[State]:
    if request.param == "fake":
        documents = FakeDocuments()
        yield State(documents, FakeCollections(documents))
        return
    database = Database.open(database_url(request.param))
    yield State(database.documents, database.collections)
    await database.close()


def collection(collection_id: str = "col-1", **changes: object) -> Collection:
    base = Collection(
        team="T1",
        collection_id=collection_id,
        url="https://a.example/",
        kind=None,
        limit=50,
        visibility=Visibility.parse("channel:C1"),
        status="queued",
        created_at=NOW,
        updated_at=NOW,
        stated=Metadata(tags=("hr",), custom={"collection": (collection_id,)}),
        refresh_days=7,
        by="U1",
        attempt="a1",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def document(document_id: str, **changes: object) -> Document:
    base = Document(
        team="T1",
        document_id=document_id,
        origin=Origin(url=f"https://a.example/{document_id}"),
        title="",
        url=f"https://a.example/{document_id}",
        visibility=Visibility(),
        status="queued",
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


async def test_a_collection_comes_back_as_it_was_put(state: State) -> None:
    await state.collections.put(collection())
    changed = collection(kind="feed", status="failed", reason="Nothing was found there.", found=3, attempt="")
    await state.collections.put(changed)
    assert await state.collections.get("T1", "col-1") == changed
    assert await state.collections.get("T2", "col-1") is None


async def test_members_are_told_as_they_are_now(state: State) -> None:
    await state.collections.put(collection())
    await state.documents.put(document("b", status="failed", reason="It needs a login."))
    await state.documents.put(document("a", status="ready", chunks=4))
    await state.documents.put(document("stranger"))
    for document_id in ("b", "a", "b"):
        await state.collections.add("T1", "col-1", document_id)
    assert await state.collections.members("T1", "col-1") == (
        Member("a", "https://a.example/a", "ready", "", 4),
        Member("b", "https://a.example/b", "failed", "It needs a login.", 0),
    )
    assert await state.collections.members("T1", "col-2") == ()


async def test_what_has_not_ended_is_unfinished(state: State) -> None:
    for number, status in enumerate(("queued", "discovering", "discovered", "failed", "cancelled")):
        await state.collections.put(
            collection(f"col-{number}", status=status, created_at=NOW - timedelta(minutes=number))
        )
    assert [one.collection_id for one in await state.collections.unfinished()] == ["col-1", "col-0"]
