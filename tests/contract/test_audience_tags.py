"""An audience with readers from outside: only documents with the tag are found, counted or named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backend.adapters.sql import Database
from backend.domain import Audience, Document, Metadata, Origin, Query, Visibility
from backend.ports import Documents
from tests.contract.indexes import AnyIndex, found
from tests.databases import SQL
from tests.fakes.corpus import indexed_document
from tests.fakes.state import FakeDocuments

NOW = datetime(2026, 11, 20, tzinfo=UTC)
OUTSIDE = Audience(channel="C1", user="U1", only_tags=("Public docs", "it's"))


async def test_only_documents_with_the_tag_are_found_and_only_visible_ones(index: AnyIndex) -> None:
    public, other = Metadata(tags=("public docs",)), Metadata(tags=("hr", "public"))
    await index.replace(
        [
            indexed_document("open", ["word"], metadata=public),
            indexed_document("here", ["word"], metadata=public, visibility=Visibility("channel", "C1")),
            indexed_document("elsewhere", ["word"], metadata=public, visibility=Visibility("channel", "C2")),
            indexed_document("ours", ["word"], metadata=other),
            indexed_document("untagged", ["word"]),
        ]
    )
    assert await found(index, audience=OUTSIDE) == {"open", "here"}
    query = Query("", "T1", OUTSIDE)
    assert {one.document_id for one in await index.search_text(query, "word", limit=100)} == {"open", "here"}
    [section] = [one.section_id for one in await index.search_text(Query("", "T1"), "word", limit=100)][-1:]
    assert {one.document_id for one in await index.section_passages(query, [section])} <= {"open", "here"}


@pytest.fixture(params=["fake", *SQL])
async def documents(request: pytest.FixtureRequest, database_url: Callable[[str], str]) -> AsyncIterator[Documents]:
    if request.param == "fake":
        yield FakeDocuments()
        return
    database = Database.open(database_url(request.param))
    yield database.documents
    await database.close()


async def test_the_catalogue_names_only_what_tagged_documents_have(documents: Documents) -> None:
    base = Document("T1", "a", Origin(), "A", "", Visibility(), "ready", NOW, NOW, chunks=1)
    await documents.put(replace(base, metadata=Metadata(author=("Ada",), tags=("public",))))
    await documents.put(replace(base, document_id="b", title="B", metadata=Metadata(author=("Eve",), tags=("hr",))))
    seen = (await documents.catalogue("T1", Audience(channel="C1", only_tags=("public",)))).values
    assert seen == {"author": {"Ada": 1}, "tags": {"public": 1}, "title": {"A": 1}}
    assert set((await documents.catalogue("T1", Audience(channel="C1"))).values["author"]) == {"Ada", "Eve"}
