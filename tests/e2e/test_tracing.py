"""One trace from Slack's event to the last append, over both programs; and what the log says of it."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from backend.ports import ChatMessage
from tests.e2e.processes import Footnote, footnote
from tests.fakes.collector import Collector, Taken, collector
from tests.fakes.openai_server import openai_server
from tests.fakes.slack_driver import SlackDriver

pytestmark = pytest.mark.e2e

TRACE = "0af7651916cd43dd8448eb211c80319c"
LEAVE = "# Paid leave\n\nEveryone has 25 days of paid leave per year. Requests go to Ana Lima in the people team."
STORY = ("understand", "retrieve", "embed", "search", "compress", "judge", "generate", "verify")


def honest(messages: list[ChatMessage]) -> list[str]:
    return ["Everyone has 25 days of ", "paid leave per year [1]."]


async def worked(running: Footnote) -> None:
    """Hand in a document as part of a trace of our own; then ask about it in Slack."""
    headers = {"X-API-Key": running.api_key, "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    async with (
        aiohttp.ClientSession(running.backend_url, headers=headers) as http,
        http.post("/ingest?wait=true", json={"title": "Leave", "text": LEAVE}) as reply,
    ):
        assert reply.status == 200, await reply.text()
    async with SlackDriver(running.page_url) as ana:
        await ana.connected()
        ts = await ana.post("C_GENERAL", "@Footnote How many days of paid leave do I have?")
        assert "25 days" in (await ana.reply("C_GENERAL", ts)).text


def chain(taken: Collector, span: Taken) -> list[str]:
    """Return the names from a span up to the first of its trace."""
    by_id, names = {one.id: one for one in taken.spans}, [span.name]
    while span.parent in by_id:
        span = by_id[span.parent]
        names.append(span.name)
    return names


async def test_one_trace_leads_from_slacks_event_over_the_model_to_the_last_append(tmp_path: Path) -> None:
    async with collector() as taken, openai_server(honest, usage=(900, 30)) as model:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": taken.url,
            "OPENAI_BASE_URL": model,
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_MODEL": "writer-1",
            "FOOTNOTE_LOG_FORMAT": "json",
        }
        async with footnote(tmp_path, **environment) as running:
            await worked(running)

    (run,) = taken.named("run")
    of_it = [span for span in taken.spans if span.trace == run.trace]
    by_service = {name: {s.name for s in of_it if s.service == name} for name in ("footnote-bot", "footnote-backend")}
    assert by_service["footnote-backend"] >= {*STORY, "POST /query", "chat writer-1", "run"}
    assert by_service["footnote-bot"] >= {"slack event", "turn attempt", "POST /query", "slack chat.stopStream"}
    assert chain(taken, run) == ["run", "POST /query", "POST /query", "turn attempt", "slack event"]
    writing = next(span for span in of_it if "generate" in chain(taken, span)[1:] and span.name.startswith("chat"))
    assert {"gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"} <= set(
        writing.attributes
    )
    appended = next(span for span in of_it if span.name == "slack chat.stopStream")
    assert chain(taken, appended)[1:] == ["turn attempt", "slack event"]

    ours = [span for span in taken.spans if span.trace == TRACE]
    assert {span.name for span in ours} >= {"POST /ingest", "ingest", "extract", "split", "embed", "write"}
    assert not any(span.error for span in of_it + ours)

    lines = [json.loads(line) for line in (tmp_path / "backend.log").read_text().splitlines() if line.startswith("{")]
    (ended,) = [line for line in lines if line["event"] == "run ended"]
    assert (ended["trace_id"], ended["run_id"]) == (run.trace, json_value(run, "footnote.run_id"))
    assert any(line.get("trace_id") == TRACE for line in lines if line["event"] == "document ready")
    done = [json.loads(line) for line in (tmp_path / "bot.log").read_text().splitlines() if '"turn done"' in line]
    assert [(line["trace_id"], line["run_id"]) for line in done] == [(run.trace, ended["run_id"])]

    written = json.dumps([span.attributes for span in taken.spans]).lower()
    assert not [word for word in ("paid leave", "25 days", "ana lima", "sk-test") if word in written]


def json_value(span: Taken, name: str) -> str:
    """Return an attribute's text."""
    return span.attributes[name].partition('"')[2].rpartition('"')[0]
