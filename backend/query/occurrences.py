"""Which of a few words stand in which of many sentences: by searching for the words, not by reading the sentences."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from backend.query.words import WORD, fold, stem

_BEFORE = re.compile("['’]")
Held = NDArray[np.bool_]
"""Shape (sentences, words)."""


def occurrences(words: Sequence[str], texts: Sequence[str]) -> Held:
    """Return whether text i holds a word whose stem is `words[j]`: as `words.stems` would, in a tenth of the time."""
    folded = [fold(text) for text in texts]
    joined = "\n".join(folded)
    starts = [0, *accumulate(len(text) + 1 for text in folded)]
    held = np.zeros((len(texts), len(words)), np.bool_)
    for column, word in enumerate(words):
        for position in _places(word, joined):
            held[bisect_right(starts, position) - 1, column] = True
    return held


def _places(word: str, joined: str) -> Iterator[int]:
    """Yield where words with that stem begin. A stem differs from its words at the end alone, by one letter at most."""
    beginning = word[:-1] if len(word) > 3 else word
    position = joined.find(beginning)
    while position >= 0:
        end = position + 1
        if not (position and joined[position - 1].isalnum()):
            match = WORD.match(joined, position)
            if match:
                end = match.end()
                if _is(word, match.group()):
                    yield position
        position = joined.find(beginning, end)


def _is(word: str, written: str) -> bool:
    """Whether that is the stem of a word as it is written, with or without a possessive or contraction."""
    return stem(written) == word or (("'" in written or "’" in written) and stem(_BEFORE.split(written)[0]) == word)
