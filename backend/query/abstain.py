"""Do the documents answer at all? Decided before anything is written, from figures that retrieval has anyway. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backend.domain import Evidence, Passage, Vector
from backend.query.relevance import score_sentences, weigh

ANSWERED_FROM = 0.41
"""Least confidence at which an answer is attempted. On `clapnq` (development split) it refuses half of what cannot be
answered and 2 % of what can (AUROC .90); what is refused in vain weighs more, as each sentence must still be proved."""


def confidence(question: str, vector: Vector, evidence: Sequence[Evidence]) -> float:
    """Return how near the best sentence comes to the question, about 0 to 1: its cosine, its chunk's and the weight of
    the question's words that it holds, as in compression. No evidence is no confidence."""
    passages = [one.passage for one in evidence]
    terms = weigh(question, passages)
    scored = score_sentences(terms, vector, passages)
    return max((one.nearness for one in scored), default=0.0)


def abstention(nearest: Iterable[Passage]) -> str:
    """Say that the documents do not answer, and which of them come nearest: up to three titles."""
    titles = list(dict.fromkeys(" ".join(passage.title.split())[:120] for passage in nearest if passage.title.strip()))
    if not titles:
        return "I found nothing about this in the documents that everyone here may read."
    listed = ", ".join(f"“{title}”" for title in titles[:3])
    return f"I could not find an answer to this in the documents. The closest: {listed}."
