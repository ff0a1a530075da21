"""A real inference server writes nonsense: the wire is understood, and the nonsense never breaks a run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from backend.adapters.extractive import ExtractiveAnswerer
from backend.adapters.llm_answerer import LLMAnswerer, LLMReader
from backend.adapters.llm_fallback import FallbackLLM
from backend.adapters.openai import OpenAILLM
from backend.adapters.openai_endpoint import Endpoint
from backend.domain import Done, Question
from backend.errors import LLMUnavailable
from backend.metering import Meter, metered
from backend.models import Model
from backend.ports import ChatMessage
from backend.prompts import load_prompts
from backend.query.knobs import Knobs
from backend.query.pipeline import Pipeline
from backend.query.proposal import SCHEMA
from backend.settings import PROJECT
from tests.fakes.embedder import HashEmbedder
from tests.fakes.llama_server import llama_server
from tests.fakes.state import FakeDocuments, FakeRuns
from tests.fakes.story import NOW, TEAM, index_of

QUESTIONS = ("What did Ana write in 2024?", "Which manager is recommended since May?", "And by whom, before 2020?")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama_server(tmp_path_factory.mktemp("llama")) as served:
        yield served


@pytest.fixture
async def llm(url: str) -> AsyncIterator[OpenAILLM]:
    opened = OpenAILLM(Endpoint.open(url, None, 20, 0.001), Model(name="tiny", temperature=1.2, price_out=1))
    yield opened
    await opened.close()


async def test_a_stream_comes_in_pieces_and_is_counted_by_the_server(llm: OpenAILLM) -> None:
    pieces: list[str] = []
    with metered(Meter()) as meter, suppress(LLMUnavailable):  # it came to the limit of its length
        async for piece in llm.stream([ChatMessage("user", "hello")], max_tokens=40):
            pieces.append(piece)
    assert pieces  # as many as its random weights happen to say
    assert 0 < meter.tokens_out <= 40
    assert meter.tokens_in >= len("user: hello")
    assert meter.cost == pytest.approx(meter.tokens_out / 1_000_000)


async def test_a_completion_follows_the_schema(llm: OpenAILLM) -> None:
    replies = [await _proposed(llm, str(n)) for n in range(4)]
    usable = [json.loads(reply) for reply in replies if reply]
    assert usable
    assert all(set(reply) == {"question", "conditions"} for reply in usable)


async def _proposed(llm: OpenAILLM, text: str) -> str:
    """Return what it proposes, "" where that came to no end."""
    try:
        return await llm.complete([ChatMessage("user", text)], max_tokens=300, schema=SCHEMA)
    except LLMUnavailable:
        return ""


async def test_nonsense_filters_and_answers_never_break_a_run(llm: OpenAILLM) -> None:
    prompts, asked = load_prompts(PROJECT / "prompts"), FallbackLLM([llm], "answer")
    pipeline = Pipeline(
        index=await index_of({"Passwords": "KeePassXC is the manager that is recommended since May by Ana."}),
        embedder=HashEmbedder(),
        documents=FakeDocuments(),
        runs=FakeRuns(),
        extractive=ExtractiveAnswerer(),
        answerers=(LLMAnswerer(asked, prompts.get("answer@v1")),),
        reader=LLMReader(asked, prompts.get("understand@v2")),
        knobs=Knobs(draft_timeout=4),
        clock=lambda: NOW,
    )
    for question in QUESTIONS:
        (done,) = [e async for e in pipeline.answer(Question(question, TEAM), "r") if isinstance(e, Done)]
        assert done.run.outcome in ("answered", "abstained")
        assert done.run.metadata.calls <= 2
        assert all(citation.quote.startswith("KeePassXC") for citation in done.run.citations)
