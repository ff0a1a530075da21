"""The rerank adapter over real HTTP on loopback."""

from __future__ import annotations

import pytest

from backend.adapters.rerank import MAX_CHARACTERS, HttpReranker, scores_of
from backend.errors import RerankerUnavailable
from tests.fakes.rerank_server import Seen, rerank_server

TEXTS = ("The canteen opens at noon.", "Parental leave is 20 weeks.", "Leave must be requested.")
QUESTION = "How long is parental leave?"


@pytest.mark.parametrize("model", ["rerank-v3.5", ""])
async def test_scores_come_back_in_the_order_of_the_texts_in_both_shapes(model: str) -> None:
    seen = Seen()
    async with rerank_server(seen) as url, HttpReranker(url, model, "k", timeout=5) as reranker:
        scores = await reranker.rerank(QUESTION, TEXTS)
    assert scores[1] > scores[2] > scores[0]
    assert ("documents" in seen.bodies[0], "texts" in seen.bodies[0]) == (bool(model), not model)
    assert seen.keys == ["Bearer k"]


async def test_the_base_url_will_do_and_long_texts_are_cut() -> None:
    seen = Seen()
    async with rerank_server(seen) as url:
        base = url.removesuffix("rerank")
        async with HttpReranker(base, "m", None, timeout=5) as reranker:
            assert await reranker.rerank("x", ["word " * MAX_CHARACTERS]) == [0.0]
    assert [len(str(text)) for text in seen.bodies[0]["documents"]] == [MAX_CHARACTERS]  # type: ignore[attr-defined]
    assert seen.keys == [None]


async def test_nothing_to_rerank_is_no_call() -> None:
    seen = Seen()
    async with rerank_server(seen) as url, HttpReranker(url, "m", None, timeout=5) as reranker:
        assert await reranker.rerank("x", []) == []
    assert seen.bodies == []


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (Seen(status=401), "FOOTNOTE_RERANK_KEY"),
        (Seen(status=404), "FOOTNOTE_RERANK_URL"),
        (Seen(status=500), "HTTP 500"),
        (Seen(raw="<html>"), "else than scores"),
        (Seen(raw='{"results": [{"index": 0, "relevance_score": 1}]}'), "else than scores"),
        (Seen(stall=True), "in time"),
    ],
)
async def test_a_failure_is_told_plainly_and_without_the_question(seen: Seen, message: str) -> None:
    async with rerank_server(seen) as url, HttpReranker(url, "m", "secret", timeout=0.2) as reranker:
        with pytest.raises(RerankerUnavailable, match=message) as caught:
            await reranker.rerank(QUESTION, TEXTS)
    assert "parental" not in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_nobody_there_and_closed_are_told() -> None:
    reranker = HttpReranker("http://127.0.0.1:9/rerank", "m", None, timeout=1)
    with pytest.raises(RerankerUnavailable, match="closed"):
        await reranker.rerank("x", ["y"])
    async with reranker:
        with pytest.raises(RerankerUnavailable, match="reached"):
            await reranker.rerank("x", ["y"])


@pytest.mark.parametrize(
    "reply",
    [None, "x", {}, [1], [{"index": 0}], [{"index": 1, "score": 1}], [{"index": 0, "score": float("nan")}]],
)
def test_what_is_no_list_of_scores_is_refused(reply: object) -> None:
    with pytest.raises(ValueError, match=r"score|index|object"):
        scores_of(reply, 1)
