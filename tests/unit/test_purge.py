"""From hidden to gone: what happens to removed documents, and by when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from backend.adapters.memory import MemoryCache
from backend.domain import Document, Removal
from backend.ingest.purge import Purge
from backend.ingest.submission import Submission, Upload
from backend.ports import Entry, VersionsKept
from tests.fakes.ingest import Rig
from tests.fakes.state import FakeRuns

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Versions:
    """Counts versions as the index does; each is written at a moment of the clock."""

    clock: Clock
    written: dict[int, datetime] = field(default_factory=lambda: {1: START})
    erasures: list[datetime] = field(default_factory=list)

    async def erase(self) -> int:
        self.erasures.append(self.clock.now)
        version = max(self.written) + 1
        self.written[version] = self.clock.now
        return version

    async def prune(self, older_than: timedelta) -> VersionsKept:
        newest = max(self.written)
        kept = {n: at for n, at in self.written.items() if n == newest or at > self.clock.now - older_than}
        self.written = kept
        return VersionsKept(min(kept), newest)


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


class Case:
    def __init__(self, after: timedelta = timedelta(hours=24)) -> None:
        self.clock = Clock()
        self.rig = Rig(now=self.clock)
        self.versions = Versions(self.clock)
        self.flushed = 0
        self.kept = MemoryCache(10_000, 3600)
        self.purge = Purge(
            self.rig.removals,
            self.versions,
            self.rig.ingest,
            FakeRuns(),
            self.flush,
            self.kept,
            after=after,
            now=self.clock,
        )

    async def flush(self) -> None:
        self.flushed += 1

    async def removed(self, text: str = "Secret.", document_id: str = "d") -> Document:
        submission = Submission("T1", upload=Upload(text.encode()), document_id=document_id, title="Secret title")
        await self.rig.run(await self.rig.ingest.accept(submission))
        await self.rig.ingest.remove("T1", document_id)
        return self.rig.documents.rows["T1", document_id]

    async def until(self, moment: datetime, step: timedelta = 5 * MINUTE) -> None:
        """Let time pass, with the chore done at every step."""
        while self.clock.now < moment:
            self.clock.now += step
            await self.purge.run()

    def removal(self) -> Removal:
        return self.rig.removals.rows["T1", "d"]


async def test_the_bytes_are_gone_before_the_deadline_without_any_other_write() -> None:
    case = Case()
    await case.removed()
    await case.until(START + timedelta(hours=24))

    removal = case.removal()
    assert removal.purged_at is not None
    assert removal.purged_at < START + timedelta(hours=24)
    assert len(case.versions.erasures) == 1
    assert case.versions.written.keys() == {2}
    assert case.flushed == 1


async def test_nobody_who_still_reads_an_older_version_loses_it() -> None:
    case = Case()
    await case.removed()
    await case.until(START + timedelta(hours=12), step=timedelta(hours=12))
    assert case.versions.written.keys() == {1, 2}
    await case.until(START + timedelta(hours=12) + 5 * MINUTE)
    assert case.removal().purged_at is None
    await case.until(START + timedelta(hours=12) + 10 * MINUTE)
    assert case.removal().purged_at is not None


async def test_documents_that_are_removed_later_are_erased_together_with_the_first() -> None:
    case = Case()
    await case.removed(document_id="d")
    case.clock.now += timedelta(hours=6)
    await case.removed("Other.", document_id="e")
    await case.until(START + timedelta(hours=20))
    assert len(case.versions.erasures) == 1
    assert all(one.purged_at for one in case.rig.removals.rows.values())


async def test_with_no_patience_it_is_purged_at_once() -> None:
    case = Case(after=timedelta(0))
    await case.removed()
    await case.purge.run()
    assert case.removal().purged_at == START


async def test_nothing_is_written_while_nothing_was_removed() -> None:
    case = Case()
    await case.until(START + timedelta(days=2), step=timedelta(hours=1))
    assert case.versions.erasures == []
    assert case.flushed == 0


async def test_the_record_and_stray_blobs_go_with_it() -> None:
    case = Case(after=timedelta(0))
    await case.rig.ingest.accept(Submission("T1", upload=Upload(b"Secret."), document_id="d", title="Name"))
    [parcel] = case.rig.blobs.rows.values()
    await case.rig.ingest.remove("T1", "d")
    case.rig.blobs.rows["stray"] = parcel

    await case.purge.run()

    left = case.rig.documents.rows["T1", "d"]
    assert (left.status, left.title, left.url, left.origin.file_name) == ("deleted", "", "", "")
    assert case.rig.blobs.rows == {}


async def test_what_a_question_found_until_the_last_moment_counts_as_from_before_the_removal() -> None:
    case = Case()
    await case.rig.run(await case.rig.ingest.accept(Submission("T1", upload=Upload(b"Secret."), document_id="d")))
    delete = case.rig.writer.delete

    async def slow(team: str, document_ids: Sequence[str]) -> None:
        case.clock.now += MINUTE
        await delete(team, document_ids)

    case.rig.writer.delete = slow  # type: ignore[method-assign]
    await case.rig.ingest.remove("T1", "d")
    assert await case.rig.removals.since("T1", START + MINUTE) == {"d"}


async def test_answers_that_were_kept_after_the_removal_go_with_it() -> None:
    case = Case(after=timedelta(0))
    await case.removed()
    await case.kept.put("late", Entry(b"Secret.", "T1", ("d", "e")))
    await case.kept.put("other", Entry(b"Fine.", "T1", ("e",)))

    await case.purge.run()

    assert await case.kept.get("late") is None
    assert await case.kept.get("other") is not None


async def test_a_document_that_came_back_keeps_its_record_but_not_its_past() -> None:
    case = Case(after=timedelta(0))
    await case.removed()
    again = Submission("T1", upload=Upload(b"Clean."), document_id="d", title="New title")
    await case.rig.run(await case.rig.ingest.accept(again))

    await case.purge.run()

    assert case.rig.documents.rows["T1", "d"].title == "New title"
    assert case.removal().purged_at == START
    assert len(case.rig.blobs.rows) == 1


async def test_an_index_that_was_built_anew_has_no_older_versions_to_wait_for() -> None:
    case = Case()
    await case.removed()
    await case.until(START + timedelta(hours=12), step=timedelta(hours=12))
    case.versions.written = {1: case.clock.now}
    await case.until(START + timedelta(hours=13))
    assert case.removal().purged_at is not None
