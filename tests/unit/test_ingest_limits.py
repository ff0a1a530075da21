"""What a team may keep, and hand in on a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from backend.domain import Document
from backend.errors import LimitReached, TeamFull
from backend.ingest.limits import TeamLimits, in_words
from backend.ingest.submission import Submission, Upload
from tests.fakes.ingest import Rig

PAGE = "https://docs.example.org/guide"
EVENING = datetime(2026, 11, 20, 23, 0, 0, tzinfo=UTC)


class Case:
    def __init__(self, **limits: int) -> None:
        self.now = EVENING
        self.rig = Rig(now=lambda: self.now, limits=TeamLimits(**limits))

    async def ingested(self, document_id: str, text: str = "Text.", team: str = "T1") -> Document:
        submission = Submission(team, upload=Upload(text.encode()), document_id=document_id)
        return await self.rig.run(await self.rig.ingest.accept(submission))


async def test_a_team_with_as_many_documents_as_it_may_have_can_replace_but_not_add() -> None:
    case = Case(documents=2)
    await case.ingested("a")
    await case.ingested("b")
    with pytest.raises(TeamFull, match=r"2 documents.*FOOTNOTE_MAX_DOCUMENTS"):
        await case.ingested("c", "Other.")
    assert len(case.rig.documents.rows) == 2
    assert len(case.rig.blobs.rows) == 2

    assert (await case.ingested("a", "New text.")).status == "ready"
    await case.ingested("c", team="T2")
    await case.rig.ingest.remove("T1", "b")
    assert (await case.ingested("c", "Other.")).status == "ready"


async def test_bytes_of_removed_and_replaced_documents_do_not_count() -> None:
    case = Case(bytes=100)
    await case.ingested("a", "x" * 60)
    with pytest.raises(TeamFull, match=r"120 bytes.*100 bytes.*FOOTNOTE_MAX_TEAM_BYTES"):
        await case.ingested("b", "y" * 60)
    await case.ingested("a", "z" * 100)
    await case.rig.ingest.remove("T1", "a")
    assert (await case.ingested("b", "y" * 60)).size == 60


async def test_a_page_that_turns_out_too_large_for_the_team_fails_with_a_reason_and_keeps_what_was() -> None:
    case = Case(bytes=100)
    case.rig.fetcher.pages[PAGE] = b"x" * 50
    ready = await case.rig.run(await case.rig.ingest.accept(Submission("T1", url=PAGE)))
    assert ready.size == 50
    case.rig.fetcher.pages[PAGE] = b"y" * 101
    failed = await case.rig.run(await case.rig.ingest.refresh("T1", ready.document_id))
    assert (failed.status, failed.chunks, failed.size) == ("failed", 1, 50)
    assert "FOOTNOTE_MAX_TEAM_BYTES" in failed.reason


async def test_on_a_day_no_more_is_taken_than_allowed_and_the_next_day_begins_anew() -> None:
    case = Case(pages_a_day=2)
    await case.ingested("a")
    await case.ingested("b")
    with pytest.raises(LimitReached, match=r"2 documents today.*FOOTNOTE_MAX_PAGES_A_DAY") as caught:
        await case.ingested("c")
    assert caught.value.retry_after == 3601
    await case.ingested("c", team="T2")

    case.now += timedelta(hours=1)
    assert (await case.ingested("c")).status == "ready"


async def test_the_same_request_again_and_a_refresh_cost_no_page() -> None:
    case = Case(pages_a_day=1)
    submission = Submission("T1", upload=Upload(b"Text."), document_id="a")
    first = await case.rig.ingest.accept(submission)
    assert await case.rig.ingest.accept(submission) == first
    await case.rig.run(first)
    assert (await case.rig.run(await case.rig.ingest.refresh("T1", "a"))).status == "ready"


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1_500, "1.5 kB"), (20_000_000_000, "20 GB")]
)
def test_sizes_are_said_in_words(size: int, words: str) -> None:
    assert in_words(size) == words
