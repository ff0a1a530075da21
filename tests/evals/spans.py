"""Gold spans of a document's text → the sentences of its chunks, whatever splitting did to the text between them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.domain import Chunk, Span

_REACH = 4_000
"""Letters that splitting may leave out between two sentences: a long image, a block of HTML."""
_TELLING = 16
"""Letters from which a sentence is looked for in the whole document."""


def letters(text: str) -> tuple[str, list[int]]:
    """Return the letters and digits of `text` in lower case, and the offset of each: marks and spaces may change."""
    offsets = [at for at, character in enumerate(text) if character.isalnum()]
    return "".join(text[at].lower()[0] for at in offsets), offsets


def aligned(text: str, chunks: Sequence[Chunk]) -> list[list[Span | None]]:
    """Return where the sentences of each chunk stand among the letters of `text`; None for what is not found there."""
    known, _ = letters(text)
    places: list[list[Span | None]] = []
    after = 0
    for chunk in chunks:
        own: list[Span | None] = []
        for start, end in chunk.sentences:
            wanted, _ = letters(chunk.text[start:end])
            at = known.find(wanted, after, after + _REACH + len(wanted))
            if at < 0 and len(wanted) >= _TELLING:
                at = known.find(wanted)
            own.append((at, at + len(wanted)) if at >= 0 else None)
            after = at + len(wanted) if at >= 0 else after
        places.append(own)
    return places


def gold_letters(offsets: Sequence[int], spans: Sequence[Span], places: Sequence[Span | None]) -> NDArray[np.float32]:
    """Return how many letters of the gold spans each sentence holds; `offsets` are those of the text's letters."""
    gold = [(bisect_left(offsets, start), bisect_left(offsets, end)) for start, end in spans]
    return np.array([sum(_shared(place, one) for one in gold) if place else 0 for place in places], np.float32)


def _shared(one: Span, other: Span) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))
