"""Keeping documents up to date: what is looked at, when, at what cost, and what is made of a page that is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from backend.domain import Document, Metadata
from backend.errors import FetchFailed, IndexUnavailable
from backend.ingest.refresh import Refreshing
from backend.ingest.submission import Submission
from tests.fakes.embedder import HashEmbedder
from tests.fakes.ingest import Rig
from tests.fakes.state import FakeIngestQueue

PAGE = "https://docs.example.org/guide/start"
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
GONE = FetchFailed("There is no such page.", gone=True)


class CountingEmbedder(HashEmbedder):
    embedded = 0

    async def embed_chunks(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        self.embedded += 1
        return await super().embed_chunks(*args, **kwargs)


class Case:
    """One page that is refreshed weekly for U1, a clock, and the chore."""

    def __init__(self, **changes: object) -> None:
        self.now = START
        self.embedder = CountingEmbedder()
        self.rig = Rig(embedder=self.embedder, now=lambda: self.now)
        self.rig.fetcher.pages[PAGE] = b"# Start\nGo."
        self.submission = replace(Submission("T1", url=PAGE, refresh_days=7, by="U1"), **changes)  # type: ignore[arg-type]
        self.chore = Refreshing(self.rig.documents, self.rig.ingest, FakeIngestQueue(self.rig.ingest), lambda: self.now)

    async def ingested(self) -> Document:
        return await self.rig.run(await self.rig.ingest.accept(self.submission))

    async def at(self, moment: datetime) -> Document:
        """Let time pass, do the chore, and return the document."""
        self.now = moment
        await self.chore.run()
        [document] = self.rig.documents.rows.values()
        return document

    async def refreshed(self) -> Document:
        [document] = self.rig.documents.rows.values()
        return await self.rig.run(await self.rig.ingest.refresh("T1", document.document_id))


async def test_a_page_is_looked_at_when_it_is_due_and_not_before() -> None:
    case = Case()
    ready = await case.ingested()
    assert (ready.checked_at, ready.due_at) == (START, START + 7 * DAY)

    await case.at(START + 6.9 * DAY)
    assert len(case.rig.fetcher.fetched) == 1

    looked = await case.at(START + 7 * DAY)
    assert len(case.rig.fetcher.fetched) == 2
    assert (looked.checked_at, looked.due_at) == (START + 7 * DAY, START + 14 * DAY)


async def test_a_page_without_a_schedule_is_never_looked_at() -> None:
    case = Case(refresh_days=None)
    assert (await case.ingested()).due_at is None
    await case.at(START + 400 * DAY)
    assert len(case.rig.fetcher.fetched) == 1


@pytest.mark.parametrize("etag", ["", '"v1"'])
async def test_a_page_that_has_not_changed_costs_no_reading_and_no_embedding(etag: str) -> None:
    case = Case()
    case.rig.fetcher.etags[PAGE] = etag
    before = await case.ingested()
    sent = case.rig.fetcher.sent

    after = await case.at(START + 7 * DAY)

    assert (case.embedder.embedded, len(case.rig.writer.commits)) == (1, 1)
    assert (case.rig.fetcher.sent == sent) == bool(etag)
    assert (after.status, after.revision, after.updated_at) == ("ready", before.revision, before.updated_at)
    assert case.rig.blobs.rows == {}


async def test_a_page_that_has_changed_replaces_what_was_indexed_and_keeps_its_id() -> None:
    case = Case()
    case.rig.fetcher.etags[PAGE] = '"v1"'
    before = await case.ingested()
    case.rig.fetcher.pages[PAGE] = b"# Start\nStop."
    case.rig.fetcher.etags[PAGE] = '"v2"'

    after = await case.at(START + 7 * DAY)

    assert after.document_id == before.document_id
    assert [chunk.text for chunk in case.rig.writer.rows["T1", after.document_id].chunks] == ["# Start", "Stop."]
    assert after.snapshot.etag == '"v2"'
    assert after.updated_at == START + 7 * DAY


async def test_what_a_server_calls_unchanged_is_indexed_anew_where_something_else_has_changed() -> None:
    case = Case()
    case.rig.fetcher.etags[PAGE] = '"v1"'
    await case.ingested()
    case.submission = replace(case.submission, stated=Metadata(tags=("hr",)))
    after = await case.ingested()
    assert len(case.rig.writer.commits) == 2
    assert case.rig.writer.rows["T1", after.document_id].metadata.tags == ("hr",)


async def test_after_a_failure_to_read_the_unchanged_old_page_is_not_taken_for_the_new_one() -> None:
    case = Case()
    case.rig.fetcher.etags[PAGE] = '"v1"'
    await case.ingested()
    case.rig.fetcher.pages[PAGE], case.rig.fetcher.etags[PAGE] = b"%PDF", '"v2"'
    failed = await case.at(START + 7 * DAY)
    assert (failed.status, failed.snapshot.etag) == ("failed", '"v1"')

    again = await case.at(START + 8 * DAY)
    assert (again.status, again.reason) == ("failed", "The PDF is encrypted.")


async def test_a_page_that_could_not_be_read_is_tried_again_a_day_later_and_still_answers() -> None:
    case = Case()
    await case.ingested()
    case.rig.fetcher.pages[PAGE] = FetchFailed("It is busy.", retry=True)
    failed = await case.at(START + 7 * DAY)
    assert (failed.status, failed.chunks, failed.due_at) == ("failed", 2, START + 8 * DAY)
    assert len(case.rig.writer.rows) == 1

    case.rig.fetcher.pages[PAGE] = b"# Start\nGo."
    assert (await case.at(START + 8 * DAY)).status == "ready"


# ----------------------------------------------------------------------------------------------------------------- gone


async def test_a_page_that_is_missing_once_still_answers_and_is_looked_at_again_a_day_later() -> None:
    case = Case()
    await case.ingested()
    case.rig.fetcher.pages[PAGE] = GONE
    missing = await case.at(START + 7 * DAY)
    assert (missing.status, missing.chunks, missing.due_at) == ("ready", 2, START + 8 * DAY)
    assert "no such page" in missing.reason
    assert len(case.rig.writer.rows) == 1
    assert case.rig.notices.rows == {}


async def test_a_page_that_is_still_missing_a_day_later_leaves_the_answers_and_its_person_is_told() -> None:
    case = Case()
    await case.ingested()
    case.rig.fetcher.pages[PAGE] = GONE
    await case.at(START + 7 * DAY)
    gone = await case.at(START + 8 * DAY)

    assert (gone.status, gone.chunks, gone.revision, gone.attempt) == ("failed", 0, "", "")
    assert "docs.example.org has had no such page since 2026-11-27" in gone.reason
    assert case.rig.writer.rows == {}
    [notice] = case.rig.notices.rows.values()
    assert (notice.user, notice.document_id, notice.url, notice.reason) == ("U1", gone.document_id, PAGE, gone.reason)


async def test_looking_again_too_early_decides_nothing() -> None:
    case = Case()
    await case.ingested()
    case.rig.fetcher.pages[PAGE] = GONE
    await case.at(START + 7 * DAY)
    case.now += timedelta(hours=23)
    assert (await case.refreshed()).status == "ready"


async def test_a_page_that_comes_back_in_between_was_never_gone() -> None:
    case = Case()
    await case.ingested()
    case.rig.fetcher.pages[PAGE] = GONE
    await case.at(START + 7 * DAY)
    case.rig.fetcher.pages[PAGE] = b"# Start\nGo."
    back = await case.at(START + 8 * DAY)
    assert (back.status, back.reason, back.missing_since) == ("ready", "", None)

    case.rig.fetcher.pages[PAGE] = GONE
    assert (await case.at(START + 15 * DAY)).status == "ready"


async def test_a_gone_page_is_told_once_and_comes_back_by_itself() -> None:
    case = Case()
    await case.ingested()
    case.rig.fetcher.pages[PAGE] = GONE
    await case.at(START + 7 * DAY)
    await case.at(START + 8 * DAY)
    case.rig.notices.rows.clear()
    await case.at(START + 15 * DAY)
    assert case.rig.notices.rows == {}

    case.rig.fetcher.pages[PAGE] = b"# Start\nGo."
    back = await case.at(START + 22 * DAY)
    assert (back.status, back.chunks) == ("ready", 2)
    assert len(case.rig.writer.rows) == 1


async def test_a_page_that_never_was_there_has_failed_at_once() -> None:
    case = Case()
    case.rig.fetcher.pages[PAGE] = GONE
    failed = await case.ingested()
    assert (failed.status, failed.reason, failed.missing_since) == ("failed", "There is no such page.", None)
    assert case.rig.notices.rows == {}


async def test_a_page_found_gone_as_the_index_goes_down_is_out_once_it_is_back() -> None:
    case = Case()
    document = await case.ingested()
    case.rig.fetcher.pages[PAGE] = GONE
    await case.at(START + 7 * DAY)
    case.now = START + 8 * DAY
    begun = await case.rig.ingest.refresh("T1", document.document_id)
    case.rig.writer.fault = IndexUnavailable("It is down.")
    with pytest.raises(IndexUnavailable):
        await case.rig.ingest.load("T1", begun.document_id, begun.attempt)
    assert len(case.rig.notices.rows) == 1

    case.rig.writer.fault = None
    assert await case.rig.ingest.resume(FakeIngestQueue(case.rig.ingest)) == 1
    gone = case.rig.documents.rows["T1", document.document_id]
    assert (gone.status, gone.attempt) == ("failed", "")
    assert "has had no such page" in gone.reason
    assert case.rig.writer.rows == {}
    assert len(case.rig.notices.rows) == 1


async def test_removing_a_gone_document_takes_its_notice_along() -> None:
    case = Case()
    await case.ingested()
    case.rig.fetcher.pages[PAGE] = GONE
    await case.at(START + 7 * DAY)
    gone = await case.at(START + 8 * DAY)
    await case.rig.ingest.remove("T1", gone.document_id)
    assert case.rig.notices.rows == {}
    await case.at(START + 30 * DAY)
    assert len(case.rig.fetcher.fetched) == 3
