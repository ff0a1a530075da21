"""With a model configured Footnote writes, and what the model makes up does not get through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from backend.ports import ChatMessage
from tests.e2e.processes import free_port, start, until_healthy
from tests.fakes.openai_server import Fault, Script, openai_server

pytestmark = pytest.mark.e2e

LEAVE = {
    "title": "Leave",
    "text": "# Paid leave\n\nEveryone has 25 days of paid leave per year. Requests go to Ana Lima in the people team.",
}
QUESTION = {"question": "How many days of paid leave do I have?"}


def honest_and_not(messages: list[ChatMessage]) -> list[str]:
    """A model that writes one sentence that the passage supports, one that it does not, and a link of its own."""
    return [
        "You have 25 days of paid ",
        "leave per year [1]. You may carry over 90 days [1]. ",
        "Requests go to Ana Lima [1]; see [here](https://evil.example/?q=secret).",
    ]


@asynccontextmanager
async def backend(folder: Path, model_url: str) -> AsyncIterator[aiohttp.ClientSession]:
    port = free_port()
    environment = {
        "FOOTNOTE_DATA_DIR": str(folder / "data"),
        "FOOTNOTE_PORT": str(port),
        "OPENAI_BASE_URL": model_url,
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_MODEL": "writer-1",
    }
    program = await start("backend", "backend", "serve", environment=environment, folder=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        await until_healthy(f"{url}/health/ready", program)
        headers = {"X-API-Key": (folder / "data" / "api-key").read_text().strip()}
        async with aiohttp.ClientSession(url, headers=headers) as session:
            async with session.post("/ingest?wait=true", json=LEAVE) as reply:
                assert reply.status == 200, await reply.text()
            yield session
    finally:
        await program.stop()
    assert "sk-test" not in program.log.read_text()
    assert "paid leave" not in program.log.read_text()


async def answered(folder: Path, script: Script, *faults: Fault | None) -> dict[str, object]:
    async with (
        openai_server(script, faults=faults) as model_url,
        backend(folder, model_url) as session,
        session.post("/query", json=QUESTION) as reply,
    ):
        body: dict[str, object] = await reply.json()
        assert reply.status == 200, body
        return body


async def test_only_what_the_passages_support_of_a_models_words_is_shown(tmp_path: Path) -> None:
    reply = await answered(tmp_path, honest_and_not)
    answer = str(reply["answer"])
    assert "You have 25 days of paid leave per year [1]." in answer
    assert "90 days" not in answer
    assert "evil.example" not in answer
    assert reply["outcome"] == "answered"
    metadata = reply["metadata"]
    assert isinstance(metadata, dict)
    assert (metadata["model"], metadata["prompt"].partition("@")[0]) == ("writer-1", "answer")
    assert metadata["tokens_in"] > metadata["tokens_out"] > 0
    assert 1 <= metadata["calls"] <= 2
    assert metadata["dropped_sentences"] >= 1


async def test_a_model_that_is_down_is_replaced_by_quoting(tmp_path: Path) -> None:
    reply = await answered(tmp_path, honest_and_not, *[Fault(status=401)] * 8)
    assert "Everyone has 25 days of paid leave per year" in str(reply["answer"])
    metadata = reply["metadata"]
    assert isinstance(metadata, dict)
    assert (metadata["model"], metadata["degraded"]) == ("extractive", "quoted")
