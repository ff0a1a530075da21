"""State kept in dictionaries, by the contracts of the real adapters: `tests/contract/test_state.py` runs over both."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

from backend.codec import feedback_to_json, run_to_json
from backend.domain import Audience, Catalogue, Document, Feedback, FieldValue, Run, Status
from backend.errors import BadInput, NotFound
from backend.ingest.pipeline import Ingest
from backend.ports import DocumentPage


@dataclass
class FakeDocuments:
    rows: dict[tuple[str, str], Document] = field(default_factory=dict)

    async def get(self, team: str, document_id: str) -> Document | None:
        return self.rows.get((team, document_id))

    async def put(self, document: Document) -> None:
        self.rows[document.team, document.document_id] = document

    async def list(
        self,
        team: str,
        *,
        status: Status | None = None,
        text: str = "",
        visibilities: frozenset[str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> DocumentPage:
        found = [
            row
            for row in self.rows.values()
            if row.team == team
            and (row.status == status if status else row.status != "deleted")
            and text.lower() in f"{row.title}\n{row.url}".lower()
            and (visibilities is None or str(row.visibility) in visibilities)
        ]
        found.sort(key=lambda row: (row.updated_at, row.document_id), reverse=True)
        start = _position(cursor)
        page = found[start : start + limit]
        more = len(found) > start + limit
        return DocumentPage(tuple(page), _cursor(start + limit) if more else None)

    async def unfinished(self) -> tuple[Document, ...]:
        return tuple(row for row in self.rows.values() if row.attempt)

    async def kept(self) -> tuple[Document, ...]:
        return tuple(
            sorted((row for row in self.rows.values() if row.status != "deleted"), key=lambda row: row.updated_at)
        )

    async def catalogue(self, team: str, audience: Audience) -> Catalogue:
        admitted = audience.visibilities()
        counts: dict[str, Counter[FieldValue]] = defaultdict(Counter)
        for row in self.rows.values():
            searchable = row.status == "ready" or (row.chunks and row.status != "deleted")
            if row.team == team and searchable and str(row.visibility) in admitted:
                for name, values in _fields(row).items():
                    counts[name].update(set(values))
        return Catalogue({name: dict(values) for name, values in counts.items()})

    async def counts(self) -> dict[str, int]:
        return dict(Counter(row.status for row in self.rows.values()))


def _fields(row: Document) -> Mapping[str, tuple[FieldValue, ...]]:
    known = row.metadata
    fields: dict[str, tuple[FieldValue, ...]] = {
        **known.custom,
        "source": (known.source,),
        "author": known.author,
        "doc_type": (known.doc_type,),
        "tags": known.tags,
        "language": (known.language,),
        "title": (row.title,),
    }
    return {name: tuple(value for value in values if value != "") for name, values in fields.items() if any(values)}


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(b"position=%d" % position).decode()


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        name, _, number = base64.urlsafe_b64decode(cursor).decode().partition("=")
        if name == "position":
            return int(number)
    except ValueError:
        pass
    raise BadInput("The cursor is not one that a listing returned; start without it.")


@dataclass
class FakeFeedbacks:
    runs: FakeRuns

    async def put(self, feedback: Feedback) -> None:
        if feedback.run_id not in self.runs.rows:
            raise NotFound("There is no such run.")
        stamped = replace(feedback, created_at=feedback.created_at or datetime.now(UTC))
        self.runs.feedbacks[feedback.run_id, feedback.user, feedback.kind] = stamped

    async def delete(self, run_id: str, user: str, kind: Literal["reaction", "button"]) -> bool:
        return self.runs.feedbacks.pop((run_id, user, kind), None) is not None


@dataclass
class FakeRuns:
    rows: dict[str, Run] = field(default_factory=dict)
    feedbacks: dict[tuple[str, str, str], Feedback] = field(default_factory=dict)

    async def put(self, run: Run) -> None:
        self.rows[run.run_id] = run

    async def get(self, run_id: str) -> dict[str, object] | None:
        run = self.rows.get(run_id)
        if run is None:
            return None
        feedback = [feedback_to_json(given) for key, given in sorted(self.feedbacks.items()) if key[0] == run_id]
        return {**run_to_json(run), "feedback": feedback}


@dataclass
class FakeBlobs:
    rows: dict[str, bytes] = field(default_factory=dict)

    async def put(self, content: bytes) -> str:
        key = hashlib.sha256(content).hexdigest()
        self.rows[key] = content
        return key

    async def get(self, key: str) -> bytes:
        if key not in self.rows:
            raise NotFound("There is no such blob.")
        return self.rows[key]

    async def delete(self, key: str) -> None:
        self.rows.pop(key, None)


@dataclass
class FakeIngestQueue:
    """Runs the work inside `enqueue`, so that it has ended when that returns. Without `ingest` it only records."""

    ingest: Ingest | None = None
    enqueued: list[tuple[str, str, str]] = field(default_factory=list)

    async def enqueue(self, team: str, document_id: str, attempt: str) -> None:
        work = (team, document_id, attempt)
        if work in self.enqueued:
            return
        self.enqueued.append(work)
        if self.ingest:
            await self.ingest.run(team, document_id, attempt)

    async def wait(self, team: str, document_id: str, attempt: str) -> None:
        return None

    async def depth(self) -> int:
        return 0 if self.ingest else len(self.enqueued)
