"""Work that nobody does: documents whose records say that they are under way, though the queue no longer has them.

That happens where the disk fills up, or the database is away, for longer than a step is tried again: neither the end
of the work nor why it failed could be recorded. A look finds such documents, and begins their work anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from time import monotonic

from loguru import logger

from backend.ingest.pipeline import Ingest
from backend.ports import IngestQueue, Work

GRACE = 60.0
"""Seconds: the pages of a large archive are all accepted before the first of them is enqueued."""


@dataclass
class Stranded:
    """Looks now and then. What is missing may be on its way into the queue; what is still missing `grace` seconds
    later is lost."""

    ingest: Ingest
    queue: IngestQueue
    grace: float = GRACE
    _since: dict[Work, float] = field(default_factory=dict, init=False)

    async def look(self) -> None:
        """Begin anew what has been missing for too long. Unavailable where that cannot be recorded either."""
        recorded = [
            (one.team, one.document_id, one.attempt)
            for one in await self.ingest.documents.unfinished()
            if one.status != "deleted"
        ]
        missing = await self.queue.without(recorded) if recorded else frozenset()
        self._since = {work: self._since.get(work, monotonic()) for work in missing}
        for work in sorted(work for work, since in self._since.items() if since + self.grace <= monotonic()):
            await self._begin_anew(work)

    async def _begin_anew(self, work: Work) -> None:
        team, document_id, attempt = work
        async with self.ingest.lock:
            document = await self.ingest.documents.get(team, document_id)
            if document is None or document.attempt != attempt or document.status == "deleted":
                return
            anew = replace(document, status="queued", reason="", attempt=self.ingest.new_attempt())
            await self.ingest.documents.put(anew)
        await self.queue.enqueue(team, document_id, anew.attempt)
        logger.bind(team=team, document_id=document_id, attempt=anew.attempt).warning("lost work begun anew")
