"""The ingest story: accept → load → prepare → commit, in steps that may each be repeated after a crash.

The steps do no work for an attempt that was superseded (`Document.attempt` names another one, or none). All changes of
a document's record and of the index are made under one lock, so a removal and a commit never cross: what was removed
does not come back. What the steps hand each other stays in memory: a crash costs the work on what was under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from loguru import logger

from backend.domain import Chunk, Document, Extracted, IndexedDocument, Origin, Removal, Snapshot
from backend.errors import FetchFailed, FootnoteError, LimitReached, NotFound, Unavailable, Unreadable
from backend.ingest import records
from backend.ingest.describe import Description, describe, recipe_of, revision_of, snapshot_of
from backend.ingest.figures import UNCOUNTED, IngestFigures, timed
from backend.ingest.limits import Allowance, TeamLimits
from backend.ingest.refresh import looked_at, not_found, not_read, notice_of
from backend.ingest.staging import owner_mark, pack_parcel, unpack_parcel
from backend.ingest.submission import Submission, derive_id
from backend.ingest.twins import Prepared, Twins, one_of_each, seen_in
from backend.ports import (
    Blobs,
    Documents,
    Embedder,
    Fetched,
    Fetcher,
    IndexWriter,
    IngestQueue,
    Notices,
    Removals,
    Sketches,
    Usages,
)  # fmt: skip

GENEROUS = TeamLimits()
VERSION = "3"
"""Of extraction and splitting: count it up where they change what is indexed of the same bytes."""
Extract = Callable[[Fetched], Awaitable[Extracted]]
"""Bytes → Markdown, in a process of its own; Unreadable or TooLarge if it cannot be done."""
Split = Callable[[Extracted], tuple[Chunk, ...]]
"""Markdown → chunks within the embedder's limit."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document with its bytes, as one attempt found them."""

    document: Document
    fetched: Fetched


def worth_retry(error: BaseException) -> bool:
    """Whether the same step may succeed a little later."""
    return isinstance(error, Unavailable) or (isinstance(error, FetchFailed) and error.retry)


