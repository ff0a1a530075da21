"""One row per chunk: the columns of the table, and rows ↔ the domain's values.

Prefilters name only columns over closed alphabets: `access` and `document_key` are digests, `labels` are labels,
`title_folded` holds no quote, and dates are int64 microseconds since 1970 in UTC; `team`, `visibility` and
`document_id` stand beside them to be read. Full text searches `search_text`; a section is its rows' `text` by position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from backend.domain import Chunk, ChunkVectors, Contents, IndexedDocument, Passage, Vectors
from backend.ingest.pipeline import VERSION
from backend.labels import document_labels, fold
from backend.languages import stems_beside
from backend.query.identifiers import identifiers, joined

EMBEDDER_KEY = b"footnote.embedder"
EXTRACTION_KEY = b"footnote.extraction"
"""Under which the table's first chunks were extracted and split: `backend.ingest.pipeline.VERSION`."""
PASSAGE_COLUMNS = [
    "chunk_id", "document_id", "section_id", "position", "title", "url", "heading", "text", "sentences",
    "sentence_vectors", "page", "author", "source", "published_at", "ingested_at", "visibility",
    "lead", "kind",
]  # fmt: skip
"""What a passage is made of."""
CONTENTS_COLUMNS = [
    "position", "section", "heading", "start", "text", "sentences", "page", "sentence_vectors", "vector",
    "lead", "kind",
]  # fmt: skip
"""What a document's chunks and vectors are made of."""
ADDED_COLUMNS = {"lead": "''", "kind": "'text'"}
"""Columns that an index of an earlier version lacks, with what its rows get there, in SQL."""
SENTENCE_DIMENSIONS = 384
"""Sentence vectors are always the local embedder's."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SMALLEST_NORM = np.float32(1e-12)


def chunks_schema(embedder: str, dimensions: int) -> pa.Schema:
    """Return the table's schema; its metadata records which embedder's vectors it holds."""

    def text(name: str) -> pa.Field:
        return pa.field(name, pa.string(), nullable=False)

    return pa.schema(
        [
            *map(text, ("key", "access", "document_key")),
            *map(text, ("team", "visibility", "document_id", "revision", "chunk_id", "section_id")),
            pa.field("position", pa.int32(), nullable=False),
            pa.field("section", pa.int32(), nullable=False),
            pa.field("start", pa.int32(), nullable=False),
            *map(text, ("title", "title_folded", "url", "heading", "text", "search_text", "source")),
            pa.field("author", pa.string()),
            *map(text, ("doc_type", "language")),
            pa.field("page", pa.int32()),
            pa.field("published_at", pa.int64()),
            pa.field("ingested_at", pa.int64(), nullable=False),
            pa.field("labels", pa.list_(pa.string()), nullable=False),
            pa.field("sentences", pa.list_(pa.int32()), nullable=False),
            pa.field("sentence_vectors", pa.binary(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), dimensions), nullable=False),
            pa.field("lead", pa.string()),
            pa.field("kind", pa.string()),
        ],
        metadata={EMBEDDER_KEY: embedder.encode(), EXTRACTION_KEY: VERSION.encode()},
    )


def microseconds(moment: datetime) -> int:
    """Return an aware datetime as microseconds since 1970-01-01 UTC, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def instant(code: int | None) -> datetime | None:
    """Undo `microseconds`."""
    return None if code is None else _EPOCH + timedelta(microseconds=code)


def access_key(team: str, visibility: str) -> str:
    """Return what the rows of one team and visibility have in common; the access rule is a list of these."""
    return _digest(team, visibility)


def document_key(team: str, document_id: str) -> str:
    """Return what the rows of one document have in common, over all its revisions."""
    return _digest(team, document_id)


def _digest(*parts: str) -> str:
    """Return 128 bits of hex that different sequences of texts do not share: lengths keep their borders apart."""
    framed = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(framed.encode("utf-8", "surrogatepass")).hexdigest()[:32]


# --------------------------------------------------------------------------------------------------- documents → rows


def chunk_rows(documents: Iterable[IndexedDocument], schema: pa.Schema) -> pa.Table:
    """Return the rows of these documents, at most one per key: the last."""
    rows = {row["key"]: row for document in documents for row in _document_rows(document)}
    columns = [_column(field, [row[field.name] for row in rows.values()]) for field in schema]
    return pa.table(columns, schema=schema)


def _column(field: pa.Field, values: list[Any]) -> pa.Array:
    if not pa.types.is_fixed_size_list(field.type):
        return pa.array(values, field.type)
    flat = np.concatenate(values, dtype=np.float32) if values else np.empty(0, dtype=np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), type=field.type)


def _document_rows(document: IndexedDocument) -> Iterator[dict[str, Any]]:
    owner = document_key(document.team, document.document_id)
    edition = _digest(document.team, document.document_id, document.revision)
    shared = _shared_columns(document)
    for chunk, vectors in zip(document.chunks, document.vectors, strict=True):
        yield {
            **shared,
            "key": f"{owner}-{chunk.position}",
            "chunk_id": f"{edition}-{chunk.position}",
            "section_id": f"{edition}-s{chunk.section}",
            "search_text": _search_text(document, chunk),
            **_chunk_columns(chunk, vectors),
        }


