"""A change that verifies worse is seen in CI: figures on parts of two sets against floors."""

from __future__ import annotations

from pathlib import Path

from backend.adapters.minilm import MiniLM
from tests.evals.corpora import labelled
from tests.evals.verify import figures, score_claims, thresholds

pytestmark = labelled()


async def test_supported_claims_score_above_unsupported_ones(embedder: MiniLM, cache: Path) -> None:
    scored = await score_claims("wice", embedder, cache, limit=60)
    assert figures(scored, partly=False).aurocs["ours"] >= thresholds()["wice"]
    assert figures(scored, partly=True).aurocs["ours"] >= thresholds()["wice, partly as no"]


async def test_invented_answers_are_told_from_right_ones(embedder: MiniLM, cache: Path) -> None:
    found = figures(await score_claims("halueval_qa", embedder, cache, limit=100), partly=True)
    assert found.aurocs["ours"] >= thresholds()["halueval_qa"]
    assert found.shipped.recall >= thresholds()["halueval_qa recall"]


async def test_one_changed_fact_is_found(embedder: MiniLM, cache: Path) -> None:
    found = figures(await score_claims("summedits_sales_email", embedder, cache), partly=True)
    assert found.shipped.balanced >= thresholds()["summedits_sales_email balanced"]
