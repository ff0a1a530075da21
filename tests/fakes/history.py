"""Past runs from a list, by the contract of the real adapter: `tests/contract/test_history.py` runs over both."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from backend.evaluate.history import PastRun, Titled
from tests.fakes.state import FakeDocuments


@dataclass
class FakeHistory:
    """`past` are runs with their team, in any order; replays are not put there."""

    documents: FakeDocuments
    past: list[tuple[str, PastRun]] = field(default_factory=list)

    async def runs(self, team: str, since: datetime, *, limit: int, experiment: str = "") -> tuple[PastRun, ...]:
        found = [
            run
            for of, run in self.past
            if of == team and run.created_at >= since and (not experiment or run.experiment == experiment)
        ]
        return tuple(sorted(found, key=lambda run: run.created_at, reverse=True)[:limit])

    async def titles(self, team: str, document_ids: Collection[str]) -> dict[str, str]:
        rows = [self.documents.rows.get((team, id)) for id in document_ids]
        return {row.document_id: row.title for row in rows if row and row.status != "deleted"}

    async def uncited(self, team: str, cited: Collection[str], *, limit: int) -> tuple[int, tuple[Titled, ...]]:
        never = [
            row
            for row in self.documents.rows.values()
            if row.team == team and row.status == "ready" and not row.same_as and row.document_id not in cited
        ]
        never.sort(key=lambda row: (row.created_at, row.document_id))
        return len(never), tuple(Titled(row.document_id, row.title) for row in never[:limit])
