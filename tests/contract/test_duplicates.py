"""How documents of the same or nearly the same text are found: one contract for the adapters and the fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backend.adapters.sql import Database
from backend.domain import Audience, Document, Origin, Snapshot, Visibility
from backend.ports import Documents, Kin, Sketches
from tests.contract.indexes import AnyIndex
from tests.databases import SQL
from tests.fakes.corpus import indexed_document
from tests.fakes.state import FakeDocuments, FakeSketches

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEAM = Visibility()


@dataclass(frozen=True)
class State:
    documents: Documents
    sketches: Sketches


@pytest.fixture(params=["fake", *SQL])
async def state(request: pytest.FixtureRequest, database_url: Callable[[str], str]) -> AsyncIterator[State]:
    if request.param == "fake":
        yield State(FakeDocuments(), FakeSketches())
        return
    database = Database.open(database_url(request.param))
    yield State(database.documents, database.sketches)
    await database.close()


def document(document_id: str, **changes: object) -> Document:
    base = Document("T1", document_id, Origin(url="https://e.org"), "T", "", TEAM, "ready", NOW, NOW, chunks=2)
    return replace(replace(base, snapshot=Snapshot(text="t")), **changes)  # type: ignore[arg-type]


async def test_documents_of_one_text_are_those_that_are_indexed_for_the_same_readers(state: State) -> None:
    for one in (
        document("younger", created_at=NOW + timedelta(seconds=1), status="failed"),
        document("older"),
        document("other text", snapshot=Snapshot(text="u")),
        document("theirs", team="T2"),
        document("private", visibility=Visibility("user", "U1")),
        document("pointing", same_as="older", chunks=0),
        document("queued", status="queued", chunks=0),
        document("removed", status="deleted"),
    ):
        await state.documents.put(one)
    found = await state.documents.same_text("T1", TEAM, "t")
    assert [row.document_id for row in found] == ["older", "younger"]


async def test_who_points_to_a_document_is_found_oldest_first(state: State) -> None:
    await state.documents.put(document("b", same_as="first", created_at=NOW + timedelta(seconds=1)))
    await state.documents.put(document("a", same_as="first", similar_to="x"))
    await state.documents.put(document("c", same_as="second"))
    found = await state.documents.pointing_to("T1", "first")
    assert [(row.document_id, row.similar_to) for row in found] == [("a", "x"), ("b", "")]


async def test_what_points_elsewhere_is_not_in_the_catalogue(state: State) -> None:
    await state.documents.put(document("first", title="First"))
    await state.documents.put(document("second", title="Second", same_as="first", chunks=0))
    catalogue = await state.documents.catalogue("T1", Audience())
    assert catalogue.values["title"] == {"First": 1}


async def test_kin_share_marks_within_one_team_and_visibility(state: State) -> None:
    marks = frozenset({-(2**63), -5, 0, 7, 2**63 - 1})
    await state.sketches.put(document("near"), marks - {7} | {8, 9})
    await state.sketches.put(document("far"), frozenset({7, 70}))
    await state.sketches.put(document("stranger"), frozenset({70}))
    await state.sketches.put(document("theirs", team="T2"), marks)
    await state.sketches.put(document("private", visibility=Visibility("user", "U1")), marks)

    (kin,) = await state.sketches.meet([(document("own"), marks)], limit=5)

    assert kin == (Kin("near", 4, 6), Kin("far", 1, 2))
    assert await state.sketches.meet([(document("own"), marks)], limit=1) == [(Kin("near", 4, 6),)]


async def test_those_that_arrive_together_meet_one_after_the_other(state: State) -> None:
    arrivals = [(document("a"), frozenset({1, 2})), (document("b"), frozenset({2, 3}))]
    assert await state.sketches.meet(arrivals, limit=5) == [(), (Kin("a", 1, 2),)]


async def test_a_sketch_is_replaced_whole_and_removed_by_an_empty_one(state: State) -> None:
    await state.sketches.put(document("a"), frozenset({1, 2}))
    await state.sketches.put(document("a"), frozenset({2, 3}))
    assert await state.sketches.meet([(document("b"), frozenset({1, 2, 3}))], limit=5) == [(Kin("a", 2, 2),)]
    await state.sketches.put(document("a"), frozenset())
    assert await state.sketches.meet([(document("b"), frozenset({1, 2, 3}))], limit=5) == [()]


async def test_the_contents_of_a_document_come_back_in_order(index: AnyIndex) -> None:
    put = indexed_document("d", ["One sentence.", "Another.", "Third."], heading="H")
    await index.replace([put, indexed_document("other")])

    held = await index.contents("T1", "d")

    assert held is not None
    assert held.chunks == put.chunks
    for mine, theirs in zip(held.vectors, put.vectors, strict=True):
        assert np.array_equal(mine.vector, theirs.vector)
        assert np.allclose(mine.sentences, theirs.sentences, atol=2e-3)
    assert await index.contents("T2", "d") is None
    await index.delete("T1", ["d"])
    assert await index.contents("T1", "d") is None
