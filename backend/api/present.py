"""Domain → wire: what the backend tells, in the contract's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from types import MappingProxyType

from backend import schema
from backend.domain import (
    Began,
    Citation,
    Cited,
    Collection,
    Delta,
    Document,
    Evidence,
    FieldValue,
    Found,
    Member,
    Metadata,
    Notice,
    Passage,
    Query,
    Run,
    RunMetadata,
    Snapshot,
    Understood,
)
from backend.query.filters import describe, filter_to_json

MAX_FAILURES = 50
"""Failed documents of a collection that are told."""


def event(told: Began | Understood | Found | Delta | Cited) -> schema.QueryStreamEvent:
    """Return the server-sent event that tells this."""
    match told:
        case Began(stage):
            return schema.StatusEvent(stage)
        case Understood(query):
            return schema.QueryEvent(understood(query))
        case Found(evidence):
            return schema.PassagesEvent(compressed_passages(evidence))
        case Delta(text):
            return schema.DeltaEvent(text)
        case Cited(citations):
            return schema.CitationsEvent(tuple(citation(one) for one in citations))


def done(run: Run) -> schema.DoneEvent:
    """Return the event that ends the stream of a run that was told to its end."""
    return schema.DoneEvent(run.run_id, run.outcome, metadata(run.metadata))


def reply(run: Run, evidence: Sequence[Evidence]) -> schema.QueryReply:
    """Return the answer to a query that is not streamed."""
    return schema.QueryReply(
        run_id=run.run_id,
        outcome=run.outcome,
        answer=run.answer,
        citations=tuple(citation(one) for one in run.citations),
        query=understood(run.query),
        passages=compressed_passages(evidence) or tuple(passage(one) for one in run.passages),
        metadata=metadata(run.metadata),
    )


def understood(query: Query) -> schema.Understood:
    return schema.Understood(
        text=query.text,
        filter=filter_to_json(query.filter) if query.filter is not None else None,
        relaxed=query.relaxed,
        notices=query.notices,
        described=describe(query.understood) if query.understood is not None else "",
    )


def compressed_passages(evidence: Sequence[Evidence]) -> tuple[schema.Passage, ...]:
    return tuple(passage(one.passage, compressed=one.text) for one in evidence)


def passage(found: Passage, *, compressed: str | None = None) -> schema.Passage:
    return schema.Passage(
        chunk_id=found.chunk_id,
        document_id=found.document_id,
        title=found.title,
        url=found.url,
        text=found.text,
        score=float(found.score),
        heading=found.heading,
        page=found.page,
        compressed=compressed,
        lead=found.lead,
        kind=found.kind,
    )


def citation(cited: Citation) -> schema.Citation:
    return schema.Citation(
        n=cited.n,
        document_id=cited.document_id,
        title=cited.title,
        url=cited.url,
        quote=cited.quote,
        heading=cited.heading,
        page=cited.page,
        author=cited.author,
        published_at=iso(cited.published_at),
        chunk_id=cited.chunk_id,
        kind=cited.kind,
    )


def metadata(cost: RunMetadata) -> schema.RunMetadata:
    return schema.RunMetadata(**asdict(cost))


def document(row: Document, others: Mapping[str, Document] = MappingProxyType({})) -> schema.Document:
    """Return a document; `others` are those that it names, by id, as far as its readers may know of them."""
    same, similar = others.get(row.same_as), others.get(row.similar_to)
    return schema.Document(
        document_id=row.document_id,
        team=row.team,
        title=row.title,
        url=row.url,
        visibility=str(row.visibility),
        status=row.status,
        reason=row.reason,
        chunks=row.chunks,
        created_at=row.created_at.astimezone(UTC).isoformat(),
        updated_at=row.updated_at.astimezone(UTC).isoformat(),
        metadata=document_metadata(row.stated.over(row.metadata)),
        refresh_days=row.refresh_days,
        by=row.by,
        checked_at=iso(row.checked_at),
        same_as=same.document_id if same else "",
        same_as_title=same.title if same else "",
        similar_to=similar.document_id if similar else "",
        similar_to_title=similar.title if similar else "",
        notices=_notices(row.snapshot) if row.status == "ready" else (),
    )


def _notices(seen: Snapshot) -> tuple[str, ...]:
    captioned = seen.captions and f"{_counted(seen.captions, 'image')} described by a model"
    skipped = seen.images and f"{_counted(seen.images, 'image')} skipped"
    speaks = "speaks" if seen.addressed == 1 else "speak"
    addressed = seen.addressed and f"{_counted(seen.addressed, 'sentence')} {speaks} to an AI: kept as text, not obeyed"
    return tuple(notice for notice in (captioned, skipped, addressed) if notice)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def collection(row: Collection, members: tuple[Member, ...]) -> schema.Collection:
    failures = [schema.CollectionFailure(m.document_id, m.url, m.reason) for m in members if m.status == "failed"]
    return schema.Collection(
        collection_id=row.collection_id,
        team=row.team,
        url=row.url,
        kind=row.kind,
        limit=row.limit,
        visibility=str(row.visibility),
        status=row.status,
        reason=row.reason,
        found=row.found,
        counts=dict(Counter(member.status for member in members)),
        failures=tuple(failures[:MAX_FAILURES]),
        created_at=row.created_at.astimezone(UTC).isoformat(),
        updated_at=row.updated_at.astimezone(UTC).isoformat(),
    )


def notice(row: Notice) -> schema.Notice:
    return schema.Notice(
        notice_id=row.notice_id,
        user=row.user,
        document_id=row.document_id,
        title=row.title,
        url=row.url,
        reason=row.reason,
        created_at=row.created_at.astimezone(UTC).isoformat(),
    )


def document_metadata(known: Metadata) -> dict[str, object]:
    """Return what is known, as `POST /ingest` takes it; a custom field with several values is a list."""
    fields: dict[str, object] = {
        **{name: _values(values) for name, values in known.custom.items()},
        "author": list(known.author),
        "source": known.source,
        "doc_type": known.doc_type,
        "language": known.language,
        "published_at": iso(known.published_at),
        "tags": list(known.tags),
    }
    return {name: value for name, value in fields.items() if value not in ("", None, [])}


def _values(values: Sequence[FieldValue]) -> object:
    plain = [iso(value) if isinstance(value, datetime) else value for value in values]
    return plain[0] if len(plain) == 1 else plain


def iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
