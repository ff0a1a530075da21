"""What ingestion calls, in memory: a web of pages, a reader and splitter of plain text, and a writer that counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from backend.domain import Chunk, Contents, Document, Extracted, IndexedDocument, Snapshot
from backend.errors import FetchFailed, FootnoteError, Unreadable
from backend.ingest.limits import TeamLimits
from backend.ingest.pipeline import GENEROUS, Ingest
from backend.ports import Fetched
from tests.fakes.embedder import HashEmbedder
from tests.fakes.state import FakeBlobs, FakeDocuments, FakeNotices, FakeRemovals, FakeSketches, FakeUsages


@dataclass
class FakeFetcher:
    """Pages by URL; a page may be an error, and anything else is not found. `etags`, where set, are honoured."""

    pages: dict[str, bytes | FootnoteError] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    sent: int = 0
    """Bytes of pages that were fetched whole."""

    async def fetch(self, url: str, known: Snapshot | None = None) -> Fetched:
        self.fetched.append(url)
        page = self.pages.get(url, FetchFailed("The server answered 404."))
        if isinstance(page, FootnoteError):
            raise page
        etag = self.etags.get(url, "")
        if known and etag and known.etag == etag:
            return Fetched(b"", url, "", unchanged=True)
        self.sent += len(page)
        return Fetched(page, url, "text/html; charset=utf-8", etag=etag)


async def read_text(fetched: Fetched) -> Extracted:
    """Extract by decoding: a first line `# …` is the title, `%PDF` is not readable."""
    if fetched.content.startswith(b"%PDF"):
        raise Unreadable("The PDF is encrypted.")
    text = fetched.content.decode()
    title = text.partition("\n")[0].removeprefix("# ") if text.startswith("# ") else ""
    return Extracted(text, title)


def split_lines(extracted: Extracted) -> tuple[Chunk, ...]:
    """One chunk of one sentence per line that is not blank."""
    lines = [line for line in extracted.text.splitlines() if line.strip()]
    return tuple(Chunk(place, place, "", 0, line, ((0, len(line)),)) for place, line in enumerate(lines))


@dataclass
class FakeWriter:
    """Holds what would be in the index. `gate`, where set, is awaited inside every `replace`."""

    rows: dict[tuple[str, str], IndexedDocument] = field(default_factory=dict)
    commits: list[list[str]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    fault: FootnoteError | None = None

    async def replace(self, documents: Sequence[IndexedDocument]) -> None:
        self.entered.set()
        if self.gate:
            await self.gate.wait()
        if self.fault:
            raise self.fault
        self.commits.append([document.document_id for document in documents])
        self.rows.update({(document.team, document.document_id): document for document in documents})

    async def delete(self, team: str, document_ids: Sequence[str]) -> None:
        if self.fault:
            raise self.fault
        for document_id in document_ids:
            self.rows.pop((team, document_id), None)

    async def contents(self, team: str, document_id: str) -> Contents | None:
        held = self.rows.get((team, document_id))
        return Contents(held.chunks, held.vectors) if held else None

    async def optimise(self) -> None:
        return None


@dataclass
class Rig:
    """An `Ingest` over fakes, with the fakes at hand."""

    documents: FakeDocuments = field(default_factory=FakeDocuments)
    removals: FakeRemovals = field(default_factory=FakeRemovals)
    notices: FakeNotices = field(default_factory=FakeNotices)
    sketches: FakeSketches = field(default_factory=FakeSketches)
    blobs: FakeBlobs = field(default_factory=FakeBlobs)
    fetcher: FakeFetcher = field(default_factory=FakeFetcher)
    writer: FakeWriter = field(default_factory=FakeWriter)
    embedder: HashEmbedder = field(default_factory=HashEmbedder)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    limits: TeamLimits = GENEROUS

    def __post_init__(self) -> None:
        self.usages = FakeUsages(self.documents)
        self.ingest = Ingest(
            documents=self.documents,
            removals=self.removals,
            notices=self.notices,
            sketches=self.sketches,
            usages=self.usages,
            limits=self.limits,
            blobs=self.blobs,
            fetcher=self.fetcher,
            extract=read_text,
            split=split_lines,
            embedder=self.embedder,
            writer=self.writer,
            now=self.now,
        )

    async def run(self, document: Document) -> Document:
        await self.ingest.run(document.team, document.document_id, document.attempt)
        return self.documents.rows[document.team, document.document_id]
