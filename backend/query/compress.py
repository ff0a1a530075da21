"""Passages → evidence: the sentences that bear on the question, without repeats, within a token budget. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.domain import Evidence, Passage, Vector
from backend.query.bearing import Bearing, bear
from backend.query.words import stems

SHARE = 0.4
"""Of the tokens found, at most so many are kept, whatever the budget; gold evidence is lost only below: see the curve
in docs/evaluation.md."""
SPARED = 60
"""Tokens that are kept without regard to `SHARE`, some two sentences: less is not worth cutting."""
BEARS_WITHIN = 0.5
"""A sentence bears on the question when it scores at least this share of the best sentence."""
SAME = 0.9
"""Cosine from which a sentence without a word of its own says what another says."""

_TABLE_RULE = re.compile(r"\|[\s:|-]+\|?\Z")

Kept = NDArray[np.bool_]
"""Over the sentences of a Bearing."""


def compress(
    question: str,
    vector: Vector,
    passages: Sequence[Passage],
    *,
    budget: int,
    share: float = SHARE,
    within: float = BEARS_WITHIN,
) -> tuple[Evidence, ...]:
    """Keep what answers `question`, numbered from 1, the passage with the best sentence first.

    `vector` is the question in the space of sentence vectors; `budget` is in tokens, and `share` of those found bounds
    it too. The first sentence kept is kept whatever its length; a table row keeps its header and a list item its
    introduction. Sentences stay in the order of their passage and their words are never changed.
    """
    bearing = bear(question, vector, passages)
    return evidence_of(bearing, choose(bearing, bears(bearing, within), room=room_of(bearing, budget, share)))


@dataclass(frozen=True, slots=True)
class SentenceCompressor:
    """ports.Compressor without a model."""

    async def compress(
        self, question: str, vector: Vector, passages: Sequence[Passage], *, budget: int
    ) -> tuple[Evidence, ...]:
        return compress(question, vector, passages, budget=budget)


def room_of(bearing: Bearing, budget: int, share: float = SHARE) -> float:
    """Return how many tokens may be kept."""
    return min(budget, max(SPARED, share * float(bearing.tokens.sum())))


def bears(bearing: Bearing, within: float = BEARS_WITHIN) -> Kept:
    """Return which sentences score at least `within` of the best; the best one always does."""
    best = float(bearing.totals.max()) if bearing.totals.size else 0.0
    return np.asarray(bearing.totals >= min(best, best * within))


def choose(bearing: Bearing, allowed: Kept, *, room: float) -> Kept:
    """Take the allowed sentences best first, repeats left out, until `room` (in tokens) is used up."""
    kept = np.zeros(len(bearing.totals), np.bool_)
    headers, tokens, said = _headers(bearing), bearing.tokens.tolist(), _Said(bearing)
    ranked = np.argsort(-bearing.totals, kind="stable")
    used = 0.0
    for at in ranked[allowed[ranked]].tolist():
        if kept[at] or (used and used + tokens[at] > room) or said.already(at):
            continue
        needs = [one for one in (at, *_needed_by(bearing, headers, at)) if not kept[one]]
        size = sum(tokens[one] for one in needs)
        if used and used + size > room:
            continue
        used += size
        kept[needs] = True
        said.add(at)
    return kept


def evidence_of(bearing: Bearing, kept: Kept) -> tuple[Evidence, ...]:
    """Return the kept sentences by passage, the passage with the best one first, numbered from 1."""
    best: dict[int, float] = {}
    indices: dict[int, list[int]] = {}
    for at in np.flatnonzero(kept).tolist():
        place = int(bearing.place[at])
        best[place] = max(best.get(place, -np.inf), float(bearing.totals[at]))
        indices.setdefault(place, []).append(int(bearing.index[at]))
    ranked = sorted(indices, key=lambda place: -best[place])
    return tuple(_evidence(n, bearing.passages[place], indices[place]) for n, place in enumerate(ranked, start=1))


def _evidence(n: int, passage: Passage, kept: Sequence[int]) -> Evidence:
    return Evidence(n, passage, tuple(kept), kept_text(passage, kept))


def ranked_evidence(found: Sequence[Passage], kept: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Return every passage found, in its order and numbered anew, with what compression kept of it ("" for nothing)."""
    by_id = {one.passage.chunk_id: one for one in kept}
    return tuple(
        replace(by_id[passage.chunk_id], n=n) if passage.chunk_id in by_id else Evidence(n, passage, (), "")
        for n, passage in enumerate(found, start=1)
    )


