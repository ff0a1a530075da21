"""Sketches estimate which share of their sentences two texts have in common."""

from __future__ import annotations

import pytest

from backend.domain import Chunk
from backend.ingest.sketch import SIZE, similarity, sketch_of


def chunks(*sentences: str) -> tuple[Chunk, ...]:
    return tuple(Chunk(n, 0, "", 0, text, ((0, len(text)),)) for n, text in enumerate(sentences))


def alike(one: tuple[Chunk, ...], other: tuple[Chunk, ...]) -> float:
    mine, theirs = sketch_of(one), sketch_of(other)
    return similarity(len(mine & theirs), len(mine), len(theirs))


def test_words_count_and_what_stands_between_them_does_not() -> None:
    assert sketch_of(chunks("Ask  Ana, please!", "***")) == sketch_of(chunks("ask ana — PLEASE"))


def test_a_text_of_a_few_sentences_is_compared_exactly() -> None:
    one = chunks(*(f"Rule {n}." for n in range(10)))
    other = chunks(*(f"Rule {n}." for n in range(5, 15)))
    assert alike(one, other) == pytest.approx(5 / 15)
    assert alike(one, one) == 1.0
    assert alike(one, ()) == 0.0


def test_a_long_text_keeps_a_sketch_of_bounded_size_that_estimates_well() -> None:
    one = chunks(*(f"Sentence number {n} of the text." for n in range(1000)))
    other = chunks(*(f"Sentence number {n} of the text." for n in range(100, 1000)))
    assert len(sketch_of(one)) == SIZE
    assert alike(one, other) == pytest.approx(0.9, abs=0.15)


def test_a_mark_fits_a_column_of_64_bits() -> None:
    assert all(-(2**63) <= mark < 2**63 for mark in sketch_of(chunks(*(str(n) for n in range(200)))))
