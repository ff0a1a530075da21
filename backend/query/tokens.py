"""How many tokens a text makes, near enough to fit a budget and report a cost, at a hundredth of a tokenizer's time."""

from __future__ import annotations

import string

import numpy as np
from numpy.typing import NDArray

from backend.domain import Span

WORD, MARK, WIDE = 1.07, 1.17, 1.0
"""Tokens of a run of letters or digits, of a mark, and of a character of a script without spaces (each is a token). The
first two by least squares against the tokenizer of all-MiniLM-L6-v2 over 1,500 chunks of five sets: with one set held
out in turn, the total of its chunks is met within 4 %, a chunk within 4 to 8 % on average; characters / 4 misses the
totals by 4 to 20 %."""
_FIRST_WIDE = 0x2E80
"""Where Unicode's Chinese, Japanese and Korean blocks begin."""
_SPACE, _MARK, _PART, _WIDE = range(4)
_CLASSES = np.full(_FIRST_WIDE + 1, _PART, np.uint8)
_CLASSES[_FIRST_WIDE] = _WIDE
_CLASSES[[ord(mark) for mark in string.punctuation]] = _MARK
_CLASSES[0x80:0xC0] = _MARK
_CLASSES[0x2010:0x2070] = _MARK
_CLASSES[[*range(33), 0x7F, 0xA0]] = _SPACE


def estimate_tokens(text: str) -> int:
    """Return about how many tokens `text` makes, special ones left out."""
    return round(float(_costs(text).sum()))


def span_tokens(text: str, spans: list[Span]) -> NDArray[np.float32]:
    """Return about how many tokens each span of `text` makes."""
    total = np.concatenate(([0.0], np.cumsum(_costs(text))))
    bounds = np.array(spans, np.intp).reshape(-1, 2)
    return np.asarray(total[bounds[:, 1]] - total[bounds[:, 0]], np.float32)


def _costs(text: str) -> NDArray[np.float32]:
    """Return what each character adds; a word's whole cost is with its first character."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = _CLASSES[np.minimum(points, _FIRST_WIDE)]
    costs = np.array([0.0, MARK, 0.0, WIDE], np.float32)[kinds]
    starts = kinds == _PART
    starts[1:] &= kinds[:-1] != _PART
    costs[starts] = WORD
    return costs
