"""The same text at two addresses is one document with two links; nearly the same is noticed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from backend.domain import Document, Metadata, Visibility
from backend.errors import FetchFailed, IndexUnavailable
from backend.ingest.submission import Submission, Upload
from backend.ingest.twins import Prepared
from tests.fakes.ingest import Rig
from tests.fakes.state import FakeIngestQueue

ONE, TWO, THREE = (f"https://{host}.example/leave" for host in ("one", "two", "three"))
TEXT = b"# Leave\nThirty days.\nAsk Ana."


class Case:
    """Pages of the same text at three addresses."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.rig.fetcher.pages = dict.fromkeys((ONE, TWO, THREE), TEXT)

    async def ingested(self, url: str, **changes: object) -> Document:
        submission = replace(Submission("T1", url=url), **changes)  # type: ignore[arg-type]
        return await self.rig.run(await self.rig.ingest.accept(submission))

    async def refreshed(self, document: Document) -> Document:
        return await self.rig.run(await self.rig.ingest.refresh("T1", document.document_id))

    async def prepared(self, document_id: str, attempt: str) -> Prepared:
        loaded = await self.rig.ingest.load("T1", document_id, attempt)
        assert loaded
        prepared = await self.rig.ingest.prepare(loaded)
        assert prepared
        return prepared

    def now(self, document: Document) -> Document:
        return self.rig.documents.rows["T1", document.document_id]

    def indexed(self) -> dict[str, list[str]]:
        """The texts in the index, by URL."""
        return {row.url: [chunk.text for chunk in row.chunks] for row in self.rig.writer.rows.values()}


LINES = TEXT.decode().splitlines()


async def test_a_second_address_of_the_same_text_points_to_the_first_and_is_neither_embedded_nor_indexed() -> None:
    case = Case()
    first, second = await case.ingested(ONE), await case.ingested(TWO)
    assert (second.status, second.same_as, second.chunks, second.url) == ("ready", first.document_id, 0, TWO)
    assert case.indexed() == {ONE: LINES}
    assert len(case.rig.writer.commits) == 1


async def test_spacing_makes_no_other_text() -> None:
    case = Case()
    case.rig.fetcher.pages[TWO] = b"# Leave  \n\nThirty days.\n\n\nAsk Ana.\n"
    first = await case.ingested(ONE)
    assert (await case.ingested(TWO)).same_as == first.document_id


@pytest.mark.parametrize(
    "changes", [{"visibility": Visibility("channel", "C1")}, {"stated": Metadata(tags=("hr",))}, {"title": "Our leave"}]
)
async def test_other_readers_tags_or_titles_make_a_document_of_its_own(changes: dict[str, object]) -> None:
    case = Case()
    await case.ingested(ONE)
    assert (await case.ingested(TWO, **changes)).same_as == ""
    assert case.indexed().keys() == {ONE, TWO}


async def test_what_is_handed_in_under_an_id_stays_its_own_document() -> None:
    case = Case()
    await case.ingested(ONE)
    own = await case.rig.run(
        await case.rig.ingest.accept(Submission("T1", upload=Upload(TEXT), document_id="mine", shown_url=TWO))
    )
    assert own.same_as == ""
    assert len(case.rig.writer.rows) == 2


async def test_two_of_the_same_that_are_written_together_become_one() -> None:
    case = Case()
    prepared = []
    for url in (ONE, TWO):
        document = await case.rig.ingest.accept(Submission("T1", url=url))
        prepared.append(await case.prepared(document.document_id, document.attempt))
    await case.rig.ingest.commit(prepared)
    assert case.indexed() == {ONE: LINES}
    assert sorted(row.same_as != "" for row in case.rig.documents.rows.values()) == [False, True]


async def test_removing_the_first_hands_its_text_on_without_a_moment_in_which_it_is_missing() -> None:
    case = Case()
    first, second, third = [await case.ingested(url) for url in (ONE, TWO, THREE)]
    case.rig.fetcher.pages.clear()
    seen: list[set[str]] = []
    delete = case.rig.writer.delete

    async def watched(team: str, document_ids: list[str]) -> None:
        seen.append(set(case.indexed()))
        await delete(team, document_ids)

    case.rig.writer.delete = watched  # type: ignore[method-assign, assignment]
    await case.rig.ingest.remove("T1", first.document_id)

    assert seen == [{ONE, TWO}]
    assert case.indexed() == {TWO: LINES}
    assert (case.now(second).same_as, case.now(second).chunks) == ("", 3)
    assert case.now(third).same_as == second.document_id
    [row] = case.rig.writer.rows.values()
    assert row.metadata.source == "two.example"


async def test_removing_the_second_leaves_the_first_as_it_was() -> None:
    case = Case()
    first, second = await case.ingested(ONE), await case.ingested(TWO)
    await case.rig.ingest.remove("T1", second.document_id)
    assert case.indexed() == {ONE: LINES}
    assert case.now(first).status == "ready"


async def test_a_removal_that_was_interrupted_still_hands_on() -> None:
    case = Case()
    first, second = await case.ingested(ONE), await case.ingested(TWO)
    case.rig.writer.fault = IndexUnavailable("It is down.")
    with pytest.raises(IndexUnavailable):
        await case.rig.ingest.remove("T1", first.document_id)
    case.rig.writer.fault = None
    await case.rig.ingest.resume(FakeIngestQueue(case.rig.ingest))
    assert case.indexed() == {TWO: LINES}
    assert case.now(second).same_as == ""


