"""Where documents disagree on a number, a day or a year, so that an answer can show both, the newer first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations

from backend.domain import Evidence, Passage
from backend.query.defang import defang
from backend.query.facts import measured
from backend.query.verify import Support
from backend.query.words import content_words

SAME_MATTER = 0.6
"""Least cosine of two sentences that may be about the same matter."""
SHARED_WORDS = 0.5
"""Least share of the shorter sentence's words, numbers apart, that both hold."""
LEAST_WORDS = 3
"""Content words, numbers apart, below which a sentence is a label or a date line rather than a statement."""
_UNDATED = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Statement:
    """Sentence `index` of the passage of the evidence at `place`."""

    place: int
    index: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two documents say the same with other values; where neither is known to be newer, the better ranked is first."""

    newer: Statement
    older: Statement


@dataclass(frozen=True, slots=True)
class _Said:
    statement: Statement
    document: str
    words: frozenset[str]
    values: dict[str, frozenset[str]]


def find_conflicts(evidence: Sequence[Evidence]) -> tuple[Conflict, ...]:
    """Return the pairs of kept sentences of different documents that disagree, by rank of their passages."""
    said = list(_statements(evidence))
    return tuple(
        _ordered(evidence, one, other) for one, other in combinations(said, 2) if _disagree(evidence, one, other)
    )


def _statements(evidence: Sequence[Evidence]) -> Iterator[_Said]:
    for place, one in enumerate(evidence):
        for index in one.kept:
            start, end = one.passage.sentences[index]
            text = one.passage.text[start:end]
            values = measured(text)
            words = frozenset(word for word in content_words(text) if not word[0].isdigit())
            if values and len(words) >= LEAST_WORDS and index < len(one.passage.sentence_vectors):
                yield _Said(Statement(place, index), one.passage.document_id, words, values)


def _disagree(evidence: Sequence[Evidence], one: _Said, other: _Said) -> bool:
    if one.document == other.document:
        return False
    shared = set(one.values) & set(other.values)
    if not any(one.values[key].isdisjoint(other.values[key]) for key in shared):
        return False
    if len(one.words & other.words) < SHARED_WORDS * min(len(one.words), len(other.words)):
        return False
    vectors = [evidence[said.statement.place].passage.sentence_vectors[said.statement.index] for said in (one, other)]
    return float(vectors[0] @ vectors[1]) >= SAME_MATTER


def _ordered(evidence: Sequence[Evidence], one: _Said, other: _Said) -> Conflict:
    first, second = one.statement, other.statement
    if _date(evidence[second.place].passage) > _date(evidence[first.place].passage):
        first, second = second, first
    return Conflict(first, second)


def _date(passage: Passage) -> datetime:
    return passage.published_at or _UNDATED


def touched(
    conflicts: Sequence[Conflict], evidence: Sequence[Evidence], supports: Sequence[Support]
) -> Conflict | None:
    """Return the first conflict of which these supports quote a side."""
    return next((one for one in conflicts if any(_quotes(one, evidence, support) for support in supports)), None)


def _quotes(conflict: Conflict, evidence: Sequence[Evidence], support: Support) -> bool:
    for side in (conflict.newer, conflict.older):
        one = evidence[side.place]
        start, end = one.passage.sentences[side.index]
        if one.n == support.n and support.quote[0] < end and start < support.quote[1]:
            return True
    return False


def lead_in(conflict: Conflict, evidence: Sequence[Evidence]) -> str:
    """Return one sentence that names both documents with their dates, the newer first, safe to be posted."""
    newer, older = (_named(evidence[one.place].passage) for one in (conflict.newer, conflict.older))
    return f"The documents disagree here: {newer} and {older}."


def _named(passage: Passage) -> str:
    title = defang(" ".join(passage.title.split()))[:80] or "an untitled document"
    return f"“{title}” ({passage.published_at:%-d %b %Y})" if passage.published_at else f"“{title}” (undated)"
