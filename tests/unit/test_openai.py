from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from backend.adapters.openai import OpenAILLM
from backend.adapters.openai_embedder import EMBEDDING_BATCH, OpenAIEmbedder
from backend.adapters.openai_endpoint import ATTEMPTS, Endpoint
from backend.domain import Chunk
from backend.errors import EmbedderUnavailable, LLMUnavailable
from backend.models import Model
from backend.ports import ChatMessage
from tests.fakes.embedder import HashEmbedder
from tests.fakes.openai_server import Fault, Journal, Script, echo, openai_server

ASK = [ChatMessage("system", "Be brief."), ChatMessage("user", "say two weeks")]
SECRET = "sk-very-secret"


@asynccontextmanager
async def model(
    script: Script = echo,
    faults: Sequence[Fault | None] = (),
    journal: Journal | None = None,
    silence: float = 5,
) -> AsyncIterator[OpenAILLM]:
    async with openai_server(script, faults=faults, journal=journal) as base_url:
        tiny = Model(name="tiny", first_token=silence, silence=silence)
        llm = OpenAILLM(Endpoint.open(base_url, SECRET, silence, 0.001), tiny)
        try:
            yield llm
        finally:
            await llm.close()


@asynccontextmanager
async def embedder(
    name: str = "text-embedding-3-small", faults: Sequence[Fault | None] = (), journal: Journal | None = None
) -> AsyncIterator[OpenAIEmbedder]:
    async with openai_server(faults=faults, journal=journal) as base_url:
        remote = OpenAIEmbedder(Endpoint.open(base_url, SECRET, 5, 0.001), name, 64, HashEmbedder())
        try:
            yield remote
        finally:
            await remote.close()


async def streamed(llm: OpenAILLM) -> list[str]:
    return [piece async for piece in llm.stream(ASK, max_tokens=50)]


# ------------------------------------------------------------------------------------------------------- the model


async def test_a_completion_is_streamed_piece_by_piece_at_temperature_0() -> None:
    journal = Journal()
    async with model(journal=journal) as llm:
        assert await streamed(llm) == ["say ", "two ", "weeks "]
    (body,) = journal.bodies
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "say two weeks"},
    ]
    assert [body["model"], body["temperature"], body["max_tokens"]] == ["tiny", 0, 50]


async def test_the_first_piece_arrives_before_the_model_has_finished() -> None:
    async with model(faults=[Fault(then="stall", pieces=1)]) as llm:
        stream = llm.stream(ASK, max_tokens=50)
        assert await asyncio.wait_for(anext(stream), 2) == "say "
        await stream.aclose()  # type: ignore[attr-defined]


async def test_closing_the_stream_hangs_up_on_the_model() -> None:
    journal = Journal()
    async with model(faults=[Fault(then="stall", pieces=1)], journal=journal) as llm:
        stream = llm.stream(ASK, max_tokens=50)
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        await asyncio.wait_for(journal.hung_up.wait(), 2)


async def test_cancelling_the_wait_for_the_first_piece_hangs_up_on_the_model() -> None:
    journal = Journal()
    async with model(faults=[Fault(then="stall")], journal=journal) as llm:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(streamed(llm), 0.3)
        await asyncio.wait_for(journal.hung_up.wait(), 2)
    assert len(journal.bodies) == 1


async def test_an_empty_completion_yields_nothing() -> None:
    async with model(lambda messages: []) as llm:
        assert await streamed(llm) == []


async def test_a_whole_completion_can_follow_a_schema() -> None:
    journal = Journal()
    schema: dict[str, object] = {"type": "object", "properties": {}, "additionalProperties": False}
    async with model(lambda messages: ['{"a": ', "1}"], journal=journal) as llm:
        assert await llm.complete(ASK, max_tokens=9, schema=schema) == '{"a": 1}'
    assert journal.bodies[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": schema, "strict": True},
    }


async def test_prose_where_json_was_asked_for_is_an_error() -> None:
    async with model(lambda messages: ["Sure! Here it is"]) as llm:
        assert await llm.complete(ASK, max_tokens=9) == "Sure! Here it is"
        with pytest.raises(LLMUnavailable, match="JSON"):
            await llm.complete(ASK, max_tokens=9, schema={})


# ----------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_tried_again(status: int) -> None:
    journal = Journal()
    async with model(faults=[Fault(status), Fault(status)], journal=journal) as llm:
        assert "".join(await streamed(llm)) == "say two weeks "
        assert await llm.complete(ASK, max_tokens=9) == "say two weeks "
    assert len(journal.bodies) == 4


async def test_a_connection_that_breaks_before_the_first_piece_is_tried_again() -> None:
    async with model(faults=[Fault(then="cut")]) as llm:
        assert "".join(await streamed(llm)) == "say two weeks "


