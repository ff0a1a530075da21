"""A document's record from one state to the next: pure, whoever holds the lock writes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from backend.domain import UNSEEN, Document, IndexedDocument, Metadata, Origin, Snapshot
from backend.ingest.describe import provisional_title
from backend.ingest.submission import Submission


def queued(
    submission: Submission, document_id: str, origin: Origin, old: Document | None, *, attempt: str, now: datetime
) -> Document:
    """Return the record of what is to be ingested. What `old` knows stays, as far as it is still true: nothing that is
    indexed for other readers counts as indexed."""
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
        attempt=attempt,
        stated_title=submission.title,
        by=submission.by or (kept.by if kept else ""),
        checked_at=kept.checked_at if kept else None,
        missing_since=kept.missing_since if kept else None,
        snapshot=indexed.snapshot if indexed else UNSEEN,
        same_as=indexed.same_as if indexed else "",
        similar_to=indexed.similar_to if indexed else "",
        size=len(submission.upload.content) if submission.upload else kept.size if kept else 0,
    )


def same_request(old: Document, new: Document) -> bool:
    """Whether both ask for the same."""
    asked = [(of.origin, of.url, of.visibility, of.stated, of.stated_title, of.refresh_days) for of in (old, new)]
    return asked[0] == asked[1]


def described(document: Document, title: str, metadata: Metadata, revision: str, snapshot: Snapshot) -> Document:
    """Return the record with what was found out about the document."""
    size = snapshot.size or document.size
    return replace(document, title=title, metadata=metadata, revision=revision, snapshot=snapshot, size=size)


def ready(document: Document, now: datetime) -> Document:
    """Return the record of a document whose text was brought in."""
    return replace(document, status="ready", reason="", attempt="", updated_at=now)


def indexed(document: Document, written: IndexedDocument, snapshot: Snapshot, similar_to: str) -> Document:
    """Return the record of a document that is in the index as `written`."""
    found = described(document, written.title, written.metadata, written.revision, snapshot)
    return replace(found, chunks=len(written.chunks), same_as="", similar_to=similar_to)


def linked(document: Document, first: Document) -> Document:
    """Return the record of a document that `first` is indexed for."""
    return replace(document, chunks=0, same_as=first.document_id, similar_to="")


def removed(document: Document, now: datetime) -> Document:
    """Return the record of a document that is being removed: `attempt` says that the index may still hold it."""
    return replace(
        document,
        status="deleted",
        reason="",
        revision="",
        chunks=0,
        attempt="removing",
        updated_at=now,
        due_at=None,
        snapshot=UNSEEN,
        same_as="",
        similar_to="",
        size=0,
    )


def anonymous(document: Document) -> Document:
    """Return the record of a removed document without anything that it was called or said."""
    nothing = Metadata()
    return replace(document, origin=Origin(), title="", url="", stated=nothing, metadata=nothing, stated_title="")
