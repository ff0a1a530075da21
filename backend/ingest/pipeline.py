"""The ingest story: accept → load → prepare → commit, in small steps that may each be repeated after a crash.

The steps do no work for an attempt that was superseded (`Document.attempt` names another one, or none). All changes of
a document's record and of the index are made under one lock, so a removal and a commit never cross: what was removed
does not come back. What the steps hand each other is a blob key, never text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

from loguru import logger

from backend.domain import Chunk, Document, Extracted, IndexedDocument, Origin
from backend.errors import FetchFailed, FootnoteError, NotFound, Unavailable, Unreadable
from backend.ingest.describe import Description, describe, provisional_title, revision_of
from backend.ingest.staging import pack_parcel, pack_staged, unpack_parcel, unpack_staged
from backend.ingest.submission import Submission, derive_id
from backend.ports import Blobs, Documents, Embedder, Fetched, Fetcher, IndexWriter

Extract = Callable[[Fetched], Awaitable[Extracted]]
"""Bytes → Markdown, in a process of its own; Unreadable or TooLarge if it cannot be done."""
Split = Callable[[Extracted], tuple[Chunk, ...]]
"""Markdown → chunks within the embedder's limit."""


class Enqueue(Protocol):
    async def enqueue(self, team: str, document_id: str, attempt: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Staged:
    """A piece of work whose document is ready to be written; `key` is the staged document's blob."""

    team: str
    document_id: str
    attempt: str
    key: str


def worth_retry(error: BaseException) -> bool:
    """Whether the same step may succeed a little later."""
    return isinstance(error, Unavailable) or (isinstance(error, FetchFailed) and error.retry)


@dataclass(frozen=True)
class Ingest:
    """Every step of ingestion over the ports. `version` names how text is extracted and split: when it changes, a
    document that is ingested again is indexed again. One instance per process: it holds the lock."""

    documents: Documents
    blobs: Blobs
    fetcher: Fetcher
    extract: Extract
    split: Split
    embedder: Embedder
    writer: IndexWriter
    version: str = "1"
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_attempt: Callable[[], str] = lambda: uuid4().hex
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    # ------------------------------------------------------------------------------------------- what a person asks for

    async def accept(self, submission: Submission) -> Document:
        """Record what is to be ingested; enqueue `document.attempt` next. The same request twice is one attempt.

        A document that changes who may read it leaves the index at once: nobody reads it until it is written anew.
        """
        document_id = derive_id(submission)
        async with self.lock:
            old = await self.documents.get(submission.team, document_id)
            origin = await self._origin(submission, document_id)
            new = self._queued(submission, document_id, origin, old)
            if old and old.attempt and old.status != "deleted" and _same_request(old, new):
                return old
            await self.documents.put(new)
            if old and (old.visibility != new.visibility or old.status == "deleted"):
                await self.writer.delete(new.team, [document_id])
            if old and old.origin.blob not in ("", origin.blob):
                await self.blobs.delete(old.origin.blob)
        logger.bind(team=new.team, document_id=document_id, attempt=new.attempt).info("document queued")
        return new

    async def refresh(self, team: str, document_id: str, *, force: bool = False) -> Document:
        """Begin to bring a document up to date; enqueue its attempt next. With `force` it is indexed even if unchanged.

        Raises:
            NotFound: there is no such document, or it was removed.
        """
        async with self.lock:
            old = await self._existing(team, document_id)
            if old.attempt and not force:
                return old
            new = replace(old, status="queued", reason="", attempt=self.new_attempt(), updated_at=self.now())
            new = replace(new, revision="") if force else new
            await self.documents.put(new)
        return new

    async def remove(self, team: str, document_id: str) -> None:
        """Take a document out of every answer, for good. NotFound if there is none, or it was removed before."""
        async with self.lock:
            old = await self.documents.get(team, document_id)
            if old is None or (old.status == "deleted" and not old.attempt):
                raise NotFound("There is no such document.")
            await self._remove(old)
        logger.bind(team=team, document_id=document_id).info("document removed")

    async def resume(self, queue: Enqueue) -> int:
        """Take up at start what a crash interrupted before it was enqueued; return how many documents."""
        unfinished = await self.documents.unfinished()
        for document in unfinished:
            if document.status == "deleted":
                await self._remove(document)
            else:
                await queue.enqueue(document.team, document.document_id, document.attempt)
        return len(unfinished)

    # ----------------------------------------------------------------------------------------------- the durable steps

    async def run(self, team: str, document_id: str, attempt: str) -> None:
        """All steps in a row, without retries: what a durable queue does step by step."""
        blob = staged = None
        try:
            blob = await self.load(team, document_id, attempt)
            staged = await self.prepare(team, document_id, attempt, blob) if blob else None
            if staged:
                await self.commit([Staged(team, document_id, attempt, staged)])
        except FootnoteError as error:
            await self.fail(team, document_id, attempt, str(error))
        await self.discard(team, document_id, [key for key in (blob, staged) if key])

    async def load(self, team: str, document_id: str, attempt: str) -> str | None:
        """Return the key of the document's bytes, fetched if need be; None if the attempt was superseded."""
        document = await self._advance(team, document_id, attempt)
        if document is None or document.origin.blob:
            return document.origin.blob if document else None
        fetched = await self.fetcher.fetch(document.origin.url)
        return await self.blobs.put(pack_parcel(fetched, team=team, document_id=document_id, attempt=attempt))

    async def prepare(self, team: str, document_id: str, attempt: str, blob: str) -> str | None:
        """Extract, split and embed; return the staged document's key. None if superseded, or nothing has changed."""
        document = await self._current(team, document_id, attempt)
        if document is None:
            return None
        fetched = unpack_parcel(await self.blobs.get(blob))
        extracted = await self.extract(fetched)
        description = describe(document, fetched, extracted)
        revision = revision_of(document, extracted, description, f"{self.version}/{self.embedder.name}")
        if revision == document.revision:
            await self._unchanged(document)
            return None
        indexed = await self._embed(document, revision, extracted, description)
        return await self.blobs.put(await asyncio.to_thread(pack_staged, indexed, attempt=attempt))

    async def commit(self, batch: Sequence[Staged]) -> None:
        """Write staged documents in one commit of the index and mark them ready; skip what was superseded meanwhile."""
        async with self.lock:
            staged = [(work, indexed) for work in batch if (indexed := await self._writable(work))]
            if staged:
                await self.writer.replace([indexed for _, indexed in staged])
            for work, indexed in staged:
                await self._ready(work, indexed)

    async def fail(self, team: str, document_id: str, attempt: str, reason: str) -> None:
        """Mark the document failed; `reason` is for a person. What was indexed of it before stays."""
        async with self.lock:
            document = await self._current(team, document_id, attempt)
            if document:
                failed = replace(document, status="failed", reason=reason, attempt="", updated_at=self.now())
                await self.documents.put(failed)
                logger.bind(team=team, document_id=document_id, attempt=attempt).warning("document failed")

    async def discard(self, team: str, document_id: str, keys: Sequence[str]) -> None:
        """Delete the blobs of work that has ended. What was handed in is kept, to be read again by a refresh."""
        async with self.lock:
            document = await self.documents.get(team, document_id)
            for key in keys:
                if document is None or key != document.origin.blob:
                    await self.blobs.delete(key)

    # ----------------------------------------------------------------------------------------------------------- inside

    async def _origin(self, submission: Submission, document_id: str) -> Origin:
        upload = submission.upload
        if upload is None:
            return Origin(url=submission.url)
        fetched = Fetched(upload.content, submission.shown_url, upload.media_type, upload.file_name)
        blob = await self.blobs.put(pack_parcel(fetched, team=submission.team, document_id=document_id))
        return Origin(blob=blob, file_name=upload.file_name, media_type=upload.media_type)

    def _queued(self, submission: Submission, document_id: str, origin: Origin, old: Document | None) -> Document:
        now = self.now()
        kept = old if old and old.status != "deleted" else None
        indexed = kept if kept and kept.visibility == submission.visibility else None
        return Document(
            team=submission.team,
            document_id=document_id,
            origin=origin,
            title=submission.title or (kept.title if kept else "") or provisional_title(origin, document_id),
            url=submission.shown_url or submission.url,
            visibility=submission.visibility,
            status="queued",
            created_at=kept.created_at if kept else now,
            updated_at=now,
            revision=indexed.revision if indexed else "",
            stated=submission.stated,
            metadata=indexed.metadata if indexed else submission.stated,
            chunks=indexed.chunks if indexed else 0,
            refresh_days=submission.refresh_days,
            attempt=self.new_attempt(),
            stated_title=submission.title,
        )

    async def _existing(self, team: str, document_id: str) -> Document:
        document = await self.documents.get(team, document_id)
        if document is None or document.status == "deleted":
            raise NotFound("There is no such document.")
        return document

    async def _current(self, team: str, document_id: str, attempt: str) -> Document | None:
        document = await self.documents.get(team, document_id)
        return document if document and document.attempt == attempt and document.status != "deleted" else None

    async def _advance(self, team: str, document_id: str, attempt: str) -> Document | None:
        async with self.lock:
            document = await self._current(team, document_id, attempt)
            if document is None or document.status == "processing":
                return document
            document = replace(document, status="processing", updated_at=self.now())
            await self.documents.put(document)
            return document

    async def _embed(
        self, document: Document, revision: str, extracted: Extracted, description: Description
    ) -> IndexedDocument:
        chunks = await asyncio.to_thread(self.split, extracted)
        if not chunks:
            raise Unreadable("No text was found in it.")
        return IndexedDocument(
            team=document.team,
            document_id=document.document_id,
            revision=revision,
            title=description.title,
            url=document.url,
            visibility=document.visibility,
            metadata=description.metadata,
            ingested_at=self.now(),
            chunks=chunks,
            vectors=tuple(await self.embedder.embed_chunks(description.title, chunks)),
        )

    async def _writable(self, work: Staged) -> IndexedDocument | None:
        """Load what is to be written, unless it was superseded. From here until it is ready the index may hold either
        revision, so the record names none."""
        document = await self._current(work.team, work.document_id, work.attempt)
        if document is None:
            return None
        indexed = await asyncio.to_thread(unpack_staged, await self.blobs.get(work.key))
        await self.documents.put(replace(document, revision=""))
        return indexed

    async def _ready(self, work: Staged, indexed: IndexedDocument) -> None:
        document = await self.documents.get(work.team, work.document_id)
        if document is None or document.status == "deleted":  # By another process, while the index was being written.
            await self.writer.delete(work.team, [work.document_id])
            return
        if document.attempt != work.attempt:
            await self.documents.put(replace(document, revision=""))
            return
        ready = replace(
            document,
            status="ready",
            reason="",
            attempt="",
            title=indexed.title,
            revision=indexed.revision,
            metadata=indexed.metadata,
            chunks=len(indexed.chunks),
            updated_at=self.now(),
        )
        await self.documents.put(ready)
        logger.bind(document_id=work.document_id, attempt=work.attempt, chunks=ready.chunks).info("document ready")

    async def _unchanged(self, seen: Document) -> None:
        async with self.lock:
            document = await self._current(seen.team, seen.document_id, seen.attempt)
            if document:
                ready = replace(document, status="ready", reason="", attempt="", updated_at=self.now())
                await self.documents.put(ready)

    async def _remove(self, document: Document) -> None:
        """First the record, which is the truth; `attempt` marks until the end that the index may still hold it."""
        removed = replace(
            document, status="deleted", reason="", revision="", chunks=0, attempt="removing", updated_at=self.now()
        )
        await self.documents.put(removed)
        await self.writer.delete(document.team, [document.document_id])
        if document.origin.blob:
            await self.blobs.delete(document.origin.blob)
        await self.documents.put(replace(removed, attempt=""))


def _same_request(old: Document, new: Document) -> bool:
    asked = [(of.origin, of.url, of.visibility, of.stated, of.stated_title, of.refresh_days) for of in (old, new)]
    return asked[0] == asked[1]
