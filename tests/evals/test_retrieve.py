"""A change that lowers retrieval is seen in CI: figures on small sets against floors, and against plain RRF."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from backend.adapters.minilm import MiniLM
from backend.evaluate.metrics import mean
from tests.evals.corpora import labelled
from tests.evals.retrieve import Found, ahead, load, measure, thresholds

pytestmark = labelled()
NAMES = ("anthropic_docs", "workplace")
SAMPLE = 60


def _no_worse_anywhere_and_better_on_average(found: Mapping[str, Found]) -> None:
    leads = {name: ahead(one) for name, one in found.items()}
    assert min(leads.values()) >= 0, leads
    assert mean(list(leads.values())) >= thresholds()["ahead"], leads


async def test_retrieval_leads_plain_rrf_and_keeps_its_floors(embedder: MiniLM, cache: Path) -> None:
    corpora = [await load(name, embedder, cache, SAMPLE, every=3) for name in NAMES]
    alone = {corpus.name: (await measure([corpus], embedder))[corpus.name] for corpus in corpora}
    for name, found in alone.items():
        assert found["ours"].ndcg >= thresholds()[name], name
    assert alone["workplace"]["ours"].valid == 1
    _no_worse_anywhere_and_better_on_average(alone)
    _no_worse_anywhere_and_better_on_average(await measure(corpora, embedder))
