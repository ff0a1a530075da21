"""A change that loses evidence in compression is seen in CI: figures on small sets against floors."""

from __future__ import annotations

from pathlib import Path

from backend.adapters.minilm import MiniLM
from backend.evaluate.metrics import mean
from tests.evals.compress import SPANS, as_shipped, embedded, found_by_vector, kept_at, thresholds
from tests.evals.corpora import labelled

pytestmark = labelled()


async def test_half_and_a_quarter_of_the_text_keep_the_gold_characters(embedder: MiniLM, cache: Path) -> None:
    pools = await found_by_vector(SPANS, await embedded(SPANS, embedder, cache), embedder)
    assert mean(kept_at(pools, 2)) >= thresholds()["1/2"]
    assert mean(kept_at(pools, 4)) >= thresholds()["1/4"]


async def test_compression_as_shipped_keeps_the_evidence_in_far_fewer_tokens(embedder: MiniLM, cache: Path) -> None:
    pools = await found_by_vector("xquad_en", await embedded("xquad_en", embedder, cache), embedder)
    found = as_shipped(pools)
    assert found.fewer >= thresholds()["fewer"]
    assert found.kept >= thresholds()["kept"]