def kept_text(passage: Passage, kept: Sequence[int]) -> str:
    """Return the kept sentences as they stand in the passage; " … " marks a gap within a line. Rows of a table that
    began before the passage have its header before them."""
    parts = [f"{passage.lead}\n"] if passage.lead and any(index < led(passage) for index in kept) else []
    for before, index in zip((None, *kept), kept, strict=False):
        start, end = passage.sentences[index]
        if before is not None:
            parts.append(_between(passage, before, index))
        line = passage.text.rfind("\n", 0, start) + 1
        marker = passage.text[line:start] if not parts or parts[-1].endswith("\n") else ""
        parts.append((marker if len(marker) < 8 and not _words(marker) else "") + passage.text[start:end])
    return "".join(parts)


def _between(passage: Passage, before: int, index: int) -> str:
    gap = passage.text[passage.sentences[before][1] : passage.sentences[index][0]]
    if "\n" in gap:
        return "\n"
    return gap if index == before + 1 else " … "


def _words(text: str) -> bool:
    return any(character.isalpha() for character in text)


class _Said:
    """The sentences chosen so far, to tell which others repeat them."""

    def __init__(self, bearing: Bearing) -> None:
        self._bearing = bearing
        self._chosen: list[int] = []
        self._texts: set[str] = set()
        self._nearest = np.full(len(bearing.vectors), -1.0, np.float32)

    def add(self, at: int) -> None:
        self._nearest = np.maximum(self._nearest, self._bearing.vectors @ self._bearing.vectors[at])
        self._chosen.append(at)
        self._texts.add(_squeezed(self._bearing.text(at)))

    def already(self, at: int) -> bool:
        """Whether a chosen sentence has the same text, or a near meaning and every word of this one: rows of a table
        have near meanings too, and differ in a word."""
        text = self._bearing.text(at)
        if _squeezed(text) in self._texts:
            return True
        return bool(self._nearest[at] >= SAME) and self._says_all(stems(text), at)

    def _says_all(self, words: frozenset[str], at: int) -> bool:
        vectors = self._bearing.vectors
        near = (one for one in self._chosen if vectors[one] @ vectors[at] >= SAME)
        return any(words <= stems(self._bearing.text(one)) for one in near)


def _squeezed(text: str) -> str:
    return " ".join(text.lower().split())


def _headers(bearing: Bearing) -> list[int]:
    """Return for each sentence the first row of the table that it is a row of, itself where it is no row.

    A table that goes on in the next chunk has its header there as `lead`, or in the chunk before, if that was found."""
    headers: list[int] = []
    before = False
    for at, (place, index, run) in enumerate(
        zip(bearing.place.tolist(), bearing.index.tolist(), bearing.run.tolist(), strict=True)
    ):
        passage = bearing.passages[place]
        row = is_row(passage, index)
        goes_on = row and before and run == bearing.run[at - 1] and index >= led(passage)
        headers.append(headers[-1] if goes_on else at)
        before = row
    return headers


def _needed_by(bearing: Bearing, headers: Sequence[int], at: int) -> tuple[int, ...]:
    """Return the sentences without which this one cannot be read."""
    if headers[at] != at:
        return (headers[at],)
    index = int(bearing.index[at])
    return tuple(at - index + other for other in support_of(bearing.passages[bearing.place[at]], index))


def support_of(passage: Passage, index: int) -> tuple[int, ...]:
    """Return the sentences that this one cannot be read without: a table's header, a list's introduction."""
    if index < led(passage):
        return ()
    if is_row(passage, index):
        first = index
        while first > 0 and is_row(passage, first - 1):
            first -= 1
        return (first,) if first != index else ()
    if is_item(passage, index):
        first = index
        while first > 0 and (is_item(passage, first) or is_row(passage, first)):
            first -= 1
        start, end = passage.sentences[first]
        return (first,) if first != index and passage.text[start:end].rstrip("*_ ").endswith(":") else ()
    return ()


def led(passage: Passage) -> int:
    """Return how many sentences at the start of the passage are rows of the table that its `lead` is the header of."""
    count = 0
    while passage.lead and count < len(passage.sentences) and (count == 0 or is_row(passage, count)):
        count += 1
    return count


def is_row(passage: Passage, index: int) -> bool:
    """Whether that sentence is a row of a table."""
    return passage.text.startswith("|", passage.sentences[index][0])


def is_rule(passage: Passage, index: int) -> bool:
    """Whether that sentence is the rule below a table's header."""
    start, end = passage.sentences[index]
    return _TABLE_RULE.match(passage.text[start:end]) is not None


def is_item(passage: Passage, index: int) -> bool:
    """Whether that sentence begins a list item."""
    start = passage.sentences[index][0]
    before = passage.text[passage.text.rfind("\n", 0, start) + 1 : start].strip()
    return bool(before) and (before[0] in "-*•+" or before[-1] in ".)") and len(before) <= 4