@dataclass(frozen=True)
class Ingest:
    """Every step of ingestion over the ports. `version` names how text is extracted and split: when it changes, a
    document that is ingested again is indexed again. A page that stays missing for `gone_after` is gone. One instance
    per process: it holds the lock, which several processes may share."""

    documents: Documents
    removals: Removals
    blobs: Blobs
    fetcher: Fetcher
    extract: Extract
    split: Split
    embedder: Embedder
    writer: IndexWriter
    notices: Notices
    sketches: Sketches
    usages: Usages
    limits: TeamLimits = GENEROUS
    gone_after: timedelta = timedelta(days=1)
    version: str = VERSION
    figures: IngestFigures = UNCOUNTED
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_attempt: Callable[[], str] = lambda: uuid4().hex
    lock: AbstractAsyncContextManager[object] = field(default_factory=asyncio.Lock)

    # ------------------------------------------------------------------------------------------- what a person asks for

    async def accept(self, submission: Submission) -> Document:
        """Record what is to be ingested; enqueue `document.attempt` next. The same request twice is one attempt.

        A document that changes who may read it leaves the index at once: nobody reads it until it is written anew.

        Raises:
            TeamFull, LimitReached: it would be more than the team may have, or hand in today.
        """
        document_id = derive_id(submission)
        async with self.lock:
            old = await self.documents.get(submission.team, document_id)
            origin = await self._origin(submission, document_id)
            new = records.queued(submission, document_id, origin, old, attempt=self.new_attempt(), now=self.now())
            if old and old.attempt and old.status != "deleted" and records.same_request(old, new):
                return old
            await self._admit(new, old)
            await self.documents.put(new)
            if old and (old.visibility != new.visibility or old.status == "deleted"):
                await self.twins.leave(old)
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
            new = replace(old, status="queued", reason="", attempt=self.new_attempt())
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

    async def resume(self, queue: IngestQueue) -> int:
        """Take up at start what a crash interrupted before it was enqueued; return how many documents."""
        unfinished = await self.documents.unfinished()
        missing = await queue.without([(one.team, one.document_id, one.attempt) for one in unfinished])
        for document in unfinished:
            work = (document.team, document.document_id, document.attempt)
            if document.status == "deleted":
                await self._finish_removal(document)
            elif work in missing:
                await queue.enqueue(*work)
        return len(unfinished)

    async def forget(self, removals: Sequence[Removal]) -> None:
        """Delete what is still kept of documents that were removed: stray blobs, and what their records say of them."""
        async with self.lock:
            found = [await self.documents.get(one.team, one.document_id) for one in removals]
            removed = [one for one in found if one and one.status == "deleted" and not one.attempt]
            marks = [owner_mark(one.team, one.document_id) for one in removed]
            for key in await self.blobs.starting(marks):
                await self.blobs.delete(key)
            for document in removed:
                await self.documents.put(records.anonymous(document))

    # ----------------------------------------------------------------------------------------------- the durable steps

    async def run(self, team: str, document_id: str, attempt: str) -> None:
        """All steps in a row, without retries: what a durable queue does step by step."""
        try:
            loaded = await self.load(team, document_id, attempt)
            prepared = await self.prepare(loaded) if loaded else None
            if prepared:
                await self.commit([prepared])
        except FootnoteError as error:
            await self.fail(team, document_id, attempt, str(error))

    async def load(self, team: str, document_id: str, attempt: str) -> Loaded | None:
        """Return the document's bytes, fetched if need be; None if the attempt was superseded or came to its end here,
        because nothing has changed or nothing is there any more."""
        async with self.lock:
            document = await self.documents.begin(team, document_id, attempt)
        if document is None:
            return None
        if document.origin.blob:
            return Loaded(document, unpack_parcel(await self.blobs.get(document.origin.blob)))
        known = self._known(document)
        try:
            with timed(self.figures, "fetch"):
                fetched = await self.fetcher.fetch(document.origin.url, known)
        except FetchFailed as error:
            if not error.gone or not (document.chunks or document.same_as or document.missing_since):
                raise
            await self._missing(document)
            return None
        if known and fetched.unchanged:
            await self._unchanged(document, known)
            return None
        return Loaded(document, fetched)

    async def prepare(self, loaded: Loaded) -> Prepared | None:
        """Extract, split and embed; return what is to be written. None if superseded, or nothing has changed."""
        document, fetched = loaded.document, loaded.fetched
        snapshot, known = snapshot_of(document, fetched, self._made_by), self._known(document)
        if known and known.digest == snapshot.digest:
            await self._unchanged(document, replace(known, etag=snapshot.etag, last_modified=snapshot.last_modified))
            return None
        if snapshot.size > document.size:
            await self.allowance.fits(document, snapshot.size)
        with timed(self.figures, "extract"):
            extracted = await self.extract(fetched)
        description = describe(document, fetched, extracted)
        revision = revision_of(document, extracted, description, self._made_by)
        snapshot = seen_in(extracted, snapshot)
        if revision == document.revision:
            await self._unchanged(document, snapshot)
            return None
        if await self._linked(records.described(document, description.title, description.metadata, revision, snapshot)):
            return None
        return Prepared(document, await self._embed(document, revision, extracted, description), snapshot)

    async def commit(self, batch: Sequence[Prepared]) -> None:
        """Write documents in one commit of the index and mark them ready; skip what was superseded meanwhile."""
        async with self.lock:
            waiting = await self._writable(batch)
            while waiting:
                first, waiting = one_of_each(waiting)
                await self._write([one for one in first if not await self._link(_described(one))])

    async def fail(self, team: str, document_id: str, attempt: str, reason: str) -> None:
        """Mark the document failed; `reason` is for a person. What was indexed of it before stays."""
        async with self.lock:
            document = await self._current(team, document_id, attempt)
            if document:
                failed = replace(document, status="failed", reason=reason, attempt="", updated_at=self.now())
                await self.documents.put(not_read(failed, self.now()))
                logger.bind(team=team, document_id=document_id, attempt=attempt).warning("document failed")

    # ----------------------------------------------------------------------------------------------------------- inside

    async def _origin(self, submission: Submission, document_id: str) -> Origin:
        upload = submission.upload
        if upload is None:
            return Origin(url=submission.url)
        fetched = Fetched(upload.content, submission.shown_url, upload.media_type, upload.file_name)
        blob = await self.blobs.put(pack_parcel(fetched, team=submission.team, document_id=document_id))
        return Origin(blob=blob, file_name=upload.file_name, media_type=upload.media_type)

    async def _admit(self, new: Document, old: Document | None) -> None:
        try:
            await self.allowance.admit(new, old)
        except LimitReached:
            if new.origin.blob and not (old and old.origin.blob == new.origin.blob):
                await self.blobs.delete(new.origin.blob)
            raise

    async def _existing(self, team: str, document_id: str) -> Document:
        document = await self.documents.get(team, document_id)
        if document is None or document.status == "deleted":
            raise NotFound("There is no such document.")
        return document

    async def _current(self, team: str, document_id: str, attempt: str) -> Document | None:
        document = await self.documents.get(team, document_id)
        return document if document and document.attempt == attempt and document.status != "deleted" else None

    @property
    def allowance(self) -> Allowance:
        return Allowance(self.usages, self.limits, self.now)

    @property
    def twins(self) -> Twins:
        return Twins(self.documents, self.sketches, self.writer, self.now)

    @property
    def _made_by(self) -> str:
        return f"{self.version}/{self.embedder.name}"

    def _known(self, document: Document) -> Snapshot | None:
        """Return what the index holds of the source, None if that would have to be indexed anew though unchanged."""
        valid = document.revision and document.snapshot.recipe == recipe_of(document, self._made_by)
        return document.snapshot if valid else None

    async def _embed(
        self, document: Document, revision: str, extracted: Extracted, description: Description
    ) -> IndexedDocument:
        with timed(self.figures, "split"):
            chunks = await asyncio.to_thread(self.split, extracted)
        if not chunks:
            raise Unreadable("No text was found in it.")
        with timed(self.figures, "embed"):
            vectors = tuple(await self.embedder.embed_chunks(description.title, chunks))
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
            vectors=vectors,
        )

    async def _linked(self, described: Document) -> bool:
        """Whether the document was superseded, or has the text of another one, to which it points now. What was handed
        in has no other one: whether it was superseded is looked at before it is written."""
        if not described.origin.url:
            return False
        async with self.lock:
            current = await self._current(described.team, described.document_id, described.attempt)
            return current is None or await self._link(described)

    async def _link(self, described: Document) -> bool:
        """Point to the document that is indexed with the same text; return whether there is one."""
        first = await self.twins.first_of(described)
        if first is None:
            return False
        await self.twins.leave(described)
        linked = records.ready(records.linked(described, first), self.now())
        await self.documents.put(looked_at(linked, self.now()))
        logger.bind(document_id=linked.document_id, same_as=first.document_id).info("document ready")
        return True

    async def _writable(self, batch: Sequence[Prepared]) -> list[Prepared]:
        """Return them with their records as they are now, without those that were superseded. From here until they are
        ready the index may hold either revision, so the records name none."""
        now = await self._records(batch)
        current = [replace(one, document=document) for one in batch if (document := _still(one, now.get(_key(one))))]
        named = [replace(one.document, revision="") for one in current if one.document.revision]
        if named:
            await self.documents.put_all(named)
        return current

    async def _records(self, batch: Sequence[Prepared]) -> dict[tuple[str, str], Document]:
        found: dict[tuple[str, str], Document] = {}
        for team in {one.document.team for one in batch}:
            own = [one.document.document_id for one in batch if one.document.team == team]
            several = await self.documents.several(team, own)
            found.update({(team, document_id): document for document_id, document in several.items()})
        return found

    async def _write(self, prepared: Sequence[Prepared]) -> None:
        if not prepared:
            return
        with timed(self.figures, "write"):
            await self.twins.write(prepared)
        now = await self._records(prepared)
        done = [one for one in prepared if _still(one, now.get(_key(one)))]
        await self._ready([replace(one, document=now[_key(one)]) for one in done])
        for one in prepared:
            if one not in done:
                await self._superseded(one, now.get(_key(one)))

    async def _ready(self, batch: Sequence[Prepared]) -> None:
        similar = await self.twins.similar_to([(one.document, one.indexed.chunks) for one in batch])
        indexed = [
            records.indexed(one.document, one.indexed, one.snapshot, similar_to)
            for one, similar_to in zip(batch, similar, strict=True)
        ]
        ready = [looked_at(records.ready(one, self.now()), self.now()) for one in indexed]
        await self.documents.put_all(ready)
        for one, before in zip(ready, batch, strict=True):
            attempt = before.document.attempt
            logger.bind(document_id=one.document_id, attempt=attempt, chunks=one.chunks).info("document ready")

    async def _superseded(self, written: Prepared, document: Document | None) -> None:
        """By another process, while the index was being written."""
        if document is None or document.status == "deleted":
            await self.writer.delete(written.document.team, [written.document.document_id])
        else:
            await self.documents.put(replace(document, revision=""))

    async def _unchanged(self, seen: Document, snapshot: Snapshot) -> None:
        async with self.lock:
            document = await self._current(seen.team, seen.document_id, seen.attempt)
            if document:
                ready = replace(document, status="ready", reason="", attempt="", snapshot=snapshot)
                await self.documents.put(looked_at(ready, self.now()))

    async def _missing(self, seen: Document) -> None:
        """Note that there is no page any more; if so for long enough, take it out and have its person told.

        Until `attempt` is ended, all of this is done anew after a crash.
        """
        async with self.lock:
            document = await self._current(seen.team, seen.document_id, seen.attempt)
            if document is None:
                return
            after = not_found(document, self.now(), self.gone_after)
            if after.status == "failed":
                if (document.chunks or document.same_as) and document.by:
                    await self.notices.put(notice_of(after, self.now()))
                await self.documents.put(after)
                await self.twins.leave(after)
                logger.bind(team=after.team, document_id=after.document_id).warning("document gone")
            await self.documents.put(replace(after, attempt=""))

    async def _finish_removal(self, seen: Document) -> None:
        async with self.lock:
            document = await self.documents.get(seen.team, seen.document_id)
            if document and document.status == "deleted" and document.attempt:
                await self._remove(document)

    async def _remove(self, document: Document) -> None:
        """First the record, which is the truth; `attempt` marks until the end that the index may still hold it."""
        removed = records.removed(document, self.now())
        await self.documents.put(removed)
        await self.twins.leave(removed)
        # Only now: a question that was asked a moment ago may have found it, and began before this moment.
        await self.removals.put(Removal(document.team, document.document_id, self.now()))
        await self.notices.delete_of(document.team, document.document_id)
        if document.origin.blob:
            await self.blobs.delete(document.origin.blob)
        await self.documents.put(replace(removed, attempt=""))


def _key(prepared: Prepared) -> tuple[str, str]:
    return prepared.document.team, prepared.document.document_id


def _still(prepared: Prepared, document: Document | None) -> Document | None:
    """Return the record as it is now, unless the attempt was superseded or the document removed."""
    same = document and document.attempt == prepared.document.attempt and document.status != "deleted"
    return document if same else None


def _described(prepared: Prepared) -> Document:
    written = prepared.indexed
    return records.described(prepared.document, written.title, written.metadata, written.revision, prepared.snapshot)