def _search_text(document: IndexedDocument, chunk: Chunk) -> str:
    """Return what full text searches. Its index cuts at hyphens and stems English: identifiers in one piece, and the
    stems of another language, stand beside."""
    text = "\n".join((document.title, chunk.heading, *filter(None, (chunk.lead,)), chunk.text))
    beside = (joined(identifiers(text)), stems_beside(text, document.metadata.language))
    return "\n".join(filter(None, (text, *beside)))


def _shared_columns(document: IndexedDocument) -> dict[str, Any]:
    metadata = document.metadata
    return {
        "access": access_key(document.team, str(document.visibility)),
        "document_key": document_key(document.team, document.document_id),
        "team": document.team,
        "visibility": str(document.visibility),
        "document_id": document.document_id,
        "revision": document.revision,
        "title": document.title,
        "title_folded": fold(document.title),
        "url": document.url,
        "source": metadata.source,
        "author": ", ".join(metadata.author) or None,
        "doc_type": metadata.doc_type,
        "language": metadata.language,
        "published_at": None if metadata.published_at is None else microseconds(metadata.published_at),
        "ingested_at": microseconds(document.ingested_at),
        "labels": document_labels(document),
    }


def _chunk_columns(chunk: Chunk, vectors: ChunkVectors) -> dict[str, Any]:
    return {
        "position": chunk.position,
        "section": chunk.section,
        "start": chunk.start,
        "heading": chunk.heading,
        "text": chunk.text,
        "page": chunk.page,
        "sentences": [offset for span in chunk.sentences for offset in span],
        "sentence_vectors": vectors.sentences.astype(np.float16).tobytes(),
        "vector": vectors.vector,
        "lead": chunk.lead,
        "kind": chunk.kind,
    }


# ---------------------------------------------------------------------------------------------------- rows → passages


def to_passages(rows: Sequence[Mapping[str, Any]], scores: Sequence[float]) -> list[Passage]:
    """Return the passages that rows of PASSAGE_COLUMNS hold."""
    vectors = _sentence_vectors([row["sentence_vectors"] for row in rows], [len(row["sentences"]) // 2 for row in rows])
    return [_to_passage(row, own, score) for row, own, score in zip(rows, vectors, scores, strict=True)]


def _to_passage(row: Mapping[str, Any], sentence_vectors: Vectors, score: float) -> Passage:
    offsets = row["sentences"]
    return Passage(
        chunk_id=row["chunk_id"],
        document_id=row["document_id"],
        section_id=row["section_id"],
        position=row["position"],
        title=row["title"],
        url=row["url"],
        heading=row["heading"],
        text=row["text"],
        sentences=tuple(zip(offsets[::2], offsets[1::2], strict=True)),
        sentence_vectors=sentence_vectors,
        page=row["page"],
        author=row["author"],
        source=row["source"],
        published_at=instant(row["published_at"]),
        ingested_at=instant(row["ingested_at"]),
        score=score,
        lead=row["lead"],
        kind=row["kind"],
        visibility=row["visibility"],
    )


def to_contents(rows: Sequence[Mapping[str, Any]]) -> Contents:
    """Return what rows of CONTENTS_COLUMNS, all of one document, hold."""
    ordered = sorted(rows, key=lambda row: row["position"])
    vectors = _sentence_vectors(
        [row["sentence_vectors"] for row in ordered], [len(row["sentences"]) // 2 for row in ordered]
    )
    return Contents(
        tuple(_to_chunk(row) for row in ordered),
        tuple(
            ChunkVectors(np.array(row["vector"], dtype=np.float32), own)
            for row, own in zip(ordered, vectors, strict=True)
        ),
    )


def _to_chunk(row: Mapping[str, Any]) -> Chunk:
    offsets = row["sentences"]
    return Chunk(
        position=row["position"],
        section=row["section"],
        heading=row["heading"],
        start=row["start"],
        text=row["text"],
        sentences=tuple(zip(offsets[::2], offsets[1::2], strict=True)),
        page=row["page"],
        lead=row["lead"],
        kind=row["kind"],
    )


def _sentence_vectors(stored: Sequence[bytes], counts: Sequence[int]) -> list[Vectors]:
    """Return each chunk's vectors, unpacked together. Half precision costs about 1e-3 of length: it is restored."""
    halves = np.frombuffer(b"".join(stored), dtype=np.float16).reshape(-1, SENTENCE_DIMENSIONS)
    vectors: Vectors = halves.astype(np.float32)
    norms: Vectors = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    vectors /= np.maximum(norms, _SMALLEST_NORM)[:, None]
    ends = np.cumsum(counts, dtype=np.int64)
    return [vectors[end - count : end] for end, count in zip(ends, counts, strict=True)]


def document_order(passages: Sequence[Passage]) -> list[Passage]:
    """Return passages by document and position."""
    return sorted(passages, key=lambda passage: (passage.document_id, passage.position))
