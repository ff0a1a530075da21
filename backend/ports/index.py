"""Ports of the index: what embeds, searches, writes and erases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from backend.domain import Chunk, ChunkVectors, Contents, IndexedDocument, Passage, Query, QueryVectors, Vector, Vectors


class Embedder(Protocol):
    """Text → vectors. `name` is recorded in the index, which refuses to mix embedders; `dimensions` is d."""

    name: str
    dimensions: int

    async def embed_query(self, text: str) -> QueryVectors:
        """Embed a query; text beyond the model's limit is cut."""

    async def embed_chunks(self, title: str, chunks: Sequence[Chunk]) -> list[ChunkVectors]:
        """Embed a document's chunks, each with its heading path, in order; one forward pass gives both vectors."""

    async def embed_sentences(self, texts: Sequence[str]) -> Vectors:
        """Embed sentences on their own, shape (n, 384), in the space of `ChunkVectors.sentences`."""

    def count_tokens(self, text: str) -> int:
        """Count tokens as the local tokenizer does, without special ones."""


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """`optimised_at` is when this process last compacted the index, None if it has not."""

    rows: int
    unindexed_rows: int
    version: int
    embedder: str
    optimised_at: datetime | None = None


class Index(Protocol):
    """The searchable structure over chunks. Every search admits only what `query.team`, `query.audience` and
    `query.filter` admit, decided inside the store before ranking."""

    async def search_vector(self, query: Query, vector: Vector, *, limit: int) -> list[Passage]:
        """Return at most `limit` passages, best first; `score` is the cosine similarity."""

    async def search_text(self, query: Query, text: str, *, limit: int) -> list[Passage]:
        """Return at most `limit` passages whose text, heading or title matches words of `text`, best first (BM25)."""

    async def section_passages(self, query: Query, section_ids: Sequence[str]) -> list[Passage]:
        """Return every passage of those sections that the audience may read, in document order; `score` is 0."""

    async def status(self) -> IndexStatus:
        """Return cheap figures about the index."""


class IndexWriter(Protocol):
    """The one way to change the index. Calls are serialised by the adapter."""

    async def replace(self, documents: Sequence[IndexedDocument]) -> None:
        """Replace these documents' old chunks by their new ones in one commit; searches see old or new, never half."""

    async def delete(self, team: str, document_ids: Sequence[str]) -> None:
        """Remove documents; no search that starts after this returns finds them."""

    async def contents(self, team: str, document_id: str) -> Contents | None:
        """Return what is indexed of a document, in order, None if nothing is; vectors to half precision."""

    async def optimise(self) -> None:
        """Compact, fold new rows into the indexes and drop old versions."""


@dataclass(frozen=True, slots=True)
class VersionsKept:
    """The oldest and the newest version of the index that can still be read."""

    oldest: int
    newest: int


@dataclass(frozen=True, slots=True)
class Holding:
    """What the index holds of one document: `rows` in all, at so many `positions`, of these revisions and readers."""

    rows: int
    positions: int
    revisions: frozenset[str]
    visibilities: frozenset[str]


@dataclass(frozen=True, slots=True)
class Edition:
    """Which state of a document an index holds: no two have the same `ingested_at`."""

    ingested_at: datetime
    revision: str
    chunks: int


class Editions(Protocol):
    """An index that is read to be built anew."""

    async def editions(self) -> dict[tuple[str, str], Edition]:
        """Return what is in it, by (team, document_id)."""

    async def contents(self, team: str, document_id: str) -> Contents | None:
        """As `IndexWriter.contents`."""


class IndexEraser(Protocol):
    """What takes the bytes of deleted documents off the disk: a delete alone only hides them."""

    async def erase(self) -> int:
        """Write the index anew, without what was deleted; return the version from which on it holds nothing of it."""

    async def prune(self, older_than: timedelta) -> VersionsKept:
        """Drop the versions that are older, never the newest; say which are left."""
