"""How much each sentence found bears on a question: stored vectors, and the question's words at three scales. Pure.

Sentences stand in the order of their documents, so that a passage's neighbours count when they were found too: what a
question asks is often named in one sentence and told in the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from backend.domain import Passage, Vector, Vectors
from backend.query.occurrences import Held, occurrences
from backend.query.tokens import span_tokens
from backend.query.words import content_words

WORDS_WEIGHT = 0.5
AROUND_WEIGHT = 0.5
REGION_WEIGHT = 0.7
PASSAGE_WEIGHT = 0.5
RANK_WEIGHT = 0.4
"""What is added to a sentence's own cosine: the share of the question's words, the rarer weighing more, held by the
sentence, by it and two on each side, and by its passage with those beside it; the cosine of its passage; and its
passage's score in retrieval as a share of the best. Fitted on `chunk_spans` over five ways of retrieving, by whole
documents held out in turn: see docs/evaluation.md. Around these values the figures are flat."""
AROUND = 2
"""Sentences on each side."""

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Bearing:
    """Every sentence of the passages, which are in document order; arrays run over sentences.

    `place` is the sentence's passage, `index` its number there, `run` tells stretches of text without a gap apart.
    """

    passages: tuple[Passage, ...]
    place: NDArray[np.intp]
    index: NDArray[np.intp]
    run: NDArray[np.intp]
    vectors: Vectors
    totals: Scores
    tokens: Scores

    def text(self, at: int) -> str:
        """Return the words of one sentence."""
        passage: Passage = self.passages[self.place[at]]
        start, end = passage.sentences[self.index[at]]
        return passage.text[start:end]


def bear(question: str, vector: Vector, passages: Sequence[Passage]) -> Bearing:
    """Score every sentence; `vector` is the question in the space of sentence vectors."""
    ordered = tuple(sorted(passages, key=lambda passage: (passage.document_id, passage.position)))
    counts = [min(len(passage.sentences), len(passage.sentence_vectors)) for passage in ordered]
    place = np.repeat(np.arange(len(ordered)), counts)
    index = np.concatenate([np.arange(count) for count in counts]) if counts else np.zeros(0, np.intp)
    rows = [passage.sentence_vectors[:count] for passage, count in zip(ordered, counts, strict=True)]
    vectors = np.concatenate(rows) if rows else np.zeros((0, len(vector)), np.float32)
    runs = _runs(ordered)
    words = _words(question, ordered, place, index, runs)
    ranks = np.array([passage.score for passage in ordered], np.float32)
    best = float(ranks.max(initial=0.0)) or 1.0
    of_passages = PASSAGE_WEIGHT * _passage_cosines(vectors, place, len(ordered), vector) + RANK_WEIGHT * ranks / best
    totals = vectors @ vector + words + of_passages[place]
    return Bearing(ordered, place, index, runs[place], vectors, totals.astype(np.float32), _tokens(ordered, counts))


def _runs(ordered: Sequence[Passage]) -> NDArray[np.intp]:
    """Number the stretches of adjacent passages."""
    breaks = [
        one.document_id != other.document_id or other.position - one.position > 1 for one, other in pairwise(ordered)
    ]
    return np.cumsum([0, *breaks])[: len(ordered)]


def _words(
    question: str, ordered: Sequence[Passage], place: NDArray[np.intp], index: NDArray[np.intp], runs: NDArray[np.intp]
) -> Scores:
    """Return the weighted shares of the question's words, over the three scales."""
    spans = [ordered[p].sentences[i] for p, i in zip(place.tolist(), index.tolist(), strict=True)]
    texts = [ordered[p].text[start:end] for p, (start, end) in zip(place.tolist(), spans, strict=True)]
    held = occurrences(sorted(content_words(question)), texts)
    in_passages = np.zeros((len(ordered), held.shape[1]), np.bool_)
    np.logical_or.at(in_passages, place, held)
    rarity = _rarity(held)
    shares = WORDS_WEIGHT * held @ rarity + AROUND_WEIGHT * _widened(held, runs[place], AROUND) @ rarity
    return np.asarray(shares + REGION_WEIGHT * (_widened(in_passages, runs, 1) @ rarity)[place], np.float32)


def _rarity(held: Held) -> Scores:
    """Return the words' smoothed inverse frequencies among the sentences, summing to 1."""
    raw = np.log(1 + (len(held) + 1) / (0.5 + held.sum(axis=0)))
    return np.asarray(raw / (raw.sum() or 1.0), np.float32)


def _widened(held: Held, runs: NDArray[np.intp], reach: int) -> Held:
    """Return what a row holds together with the `reach` rows on each side of it, within its run."""
    wide = held.copy()
    for step in range(1, reach + 1):
        same = (runs[step:] == runs[:-step])[:, None]
        wide[step:] |= held[:-step] & same
        wide[:-step] |= held[step:] & same
    return wide


def _passage_cosines(vectors: Vectors, place: NDArray[np.intp], count: int, vector: Vector) -> Scores:
    """Return each passage's cosine by the mean of its sentences: its own vector may be of another embedder."""
    sums = np.zeros((count, len(vector)), np.float32)
    filled, starts = np.unique(place, return_index=True)
    if len(filled):
        sums[filled] = np.add.reduceat(vectors, starts, axis=0)
    norms = np.linalg.norm(sums, axis=1)
    return np.asarray(sums @ vector / np.where(norms > 0, norms, 1.0), np.float32)


def _tokens(ordered: Sequence[Passage], counts: Sequence[int]) -> Scores:
    """Estimate the tokens of every sentence in one go."""
    joined = "\n".join(passage.text for passage in ordered)
    bases = np.cumsum([0, *(len(passage.text) + 1 for passage in ordered)]).tolist()
    spans = [
        (base + start, base + end)
        for base, passage, count in zip(bases, ordered, counts, strict=False)
        for start, end in passage.sentences[:count]
    ]
    return span_tokens(joined, spans)
