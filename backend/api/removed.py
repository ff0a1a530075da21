"""Removed documents stay out of what is told, also of runs that had found them before they were removed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

from backend.codec import Json
from backend.domain import Event, Evidence, Found
from backend.errors import Removed
from backend.ports import Removals
from backend.redact import redact

REMOVED = "A document that this answer draws on was removed while it was being written; please ask again."


async def without_removed(
    events: AsyncGenerator[Event, None], removals: Removals, team: str, began: datetime
) -> AsyncGenerator[Event, None]:
    """Pass a run's events on. Removed ends it, where a document that it draws on was removed since it began."""
    used: frozenset[str] = frozenset()
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Found):
                used = frozenset(one.passage.document_id for one in event.evidence)
            if used and used & await removals.since(team, began):
                raise Removed(REMOVED)
            yield event


async def still_there(
    evidence: tuple[Evidence, ...], removals: Removals, team: str, began: datetime
) -> tuple[Evidence, ...]:
    """Return what a search that began then may still show."""
    gone = await removals.since(team, began)
    return tuple(one for one in evidence if one.passage.document_id not in gone)


async def redacted(trace: Json, removals: Removals) -> Json:
    """Return a run's trace without what it holds of documents that were removed since."""
    question = trace["question"]
    assert isinstance(question, dict)
    began = datetime.fromisoformat(str(trace["created_at"]))
    return redact(trace, await removals.since(question["team"], began))
