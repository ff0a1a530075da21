"""State kept in dictionaries, by the contracts of the real adapters: `tests/contract/test_state.py` runs over both."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Literal

from backend.codec import Json, feedback_to_json, run_to_json
from backend.domain import (
    Audience,
    Catalogue,
    Collection,
    Document,
    Feedback,
    FieldValue,
    Member,
    Notice,
    Removal,
    Run,
    Status,
    Visibility,
)
from backend.errors import BadInput, NotFound
from backend.ingest.pipeline import Ingest
from backend.ports import BLOB_START, DocumentPage, Kin, Scope, Spent, Usage, Work
from backend.redact import holds, redact, removed_since


@dataclass
class FakeDocuments:
    rows: dict[tuple[str, str], Document] = field(default_factory=dict)

    async def get(self, team: str, document_id: str) -> Document | None:
        return self.rows.get((team, document_id))

    async def several(self, team: str, document_ids: Sequence[str]) -> dict[str, Document]:
        return {name: self.rows[team, name] for name in document_ids if (team, name) in self.rows}

    async def put(self, document: Document) -> None:
        self.rows[document.team, document.document_id] = document

    async def put_all(self, documents: Sequence[Document]) -> None:
        for document in documents:
            await self.put(document)

    async def begin(self, team: str, document_id: str, attempt: str) -> Document | None:
        row = self.rows.get((team, document_id))
        if row is None or row.attempt != attempt or row.status == "deleted":
            return None
        await self.put(replace(row, status="processing"))
        return self.rows[team, document_id]

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

    async def due(self, moment: datetime, *, limit: int) -> tuple[Document, ...]:
        due = [
            (row.due_at, row.team, row.document_id, row)
            for row in self.rows.values()
            if row.due_at and row.due_at <= moment and not row.attempt and row.status != "deleted"
        ]
        return tuple(row for *_, row in sorted(due, key=lambda found: found[:3])[:limit])

    async def same_text(self, team: str, visibility: Visibility, text: str) -> tuple[Document, ...]:
        return tuple(
            row
            for row in self._oldest_first(team)
            if row.snapshot.text == text and row.visibility == visibility and row.chunks and not row.same_as
        )

    async def pointing_to(self, team: str, document_id: str) -> tuple[Document, ...]:
        return tuple(row for row in self._oldest_first(team) if row.same_as == document_id)

    def _oldest_first(self, team: str) -> tuple[Document, ...]:
        mine = (row for row in self.rows.values() if row.team == team and row.status != "deleted")
        return tuple(sorted(mine, key=lambda row: (row.created_at, row.document_id)))

    async def kept(self) -> tuple[Document, ...]:
        return tuple(
            sorted((row for row in self.rows.values() if row.status != "deleted"), key=lambda row: row.updated_at)
        )

    async def catalogue(self, team: str, audience: Audience) -> Catalogue:
        admitted = audience.visibilities()
        counts: dict[str, Counter[FieldValue]] = defaultdict(Counter)
        for row in self.rows.values():
            searchable = (row.status == "ready" or (row.chunks and row.status != "deleted")) and not row.same_as
            tagged = not audience.only_tags or bool(set(audience.only_tags).intersection(row.metadata.tags))
            if row.team == team and searchable and str(row.visibility) in admitted and tagged:
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
    redacted: dict[str, Json] = field(default_factory=dict)

    async def put(self, run: Run) -> None:
        self.rows[run.run_id] = run
        self.redacted.pop(run.run_id, None)

    async def get(self, run_id: str) -> dict[str, object] | None:
        if run_id not in self.rows:
            return None
        feedback = [feedback_to_json(given) for key, given in sorted(self.feedbacks.items()) if key[0] == run_id]
        return {**self._trace(run_id), "feedback": feedback}

    async def redact(self, team: str, removed: Mapping[str, datetime]) -> int:
        traces = {run_id: self._trace(run_id) for run_id, run in self.rows.items() if run.question.team == team}
        after = {key: redact(old, removed_since(str(old["created_at"]), removed)) for key, old in traces.items()}
        changed = {run_id: trace for run_id, trace in after.items() if trace != traces[run_id]}
        self.redacted |= changed
        return len(changed)

    async def holding(self, team: str, document_id: str) -> int:
        mine = [run_id for run_id, run in self.rows.items() if run.question.team == team]
        return sum(holds(self._trace(run_id), document_id) for run_id in mine)

    def _trace(self, run_id: str) -> Json:
        return self.redacted.get(run_id) or run_to_json(self.rows[run_id])


@dataclass
class FakeCollections:
    """`documents` is where the state of their documents is looked up."""

    documents: FakeDocuments
    rows: dict[tuple[str, str], Collection] = field(default_factory=dict)
    belonging: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    async def get(self, team: str, collection_id: str) -> Collection | None:
        return self.rows.get((team, collection_id))

    async def put(self, collection: Collection) -> None:
        self.rows[collection.team, collection.collection_id] = collection

    async def add(self, team: str, collection_id: str, document_id: str) -> None:
        self.belonging.setdefault((team, collection_id), set()).add(document_id)

    async def members(self, team: str, collection_id: str) -> tuple[Member, ...]:
        ids = sorted(self.belonging.get((team, collection_id), ()))
        found = (self.documents.rows.get((team, one)) for one in ids)
        return tuple(Member(d.document_id, d.url, d.status, d.reason, d.chunks) for d in found if d)

    async def unfinished(self) -> tuple[Collection, ...]:
        rows = [row for row in self.rows.values() if row.status in ("queued", "discovering")]
        return tuple(sorted(rows, key=lambda row: row.created_at))


@dataclass
class FakeSketches:
    rows: dict[tuple[str, str], tuple[Visibility, frozenset[int]]] = field(default_factory=dict)

    async def put(self, document: Document, marks: frozenset[int]) -> None:
        self.rows.pop((document.team, document.document_id), None)
        if marks:
            self.rows[document.team, document.document_id] = document.visibility, marks

    async def meet(self, arrivals: Sequence[tuple[Document, frozenset[int]]], *, limit: int) -> list[tuple[Kin, ...]]:
        return [await self._met(document, marks, limit) for document, marks in arrivals]

    async def _met(self, document: Document, marks: frozenset[int], limit: int) -> tuple[Kin, ...]:
        await self.put(document, marks)
        found = [
            Kin(other, len(marks & theirs), len(theirs))
            for (team, other), (visibility, theirs) in self.rows.items()
            if team == document.team and visibility == document.visibility and other != document.document_id
        ]
        sharing = [kin for kin in found if kin.shared]
        return tuple(sorted(sharing, key=lambda kin: (-kin.shared, kin.document_id))[:limit])


@dataclass
class FakeUsages:
    documents: FakeDocuments
    days: dict[tuple[str, date], int] = field(default_factory=dict)

    async def of(self, team: str, day: date) -> Usage:
        kept = [row for row in self.documents.rows.values() if row.team == team and row.status != "deleted"]
        return Usage(len(kept), sum(row.size for row in kept), self.days.get((team, day), 0))

    async def add_page(self, team: str, day: date) -> None:
        self.days = {key: pages for key, pages in self.days.items() if key[0] != team or key[1] >= day}
        self.days[team, day] = self.days.get((team, day), 0) + 1


@dataclass
class FakeNotices:
    rows: dict[str, Notice] = field(default_factory=dict)

    async def put(self, notice: Notice) -> None:
        self.rows[notice.notice_id] = notice

    async def list(self, team: str, *, limit: int = 50) -> tuple[Notice, ...]:
        mine = [row for row in self.rows.values() if row.team == team]
        return tuple(sorted(mine, key=lambda row: (row.created_at, row.notice_id))[:limit])

    async def delete(self, team: str, notice_id: str) -> bool:
        known = self.rows.get(notice_id)
        return known is not None and known.team == team and bool(self.rows.pop(notice_id))

    async def delete_of(self, team: str, document_id: str) -> None:
        of_it = [key for key, row in self.rows.items() if (row.team, row.document_id) == (team, document_id)]
        for key in of_it:
            del self.rows[key]


@dataclass
class FakeRemovals:
    rows: dict[tuple[str, str], Removal] = field(default_factory=dict)

    async def put(self, removal: Removal) -> None:
        self.rows[removal.team, removal.document_id] = removal

    async def advance(self, removal: Removal) -> None:
        known = self.rows.get((removal.team, removal.document_id))
        if known and known.removed_at == removal.removed_at:
            await self.put(removal)

    async def get(self, team: str, document_id: str) -> Removal | None:
        return self.rows.get((team, document_id))

    async def since(self, team: str, moment: datetime) -> frozenset[str]:
        return frozenset(r.document_id for r in self.rows.values() if r.team == team and r.removed_at >= moment)

    async def unpurged(self) -> tuple[Removal, ...]:
        left = [row for row in self.rows.values() if row.purged_at is None]
        return tuple(sorted(left, key=lambda row: (row.removed_at, row.document_id)))


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

    async def starting(self, marks: Sequence[bytes]) -> tuple[str, ...]:
        starts = {key: content[:BLOB_START] for key, content in self.rows.items()}
        return tuple(sorted(key for key, start in starts.items() if any(mark in start for mark in marks)))


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

    async def without(self, works: Iterable[Work]) -> frozenset[Work]:
        return frozenset(works).difference(self.enqueued)

    async def oldest(self) -> datetime | None:
        return None

    async def depth(self) -> int:
        return 0 if self.ingest else len(self.enqueued)


@dataclass
class FakeSpendings:
    rows: dict[tuple[str, date, str, str], Spent] = field(default_factory=dict)

    async def of(self, team: str, day: date, subjects: Mapping[Scope, str]) -> dict[Scope, Spent]:
        return {scope: self.rows.get((team, day, scope, name), Spent()) for scope, name in subjects.items()}

    async def add(self, team: str, day: date, subjects: Mapping[Scope, str], spent: Spent) -> None:
        for scope, name in subjects.items():
            known = self.rows.get((team, day, scope, name), Spent())
            self.rows[team, day, scope, name] = Spent(known.tokens + spent.tokens, known.cost + spent.cost)