async def test_trying_again_ends() -> None:
    journal = Journal()
    async with model(faults=[Fault(500)] * 10, journal=journal) as llm:
        with pytest.raises(LLMUnavailable, match=r"The language model tiny failed \(HTTP 500\)"):
            await streamed(llm)
    assert len(journal.bodies) == ATTEMPTS


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(400), "HTTP 400"),
        (Fault(401), "refused the key: check OPENAI_API_KEY"),
        (Fault(404), "is unknown to the endpoint"),
        (Fault(429, code="insufficient_quota"), "rate limit or quota"),
        (Fault(429, headers=(("Retry-After", "3600"),)), "rate limit or quota"),
    ],
)
async def test_what_will_not_pass_is_said_at_once_without_secrets(fault: Fault, said: str) -> None:
    journal = Journal()
    async with model(faults=[fault], journal=journal) as llm:
        with pytest.raises(LLMUnavailable, match=said) as raised:
            await streamed(llm)
    assert len(journal.bodies) == 1
    assert SECRET not in str(raised.value)
    assert "two weeks" not in str(raised.value)


def in_a_second() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1.9), usegmt=True)


@pytest.mark.parametrize(("value", "at_least", "at_most"), [("0.3", 0.3, 5), ("0", 0, 5), ("soon", 0, 5)])
async def test_retry_after_is_honoured(value: str, at_least: float, at_most: float) -> None:
    async with model(faults=[Fault(429, headers=(("Retry-After", value),))]) as llm:
        begun = time.monotonic()
        await streamed(llm)
        assert at_least <= time.monotonic() - begun < at_most


async def test_retry_after_may_be_a_date() -> None:
    async with model(faults=[Fault(503, headers=(("Retry-After", in_a_second()),))]) as llm:
        begun = time.monotonic()
        await streamed(llm)
        assert 0.5 < time.monotonic() - begun < 5


@pytest.mark.parametrize(("then", "said"), [("cut", "cannot be reached"), ("end", "broke off")])
async def test_a_stream_that_breaks_off_is_an_error_and_not_an_answer(then: str, said: str) -> None:
    journal = Journal()
    async with model(faults=[Fault(then=then, pieces=2)], journal=journal) as llm:
        stream = llm.stream(ASK, max_tokens=50)
        assert [await anext(stream), await anext(stream)] == ["say ", "two "]
        with pytest.raises(LLMUnavailable, match=said):
            await anext(stream)
    assert len(journal.bodies) == 1  # what was said cannot be said again


@pytest.mark.parametrize("pieces", [0, 1])
async def test_a_silent_model_times_out_once(pieces: int) -> None:
    journal = Journal()
    async with model(faults=[Fault(then="stall", pieces=pieces)] * 9, journal=journal, silence=0.2) as llm:
        with pytest.raises(LLMUnavailable, match="did not answer in time"):
            await streamed(llm)
    assert len(journal.bodies) == 1


async def test_an_endpoint_that_is_not_there_is_said_plainly() -> None:
    llm = OpenAILLM(Endpoint.open("http://127.0.0.1:9/v1", None, 1, 0.001), Model(name="tiny"))
    with pytest.raises(LLMUnavailable, match="check OPENAI_BASE_URL"):
        await streamed(llm)
    await llm.close()


# ------------------------------------------------------------------------------------------------------- embeddings


def chunks(count: int) -> list[Chunk]:
    return [Chunk(i, 0, "Rooms", 0, f"Room {i} is free.", ((0, 10),)) for i in range(count)]


async def test_chunks_are_sent_in_batches_with_title_and_heading() -> None:
    journal = Journal()
    async with embedder(journal=journal) as remote:
        vectors = await remote.embed_chunks("Office", chunks(EMBEDDING_BATCH + 1))
    assert [len(vector.vector) for vector in vectors] == [64] * (EMBEDDING_BATCH + 1)
    inputs = [body["input"] for body in journal.bodies]
    assert [len(texts) for texts in inputs if isinstance(texts, list)] == [EMBEDDING_BATCH, 1]
    assert inputs[1] == [f"Office › Rooms\nRoom {EMBEDDING_BATCH} is free."]
    assert journal.bodies[0]["dimensions"] == 64


async def test_sentences_stay_local() -> None:
    journal = Journal()
    async with embedder(journal=journal) as remote:
        assert (await remote.embed_sentences(["One.", "Two."])).shape == (2, 384)
        remote.count_tokens("one two")
    assert journal.bodies == []


async def test_embeddings_are_tried_again_and_then_unavailable() -> None:
    async with embedder(faults=[Fault(503), None, *[Fault(503)] * ATTEMPTS]) as remote:
        assert (await remote.embed_query("leave")).search.shape == (64,)
        with pytest.raises(EmbedderUnavailable, match="HTTP 503"):
            await remote.embed_query("leave")


async def test_vectors_of_another_length_name_the_setting() -> None:
    async with embedder("some-local-model") as remote:
        with pytest.raises(EmbedderUnavailable, match=r"1536 dimensions: set FOOTNOTE_EMBEDDING_DIMENSIONS"):
            await remote.embed_query("leave")
