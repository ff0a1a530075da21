"""What changes in the index leaves the caches in the same breath."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from backend.domain import Contents, IndexedDocument
from backend.ports import IndexWriter
from backend.query.caching.tiers import Tiers


@dataclass(frozen=True)
class ForgettingWriter:
    """ports.IndexWriter over another. No answer that drew on an old revision would be found again anyway, as its key
    holds that revision's words; dropping it frees the space, and leaves no words of a removed document behind."""

    writer: IndexWriter
    tiers: Tiers

    async def replace(self, documents: Sequence[IndexedDocument]) -> None:
        await self.writer.replace(documents)
        changed: defaultdict[str, list[str]] = defaultdict(list)
        for document in documents:
            changed[document.team].append(document.document_id)
        for team, document_ids in changed.items():
            await self.tiers.forget(team, document_ids)

    async def delete(self, team: str, document_ids: Sequence[str]) -> None:
        await self.writer.delete(team, document_ids)
        if document_ids:
            await self.tiers.forget(team, document_ids)

    async def contents(self, team: str, document_id: str) -> Contents | None:
        return await self.writer.contents(team, document_id)

    async def optimise(self) -> None:
        await self.writer.optimise()
