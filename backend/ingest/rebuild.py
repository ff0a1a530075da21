"""Building an index anew beside the live one: what one pass has to do, and doing it.

A pass compares which editions of which documents the two hold, and brings the new one up. It may be repeated, also
after kill -9, and does only what is left. While the live index is written to, a pass is out of date when it ends; the
last one is made while nobody writes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from loguru import logger

from backend.domain import Chunk, ChunkVectors, Document, IndexedDocument
from backend.errors import FootnoteError
from backend.ingest.describe import recipe_of
from backend.ingest.pipeline import Ingest
from backend.ingest.staging import unpack_parcel
from backend.ports import Documents, Edition, Editions, Embedder, IndexWriter

Key = tuple[str, str]
"""(team, document_id)."""
TOGETHER = 16
"""Documents in one commit."""
Chunks = Callable[[Document], Awaitable[tuple[Chunk, ...]]]
"""A document's chunks from its source; FootnoteError where it cannot be had or read."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to be written into the new index, and what taken out of it."""

    write: tuple[Key, ...]
    delete: tuple[Key, ...]


def difference(live: Mapping[Key, Edition], new: Mapping[Key, Edition]) -> Difference:
    """Compare by the moment of ingestion, which a rebuilt document keeps."""
    write = (key for key, edition in live.items() if key not in new or new[key].ingested_at != edition.ingested_at)
    return Difference(tuple(sorted(write)), tuple(sorted(key for key in new if key not in live)))


def rebuilt_revision(revision: str, made_by: str) -> str:
    """Return the identity of the same content, extracted and split by another version."""
    return hashlib.sha256(f"{revision}/{made_by}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Rebuild:
    """Brings `new`, read as `built`, up to `live`. With `chunks` documents are split anew from their sources;
    otherwise, and where a source cannot be had, the live chunks are embedded anew. `advance` is told how many documents
    of how many a pass has done."""

    documents: Documents
    live: Editions
    built: Editions
    new: IndexWriter
    embedder: Embedder
    made_by: str
    chunks: Chunks | None = None
    advance: Callable[[int, int], object] = lambda *_: None

    async def catch_up(self) -> Difference:
        """Make one pass; return what it did."""
        live = await self.live.editions()
        todo = difference(live, await self.built.editions())
        for team in sorted({team for team, _ in todo.delete}):
            await self.new.delete(team, [document_id for of, document_id in todo.delete if of == team])
        for start in range(0, len(todo.write), TOGETHER):
            batch = [await self._rebuilt(key, live[key]) for key in todo.write[start : start + TOGETHER]]
            await self.new.replace([one for one in batch if one])
            self.advance(min(start + TOGETHER, len(todo.write)), len(todo.write))
        return todo

    async def _rebuilt(self, key: Key, edition: Edition) -> IndexedDocument | None:
        """Return the document as it is to be written; None if it is being removed."""
        document = await self.documents.get(*key)
        if document is None or document.status == "deleted":
            return None
        chunks = await self._from_source(document) if self.chunks else None
        revision = rebuilt_revision(edition.revision, self.made_by) if chunks else edition.revision
        if not chunks:
            held = await self.live.contents(*key)
            chunks = held.chunks if held else ()
        if not chunks:
            return None
        vectors = await self.embedder.embed_chunks(document.title, chunks)
        return _indexed(document, edition, revision, chunks, vectors)

    async def _from_source(self, document: Document) -> tuple[Chunk, ...] | None:
        assert self.chunks is not None
        try:
            return await self.chunks(document)
        except FootnoteError as error:
            fields = {"document_id": document.document_id, "error": type(error).__name__}
            logger.bind(**fields).warning("source not read; its present text is kept")
            return None


def chunks_by(ingest: Ingest) -> Chunks:
    """Return what reads a document's source and splits it, as ingestion does."""

    async def chunks(document: Document) -> tuple[Chunk, ...]:
        if document.origin.blob:
            fetched = unpack_parcel(await ingest.blobs.get(document.origin.blob))
        else:
            fetched = await ingest.fetcher.fetch(document.origin.url)
        extracted = await ingest.extract(fetched)
        return await asyncio.to_thread(ingest.split, extracted)

    return chunks


def recorded(document: Document, before: Edition, after: Edition, made_by: str, *, unknown: bool) -> Document | None:
    """Return the record of a document of which `after` took the place of `before`; None if it speaks of neither.

    Where it is `unknown` how the edition was made, the next refresh of the document makes it anew.
    """
    rebuilt = rebuilt_revision(document.revision, made_by)
    same = before.ingested_at == after.ingested_at and before.revision in (document.revision, rebuilt)
    if not same or not document.revision or document.attempt or document.same_as or document.status == "deleted":
        return None
    recipe = "" if unknown else recipe_of(document, made_by)
    snapshot = replace(document.snapshot, recipe=recipe if document.snapshot.digest else "")
    return replace(document, revision=after.revision, chunks=after.chunks, snapshot=snapshot)


def _indexed(
    document: Document, edition: Edition, revision: str, chunks: Sequence[Chunk], vectors: Sequence[ChunkVectors]
) -> IndexedDocument:
    return IndexedDocument(
        team=document.team,
        document_id=document.document_id,
        revision=revision,
        title=document.title,
        url=document.url,
        visibility=document.visibility,
        metadata=document.metadata,
        ingested_at=edition.ingested_at,
        chunks=tuple(chunks),
        vectors=tuple(vectors),
    )
