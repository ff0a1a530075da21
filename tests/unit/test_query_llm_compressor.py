"""The LLM extractor and filter against a model vendor on loopback."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import perf_counter

import pytest

from backend.adapters.llm_compressor import LLMExtractor, LLMFilter
from backend.adapters.openai import OpenAILLM
from backend.domain import Evidence
from backend.errors import LLMUnavailable
from backend.ports import ChatMessage
from backend.prompts import load_prompts
from backend.query.compress import compress
from backend.settings import PROJECT
from tests.fakes.openai_server import Fault, Journal, openai_server
from tests.fakes.story import passage_of, vector_of

QUESTION = "How long is parental leave?"
PASSAGES = [
    passage_of("Parental leave is 20 weeks. The canteen opens at noon. Fathers have the same.", chunk_id="a"),
    passage_of("Lunch costs five euros. Soup is free.", chunk_id="b", score=0.3),
]
PROMPTS = load_prompts(PROJECT / "prompts")


@asynccontextmanager
async def llm(
    reply: Callable[[str], object], *, faults: Sequence[Fault | None] = (), journal: Journal | None = None
) -> AsyncIterator[OpenAILLM]:
    """A model that answers what `reply` makes of the passage and question it is shown."""

    def script(messages: list[ChatMessage]) -> list[str]:
        said = reply(messages[-1].content)
        return [said if isinstance(said, str) else json.dumps(said)]

    async with openai_server(script, faults=faults, journal=journal) as url:
        opened = OpenAILLM.open(url, "key", "model", timeout=5)
        try:
            yield opened
        finally:
            await opened.close()


async def extracted(model: OpenAILLM, *, deadline: float = 5, budget: int = 500) -> dict[str, str]:
    extractor = LLMExtractor(model, PROMPTS.get("compress@v1"), deadline=deadline)
    return by_passage(await extractor.compress(QUESTION, vector_of(QUESTION), PASSAGES, budget=budget))


async def filtered(model: OpenAILLM, *, budget: int = 500) -> dict[str, str]:
    chosen = LLMFilter(model, PROMPTS.get("compress_filter@v1"))
    return by_passage(await chosen.compress(QUESTION, vector_of(QUESTION), PASSAGES, budget=budget))


def by_passage(evidence: Sequence[Evidence]) -> dict[str, str]:
    return {one.passage.chunk_id: one.text for one in evidence}


def without_a_model() -> dict[str, str]:
    return by_passage(compress(QUESTION, vector_of(QUESTION), PASSAGES, budget=500))


async def test_the_extractor_keeps_the_sentences_that_the_llm_numbers() -> None:
    async with llm(lambda shown: {"sentences": [1, 3] if "Parental" in shown.split("Question:")[0] else []}) as model:
        assert await extracted(model) == {"a": "Parental leave is 20 weeks. … Fathers have the same."}


async def test_each_passage_is_asked_about_alone_with_its_sentences_numbered_between_marks() -> None:
    journal = Journal()
    async with llm(lambda _: {"sentences": [1]}, journal=journal) as model:
        await extracted(model)
    assert len(journal.bodies) == 2
    shown = next(str(body["messages"]) for body in journal.bodies if "canteen" in str(body["messages"]))
    assert "1: Parental leave is 20 weeks." in shown
    assert "2: The canteen opens at noon." in shown
    assert "Soup" not in shown
    assert re.search(r"<<[0-9a-f]{16} passage>>", shown)
    assert all("json_schema" in str(body["response_format"]) for body in journal.bodies)


async def test_numbers_of_no_sentence_are_passed_over() -> None:
    async with llm(lambda shown: {"sentences": [0, 1, 99, -1]}) as model:
        assert (await extracted(model))["a"] == "Parental leave is 20 weeks."


@pytest.mark.parametrize("reply", ["Parental leave is 99 weeks.", '{"sentences": ["x"]}', '{"words": "leave"}', "[]"])
async def test_a_reply_of_another_shape_counts_as_none(reply: str) -> None:
    async with llm(lambda _: reply) as model:
        assert await extracted(model) == without_a_model()


async def test_the_filter_keeps_relevant_passages_whole() -> None:
    async with llm(lambda shown: {"relevant": "Soup" in shown}) as model:
        assert await filtered(model) == {"b": "Lunch costs five euros. Soup is free."}


async def test_what_the_filter_keeps_fits_the_budget() -> None:
    async with llm(lambda _: {"relevant": True}) as model:
        assert await filtered(model, budget=8) == {"a": "Parental leave is 20 weeks."}


async def test_an_llm_that_wants_nothing_leaves_what_is_kept_without_it() -> None:
    async with llm(lambda _: {"relevant": False}) as model:
        assert await filtered(model) == without_a_model()


async def test_an_llm_that_is_down_leaves_what_is_kept_without_it() -> None:
    async with llm(lambda _: {"sentences": [2]}, faults=[Fault(status=401)] * 2) as model:
        assert await extracted(model) == without_a_model()


async def test_a_passage_whose_call_failed_is_compressed_without_the_llm() -> None:
    def reply(shown: str) -> object:
        return {"sentences": [2]} if "Soup" in shown else "no JSON"

    async with llm(reply) as model:
        assert await extracted(model) == {"a": without_a_model()["a"], "b": "Soup is free."}


class _Slow:
    """A model that answers about one passage at once, and never about the others."""

    name = "slow"

    def __init__(self) -> None:
        self.cancelled = 0

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> AsyncIterator[str]:
        raise LLMUnavailable("not asked to")

    async def complete(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, schema: dict[str, object] | None = None
    ) -> str:
        if "Soup" in messages[-1].content:
            return '{"sentences": [2]}'
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return ""


async def test_at_the_deadline_what_has_come_is_used_and_the_rest_is_cancelled() -> None:
    model = _Slow()
    extractor = LLMExtractor(model, PROMPTS.get("compress@v1"), deadline=0.05)
    began = perf_counter()
    evidence = await extractor.compress(QUESTION, vector_of(QUESTION), PASSAGES, budget=500)
    assert perf_counter() - began < 1
    assert by_passage(evidence) == {"a": without_a_model()["a"], "b": "Soup is free."}
    assert model.cancelled == 1


async def test_hanging_up_cancels_the_calls() -> None:
    model = _Slow()
    extractor = LLMExtractor(model, PROMPTS.get("compress@v1"))
    task = asyncio.create_task(extractor.compress(QUESTION, vector_of(QUESTION), PASSAGES, budget=500))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert model.cancelled == 1
