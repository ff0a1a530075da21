"""Small indexed documents for tests of what stores or searches them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from backend.domain import Chunk, ChunkVectors, FieldValue, IndexedDocument, Metadata, Vector, Visibility

DIMENSIONS = 16
SENTENCE_DIMENSIONS = 384
EVERYONE = Visibility()
UNKNOWN = Metadata()
INGESTED = datetime(2026, 3, 1, 12, tzinfo=UTC)


def unit_vector(seed: str, dimensions: int = DIMENSIONS) -> Vector:
    """Return a direction that depends on `seed` alone."""
    drawn = np.random.default_rng(zlib.crc32(seed.encode("utf-8", "surrogatepass"))).standard_normal(dimensions)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def indexed_document(
    document_id: str,
    texts: Sequence[str] = ("One sentence.",),
    *,
    team: str = "T1",
    revision: str = "r1",
    title: str = "",
    heading: str = "",
    visibility: Visibility = EVERYONE,
    metadata: Metadata = UNKNOWN,
    chunks_per_section: int = 2,
    dimensions: int = DIMENSIONS,
) -> IndexedDocument:
    """Return a document of one chunk per text; each chunk is one sentence and its vector is `unit_vector(text)`."""
    chunks = tuple(
        Chunk(position, position // chunks_per_section, heading, 0, text, ((0, len(text)),) if text else ())
        for position, text in enumerate(texts)
    )
    return IndexedDocument(
        team=team,
        document_id=document_id,
        revision=revision,
        title=title,
        url=f"https://example.com/{len(document_id)}",
        visibility=visibility,
        metadata=metadata,
        ingested_at=INGESTED,
        chunks=chunks,
        vectors=tuple(_chunk_vectors(chunk, dimensions) for chunk in chunks),
    )


def _chunk_vectors(chunk: Chunk, dimensions: int) -> ChunkVectors:
    sentences = [unit_vector(chunk.text[start:end], SENTENCE_DIMENSIONS) for start, end in chunk.sentences]
    return ChunkVectors(
        vector=unit_vector(chunk.text, dimensions),
        sentences=np.array(sentences, dtype=np.float32).reshape(-1, SENTENCE_DIMENSIONS),
    )


def custom(**fields: FieldValue | tuple[FieldValue, ...]) -> Mapping[str, tuple[FieldValue, ...]]:
    """Return custom metadata, one member or several per field."""
    return {name: value if isinstance(value, tuple) else (value,) for name, value in fields.items()}
