"""Two rankings → one: relative scores first, then what the best passages themselves say. Pure.

Every weight below was chosen on labelled sets with the set that is judged left out, and stands on a plateau: see
"Retrieve" in docs/evaluation.md. Each part is between 0 and its weight.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from backend.domain import Passage, Vector
from backend.query.identifiers import identifiers
from backend.query.relevance import Terms, weigh
from backend.query.words import content_words

VECTOR_WEIGHT = 0.5
TEXT_WEIGHT = 0.5
SENTENCE_WEIGHT = 0.4
"""Of the best sentence's similarity: a passage about three things is near to none of them as a whole."""
WORDS_WEIGHT = 0.3
"""Of the question's words, weighed by rarity, that one sentence holds together."""
TITLE_WEIGHT = 0.2
"""Of the title's words that the question holds: a title wholly named counts more than a long one touched."""
HEADING_WEIGHT = 0.1
"""The same of the heading the passage stands under."""
IDENTIFIER_WEIGHT = 0.5
"""Of the question's identifiers (E-1042, SKU-12, PEP 584) that a passage holds: neighbours of a code mean nothing."""
NAMED_WEIGHT = 0.4
"""For a document that one of the best passages names by its title: the second step of a question in two."""
NAMING = 2
"""Passages whose naming counts."""
RESCORED = 30
"""The first so many are looked at sentence by sentence; twenty did as well."""
RRF_K = 60
"""Cormack, Clarke and Büttcher (2009)."""
PER_DOCUMENT = 3
"""Passages of one document among the first; more of it only fills what is left."""
VARIANT_SHARE = 0.7
"""Of a leg that searched with another wording of the question than its own."""

_WORDS = re.compile(r"\w+")
_APPENDIX = re.compile(r"\s*\([^()]*\)\s*\Z")


def fuse(
    question: str,
    vector: Vector,
    by_vector: Sequence[Sequence[Passage]],
    by_text: Sequence[Sequence[Passage]],
    *,
    full: int,
) -> list[Passage]:
    """Fuse the legs of two sides, best first. `score` is the sum of the parts.

    Each side's first leg searched for the question itself, the others for other wordings of it. A leg of text with
    fewer than `full` passages found all that match: what is not in it scores 0. `vector` is the question in the space
    of sentence vectors. Relative scores keep what ranks lose: how far ahead the first is.
    """
    near = _side([_relative(leg, _last(leg)) for leg in by_vector])
    worded = _side([_relative(leg, _last(leg) if len(leg) >= full else 0.0) for leg in by_text])
    merged = {passage.chunk_id: passage for leg in (*by_text, *by_vector) for passage in leg}
    scores = {key: VECTOR_WEIGHT * near.get(key, 0.0) + TEXT_WEIGHT * worded.get(key, 0.0) for key in merged}
    _look_closer(question, vector, _ordered(merged.values(), scores), scores)
    return [replace(one, score=scores[one.chunk_id]) for one in _ordered(merged.values(), scores)]


def _look_closer(question: str, vector: Vector, ranked: Sequence[Passage], scores: dict[str, float]) -> None:
    """Add to `scores` what the first passages say themselves, and those that the very best then name."""
    first, rest = ranked[:RESCORED], ranked[RESCORED:]
    terms = weigh(question, first)
    for one in first:
        scores[one.chunk_id] += _bearing(question, vector, terms, one)
    named = _named(_ordered(first, scores)[:NAMING], ranked)
    for one in rest:
        if one.title in named:
            scores[one.chunk_id] += _bearing(question, vector, terms, one)
    for one in ranked:
        scores[one.chunk_id] += NAMED_WEIGHT * (one.title in named)


def _ordered(passages: Iterable[Passage], scores: Mapping[str, float]) -> list[Passage]:
    return sorted(passages, key=lambda one: (-scores[one.chunk_id], one.document_id, one.position))


def best_first(passage: Passage) -> tuple[float, str, int]:
    """The order of a ranking; ties in document order, so that the same search gives the same list."""
    return -passage.score, passage.document_id, passage.position


