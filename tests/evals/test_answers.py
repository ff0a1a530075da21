"""A change that answers or abstains worse is seen in CI: figures on one set and a part of another against floors."""

from __future__ import annotations

from pathlib import Path

from backend.adapters.minilm import MiniLM
from backend.evaluate.metrics import auroc, mean
from tests.evals.answers import SPANS, SUPPORT, holds_span, support_figures, support_of, tell, thresholds
from tests.evals.corpora import labelled

pytestmark = labelled()


async def test_what_cannot_be_answered_is_told_and_support_is_shown(embedder: MiniLM, cache: Path) -> None:
    told, floors = await tell(SUPPORT, embedder, cache, every=2), thresholds()
    assert auroc([one.confidence for one in told], [one.case.answerable for one in told]) >= floors["clapnq AUROC"]
    assert mean([not one.answered for one in told if one.case.answerable]) <= floors["refused"]
    assert mean([not one.answered for one in told if not one.case.answerable]) >= floors["clapnq declined"]
    recall, precision, _ = support_figures(told, support_of(SUPPORT))
    assert recall >= floors["clapnq recall"]
    assert precision >= floors["clapnq precision"]


async def test_what_is_shown_holds_the_answer(embedder: MiniLM, cache: Path) -> None:
    told = await tell(SPANS, embedder, cache, every=6)
    assert mean([holds_span(one.shown, one.case.answers) for one in told]) >= thresholds()["xquad exact"]
