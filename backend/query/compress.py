"""Passages → evidence: the sentences that bear on the question, without repeats, within a token budget. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backend.domain import Evidence, Passage, Vector
from backend.query.relevance import Relevance, score_sentences, weigh

CHARACTERS_PER_TOKEN = 4.0
"""English in the local tokenizer; the budget is a size, not a promise to the last token."""
BEARS_WITHIN = 0.58
"""A sentence bears on the question when it scores at least this share of the best sentence."""
SAME = 0.94
"""Cosine from which two sentences say the same."""

_TABLE_RULE = re.compile(r"\|[\s:|-]+\|?\Z")


def compress(question: str, vector: Vector, passages: Sequence[Passage], *, budget: int) -> tuple[Evidence, ...]:
    """Keep what answers `question`, numbered from 1, the passage with the best sentence first.

    `vector` is the question in the space of sentence vectors; `budget` is in tokens. The first sentence kept is kept
    whatever its length; a table row keeps its header and a list item its introduction. Sentences stay in the order of
    their passage and their words are never changed.
    """
    terms = weigh(question, passages)
    scored = score_sentences(terms, vector, passages)
    kept = _choose(passages, scored, budget * CHARACTERS_PER_TOKEN)
    ranked = sorted((place for place in range(len(passages)) if kept[place]), key=lambda place: -scored[place].best)
    return tuple(
        Evidence(n, passages[place], tuple(sorted(kept[place])), kept_text(passages[place], sorted(kept[place])))
        for n, place in enumerate(ranked, start=1)
    )


def ranked_evidence(found: Sequence[Passage], kept: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Return every passage found, in its order and numbered anew, with what compression kept of it ("" for nothing)."""
    by_id = {one.passage.chunk_id: one for one in kept}
    return tuple(
        replace(by_id[passage.chunk_id], n=n) if passage.chunk_id in by_id else Evidence(n, passage, (), "")
        for n, passage in enumerate(found, start=1)
    )


def kept_text(passage: Passage, kept: Sequence[int]) -> str:
    """Return the kept sentences as they stand in the passage; " … " marks a gap within a line."""
    parts: list[str] = []
    for before, index in zip((None, *kept), kept, strict=False):
        start, end = passage.sentences[index]
        if before is not None:
            parts.append(_between(passage, before, index))
        line = passage.text.rfind("\n", 0, start) + 1
        marker = passage.text[line:start] if before is None or parts[-1] == "\n" else ""
        parts.append((marker if len(marker) < 8 and not _words(marker) else "") + passage.text[start:end])
    return "".join(parts)


def _between(passage: Passage, before: int, index: int) -> str:
    gap = passage.text[passage.sentences[before][1] : passage.sentences[index][0]]
    if "\n" in gap:
        return "\n"
    return gap if index == before + 1 else " … "


def _words(text: str) -> bool:
    return any(character.isalpha() for character in text)


def _choose(passages: Sequence[Passage], scored: Sequence[Relevance], room: float) -> list[set[int]]:
    """Take sentences best first until the room is used up; return the kept indices of each passage."""
    kept: list[set[int]] = [set() for _ in passages]
    order = [(place, index) for place, one in enumerate(scored) for index in range(len(one.total))]
    totals = np.concatenate([one.total for one in scored]) if scored else np.zeros(0, np.float32)
    if not totals.size:
        return kept
    floor = float(totals.max()) * BEARS_WITHIN
    repeated = _repeats(passages, scored, totals)
    used = 0.0
    for rank in np.argsort(-totals, kind="stable"):
        place, index = order[rank]
        if totals[rank] < floor:
            break
        if repeated[rank] or index in kept[place]:
            continue
        needs = {index, *support_of(passages[place], index)} - kept[place]
        size = sum(passages[place].sentences[i][1] - passages[place].sentences[i][0] + 1 for i in needs)
        if used and used + size > room:
            continue
        used += size
        kept[place] |= needs
    return kept


def _repeats(passages: Sequence[Passage], scored: Sequence[Relevance], totals: np.ndarray) -> np.ndarray:
    """Mark sentences that say what a better-scored sentence says already."""
    vectors = np.concatenate(
        [passage.sentence_vectors[: len(one.total)] for passage, one in zip(passages, scored, strict=True)]
    )
    alike = vectors @ vectors.T >= SAME
    better = (totals[None, :] > totals[:, None]) | (
        (totals[None, :] == totals[:, None]) & (np.arange(len(totals))[None, :] < np.arange(len(totals))[:, None])
    )
    repeated = np.asarray((alike & better).any(axis=1))
    texts = [
        _squeezed(passage.text[start:end])
        for passage, one in zip(passages, scored, strict=True)
        for start, end in passage.sentences[: len(one.total)]
    ]
    first: dict[str, int] = {}
    for rank in np.argsort(-totals, kind="stable"):
        repeated[rank] |= first.setdefault(texts[rank], int(rank)) != rank
    return repeated


def _squeezed(text: str) -> str:
    return " ".join(text.lower().split())


def support_of(passage: Passage, index: int) -> tuple[int, ...]:
    """Return the sentences that this one cannot be read without: a table's header, a list's introduction."""
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
