"""Domain values ↔ JSON, pure, and lossless where a value is read back.

Metadata and origins are read back, so a datetime there is `{"at": "…"}`, apart from a string that looks like one. A
run's trace is written once for people and replays, so its dates are plain ISO 8601; vectors stay out of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TypeAlias, TypedDict

from backend.domain import (
    And,
    Citation,
    Condition,
    Feedback,
    FieldValue,
    Filter,
    Metadata,
    Not,
    Or,
    Origin,
    Passage,
    Query,
    Question,
    Run,
)

Json: TypeAlias = dict[str, object]


class Instant(TypedDict):
    at: str


class MetadataJson(TypedDict):
    author: list[str]
    source: str
    doc_type: str
    language: str
    published_at: str | None
    tags: list[str]
    custom: dict[str, list[str | float | Instant]]


class OriginJson(TypedDict):
    url: str
    blob: str
    file_name: str
    media_type: str


def metadata_to_json(metadata: Metadata) -> MetadataJson:
    return {
        "author": list(metadata.author),
        "source": metadata.source,
        "doc_type": metadata.doc_type,
        "language": metadata.language,
        "published_at": _iso(metadata.published_at),
        "tags": list(metadata.tags),
        "custom": {name: [_value_to_json(value) for value in values] for name, values in metadata.custom.items()},
    }


def metadata_from_json(stored: MetadataJson) -> Metadata:
    published_at = stored["published_at"]
    return Metadata(
        author=tuple(stored["author"]),
        source=stored["source"],
        doc_type=stored["doc_type"],
        language=stored["language"],
        published_at=datetime.fromisoformat(published_at) if published_at else None,
        tags=tuple(stored["tags"]),
        custom={name: tuple(map(_value_from_json, values)) for name, values in stored["custom"].items()},
    )


def origin_to_json(origin: Origin) -> OriginJson:
    return {
        "url": origin.url,
        "blob": origin.blob,
        "file_name": origin.file_name,
        "media_type": origin.media_type,
    }


def origin_from_json(stored: OriginJson) -> Origin:
    return Origin(**stored)


def run_to_json(run: Run) -> Json:
    """Return the trace of a run: everything that it did, without vectors, in JSON-ready values."""
    return {
        "run_id": run.run_id,
        "created_at": _iso(run.created_at),
        "outcome": run.outcome,
        "error": run.error,
        "question": _question(run.question),
        "query": _query(run.query),
        "passages": [_passage(passage) for passage in run.passages],
        "answer": run.answer,
        "citations": [_citation(citation) for citation in run.citations],
        "metadata": asdict(run.metadata),
    }


def feedback_to_json(feedback: Feedback) -> Json:
    return {
        "user": feedback.user,
        "rating": feedback.rating,
        "kind": feedback.kind,
        "comment": feedback.comment,
        "created_at": _iso(feedback.created_at),
    }


def filter_to_json(filter_: Filter | None) -> Json | None:
    """Return a filter in the form in which it travels on the wire."""
    match filter_:
        case None:
            return None
        case Condition(op=op, field=field, value=value):
            return {"op": op, "field": field, "value": _plain(value)}
        case And(items=items):
            return {"op": "and", "items": [filter_to_json(item) for item in items]}
        case Or(items=items):
            return {"op": "or", "items": [filter_to_json(item) for item in items]}
        case Not(item=item):
            return {"op": "not", "items": [filter_to_json(item)]}


def _question(question: Question) -> Json:
    audience = question.audience
    return {
        "text": question.text,
        "team": question.team,
        "audience": {
            "channel": audience.channel,
            "user": audience.user,
            "private": audience.private,
            "channels": list(audience.channels),
            "only_tags": list(audience.only_tags),
        },
        "history": [{"role": turn.role, "text": turn.text} for turn in question.history],
        "filter": filter_to_json(question.filter),
        "limit": question.limit,
        "prompt": question.prompt,
        "understand": question.understand,
        "time_zone": question.time_zone,
        "language": question.language,
        "thread": question.thread,
        "experiment": question.experiment,
        "replay_of": question.replay_of,
    }


def _query(query: Query) -> Json:
    return {
        "text": query.text,
        "filter": filter_to_json(query.filter),
        "relaxed": query.relaxed,
        "notices": list(query.notices),
    }


def _passage(passage: Passage) -> Json:
    return {
        "chunk_id": passage.chunk_id,
        "document_id": passage.document_id,
        "section_id": passage.section_id,
        "position": passage.position,
        "title": passage.title,
        "url": passage.url,
        "heading": passage.heading,
        "lead": passage.lead,
        "text": passage.text,
        "kind": passage.kind,
        "page": passage.page,
        "author": passage.author,
        "source": passage.source,
        "published_at": _iso(passage.published_at),
        "score": float(passage.score),
    }


def _citation(citation: Citation) -> Json:
    return {**asdict(citation), "published_at": _iso(citation.published_at)}


def _plain(value: FieldValue | tuple[FieldValue, ...]) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return _iso(value) if isinstance(value, datetime) else value


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None


def _value_to_json(value: FieldValue) -> str | float | Instant:
    return {"at": value.astimezone(UTC).isoformat()} if isinstance(value, datetime) else value


def _value_from_json(stored: str | float | Instant | Mapping[str, str]) -> FieldValue:
    return stored if isinstance(stored, str | float | int) else datetime.fromisoformat(stored["at"])
