"""How much a sentence or passage bears on a question: stored vectors and shared words, no model call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.domain import Passage, Vector, Vectors
from backend.query.words import content_words, stems

CHUNK_WEIGHT = 0.5
"""A sentence counts by its own similarity plus half that of its chunk: on labelled spans this kept .94 of the gold at
2x against .90 for sentences embedded alone."""
LEXICAL_WEIGHT = 0.45
"""Of the rarity-weighted share of the question's words that a sentence holds."""
PASSAGE_WEIGHT = 0.4
"""Of the passage's score in retrieval, as a share of the best one's: it saw full text and title too."""

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Terms:
    """The stems of a question's content words with their weights, which sum to 1 (empty where there are none)."""

    weights: Mapping[str, float]

    def coverage(self, text: str) -> float:
        """Return the weight of those words that `text` holds, 0 to 1."""
        held = stems(text)
        return sum(weight for word, weight in self.weights.items() if word in held)


def weigh(question: str, passages: Sequence[Passage]) -> Terms:
    """Weigh a question's content words by their rarity among `passages` (smoothed inverse document frequency)."""
    words = content_words(question)
    found = [_words_of(passage) for passage in passages]
    raw = {word: math.log(1 + (len(found) + 1) / (0.5 + sum(word in some for some in found))) for word in words}
    total = sum(raw.values())
    return Terms({word: weight / total for word, weight in raw.items()})


def _words_of(passage: Passage) -> frozenset[str]:
    """Return the stems of a passage, sentence by sentence, as they are asked for again one by one."""
    return frozenset().union(*(stems(passage.text[start:end]) for start, end in passage.sentences))


@dataclass(frozen=True, slots=True, eq=False)
class Relevance:
    """Scores of one passage: `cosine` and `lexical` per sentence, `chunk` for the whole; `total` is their blend."""

    cosine: Scores
    lexical: Scores
    chunk: float
    total: Scores

    @property
    def near(self) -> Scores:
        """Return each sentence's score without its passage's rank, scaled to at most 1."""
        near: Scores = self.cosine + np.float32(LEXICAL_WEIGHT) * self.lexical + np.float32(CHUNK_WEIGHT * self.chunk)
        return near / np.float32(1 + LEXICAL_WEIGHT + CHUNK_WEIGHT)

    @property
    def nearness(self) -> float:
        """Return the best sentence's, 0 of nothing."""
        return float(self.near.max()) if self.total.size else 0.0

    @property
    def best(self) -> float:
        return float(self.total.max()) if self.total.size else 0.0


def score_sentences(terms: Terms, vector: Vector, passages: Sequence[Passage]) -> list[Relevance]:
    """Score every sentence of every passage against the question; one matrix product for all."""
    rows = [_rows(passage) for passage in passages]
    stacked = np.concatenate(rows) if rows else np.zeros((0, vector.shape[0]), np.float32)
    cosines = np.asarray(stacked @ vector, dtype=np.float32)
    scored: list[Relevance] = []
    top = max((passage.score for passage in passages), default=0.0) or 1.0
    at = 0
    for passage, own in zip(passages, rows, strict=True):
        cosine = cosines[at : at + len(own)]
        at += len(own)
        lexical = np.array([terms.coverage(passage.text[a:b]) for a, b in passage.sentences[: len(own)]], np.float32)
        chunk = _chunk_score(own, vector)
        passage_score = np.float32(CHUNK_WEIGHT * chunk + PASSAGE_WEIGHT * passage.score / top)
        scored.append(Relevance(cosine, lexical, chunk, cosine + np.float32(LEXICAL_WEIGHT) * lexical + passage_score))
    return scored


def _rows(passage: Passage) -> Vectors:
    count = min(len(passage.sentences), len(passage.sentence_vectors))
    return passage.sentence_vectors[:count]


def _chunk_score(rows: Vectors, vector: Vector) -> float:
    """Return the similarity of the chunk as the mean of its sentences; its own vector may be of another embedder."""
    if not len(rows):
        return 0.0
    mean = rows.mean(axis=0)
    return float(mean @ vector) / (float(np.linalg.norm(mean)) or 1.0)
