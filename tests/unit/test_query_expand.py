"""HyDE, multi-query and reranking around retrieval: what they add, and that nothing is lost when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from backend.adapters.llm_expander import LLMHyde, LLMMultiQuery
from backend.domain import Query
from backend.errors import LLMUnavailable, RerankerUnavailable
from backend.ports import ChatMessage
from backend.prompts import load_prompts
from backend.query.expand import MAX_WORDINGS, NOTHING, Expansion, expanded, tidy
from backend.query.retrieve import NO_EXTRAS, Extras, reordered, retrieve
from tests.fakes.embedder import HashEmbedder
from tests.fakes.story import TEAM, index_of, passage_of

PROMPTS = load_prompts(Path(__file__).parents[2] / "prompts")
TEXTS = {"Time off": "Holidays are 30 days a year.", "Badges": "Badges are processed every Wednesday."}
QUESTION = Query("Vacation allowance?", TEAM)


class ScriptedLLM:
    """ports.LLM with one reply to everything, or a failure."""

    name = "scripted"

    def __init__(self, reply: str | Exception) -> None:
        self.asked: list[str] = []
        self._reply = reply

    async def complete(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, schema: dict[str, object] | None = None
    ) -> str:
        self.asked.append(messages[-1].content)
        if isinstance(self._reply, Exception):
            raise self._reply
        return self._reply

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> AsyncIterator[str]:
        raise NotImplementedError


class ScriptedReranker:
    """ports.Reranker that prefers the texts with a word in them, fails, or never answers."""

    name = "scripted"

    def __init__(self, word: str = "", *, fault: Exception | None = None, stall: bool = False) -> None:
        self._word = word
        self._fault = fault
        self._stall = stall

    async def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        if self._stall:
            await asyncio.Event().wait()
        if self._fault:
            raise self._fault
        return [float(self._word in text) for text in texts]


async def titles(extras: Extras) -> list[str]:
    index = await index_of(TEXTS)
    found = await retrieve(QUESTION, index, HashEmbedder(), limit=5, extras=extras)
    return [passage.title for passage in found.passages]


@pytest.mark.parametrize(
    ("expander", "reply"),
    [(LLMHyde, "Holidays are 30 days."), (LLMMultiQuery, '{"queries": ["How many holidays are there?"]}')],
)
async def test_other_words_find_what_the_question_does_not_name(
    expander: type[LLMHyde | LLMMultiQuery], reply: str
) -> None:
    prompt = PROMPTS.get("hyde@v1" if expander is LLMHyde else "multi_query@v1")
    llm = ScriptedLLM(reply)
    assert (await titles(Extras(expander(llm, prompt))))[0] == "Time off"
    assert len(llm.asked) == 1
    assert QUESTION.text in llm.asked[0]


async def test_one_question_is_one_call_however_often_it_is_searched_for() -> None:
    llm = ScriptedLLM("Holidays.")
    hyde = LLMHyde(llm, PROMPTS.get("hyde@v1"))
    assert await hyde.expand("x") == await hyde.expand("x") == Expansion(passage="Holidays.")
    assert len(llm.asked) == 1


@pytest.mark.parametrize("reply", [LLMUnavailable("down"), "no json", '{"queries": "x"}'])
async def test_an_expander_that_fails_leaves_the_search_as_it_is(reply: str | Exception) -> None:
    extras = Extras(LLMMultiQuery(ScriptedLLM(reply), PROMPTS.get("multi_query@v1")))
    assert await titles(extras) == await titles(NO_EXTRAS)


async def test_an_expander_that_takes_too_long_is_not_waited_for() -> None:
    class Slow:
        async def expand(self, question: str) -> Expansion:
            await asyncio.Event().wait()
            return NOTHING

    assert await expanded("x", Slow(), deadline=0.01) == NOTHING


def test_wordings_are_few_different_and_not_the_question() -> None:
    offered = Expansion(" a  b ", (" Why? ", "why?", "One", "", "Two", "Three", "Four"))
    assert tidy("WHY?", offered) == Expansion("a b", ("One", "Two", "Three"))
    assert len(tidy("x", offered).wordings) == MAX_WORDINGS


async def test_a_reranker_reorders() -> None:
    plain = await titles(NO_EXTRAS)
    for word in ("Holidays", "Badges"):
        first, *_ = await titles(Extras(reranker=ScriptedReranker(word)))
        assert first == ("Time off" if word == "Holidays" else "Badges")
    assert sorted(plain) == ["Badges", "Time off"]


@pytest.mark.parametrize(
    "reranker", [ScriptedReranker(fault=RerankerUnavailable("down")), ScriptedReranker(stall=True)]
)
async def test_a_reranker_that_fails_leaves_the_order_as_it_is(reranker: ScriptedReranker) -> None:
    assert await titles(Extras(reranker=reranker, rerank_timeout=0.01)) == await titles(NO_EXTRAS)


def test_reordered_passages_keep_the_scores_of_their_places() -> None:
    passages = [passage_of("One.", chunk_id="a", score=0.9), passage_of("Two.", chunk_id="b", score=0.4)]
    assert [(one.chunk_id, one.score) for one in reordered(passages, [0.1, 0.8])] == [("b", 0.9), ("a", 0.4)]
