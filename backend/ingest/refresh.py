"""Keeping documents up to date: when a source is looked at again, and what is made of what is found there.

A page that is gone is believed to be gone only when it still is a while later: until then answers use what it said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Protocol

from loguru import logger

from backend.domain import UNSEEN, Document, Notice
from backend.errors import NotFound
from backend.ingest.describe import host_of
from backend.ports import Documents

AFTER_FAILURE = timedelta(days=1)
"""When to look again at a source that is to be refreshed and could not be read."""
AT_ONCE = 20
"""Documents that are begun at a time, so that those which people ask for need not wait behind them."""

MISSING = (
    "{host} has no such page any more. Answers still use what it said before; if it is still gone at the next look, "
    "it is taken out of them."
)
GONE = (
    "{host} has had no such page since {since:%Y-%m-%d}, so answers do not use it any more. If it has moved, ingest "
    "its new address; if it comes back, refresh it."
)


def looked_at(document: Document, now: datetime) -> Document:
    """Return the document after a look at its source that found it, changed or not."""
    if not document.origin.url:
        return document
    return replace(document, checked_at=now, due_at=_next(document, now), missing_since=None)


def not_read(document: Document, now: datetime) -> Document:
    """Return the document after a look at its source that came to nothing, which says nothing about the page."""
    if not document.origin.url:
        return document
    due_at = _next(document, now)
    return replace(document, checked_at=now, due_at=min(due_at, now + AFTER_FAILURE) if due_at else None)


def not_found(document: Document, now: datetime, gone_after: timedelta) -> Document:
    """Return the document after a look at its source that found no page: still ready, or failed and without chunks
    once it has been missing for `gone_after`. The work on it (`attempt`) is for the caller to end."""
    host = host_of(document.origin.url)
    since = document.missing_since or now
    if now - since < gone_after:
        reason = MISSING.format(host=host)
        return replace(
            document, status="ready", reason=reason, checked_at=now, due_at=since + gone_after, missing_since=since
        )
    return replace(
        document,
        status="failed",
        reason=GONE.format(host=host, since=since),
        revision="",
        chunks=0,
        snapshot=UNSEEN,
        same_as="",
        similar_to="",
        checked_at=now,
        due_at=_next(document, now),
        missing_since=since,
        updated_at=now,
    )


def notice_of(gone: Document, now: datetime) -> Notice:
    """Return what the person who asked for the document is told. The same disappearance is always the same notice."""
    happened = f"{gone.team}\n{gone.document_id}\n{gone.missing_since}"
    return Notice(
        notice_id=sha256(happened.encode()).hexdigest()[:24],
        team=gone.team,
        user=gone.by,
        document_id=gone.document_id,
        title=gone.title,
        url=gone.url or gone.origin.url,
        reason=gone.reason,
        created_at=now,
    )


def _next(document: Document, now: datetime) -> datetime | None:
    return now + timedelta(days=document.refresh_days) if document.refresh_days else None


class Refreshes(Protocol):
    async def refresh(self, team: str, document_id: str) -> Document: ...


class Enqueue(Protocol):
    async def enqueue(self, team: str, document_id: str, attempt: str) -> None: ...


@dataclass(frozen=True)
class Refreshing:
    """Begins the refreshes that are due; the queue does them."""

    documents: Documents
    ingest: Refreshes
    queue: Enqueue
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def run(self) -> None:
        """To be called now and then. Unavailable if a part is down."""
        due = await self.documents.due(self.now(), limit=AT_ONCE)
        for document in due:
            try:
                begun = await self.ingest.refresh(document.team, document.document_id)
            except NotFound:  # Removed just now.
                continue
            await self.queue.enqueue(begun.team, begun.document_id, begun.attempt)
        if due:
            logger.bind(documents=len(due)).info("refreshes begun")
