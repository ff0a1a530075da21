"""A change that lowers retrieval is seen in CI: figures on small sets against floors, and against plain RRF."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from backend.adapters.minilm import MiniLM
from backend.evaluate.metrics import mean
from backend.settings import load_settings
from tests.evals.corpora import evals_folder
from tests.evals.retrieve import Found, ahead, load, measure, thresholds

pytestmark = [
    pytest.mark.eval,
    pytest.mark.skipif(not evals_folder().is_dir(), reason="the labelled sets are not on this machine"),
]
NAMES = ("anthropic_docs", "workplace")
SAMPLE = 60


@pytest.fixture
async def embedder() -> AsyncIterator[MiniLM]:
    settings = load_settings()
    opened = await asyncio.to_thread(MiniLM.open, settings.model_dir, _cache(), settings.embedding_threads)
    yield opened
    opened.close()


def _cache() -> Path:
    return load_settings().data_dir / "evals"


def _no_worse_anywhere_and_better_on_average(found: Mapping[str, Found]) -> None:
    leads = {name: ahead(one) for name, one in found.items()}
    assert min(leads.values()) >= 0, leads
    assert mean(list(leads.values())) >= thresholds()["ahead"], leads


async def test_retrieval_leads_plain_rrf_and_keeps_its_floors(embedder: MiniLM) -> None:
    corpora = [await load(name, embedder, _cache(), SAMPLE) for name in NAMES]
    alone = {corpus.name: (await measure([corpus], embedder))[corpus.name] for corpus in corpora}
    for name, found in alone.items():
        assert found["ours"].ndcg >= thresholds()[name], name
    assert alone["workplace"]["ours"].valid == 1
    _no_worse_anywhere_and_better_on_average(alone)
    _no_worse_anywhere_and_better_on_average(await measure(corpora, embedder))
