"""A document's sketch: which of its sentences have the smallest hashes. Two sketches tell how much two texts share.

Bottom-k sketches estimate the Jaccard similarity of two sets from k members of each (Broder 1997); the error is about
1/√k, an eighth here, and nothing for texts of fewer sentences than that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

from backend.domain import Chunk

SIZE = 64
SIMILAR_FROM = 0.7
"""Share of sentences in common from which two documents are called nearly the same."""

_WORD = re.compile(r"\w+")


def sketch_of(chunks: Sequence[Chunk]) -> frozenset[int]:
    """Return at most SIZE marks, each a signed 64-bit number: of sentences by their words, whatever stands between."""
    sentences = (" ".join(_WORD.findall(chunk.text[a:b].casefold())) for chunk in chunks for a, b in chunk.sentences)
    return frozenset(sorted({_mark(sentence) for sentence in sentences if sentence})[:SIZE])


def similarity(shared: int, one: int, other: int) -> float:
    """Return the share of sentences in common, from the sizes of two sketches and the marks that are in both."""
    return shared / max(min(one + other - shared, SIZE), 1)


def _mark(sentence: str) -> int:
    return int.from_bytes(blake2b(sentence.encode(), digest_size=8).digest(), "big", signed=True)
