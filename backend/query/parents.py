"""Parents: what stands around the best passages in their sections, so that an answer is not cut at a chunk's border."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from backend.domain import Passage
from backend.query.tokens import estimate_tokens

SECTIONS = 4
"""The best so many passages bring their neighbours."""
NEIGHBOURS = 1
"""Passages on each side of a found one."""
GAP = 2
"""Where so few stand between two found ones of a section, they come along: the hits grow together."""
NEIGHBOUR_SHARE = 0.8
"""Of the score of the passage that they stand beside."""


def beside(passages: Sequence[Passage], section: Sequence[Passage], *, budget: int) -> tuple[Passage, ...]:
    """Return those of `section` that stand beside or between found passages in a section and were not found.

    Those of better passages come first; together they have at most `budget` tokens.
    """
    found = {passage.chunk_id for passage in passages}
    near: dict[tuple[str, int], float] = {}
    for section_id, position, score in _places(passages[:SECTIONS]):
        near[section_id, position] = max(near.get((section_id, position), 0.0), score * NEIGHBOUR_SHARE)
    around = [
        replace(one, score=near[one.section_id, one.position])
        for one in section
        if one.chunk_id not in found and (one.section_id, one.position) in near
    ]
    return tuple(_within(sorted(around, key=lambda one: -one.score), budget))


def _places(passages: Sequence[Passage]) -> Iterator[tuple[str, int, float]]:
    """Yield the section, position and score of every place beside a passage, or between two that are close."""
    for one in passages:
        for step in range(-NEIGHBOURS, NEIGHBOURS + 1):
            yield one.section_id, one.position + step, one.score
        for other in passages:
            if other.section_id == one.section_id and 1 < other.position - one.position <= GAP + 1:
                for position in range(one.position + 1, other.position):
                    yield one.section_id, position, max(one.score, other.score)


def _within(passages: Sequence[Passage], budget: int) -> Iterator[Passage]:
    for passage in passages:
        budget -= estimate_tokens(passage.text)
        if budget < 0:
            return
        yield passage
