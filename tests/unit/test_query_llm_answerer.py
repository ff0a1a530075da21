import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from backend.adapters.llm_answerer import LLMAnswerer, LLMReader
from backend.adapters.openai import OpenAILLM
from backend.domain import Query, QueryVectors, Turn
from backend.errors import LLMUnavailable
from backend.ports import LLM, ChatMessage
from backend.prompts import Prompt, load_prompts
from backend.query.proposal import SCHEMA, Proposal, Proposed
from backend.settings import PROJECT
from tests.fakes.openai_server import Journal, openai_server
from tests.fakes.story import NOW, TEAM, evidence_of, vector_of


@dataclass
class _LLM:
    pieces: Sequence[str]
    name: str = "model-1"
    closed: bool = False
    sent: list[list[ChatMessage]] = field(default_factory=list)

    async def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> AsyncIterator[str]:
        self.sent.append(list(messages))
        try:
            for piece in self.pieces:
                yield piece
        finally:
            self.closed = True

    async def complete(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, schema: dict[str, object] | None = None
    ) -> str:
        self.sent.append(list(messages))
        return "".join(self.pieces)


def _prompt(prompt_id: str) -> Prompt:
    return load_prompts(PROJECT / "prompts").get(prompt_id)


async def test_the_llm_sees_the_question_and_the_numbered_sources_only() -> None:
    llm = _LLM(["One ", "two [1]."])
    answerer = LLMAnswerer(llm, _prompt("answer@v1"))
    vector = vector_of("x")
    draft = answerer.draft(
        "and then?", Query("What then?", TEAM), QueryVectors(vector, vector), evidence_of("A b.", "C d.")
    )
    assert [piece async for piece in draft] == ["One ", "two [1]."]
    (messages,) = llm.sent
    told = messages[-1].content
    assert "What then?" in told
    assert "[1] Guide" in told
    assert "C d." in told
    assert (answerer.model, answerer.prompt) == ("model-1", "answer@v1")


async def test_closing_the_draft_closes_the_call() -> None:
    llm = _LLM(["One ", "two"])
    vector = vector_of("x")
    draft = LLMAnswerer(llm, _prompt("answer@v1")).draft(
        "x", Query("x", TEAM), QueryVectors(vector, vector), evidence_of("A b.")
    )
    await anext(draft)
    await draft.aclose()  # type: ignore[attr-defined]  # it is an async generator
    assert llm.closed


async def _read(llm: LLM) -> Proposal:
    reader = LLMReader(llm, _prompt("understand@v2"))
    history = (Turn("user", "How long is notice?"),)
    return await reader.read("and what did Ana write?", history, {"author": ["Ana Lovelace"]}, NOW)


async def test_a_question_is_read_by_one_structured_call() -> None:
    condition = {"field": "author", "op": "is", "values": ["Ana Lovelace"], "words": "Ana"}
    reply = json.dumps({"question": "What did Ana write about notice?", "conditions": [condition]})
    journal = Journal()
    async with openai_server(lambda _: [reply], journal=journal) as url, _opened(url) as llm:
        proposal = await _read(llm)
    assert proposal.question == "What did Ana write about notice?"
    assert proposal.conditions == (Proposed("author", "is", ("Ana Lovelace",), "Ana"),)
    (body,) = journal.bodies
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA  # type: ignore[index]
    assert "Ana Lovelace" in str(body["messages"])
    assert "How long is notice?" in str(body["messages"])


@pytest.mark.parametrize("reply", ['{"question": 3}', '{"question": "x", "conditions": [{"field": "a"}]}', "no json"])
async def test_a_reply_of_another_form_is_an_llm_that_failed(reply: str) -> None:
    async with openai_server(lambda _: [reply]) as url, _opened(url) as llm:
        with pytest.raises(LLMUnavailable):
            await _read(llm)


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[OpenAILLM]:
    llm = OpenAILLM.open(url, "key", "model", timeout=5)
    try:
        yield llm
    finally:
        await llm.close()
