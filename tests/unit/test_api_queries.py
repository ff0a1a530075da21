"""Questions over HTTP: the contract, one real server per test."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from backend import schema
from backend.errors import IndexUnavailable
from tests.fakes.server import ASK, Backend, running


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with running() as started:
        yield started


async def read_events(reply: aiohttp.ClientResponse) -> list[schema.QueryStreamEvent]:
    events, name = [], ""
    async for line in reply.content:
        text = line.decode().rstrip("\n")
        if text.startswith("event: "):
            name = text.removeprefix("event: ")
        elif text.startswith("data: "):
            events.append(schema.decode_event(name, text.removeprefix("data: ")))
    return events


async def never() -> None:
    await asyncio.Event().wait()


async def test_an_answer_in_one_piece_has_every_field_of_the_contract(backend: Backend) -> None:
    async with backend.http.post("/query", json={"question": "How much leave?"}) as reply:
        answer = await reply.json()
    assert reply.status == 200
    assert set(answer) == {"run_id", "outcome", "answer", "citations", "query", "passages", "metadata"}
    assert answer["outcome"] == "answered"
    assert answer["citations"][0]["quote"] in answer["passages"][0]["text"]
    assert answer["passages"][0]["compressed"] == "Everyone has 25 days of leave."
    assert answer["query"] == {
        "text": "How much leave?",
        "filter": None,
        "relaxed": False,
        "notices": [],
        "described": "",
    }
    assert {"understand_ms", "tokens_before", "dropped_sentences", "model", "cache"} <= set(answer["metadata"])


async def test_a_stream_tells_the_story_in_order_and_ends_once(backend: Backend) -> None:
    async with backend.http.post("/query", json={"question": "How much leave?", "stream": True}) as reply:
        events = await read_events(reply)
    assert reply.content_type == "text/event-stream"
    assert reply.headers["X-Accel-Buffering"] == "no"
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["StatusEvent", "QueryEvent", "PassagesEvent", "DeltaEvent", "CitationsEvent", "DoneEvent"]
    (done,) = [event for event in events if isinstance(event, schema.DoneEvent)]
    assert await backend.runs.get(done.run_id)


async def test_deltas_arrive_while_the_run_goes_on(backend: Backend) -> None:
    backend.pipeline.before = never
    async with backend.http.post("/query", json={"question": "How much leave?", "stream": True}) as reply:
        async with asyncio.timeout(2):
            assert await reply.content.readline() == b"event: status\n"
        assert not backend.pipeline.closed.is_set()


async def test_hanging_up_ends_a_streamed_run(backend: Backend) -> None:
    backend.pipeline.before = never
    async with backend.http.post("/query", json={"question": "How much leave?", "stream": True}) as reply:
        await reply.content.readline()
        reply.close()
    async with asyncio.timeout(2):
        await backend.pipeline.closed.wait()
    assert "footnote_hang_ups_total 1.0" in await (await backend.http.get("/metrics")).text()


async def test_hanging_up_ends_a_run_that_is_not_streamed(backend: Backend) -> None:
    backend.pipeline.before = never
    with pytest.raises(TimeoutError):
        await backend.http.post(
            "/query", json={"question": "How much leave?"}, timeout=aiohttp.ClientTimeout(total=0.3)
        )
    async with asyncio.timeout(2):
        await backend.pipeline.closed.wait()


async def test_silence_is_filled_with_comments() -> None:
    async with running(keep_alive=0.05) as backend:
        backend.pipeline.before = lambda: asyncio.sleep(0.2)
        async with backend.http.post("/query", json={"question": "How much leave?", "stream": True}) as reply:
            text = await reply.text()
    assert text.count(": keep-alive\n\n") >= 2
    assert text.count("event: done") == 1


async def test_an_error_in_a_stream_is_its_one_ending(backend: Backend) -> None:
    async def fail() -> None:
        raise IndexUnavailable("The index cannot be reached.")

    backend.pipeline.before = fail
    async with backend.http.post("/query", json={"question": "How much leave?", "stream": True}) as reply:
        events = await read_events(reply)
    assert reply.status == 200
    ending = events[-1]
    assert isinstance(ending, schema.FailedEvent)
    assert (ending.problem.status, ending.problem.title) == (503, "Index unavailable")
    assert ending.problem.run_id
    assert ending.problem.request_id == reply.headers["X-Request-ID"]
    assert sum(isinstance(event, schema.FailedEvent | schema.DoneEvent) for event in events) == 1


async def test_an_error_in_one_piece_is_a_problem_with_its_run_id(backend: Backend) -> None:
    async def fail() -> None:
        raise IndexUnavailable("The index cannot be reached.")

    backend.pipeline.before = fail
    async with backend.http.post("/query", json={"question": "How much leave?"}) as reply:
        problem = await reply.json(content_type="application/problem+json")
    assert reply.status == 503
    assert reply.headers["Retry-After"]
    assert problem["detail"] == "The index cannot be reached."
    assert problem["run_id"]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_unforeseen_error_gives_nothing_away(backend: Backend, stream: bool) -> None:
    async def fail() -> None:
        raise RuntimeError("secret content")

    backend.pipeline.before = fail
    async with backend.http.post("/query", json={"question": "How much leave?", "stream": stream}) as reply:
        text = await reply.text()
    assert "secret" not in text
    assert '"status":500' in text
    assert reply.headers["X-Request-ID"] in text


async def test_a_server_that_ends_lets_streams_end_first(backend: Backend) -> None:
    backend.pipeline.before = never
    async with backend.http.post("/query", json={"question": "How much leave?", "stream": True}) as reply:
        await reply.content.readuntil(b"\n\n")
        await backend.services.work.drain(0.05)
        ending = (await read_events(reply))[-1]
    assert isinstance(ending, schema.FailedEvent)
    assert ending.problem.status == 503
    assert "restarting" in ending.problem.detail


async def test_the_question_reaches_the_pipeline_whole(backend: Backend) -> None:
    body = {
        "question": " And in Berlin? ",
        "team": "T9",
        "audience": {"channel": "C1", "user": "U1", "private": True, "channels": ["C2"]},
        "history": [{"role": "user", "text": "How much leave?"}],
        "filter": {"op": "eq", "field": "source", "value": "hr"},
        "limit": 3,
    }
    async with backend.http.post("/query", json=body) as reply:
        answer = await reply.json()
    (question,) = backend.pipeline.asked
    assert (question.text, question.team, question.limit) == ("And in Berlin?", "T9", 3)
    assert question.audience.visibilities() == {"team", "channel:C1", "channel:C2", "user:U1"}
    assert question.history[0].text == "How much leave?"
    assert answer["query"]["filter"] == body["filter"]


async def test_a_question_without_audience_is_the_teams_only(backend: Backend) -> None:
    async with backend.http.post("/search", json={"question": "leave"}) as reply:
        found = await reply.json()
    assert reply.status == 200
    assert set(found) == {"query", "passages", "metadata"}
    (question,) = backend.pipeline.asked
    assert question.team == "local"
    assert question.audience.visibilities() == {"team"}


async def test_an_unknown_prompt_is_refused_before_the_stream_begins(backend: Backend) -> None:
    body = {"question": "q", "stream": True, "prompt": "unknown@v9"}
    async with backend.http.post("/query", json=body) as reply:
        assert reply.status == 400
        assert "answer@v1" in (await reply.json(content_type="application/problem+json"))["detail"]


async def test_abstaining_is_an_outcome_not_an_error(backend: Backend) -> None:
    backend.pipeline.outcome = "abstained"
    async with backend.http.post("/query", json={"question": "q"}, headers={"X-API-Key": ASK}) as reply:
        answer = json.loads(await reply.read())
    assert (reply.status, answer["outcome"], answer["citations"]) == (200, "abstained", [])


async def test_the_asker_may_name_a_time_zone_and_ask_without_understanding(backend: Backend) -> None:
    body = {"question": "What changed?", "time_zone": "Europe/Berlin", "understand": False}
    async with backend.http.post("/query", json=body) as reply:
        assert reply.status == 200
    asked = backend.services.pipeline.asked[-1]  # type: ignore[attr-defined]
    assert (asked.time_zone, asked.understand) == ("Europe/Berlin", False)


async def test_a_language_may_be_settled_for_the_answer(backend: Backend) -> None:
    async with backend.http.post("/query", json={"question": "Was gilt?", "language": "fr"}) as reply:
        assert reply.status == 200
    assert backend.services.pipeline.asked[-1].language == "French"  # type: ignore[attr-defined]
    async with backend.http.post("/query", json={"question": "Was gilt?", "language": "xx"}) as reply:
        assert (reply.status, "language" in (await reply.json())["detail"]) == (400, True)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "Europe"])
async def test_an_unknown_time_zone_is_refused(backend: Backend, name: str) -> None:
    async with backend.http.post("/query", json={"question": "x", "time_zone": name}) as reply:
        assert reply.status == 400
        assert "time_zone" in (await reply.json())["detail"]
