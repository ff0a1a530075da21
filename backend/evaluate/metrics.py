"""What an eval computes, per question and as means. Pure; a ranking is a sequence of document ids, best first."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from backend.query.words import content_words, numbers

COVERED_FROM = 0.6
"""Share of a gold answer's content words from which the shown sentences are taken to hold it."""


def ndcg(ranking: Sequence[str], gold: Collection[str], k: int) -> float:
    """Return nDCG@k for binary relevance (Järvelin and Kekäläinen, 2002); a document counts where it first stands."""
    seen = list(dict.fromkeys(ranking))[:k]
    gain = sum(1 / math.log2(place + 1) for place, one in enumerate(seen, start=1) if one in gold)
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(len(set(gold)), k) + 1))
    return gain / ideal if ideal else 0.0


def recall(ranking: Sequence[str], gold: Collection[str], k: int) -> float:
    """Return the share of the gold documents among the first k."""
    return len(set(list(dict.fromkeys(ranking))[:k]) & set(gold)) / len(set(gold)) if gold else 0.0


def set_f1(found: Collection[str], gold: Collection[str]) -> float:
    """Return F1 of a set against the right one; two empty sets agree."""
    if not found and not gold:
        return 1.0
    return 2 * len(set(found) & set(gold)) / (len(set(found)) + len(set(gold)))


def coverage(answer: str, gold: str) -> float:
    """Return the share of the gold answer's content words and numbers that stand in `answer`."""
    wanted = content_words(gold) | numbers(gold)
    return len(wanted & (content_words(answer) | numbers(answer))) / len(wanted) if wanted else 0.0


def holds_answer(answer: str, golds: Sequence[str]) -> bool:
    """Whether `answer` covers one of the gold answers by at least `COVERED_FROM`."""
    return any(coverage(answer, gold) >= COVERED_FROM for gold in golds)


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Return the probability that a positive scores above a negative, ties counting half (Mann-Whitney)."""
    positive = [score for score, label in zip(scores, labels, strict=True) if label]
    negative = [score for score, label in zip(scores, labels, strict=True) if not label]
    if not positive or not negative:
        return math.nan
    wins = sum((one > other) + 0.5 * (one == other) for one in positive for other in negative)
    return wins / (len(positive) * len(negative))


def mean(values: Sequence[float]) -> float:
    """Return the mean, 0 of nothing."""
    return sum(values) / len(values) if values else 0.0


def median(values: Sequence[float]) -> float:
    """Return the median (the upper of two middles), 0 of nothing."""
    return sorted(values)[len(values) // 2] if values else 0.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a yes-or-no decision fares: `precision`, `recall`, `f1` of yes, and `balanced`, the mean of both recalls."""

    precision: float
    recall: float
    f1: float
    balanced: float


def judgement(said: Sequence[bool], labels: Sequence[bool]) -> Judgement:
    """Compare decisions with labels; what cannot be divided counts 0."""
    pairs = list(zip(said, labels, strict=True))
    hits = sum(one and label for one, label in pairs)
    misses = sum(not one and not label for one, label in pairs)
    yes, right = sum(said), sum(labels)
    precision, found = (hits / yes if yes else 0.0), (hits / right if right else 0.0)
    refused = misses / (len(pairs) - right) if len(pairs) > right else 0.0
    both = precision + found
    return Judgement(precision, found, 2 * precision * found / both if both else 0.0, (found + refused) / 2)
