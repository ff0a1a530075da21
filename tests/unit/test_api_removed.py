"""From the response of a removal on, nothing shows the document: not a run under way, a search, or an older trace."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backend.redact import WITHHELD
from tests.fakes.server import Backend, running

Q = {"question": "How much leave is there?"}
HANDBOOK = {"id": "handbook", "title": "Handbook", "text": "Everyone has 25 days of leave."}


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with running() as started:
        async with started.http.post("/ingest", json=HANDBOOK) as reply:
            assert reply.status == 202
        yield started


async def remove(backend: Backend) -> None:
    async with backend.http.delete("/documents/handbook") as reply:
        assert reply.status == 200


async def test_an_older_trace_withholds_what_it_held_of_the_document(backend: Backend) -> None:
    async with backend.http.post("/query", json=Q) as reply:
        run_id = (await reply.json())["run_id"]
    async with backend.http.get(f"/runs/{run_id}") as reply:
        assert "25 days" in await reply.text()
    await remove(backend)
    async with backend.http.get(f"/runs/{run_id}") as reply:
        trace = await reply.json()
    assert "25 days" not in str(trace)
    assert "Handbook" not in str(trace)
    assert trace["answer"] == WITHHELD
    assert trace["passages"][0]["document_id"] == "handbook"


async def test_a_run_that_had_found_it_ends_with_a_plain_sentence(backend: Backend) -> None:
    async def removing() -> None:
        await remove(backend)

    backend.pipeline.before = removing
    async with backend.http.post("/query", json=Q) as reply:
        problem = await reply.json()
        assert (reply.status, reply.content_type) == (409, "application/problem+json")
    assert "25 days" not in str(problem)
    assert "ask again" in problem["detail"]


async def test_a_stream_that_had_found_it_says_nothing_of_it_any_more(backend: Backend) -> None:
    async def removing() -> None:
        await remove(backend)

    backend.pipeline.before = removing
    async with backend.http.post("/query", json={**Q, "stream": True}) as reply:
        told = await reply.text()
    assert "event: delta" not in told
    assert "event: citations" not in told
    assert "event: failed" in told
    assert "ask again" in told


async def test_a_search_that_had_found_it_leaves_it_out(backend: Backend) -> None:
    async def removing() -> None:
        await remove(backend)

    backend.pipeline.before = removing
    async with backend.http.post("/search", json=Q) as reply:
        assert (await reply.json())["passages"] == []
    backend.pipeline.before = None
