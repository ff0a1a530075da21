"""What the HTTP contract tells of documents that follow their sources: who asked, when looked at, what they equal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from backend import schema
from backend.domain import Document, Notice, Origin, Snapshot, Visibility
from backend.errors import FootnoteError, LimitReached, TeamFull
from tests.fakes.server import ASK, NOW, Backend, running


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with running() as started:
        yield started


def document(document_id: str, **changes: object) -> Document:
    base = Document("local", document_id, Origin(), f"Title {document_id}", "", Visibility(), "ready", NOW, NOW)
    return replace(base, **changes)  # type: ignore[arg-type]


async def got(backend: Backend, path: str) -> dict[str, Any]:
    async with backend.http.get(path) as reply:
        assert reply.status == 200
        found: dict[str, Any] = await reply.json()
        return found


async def test_a_document_tells_who_asked_for_it_and_when_its_source_was_looked_at(backend: Backend) -> None:
    await backend.documents.put(document("d", by="U1", checked_at=NOW))
    found = await got(backend, "/documents/d")
    assert (found["by"], found["checked_at"]) == ("U1", NOW.isoformat())


async def test_a_document_names_what_it_is_the_same_as_or_nearly(backend: Backend) -> None:
    for one in (document("first"), document("same", same_as="first"), document("near", similar_to="first")):
        await backend.documents.put(one)
    listed = {row["document_id"]: row for row in (await got(backend, "/documents"))["documents"]}
    assert (listed["same"]["same_as"], listed["same"]["same_as_title"]) == ("first", "Title first")
    assert (listed["near"]["similar_to"], listed["near"]["similar_to_title"]) == ("first", "Title first")
    assert listed["first"]["same_as"] == ""


@pytest.mark.parametrize("now", [{"status": "deleted"}, {"visibility": Visibility("user", "U2")}])
async def test_what_was_removed_or_became_private_is_not_named(backend: Backend, now: dict[str, object]) -> None:
    await backend.documents.put(document("first", **now))
    await backend.documents.put(document("near", similar_to="first"))
    found = await got(backend, "/documents/near")
    assert (found["similar_to"], found["similar_to_title"]) == ("", "")


async def test_who_asks_is_taken_along(backend: Backend) -> None:
    async with backend.http.post("/ingest", json={"url": "https://a.example/", "by": "U1"}) as reply:
        assert reply.status == 202
    async with backend.http.post("/ingest", json={"url": "https://a.example/", "by": "not a user"}) as reply:
        assert reply.status == 400
    assert [submission.by for submission in backend.ingest.accepted] == ["U1"]


async def test_a_notice_is_listed_until_it_is_struck_off(backend: Backend) -> None:
    await backend.services.notices.put(Notice("n1", "local", "U1", "d", "Title", "https://a.example/", "Gone.", NOW))
    [listed] = (await got(backend, "/notices"))["notices"]
    assert (listed["notice_id"], listed["user"], listed["reason"]) == ("n1", "U1", "Gone.")
    assert (await got(backend, "/notices?team=other"))["notices"] == []
    for path, status in (("/notices/n1?team=other", 404), ("/notices/n1", 204), ("/notices/n1", 404)):
        async with backend.http.delete(path) as reply:
            assert reply.status == status
    assert (await got(backend, "/notices"))["notices"] == []


async def test_notices_are_not_for_keys_that_only_ask(backend: Backend) -> None:
    for method, path in (("GET", "/notices"), ("DELETE", "/notices/n1")):
        async with backend.http.request(method, path, headers={"X-API-Key": ASK}) as reply:
            assert reply.status == 403


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [(TeamFull("Your team is full."), 413, None), (LimitReached("Enough for today.", retry_after=60), 429, "60")],
)
async def test_a_limit_that_is_reached_is_a_problem_with_its_own_name(
    backend: Backend, error: FootnoteError, status: int, retry_after: str | None
) -> None:
    backend.ingest.refuses_with = error
    async with backend.http.post("/ingest", json={"url": "https://a.example/"}) as reply:
        problem = await reply.json()
        assert (reply.status, reply.headers.get("Retry-After")) == (status, retry_after)
    assert problem["detail"] == str(error)
    assert (problem["type"] == schema.LIMIT_REACHED) == (status == 429)


@pytest.mark.parametrize(
    ("seen", "notices"),
    [
        (Snapshot(), []),
        (Snapshot(images=1), ["1 image skipped"]),
        (Snapshot(images=3, captions=2), ["2 images described by a model", "3 images skipped"]),
        (Snapshot(addressed=1), ["1 sentence speaks to an AI: kept as text, not obeyed"]),
    ],
)
async def test_a_document_tells_what_was_skipped_described_or_is_suspect(
    backend: Backend, seen: Snapshot, notices: list[str]
) -> None:
    await backend.documents.put(document("d", snapshot=seen))
    assert (await got(backend, "/documents/d"))["notices"] == notices
    await backend.documents.put(document("d", snapshot=seen, status="failed"))
    assert (await got(backend, "/documents/d"))["notices"] == []
