"""What every embedder decides in the same way: the text that is embedded for a chunk, batches, unit length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.domain import Vectors

FRAME_CHARACTERS = 200
"""At most this much of title and heading stands before a chunk: some 50 tokens, so that the chunk itself still fits."""


def frame_of(title: str, heading: str, lead: str = "") -> str:
    """Return what stands before a chunk's text when it is embedded: title and heading path on a line of their own, then
    the header of the table that it goes on with."""
    parts = [heading] if heading == title or heading.startswith(f"{title} › ") else [title, heading]
    line = " › ".join(part for part in parts if part)[:FRAME_CHARACTERS]
    return "".join(f"{part}\n" for part in (line, lead) if part)


def encodable(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot hold, by one character each, so that offsets stay right."""
    return text.encode("utf-8", "replace").decode()


def batches_by_length(lengths: Sequence[int], tokens: int, pass_tokens: int | None = None) -> list[list[int]]:
    """Group positions so that a group, padded to its longest, has at most `tokens` tokens (or one member).

    With `pass_tokens`, what one more pass costs in tokens, nothing joins a group that it would pad by more than that.
    """
    batches: list[list[int]] = []
    longest = 0
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        padding = (lengths[i] - longest) * len(batches[-1]) if batches else 0
        fits = bool(batches) and (len(batches[-1]) + 1) * lengths[i] <= tokens
        if fits and (pass_tokens is None or padding <= pass_tokens):
            batches[-1].append(i)
        else:
            batches.append([i])
        longest = lengths[i]
    return batches


def unit(rows: Sequence[NDArray[np.float32]]) -> Vectors:
    """Stack rows and scale each to length 1."""
    vectors = np.asarray(rows, dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
