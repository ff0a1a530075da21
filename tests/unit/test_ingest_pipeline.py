"""The ingest story over fakes: what is accepted, what is written, and what never comes back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from backend.domain import Document, Metadata, Visibility
from backend.errors import FetchFailed, FetchRefused, IndexUnavailable, NotFound
from backend.ingest.pipeline import worth_retry
from backend.ingest.submission import Submission, Upload
from backend.ingest.twins import Prepared
from tests.fakes.ingest import Rig
from tests.fakes.state import FakeDocuments, FakeIngestQueue

PAGE = "https://docs.example.org/guide/start"


def text(content: str = "# Leave\nThirty days.", **changes: object) -> Submission:
    return replace(Submission("T1", upload=Upload(content.encode(), media_type="text/markdown")), **changes)  # type: ignore[arg-type]


async def ingested(rig: Rig, submission: Submission) -> Document:
    return await rig.run(await rig.ingest.accept(submission))


async def prepared(rig: Rig, document: Document) -> Prepared:
    loaded = await rig.ingest.load(document.team, document.document_id, document.attempt)
    assert loaded
    ready = await rig.ingest.prepare(loaded)
    assert ready
    return ready


# ------------------------------------------------------------------------------------------------------------- accepted


async def test_a_text_is_queued_at_once_and_ready_in_the_end() -> None:
    rig = Rig()
    document = await rig.ingest.accept(text())
    assert (document.status, document.chunks) == ("queued", 0)

    ready = await rig.run(document)

    indexed = rig.writer.rows["T1", ready.document_id]
    assert (ready.status, ready.title, ready.chunks, ready.attempt) == ("ready", "Leave", 2, "")
    assert indexed.revision == ready.revision != ""
    assert [chunk.text for chunk in indexed.chunks] == ["# Leave", "Thirty days."]
    assert [of.sentences.shape for of in indexed.vectors] == [(1, 384), (1, 384)]


async def test_a_url_is_fetched_and_leaves_no_blob_behind() -> None:
    rig = Rig()
    rig.fetcher.pages = {PAGE: b"# Start\nGo."}

    ready = await ingested(rig, Submission("T1", url=PAGE))

    assert (ready.status, ready.url, ready.metadata.source) == ("ready", PAGE, "docs.example.org")
    assert ready.metadata.doc_type == "html"
    assert rig.blobs.rows == {}


async def test_the_same_content_is_one_document_and_is_not_indexed_twice() -> None:
    rig = Rig()
    first = await ingested(rig, text())
    second = await ingested(rig, text())

    assert (first.document_id, second.status, second.chunks) == (second.document_id, "ready", 2)
    assert rig.writer.commits == [[first.document_id]]


async def test_new_content_or_metadata_is_indexed_again() -> None:
    rig = Rig()
    first = await ingested(rig, text(document_id="handbook"))
    second = await ingested(rig, text("# Leave\nTwenty days.", document_id="handbook"))
    third = await ingested(rig, text("# Leave\nTwenty days.", document_id="handbook", stated=Metadata(tags=("hr",))))

    assert len({first.revision, second.revision, third.revision}) == 3
    assert len(rig.writer.commits) == 3
    assert rig.writer.rows["T1", "handbook"].metadata.tags == ("hr",)
    assert set(rig.blobs.rows) == {third.origin.blob}


async def test_the_same_request_while_it_is_under_way_is_the_same_attempt() -> None:
    rig = Rig()
    first = await rig.ingest.accept(text())
    assert await rig.ingest.accept(text()) == first
    assert (await rig.ingest.accept(text(title="Other"))).attempt != first.attempt


async def test_what_a_person_states_wins_over_what_is_detected() -> None:
    rig = Rig()
    stated = Metadata(source="wiki", language="fr", custom={"due": (datetime(2026, 1, 1, tzinfo=UTC),)})
    ready = await ingested(rig, text(title="Our leave", stated=stated, shown_url="https://wiki.example/leave"))

    indexed = rig.writer.rows["T1", ready.document_id]
    assert (indexed.title, indexed.url) == ("Our leave", "https://wiki.example/leave")
    assert (indexed.metadata.source, indexed.metadata.language, indexed.metadata.doc_type) == ("wiki", "fr", "markdown")
    assert indexed.metadata.custom == stated.custom


async def test_a_document_whose_visibility_changes_leaves_the_index_at_once() -> None:
    rig = Rig()
    await ingested(rig, text(document_id="plan"))

    queued = await rig.ingest.accept(text(document_id="plan", visibility=Visibility("user", "U1")))
    assert rig.writer.rows == {}

    ready = await rig.run(queued)
    assert rig.writer.rows["T1", "plan"].visibility == Visibility("user", "U1")
    assert ready.status == "ready"


# --------------------------------------------------------------------------------------------------------------- failed


async def test_a_failure_says_why_and_the_next_attempt_can_succeed() -> None:
    rig = Rig()
    rig.fetcher.pages = {PAGE: FetchFailed("The server answered 503.", retry=True)}
    failed = await ingested(rig, Submission("T1", url=PAGE))
    assert (failed.status, failed.reason, failed.attempt) == ("failed", "The server answered 503.", "")

    rig.fetcher.pages = {PAGE: b"Back again."}
    assert (await rig.run(await rig.ingest.refresh("T1", failed.document_id))).status == "ready"


@pytest.mark.parametrize(
    ("content", "reason"), [("%PDF", "The PDF is encrypted."), (" \n", "No text was found in it.")]
)
async def test_what_cannot_be_read_fails_and_nothing_is_written(content: str, reason: str) -> None:
    rig = Rig()
    failed = await ingested(rig, text(content))

    assert (failed.status, failed.reason) == ("failed", reason)
    assert rig.writer.commits == []


async def test_a_failed_refresh_keeps_what_was_indexed_before() -> None:
    rig = Rig()
    rig.fetcher.pages = {PAGE: b"# Start\nGo."}
    ready = await ingested(rig, Submission("T1", url=PAGE))
    rig.fetcher.pages = {}

    failed = await rig.run(await rig.ingest.refresh("T1", ready.document_id))

    assert (failed.status, failed.chunks, failed.revision) == ("failed", 2, ready.revision)
    assert ("T1", ready.document_id) in rig.writer.rows


def test_only_failures_that_may_pass_are_worth_a_retry() -> None:
    assert worth_retry(FetchFailed("Later.", retry=True))
    assert worth_retry(IndexUnavailable("Later."))
    assert not worth_retry(FetchFailed("Gone."))
    assert not worth_retry(FetchRefused("Private."))
    assert not worth_retry(ValueError("A bug."))


# ----------------------------------------------------------------------------------------------------------- superseded


async def test_a_document_removed_while_it_is_prepared_does_not_come_back() -> None:
    rig = Rig()
    document = await rig.ingest.accept(text())
    staged = await prepared(rig, document)

    await rig.ingest.remove("T1", document.document_id)
    await rig.ingest.commit([staged])

    assert rig.writer.rows == {}
    assert rig.documents.rows["T1", document.document_id].status == "deleted"


async def test_a_document_removed_while_it_is_written_does_not_come_back() -> None:
    rig = Rig()
    document = await rig.ingest.accept(text())
    staged = await prepared(rig, document)
    rig.writer.gate = asyncio.Event()

    commit = asyncio.create_task(rig.ingest.commit([staged]))
    await rig.writer.entered.wait()
    removal = asyncio.create_task(rig.ingest.remove("T1", document.document_id))
    await asyncio.sleep(0)
    rig.writer.gate.set()
    await asyncio.gather(commit, removal)

    assert rig.writer.rows == {}
    assert rig.documents.rows["T1", document.document_id].status == "deleted"


class YieldingDocuments(FakeDocuments):
    """Lets other work run before every read and write, as a database does."""

    async def get(self, team: str, document_id: str) -> Document | None:
        await asyncio.sleep(0)
        return await super().get(team, document_id)

    async def put(self, document: Document) -> None:
        await asyncio.sleep(0)
        await super().put(document)


@pytest.mark.parametrize("steps", range(12))
async def test_a_removal_at_any_moment_of_a_commit_is_final(steps: int) -> None:
    rig = Rig(documents=YieldingDocuments())
    document = await rig.ingest.accept(text())
    staged = await prepared(rig, document)

    commit = asyncio.create_task(rig.ingest.commit([staged]))
    for _ in range(steps):
        await asyncio.sleep(0)
    await asyncio.gather(commit, rig.ingest.remove("T1", document.document_id))

    assert rig.writer.rows == {}
    assert rig.documents.rows["T1", document.document_id].status == "deleted"


async def test_the_last_of_two_attempts_wins_whatever_their_order() -> None:
    rig = Rig()
    first = await prepared(rig, await rig.ingest.accept(text("First.", document_id="d")))
    second = await prepared(rig, await rig.ingest.accept(text("Second.", document_id="d")))

    await rig.ingest.commit([second])
    await rig.ingest.commit([first])
    await rig.ingest.fail("T1", "d", first.document.attempt, "Too late.")

    assert [chunk.text for chunk in rig.writer.rows["T1", "d"].chunks] == ["Second."]
    assert rig.documents.rows["T1", "d"].status == "ready"


async def test_a_crash_between_writing_and_recording_never_hides_the_older_text() -> None:
    rig = Rig()
    await ingested(rig, text("Old.", document_id="d"))
    staged = await prepared(rig, await rig.ingest.accept(text("New.", document_id="d")))
    rig.writer.fault = IndexUnavailable("The process died here.")
    with pytest.raises(IndexUnavailable):
        await rig.ingest.commit([staged])
    rig.writer.fault = None

    back = await ingested(rig, text("Old.", document_id="d"))

    assert back.status == "ready"
    assert rig.writer.commits == [["d"], ["d"]]


async def test_steps_may_be_repeated_after_they_have_succeeded() -> None:
    rig = Rig()
    document = await rig.ingest.accept(text())
    staged = await prepared(rig, document)
    await rig.ingest.commit([staged])
    await rig.ingest.commit([staged])
    await rig.ingest.fail("T1", document.document_id, document.attempt, "Repeated.")

    assert rig.writer.commits == [[document.document_id]]
    assert rig.documents.rows["T1", document.document_id].status == "ready"


async def test_several_staged_documents_are_one_commit() -> None:
    rig = Rig()
    staged = [await prepared(rig, await rig.ingest.accept(text(f"Text {n}.", document_id=str(n)))) for n in range(3)]

    await rig.ingest.commit(staged)

    assert rig.writer.commits == [["0", "1", "2"]]
    assert await rig.documents.counts() == {"ready": 3}


# -------------------------------------------------------------------------------------------------------------- removed


async def test_removal_takes_the_text_the_bytes_and_the_record_out() -> None:
    rig = Rig()
    ready = await ingested(rig, text())

    await rig.ingest.remove("T1", ready.document_id)

    assert rig.writer.rows == {}
    assert rig.blobs.rows == {}
    assert (await rig.documents.list("T1")).documents == ()
    with pytest.raises(NotFound):
        await rig.ingest.remove("T1", ready.document_id)
    with pytest.raises(NotFound):
        await rig.ingest.refresh("T1", ready.document_id)


async def test_a_removal_that_was_interrupted_is_finished_at_the_next_start() -> None:
    rig = Rig()
    ready = await ingested(rig, text())
    rig.writer.fault = IndexUnavailable("It is down.")
    with pytest.raises(IndexUnavailable):
        await rig.ingest.remove("T1", ready.document_id)
    assert rig.documents.rows["T1", ready.document_id].status == "deleted"

    rig.writer.fault = None
    assert await rig.ingest.resume(FakeIngestQueue(rig.ingest)) == 1
    assert rig.writer.rows == {}
    assert await rig.ingest.resume(FakeIngestQueue(rig.ingest)) == 0


async def test_a_removed_document_can_be_ingested_again() -> None:
    rig = Rig()
    ready = await ingested(rig, text())
    await rig.ingest.remove("T1", ready.document_id)

    again = await ingested(rig, text())

    assert (again.document_id, again.status) == (ready.document_id, "ready")
    assert ("T1", ready.document_id) in rig.writer.rows


async def test_accepted_but_never_enqueued_work_is_taken_up_at_the_next_start() -> None:
    rig = Rig()
    document = await rig.ingest.accept(text())

    await rig.ingest.resume(FakeIngestQueue(rig.ingest))

    assert rig.documents.rows["T1", document.document_id].status == "ready"


async def test_a_forced_refresh_indexes_what_has_not_changed() -> None:
    rig = Rig()
    ready = await ingested(rig, text())
    await rig.run(await rig.ingest.refresh("T1", ready.document_id))
    await rig.run(await rig.ingest.refresh("T1", ready.document_id, force=True))

    assert len(rig.writer.commits) == 2
