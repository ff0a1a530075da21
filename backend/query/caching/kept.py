"""What is kept of an answer, and of a query's vectors, as bytes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from backend.domain import Evidence, QueryVectors, Span, Vector
from backend.query.cite import Citations


class KeptAnswer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A finished answer: its `pieces` as they left (none: the evidence did not answer), and where its quotes stand.

    `quotes` are (chunk id, start, end) in the order of their numbers; `visibilities` are those of the documents that it
    drew on; `question` is the stand-alone text that it answered.
    """

    pieces: tuple[str, ...]
    quotes: tuple[tuple[str, int, int], ...]
    visibilities: tuple[str, ...]
    question: str


def encode_answer(answer: KeptAnswer) -> bytes:
    return msgspec.msgpack.encode(answer)


def decode_answer(value: bytes) -> KeptAnswer | None:
    """Return None for bytes that are no answer of ours: a cache that others can write to is not to be trusted."""
    try:
        return msgspec.msgpack.decode(value, type=KeptAnswer)
    except msgspec.DecodeError:
        return None


def quotes_of(citations: Citations) -> tuple[tuple[str, int, int], ...]:
    """Return where the quotes stand."""
    return tuple((evidence.passage.chunk_id, *span) for evidence, span in citations.places())


def citations_in(answer: KeptAnswer, evidence: Sequence[Evidence]) -> Citations | None:
    """Return the answer's citations as citations of this evidence, None where it does not hold all of them."""
    by_chunk = {one.passage.chunk_id: one for one in evidence}
    places: list[tuple[Evidence, Span]] = []
    for chunk_id, start, end in answer.quotes:
        one = by_chunk.get(chunk_id)
        if one is None or not 0 <= start < end <= len(one.passage.text):
            return None
        places.append((one, (start, end)))
    return Citations.at(places)


def encode_vectors(vectors: QueryVectors) -> bytes:
    """Pack both vectors, exactly; where they are one array, once."""
    shared = vectors.search is vectors.sentence
    return msgspec.msgpack.encode([_packed(vectors.search), b"" if shared else _packed(vectors.sentence)])


def decode_vectors(value: bytes, dimensions: int) -> QueryVectors | None:
    """Undo `encode_vectors`; None for bytes that are not such vectors, or not of unit length."""
    try:
        search, sentence = msgspec.msgpack.decode(value, type=tuple[bytes, bytes])
        one = np.frombuffer(search, dtype=np.float32)
        other = np.frombuffer(sentence, dtype=np.float32) if sentence else one
    except (msgspec.DecodeError, ValueError):
        return None
    return QueryVectors(one, other) if one.shape == (dimensions,) and _unit(one) and _unit(other) else None


def _packed(vector: Vector) -> bytes:
    return np.asarray(vector, dtype=np.float32).tobytes()


def _unit(vector: Vector) -> bool:
    return bool(vector.size) and abs(float(vector @ vector) - 1.0) < 1e-2
