"""Query → ranked passages: vector and full text side by side, fused, spread over documents, with their sections."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from backend.domain import Passage, Query, QueryVectors, Vector
from backend.ports import Embedder, Index
from backend.query.relevance import weigh
from backend.query.words import content_words

LEG = 60
"""Passages taken from each side; more changed no figure of the evals and costs time."""
VECTOR_WEIGHT = 0.55
TITLE_WEIGHT = 0.1
SENTENCE_WEIGHT = 0.2
WORDS_WEIGHT = 0.2
"""What a passage's score is made of beside full text (1 - VECTOR_WEIGHT): see "Fusion" in docs/evaluation.md. Each
part is between 0 and 1; around these values the figures are flat."""
RESCORED = 30
"""The first so many are looked at sentence by sentence."""
RRF_K = 60
"""Cormack, Clarke and Büttcher (2009)."""
PER_DOCUMENT = 3
"""Passages of one document among the first; more of it only fills what is left."""
SECTIONS = 4
NEIGHBOURS = 1
"""Passages on each side of a found one that come along, from the sections of the best `SECTIONS` passages."""
NEIGHBOUR_SHARE = 0.8
"""Of the score of the passage that they stand beside."""


@dataclass(frozen=True, slots=True, eq=False)
class Retrieved:
    """`passages` best first, at most `limit`; `neighbours` are those beside them in their sections, unranked.

    Times are in milliseconds; both sides run while the other waits, so `search_ms` is what they took together.
    """

    vectors: QueryVectors
    passages: tuple[Passage, ...]
    neighbours: tuple[Passage, ...]
    embedding_ms: float
    search_ms: float


async def retrieve(query: Query, index: Index, embedder: Embedder, *, limit: int) -> Retrieved:
    """Search both ways at once and fuse. Raises IndexUnavailable or EmbedderUnavailable."""
    began = perf_counter()
    (vectors, embedding_ms, by_vector), by_text = await asyncio.gather(
        _by_vector(query, index, embedder), index.search_text(query, query.text, limit=LEG)
    )
    passages = spread(fuse(query.text, vectors.sentence, by_vector, by_text), limit=limit)
    neighbours = await _neighbours(query, index, passages)
    total_ms = (perf_counter() - began) * 1000
    return Retrieved(vectors, passages, neighbours, embedding_ms, total_ms - embedding_ms)


async def _by_vector(query: Query, index: Index, embedder: Embedder) -> tuple[QueryVectors, float, list[Passage]]:
    began = perf_counter()
    vectors = await embedder.embed_query(query.text)
    embedding_ms = (perf_counter() - began) * 1000
    return vectors, embedding_ms, await index.search_vector(query, vectors.search, limit=LEG)


async def _neighbours(query: Query, index: Index, passages: Sequence[Passage]) -> tuple[Passage, ...]:
    sections = list(dict.fromkeys(passage.section_id for passage in passages[:SECTIONS]))
    if not sections:
        return ()
    return beside(passages, await index.section_passages(query, sections))


def beside(passages: Sequence[Passage], section: Sequence[Passage]) -> tuple[Passage, ...]:
    """Return those of `section` that stand next to a found passage in the same section and were not found."""
    found = {passage.chunk_id for passage in passages}
    near: dict[tuple[str, int], float] = {}
    for passage in reversed(passages[:SECTIONS]):
        for step in range(-NEIGHBOURS, NEIGHBOURS + 1):
            near[passage.section_id, passage.position + step] = passage.score * NEIGHBOUR_SHARE
    return tuple(
        replace(one, score=near[one.section_id, one.position])
        for one in section
        if one.chunk_id not in found and (one.section_id, one.position) in near
    )


def fuse(question: str, vector: Vector, by_vector: Sequence[Passage], by_text: Sequence[Passage]) -> list[Passage]:
    """Fuse the two sides, best first, by their relative scores, words of the title, and the passages' best sentences.

    Relative scores keep what ranks lose: how far ahead the first is. `vector` is the question in the space of sentence
    vectors. `score` is the sum of the parts, at most 1.5.
    """
    sides = (_relative(by_vector, VECTOR_WEIGHT), _relative(by_text, 1 - VECTOR_WEIGHT))
    words = content_words(question)
    merged = {passage.chunk_id: passage for passage in (*by_text, *by_vector)}
    scored = [
        replace(passage, score=sum(side.get(key, 0.0) for side in sides) + _title_score(words, passage))
        for key, passage in merged.items()
    ]
    ranked = sorted(scored, key=_best_first)
    return sorted(_rescore(question, vector, ranked[:RESCORED]), key=_best_first) + ranked[RESCORED:]


def _best_first(passage: Passage) -> tuple[float, str, int]:
    return -passage.score, passage.document_id, passage.position


def _relative(leg: Sequence[Passage], weight: float) -> dict[str, float]:
    """Return the scores of one side between 0 (its last) and `weight` (its first)."""
    if not leg:
        return {}
    low, high = min(one.score for one in leg), max(one.score for one in leg)
    width = high - low
    return {one.chunk_id: weight * ((one.score - low) / width if width else 1.0) for one in leg}


def _title_score(words: frozenset[str], passage: Passage) -> float:
    return TITLE_WEIGHT * len(words & content_words(passage.title)) / len(words) if words else 0.0


def _rescore(question: str, vector: Vector, passages: Sequence[Passage]) -> list[Passage]:
    """Add what the best sentence and the words of each passage say, the rarer words among these counting more."""
    terms = weigh(question, passages)
    return [
        replace(
            passage,
            score=passage.score
            + SENTENCE_WEIGHT * max(0.0, float((passage.sentence_vectors @ vector).max(initial=0.0)))
            + WORDS_WEIGHT * terms.coverage(f"{passage.title} {passage.heading} {passage.text}"),
        )
        for passage in passages
    ]


def rrf(*legs: Sequence[Passage], k: int = RRF_K) -> list[Passage]:
    """Fuse by reciprocal rank alone, the sum over the legs of 1 / (k + rank): the yardstick of the evals."""
    scores: defaultdict[str, float] = defaultdict(float)
    by_id: dict[str, Passage] = {}
    for leg in legs:
        for rank, passage in enumerate(leg, start=1):
            scores[passage.chunk_id] += 1 / (k + rank)
            by_id.setdefault(passage.chunk_id, passage)
    return sorted((replace(one, score=scores[one.chunk_id]) for one in by_id.values()), key=_best_first)


def spread(ranked: Sequence[Passage], *, limit: int) -> tuple[Passage, ...]:
    """Return the first `limit`, with at most `PER_DOCUMENT` of one document while others are left."""
    counts: Counter[str] = Counter()
    first: list[Passage] = []
    later: list[Passage] = []
    for passage in ranked:
        counts[passage.document_id] += 1
        (first if counts[passage.document_id] <= PER_DOCUMENT else later).append(passage)
    return tuple((first + later)[:limit])
