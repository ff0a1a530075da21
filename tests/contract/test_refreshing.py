"""Which documents are due, and what people are to be told: one contract for the adapters and the fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from backend.adapters.sql import Database
from backend.domain import Document, Notice, Origin, Snapshot, Visibility
from backend.ports import Documents, Notices
from tests.databases import SQL
from tests.fakes.state import FakeDocuments, FakeNotices

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class State:
    documents: Documents
    notices: Notices


@pytest.fixture(params=["fake", *SQL])
async def state(request: pytest.FixtureRequest, database_url: Callable[[str], str]) -> AsyncIterator[State]:
    if request.param == "fake":
        yield State(FakeDocuments(), FakeNotices())
        return
    database = Database.open(database_url(request.param))
    yield State(database.documents, database.notices)
    await database.close()


def document(document_id: str, **changes: object) -> Document:
    base = Document("T1", document_id, Origin(url="https://e.org"), "T", "", Visibility(), "ready", NOW, NOW)
    return replace(base, **changes)  # type: ignore[arg-type]


def notice(notice_id: str, **changes: object) -> Notice:
    base = Notice(notice_id, "T1", "U1", "d", "Title", "https://e.org", "It is gone.", NOW)
    return replace(base, **changes)  # type: ignore[arg-type]


async def test_what_is_known_of_a_source_comes_back_as_it_was_put(state: State) -> None:
    put = document(
        "d",
        by="U1",
        checked_at=NOW,
        due_at=NOW + HOUR,
        missing_since=NOW - HOUR,
        snapshot=Snapshot('W/"1"', "Fri, 20 Nov 2026 12:00:00 GMT", "d1", "r1"),
    )
    await state.documents.put(put)
    assert await state.documents.get("T1", "d") == put


async def test_due_are_those_whose_moment_has_come_the_longest_overdue_first(state: State) -> None:
    await state.documents.put(document("later", due_at=NOW + HOUR))
    await state.documents.put(document("never"))
    await state.documents.put(document("now", due_at=NOW))
    await state.documents.put(document("overdue", team="T2", due_at=NOW - HOUR, status="failed"))
    await state.documents.put(document("removed", due_at=NOW - HOUR, status="deleted"))
    await state.documents.put(document("busy", due_at=NOW - HOUR, attempt="a1"))

    assert [row.document_id for row in await state.documents.due(NOW, limit=10)] == ["overdue", "now"]
    assert [row.document_id for row in await state.documents.due(NOW, limit=1)] == ["overdue"]


async def test_notices_of_a_team_are_listed_oldest_first_until_they_are_struck_off(state: State) -> None:
    await state.notices.put(notice("b", created_at=NOW + HOUR))
    await state.notices.put(notice("a"))
    await state.notices.put(notice("c", team="T2"))
    await state.notices.put(notice("a", reason="Still gone."))

    assert [one.reason for one in await state.notices.list("T1")] == ["Still gone.", "It is gone."]
    assert [one.notice_id for one in await state.notices.list("T1", limit=1)] == ["a"]
    assert await state.notices.delete("T2", "a") is False
    assert await state.notices.delete("T1", "a") is True
    assert await state.notices.delete("T1", "a") is False
    assert [one.notice_id for one in await state.notices.list("T1")] == ["b"]


async def test_the_notices_of_one_document_go_together(state: State) -> None:
    for one in (notice("a"), notice("b"), notice("c", document_id="e"), notice("d", team="T2")):
        await state.notices.put(one)
    await state.notices.delete_of("T1", "d")
    assert [one.notice_id for one in await state.notices.list("T1")] == ["c"]
    assert [one.notice_id for one in await state.notices.list("T2")] == ["d"]
