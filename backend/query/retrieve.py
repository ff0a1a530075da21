"""Query → ranked passages: vector and full text side by side, fused, spread over documents, with their sections."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from loguru import logger

from backend.domain import Passage, Query, QueryVectors, Vector
from backend.errors import RerankerUnavailable
from backend.languages import searched
from backend.ports import Embedder, Index, Reranker
from backend.query.expand import Expander, Expansion, expanded
from backend.query.fuse import fuse, spread
from backend.query.identifiers import identifiers, joined
from backend.query.parents import SECTIONS, beside
from backend.query.versions import prefer_valid
from backend.tracing import span
from backend.turnstile import my_turn

LEG = 60
"""Passages taken from each side; 40 and 100 changed no figure of the evals by more than .002."""
RERANKED = 30
"""The first so many are shown to a reranker: what they reorder, the users see eight of."""
NEIGHBOUR_TOKENS = 1500


@dataclass(frozen=True, slots=True)
class Extras:
    """What a configured model may add; nothing by default. Timeouts are in seconds, after which there is nothing."""

    expander: Expander | None = None
    reranker: Reranker | None = None
    expand_timeout: float = 4.0
    rerank_timeout: float = 3.0


NO_EXTRAS = Extras()


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


async def retrieve(
    query: Query,
    index: Index,
    embedder: Embedder,
    *,
    limit: int,
    budget: int = NEIGHBOUR_TOKENS,
    extras: Extras = NO_EXTRAS,
) -> Retrieved:
    """Search both ways at once and fuse; neighbours have at most `budget` tokens.

    Raises IndexUnavailable or EmbedderUnavailable; what `extras` cannot do is left out.
    """
    began = perf_counter()
    legs = await _legs(query, index, embedder, extras)
    await my_turn()
    ranked = fuse(query.text, legs.vectors.sentence, legs.by_vector, legs.by_text, full=LEG)
    ranked = await _reranked(query.text, prefer_valid(query.text, ranked), extras)
    passages = spread(ranked, limit=limit)
    neighbours = await _neighbours(query, index, passages, budget)
    total_ms = (perf_counter() - began) * 1000
    return Retrieved(legs.vectors, passages, neighbours, legs.embedding_ms, total_ms - legs.embedding_ms)


@dataclass(frozen=True, slots=True, eq=False)
class _Legs:
    """What each search found; the first of each side is the question's own."""

    vectors: QueryVectors
    by_vector: Sequence[Sequence[Passage]]
    by_text: Sequence[Sequence[Passage]]
    embedding_ms: float


async def _legs(query: Query, index: Index, embedder: Embedder, extras: Extras) -> _Legs:
    """Search for the question on both sides while the expander thinks, then for what that offers."""
    expanding = expanded(query.text, extras.expander, deadline=extras.expand_timeout)
    own, by_text, expansion = await asyncio.gather(
        _embed_and_search(query, index, embedder), _by_text(query, index, query.text), expanding
    )
    vectors, by_vector, embedding_ms = own
    near, worded = await _offered(query, index, embedder, vectors.search, expansion)
    return _Legs(vectors, [by_vector, *near], [by_text, *worded], embedding_ms)


async def _embed_and_search(
    query: Query, index: Index, embedder: Embedder
) -> tuple[QueryVectors, list[Passage], float]:
    began = perf_counter()
    with span("embed"):
        vectors = await embedder.embed_query(query.text)
    embedding_ms = (perf_counter() - began) * 1000
    with span("search", {"footnote.search": "vector"}):
        return vectors, await index.search_vector(query, vectors.search, limit=LEG), embedding_ms


async def _by_text(query: Query, index: Index, text: str) -> list[Passage]:
    codes = joined(identifiers(text, spoken=True))
    with span("search", {"footnote.search": "text"}):
        return await index.search_text(query, f"{searched(text)} {codes}", limit=LEG)


async def _offered(
    query: Query, index: Index, embedder: Embedder, vector: Vector, expansion: Expansion
) -> tuple[list[list[Passage]], list[list[Passage]]]:
    """Search for an expansion: its passage by vector, averaged with the question, its wordings on both sides."""
    texts = [*expansion.wordings, *filter(None, [expansion.passage])]
    found = await asyncio.gather(*(embedder.embed_query(text) for text in texts))
    directions = [one.search for one in found]
    if expansion.passage:
        directions[-1] = _between(vector, directions[-1])
    near = await asyncio.gather(*(index.search_vector(query, one, limit=LEG) for one in directions))
    worded = await asyncio.gather(*(_by_text(query, index, wording) for wording in expansion.wordings))
    return near, worded


def _between(one: Vector, other: Vector) -> Vector:
    both: Vector = one + other
    return both / np.float32(np.linalg.norm(both) or 1.0)


async def _reranked(question: str, ranked: Sequence[Passage], extras: Extras) -> list[Passage]:
    """Reorder the first passages as the reranker scores them; leave them as they are where it fails."""
    first = list(ranked[:RERANKED])
    if extras.reranker is None or not first:
        return list(ranked)
    try:
        async with asyncio.timeout(extras.rerank_timeout):
            scores = await extras.reranker.rerank(question, [_readable(one) for one in first])
    except (RerankerUnavailable, TimeoutError) as error:
        logger.bind(error=type(error).__name__).warning("reranker unavailable")
        return list(ranked)
    return [*reordered(first, scores), *ranked[RERANKED:]]


def reordered(passages: Sequence[Passage], scores: Sequence[float]) -> list[Passage]:
    """Return the passages by these scores, best first; they keep among them the scores of their places, because what
    comes after compares with those of retrieval."""
    order = sorted(range(len(passages)), key=lambda place: (-scores[place], place))
    places = sorted((one.score for one in passages), reverse=True)
    return [replace(passages[at], score=score) for at, score in zip(order, places, strict=True)]


def _readable(passage: Passage) -> str:
    above = " › ".join(filter(None, (passage.title, passage.heading)))
    return f"{above}\n{passage.text}" if above else passage.text


async def _neighbours(query: Query, index: Index, passages: Sequence[Passage], budget: int) -> tuple[Passage, ...]:
    sections = list(dict.fromkeys(passage.section_id for passage in passages[:SECTIONS]))
    if not sections or budget <= 0:
        return ()
    return beside(passages, await index.section_passages(query, sections), budget=budget)