async def test_when_the_first_changes_the_second_keeps_the_old_text_in_the_same_commit() -> None:
    case = Case()
    first, second = await case.ingested(ONE), await case.ingested(TWO)
    case.rig.fetcher.pages[ONE] = b"# Leave\nForty days."
    await case.refreshed(first)
    assert case.indexed() == {ONE: ["# Leave", "Forty days."], TWO: LINES}
    assert case.now(second).same_as == ""
    assert len(case.rig.writer.commits) == 2


async def test_a_crash_between_writing_and_recording_never_gives_the_second_the_new_text() -> None:
    case = Case()
    first, second = await case.ingested(ONE), await case.ingested(TWO)
    case.rig.fetcher.pages[ONE] = b"# Leave\nForty days."
    begun = await case.rig.ingest.refresh("T1", first.document_id)
    prepared = await case.prepared(first.document_id, begun.attempt)
    before = dict(case.rig.documents.rows)
    await case.rig.ingest.commit([prepared])
    case.rig.documents.rows = before  # written, but not recorded
    await case.rig.ingest.commit([prepared])
    assert case.indexed() == {ONE: ["# Leave", "Forty days."], TWO: LINES}
    assert case.now(second).same_as == ""


async def test_when_the_second_changes_it_becomes_a_document_of_its_own_and_back() -> None:
    case = Case()
    first, second = await case.ingested(ONE), await case.ingested(TWO)
    case.rig.fetcher.pages[TWO] = b"# Leave\nForty days."
    assert (await case.refreshed(second)).same_as == ""
    assert case.indexed() == {ONE: LINES, TWO: ["# Leave", "Forty days."]}

    case.rig.fetcher.pages[TWO] = TEXT
    assert (await case.refreshed(second)).same_as == first.document_id
    assert case.indexed() == {ONE: LINES}


async def test_an_unchanged_second_still_points_to_the_first() -> None:
    case = Case()
    first, second = await case.ingested(ONE), await case.ingested(TWO)
    assert (await case.refreshed(second)).same_as == first.document_id
    assert (await case.ingested(TWO)).same_as == first.document_id
    assert len(case.rig.writer.commits) == 1


async def test_a_first_that_becomes_private_leaves_its_text_to_the_second() -> None:
    case = Case()
    await case.ingested(ONE)
    second = await case.ingested(TWO)
    submission = Submission("T1", url=ONE, visibility=Visibility("user", "U1"))
    private = replace(submission, document_id=next(iter(case.rig.documents.rows))[1])
    await case.rig.run(await case.rig.ingest.accept(private))
    assert case.now(second).same_as == ""
    assert {row.url: str(row.visibility) for row in case.rig.writer.rows.values()} == {ONE: "user:U1", TWO: "team"}


async def test_a_second_whose_page_is_gone_is_told_like_any_other() -> None:
    case = Case()
    case.rig.ingest = replace(case.rig.ingest, gone_after=timedelta(0))
    await case.ingested(ONE)
    second = await case.ingested(TWO, by="U1")
    case.rig.fetcher.pages[TWO] = FetchFailed("There is no such page.", gone=True)
    gone = await case.refreshed(second)
    assert (gone.status, gone.same_as) == ("failed", "")
    assert [notice.user for notice in case.rig.notices.rows.values()] == ["U1"]
    assert case.indexed() == {ONE: LINES}


async def test_a_first_whose_page_is_gone_leaves_its_text_to_the_second() -> None:
    case = Case()
    case.rig.ingest = replace(case.rig.ingest, gone_after=timedelta(0))
    first, second = await case.ingested(ONE), await case.ingested(TWO)
    case.rig.fetcher.pages[ONE] = FetchFailed("There is no such page.", gone=True)
    assert (await case.refreshed(first)).status == "failed"
    assert case.indexed() == {TWO: LINES}
    assert case.now(second).chunks == 3


# --------------------------------------------------------------------------------------------------------- nearly alike


def policy(changed: int) -> bytes:
    """Twenty sentences, the first few of which are others."""
    return "\n".join(f"Rule {n} says {'no' if n < changed else 'yes'}." for n in range(20)).encode()


@pytest.mark.parametrize(("changed", "alike"), [(1, True), (3, True), (8, False), (20, False)])
async def test_a_document_that_shares_most_sentences_with_another_is_noticed(changed: int, alike: bool) -> None:
    case = Case()
    case.rig.fetcher.pages |= {ONE: policy(0), TWO: policy(changed)}
    first, second = await case.ingested(ONE), await case.ingested(TWO)
    assert second.similar_to == (first.document_id if alike else "")
    assert second.same_as == ""


async def test_documents_of_other_readers_are_not_named() -> None:
    case = Case()
    case.rig.fetcher.pages |= {ONE: policy(0), TWO: policy(1)}
    await case.ingested(ONE, visibility=Visibility("user", "U2"))
    assert (await case.ingested(TWO)).similar_to == ""


async def test_a_removed_document_is_no_longer_like_any() -> None:
    case = Case()
    case.rig.fetcher.pages |= {ONE: policy(0), TWO: policy(1)}
    first = await case.ingested(ONE)
    await case.rig.ingest.remove("T1", first.document_id)
    assert (await case.ingested(TWO)).similar_to == ""
    assert case.rig.sketches.rows.keys() == case.rig.writer.rows.keys()
