"""Does the evidence support a sentence? Numbers, names and negation must agree, and the meaning be near. Pure.

A sentence that is the passage's own is supported as it stands. Otherwise its score is the best cosine with a sentence
of the passage plus the share of its content words that a few sentences of the passage hold: on `wice` (development
split) that sum ranks supported above unsupported better than either part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.domain import Evidence, Passage, Span, Vector
from backend.query.generate import Drafted
from backend.query.words import MARKER, content_words, fold, names, negated, numbers, spoken_numbers, tokens

SUPPORTED_FROM = 1.05
"""Least sum of cosine and word coverage, each at most 1; see `docs/evaluation.md` for the curve."""
NEGATION_COST = 1.0
"""Taken off where one side negates and the other does not: it sinks all but a copy, which is never asked."""
QUOTE_SENTENCES = 3
MAX_QUOTE = 600
_SPACES = re.compile(r"\s+")
_CLAUSE = re.compile(r"[,;:.!?\n—–]\s|\b(?:but|and|however|although|unless)\b", re.IGNORECASE)
_FENCE_OR_RULE = re.compile(r"(?:```|~~~).*\Z|\|[\s:|-]+\|?\Z")


@dataclass(frozen=True, slots=True)
class Support:
    """Passage `n` supports a sentence by the words at `quote` in its text; `score` is 0 to 2."""

    n: int
    quote: Span
    score: float


def verify(drafted: Drafted, vector: Vector | None, evidence: Sequence[Evidence]) -> tuple[Support, ...]:
    """Return what supports a sentence, in the order cited; nothing means that it must not be shown.

    `vector` is the sentence on its own in the space of sentence vectors, None where it is known to be a copy. Markers
    that name no evidence are ignored; a sentence that its markers do not support, or that has none, is attributed to
    the evidence that supports it best.
    """
    if not content_words(drafted.text):
        return ()
    cited = [one for n in drafted.markers for one in evidence if one.n == n]
    copies = copied_from(drafted, cited) or copied_from(drafted, evidence)
    if copies or vector is None:
        return copies
    supports = _supported_by(drafted.text, vector, cited) if cited else ()
    if supports:
        return supports
    others = (_supported_by(drafted.text, vector, [one]) for one in evidence if one not in cited)
    return max((found for found in others if found), key=lambda found: found[0].score, default=())


def copied_from(drafted: Drafted, evidence: Sequence[Evidence]) -> tuple[Support, ...]:
    """Return the first passage that holds the sentence, or every line of the block, word for word."""
    wanted = _lines(drafted.text) if drafted.block else [_plain(drafted.text)]
    for one in evidence:
        own = {_plain(one.passage.text[start:end]): (start, end) for start, end in one.passage.sentences}
        if wanted and all(line in own for line in wanted):
            return (Support(one.n, _quote([own[line] for line in wanted]), 2.0),)
    return ()


def _lines(block: str) -> list[str]:
    lines = (_plain(line) for line in block.splitlines())
    return [line for line in lines if line and not _FENCE_OR_RULE.match(line)]


def _quote(spans: Sequence[Span]) -> Span:
    """Return one span over all, or the last alone (a table's row without its header) where that grows too long."""
    whole = (min(start for start, _ in spans), max(end for _, end in spans))
    return whole if whole[1] - whole[0] <= MAX_QUOTE else spans[-1]


def _plain(text: str) -> str:
    return _SPACES.sub(" ", MARKER.sub("", text)).strip()


def _supported_by(text: str, vector: Vector, cited: Sequence[Evidence]) -> tuple[Support, ...]:
    """Check a sentence against all passages that it cites together; keep those that contribute."""
    passages = [one.passage for one in cited]
    if facts_missing(text, passages):
        return ()
    measured = [support_score(text, vector, passage) for passage in passages]
    words = content_words(text)
    covered = set().union(*(_words_at(one.passage, span) for one, (_, span) in zip(cited, measured, strict=True)))
    best = max(score for score, _ in measured)
    own = max(len(words & _words_at(one.passage, span)) for one, (_, span) in zip(cited, measured, strict=True))
    joint = best + (len(words & covered) - own) / len(words)
    if joint < SUPPORTED_FROM:
        return ()
    enough = min(best, SUPPORTED_FROM * 0.7)
    return tuple(
        Support(one.n, span, score) for one, (score, span) in zip(cited, measured, strict=True) if score >= enough
    )


def facts_missing(text: str, passages: Sequence[Passage]) -> frozenset[str]:
    """Return the numbers and names of `text` that occur in none of the passages, their titles, headings or dates."""
    whole = "\n".join(_with_facts(passage) for passage in passages)
    digits = numbers(whole) | spoken_numbers(whole)
    folded = set(tokens(whole)) | {part for word in tokens(whole) for part in re.split(r"['’]", word)}
    squeezed = re.sub(r"[^\w]", "", fold(whole))
    absent = {name for name in names(text) if name not in folded and re.sub(r"[^\w]", "", name) not in squeezed}
    return frozenset((numbers(text) - digits) | {name for name in absent if not name.isdigit()})


def _with_facts(passage: Passage) -> str:
    dated = f"{passage.published_at:%d %B %Y %m}" if passage.published_at else ""
    return " ".join((passage.title, passage.heading, passage.author or "", passage.source, dated, passage.text))


def support_score(text: str, vector: Vector, passage: Passage) -> tuple[float, Span]:
    """Return how well the passage supports `text` (0 to 2), and the span of its best-supporting words."""
    count = min(len(passage.sentences), len(passage.sentence_vectors))
    if not count:
        return 0.0, (0, 0)
    words = content_words(text)
    cosines = passage.sentence_vectors[:count] @ vector
    shared = [words & content_words(passage.text[a:b]) for a, b in passage.sentences[:count]]
    gains = cosines + np.array([len(one) / len(words) for one in shared], np.float32)
    first, last = _window(passage, shared, gains, int(gains.argmax()))
    span = (passage.sentences[first][0], passage.sentences[last][1])
    covered = set().union(*shared[first : last + 1])
    context = words & content_words(f"{passage.title} {passage.heading}")
    coverage = len(covered | context) / len(words)
    cost = NEGATION_COST if _contradicts(text, words, passage.text[span[0] : span[1]]) else 0.0
    return float(cosines.max()) + coverage - cost, span


def _contradicts(text: str, words: frozenset[str], quote: str) -> bool:
    """Whether one side negates and the other does not, in a clause of the quote that shares most words: what "not" in
    another clause says is another matter."""
    shared = [(len(words & content_words(clause)), negated(clause)) for clause in _CLAUSE.split(quote)]
    most = max(count for count, _ in shared)
    return any(count == most and negative != negated(text) for count, negative in shared)


def _window(passage: Passage, shared: Sequence[frozenset[str]], gains: np.ndarray, best: int) -> tuple[int, int]:
    """Widen the best sentence by neighbours, at most `QUOTE_SENTENCES` in all, while they bring new words."""
    first = last = best
    while last - first + 1 < QUOTE_SENTENCES:
        held = set().union(*shared[first : last + 1])
        sides = [side for side in (first - 1, last + 1) if 0 <= side < len(shared)]
        side = max(sides, key=lambda place: (len(shared[place] - held), float(gains[place])), default=None)
        if side is None or len(shared[side] - held) < 1:
            break
        low, high = min(first, side), max(last, side)
        if passage.sentences[high][1] - passage.sentences[low][0] > MAX_QUOTE:
            break
        first, last = low, high
    return first, last


def _words_at(passage: Passage, span: Span) -> frozenset[str]:
    return content_words(passage.text[span[0] : span[1]])