def _last(leg: Sequence[Passage]) -> float:
    return min((one.score for one in leg), default=0.0)


def _relative(leg: Sequence[Passage], floor: float) -> dict[str, float]:
    """Return the scores of one leg between 0 (at `floor`) and 1 (its first)."""
    width = max((one.score for one in leg), default=0.0) - floor
    return {one.chunk_id: (one.score - floor) / width if width > 0 else 1.0 for one in leg}


def _side(legs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return each chunk's mean over the legs, in which the question's own counts 1 and the others `VARIANT_SHARE`."""
    shares = [1.0, *[VARIANT_SHARE] * (len(legs) - 1)][: len(legs)]
    means: defaultdict[str, float] = defaultdict(float)
    for share, leg in zip(shares, legs, strict=True):
        for key, score in leg.items():
            means[key] += score * share / sum(shares)
    return means


def _bearing(question: str, vector: Vector, terms: Terms, passage: Passage) -> float:
    """Return what the sentences, the title and the heading of a passage add."""
    words = content_words(question)
    nearest = max(0.0, float((passage.sentence_vectors @ vector).max(initial=0.0)))
    held = max((terms.coverage(passage.text[start:end]) for start, end in passage.sentences), default=0.0)
    return (
        SENTENCE_WEIGHT * nearest
        + WORDS_WEIGHT * held
        + TITLE_WEIGHT * _named_share(passage.title, words)
        + HEADING_WEIGHT * _named_share(passage.heading.rpartition("›")[2], words)
        + IDENTIFIER_WEIGHT * _identified(passage, question)
    )


def _named_share(title: str, words: Collection[str]) -> float:
    """Return the share of a title's words that are among `words`."""
    own = content_words(title)
    return sum(word in words for word in own) / len(own) if own else 0.0


def _identified(passage: Passage, question: str) -> float:
    """Return the share of the question's identifiers that a passage holds."""
    asked = identifiers(question, spoken=True)
    if not asked:
        return 0.0
    held = asked & identifiers(f"{passage.title}\n{passage.heading}\n{passage.text}")
    return min(1.0, len(held) / max(1, len(identifiers(question))))


def _named(best: Sequence[Passage], others: Sequence[Passage]) -> frozenset[str]:
    """Return those titles of `others` that the text of a passage of `best`, under another title, holds."""
    texts = [(one.title, _spaced(one.text)) for one in best]
    titles = {one.title for one in others}
    return frozenset(title for title in titles if any(title != own and _holds(text, title) for own, text in texts))


def _holds(text: str, title: str) -> bool:
    """Whether the text names the title, in its capitals. One word alone is no name: too many mean something else."""
    name = _spaced(_APPENDIX.sub("", title))
    return name.count(" ") > 2 and name in text


def _spaced(text: str) -> str:
    return f" {' '.join(_WORDS.findall(text))} "


def rrf(*legs: Sequence[Passage], k: int = RRF_K) -> list[Passage]:
    """Fuse by reciprocal rank alone, the sum over the legs of 1 / (k + rank): the yardstick of the evals."""
    scores: defaultdict[str, float] = defaultdict(float)
    by_id: dict[str, Passage] = {}
    for leg in legs:
        for rank, passage in enumerate(leg, start=1):
            scores[passage.chunk_id] += 1 / (k + rank)
            by_id.setdefault(passage.chunk_id, passage)
    return sorted((replace(one, score=scores[one.chunk_id]) for one in by_id.values()), key=best_first)


def spread(ranked: Sequence[Passage], *, limit: int) -> tuple[Passage, ...]:
    """Return the first `limit`, with at most `PER_DOCUMENT` of one document while others are left."""
    counts: Counter[str] = Counter()
    first: list[Passage] = []
    later: list[Passage] = []
    for passage in ranked:
        counts[passage.document_id] += 1
        (first if counts[passage.document_id] <= PER_DOCUMENT else later).append(passage)
    return tuple((first + later)[:limit])
