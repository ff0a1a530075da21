"""A change that loses text or headings of a format is seen in CI: figures on the labelled documents against floors."""

from __future__ import annotations

import asyncio

import pytest

from tests.evals.corpora import labelled
from tests.evals.ingest_gold import GOLD, Conversion, Gold, by_format, floors, load_gold, ours

pytestmark = labelled(GOLD)
SECONDS = 25.0


@pytest.fixture(scope="module")
def documents() -> list[Gold]:
    return load_gold()


@pytest.fixture(scope="module")
def found(documents: list[Gold]) -> dict[str, Conversion]:
    return asyncio.run(ours(documents))


def test_words_their_order_and_headings_arrive(documents: list[Gold], found: dict[str, Conversion]) -> None:
    for kind, scores in by_format(documents, found).items():
        floor = floors()[kind]
        assert scores.recall >= floor.recall, kind
        assert scores.precision >= floor.precision, kind
        assert scores.order >= floor.order, kind
        assert (scores.headings is None) == (floor.headings is None), kind
        assert scores.headings is None or floor.headings is None or scores.headings >= floor.headings, kind


def test_every_document_is_read_in_time_and_memory(found: dict[str, Conversion]) -> None:
    assert {name: one.reason for name, one in found.items() if one.reason} == {}
    assert max(one.seconds for one in found.values()) < SECONDS
