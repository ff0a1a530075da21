"""The dashboards and rules that we ship, against a real Prometheus that scraped a real backend at work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from backend.ports import ChatMessage
from tests.e2e.processes import PROJECT
from tests.e2e.prometheus import Prometheus, needs_prometheus, prometheus
from tests.e2e.test_with_model import backend
from tests.fakes.openai_server import Fault, openai_server

pytestmark = [pytest.mark.e2e, needs_prometheus]

DASHBOARDS = sorted((PROJECT / "deploy" / "grafana" / "dashboards").glob("*.json"))
METRIC = re.compile(r"\bfootnote_\w+|\bprocess_\w+")


def some_of_it(messages: list[ChatMessage]) -> list[str]:
    """A model that writes a sentence that the passage supports, and one that it does not."""
    return ["You have 25 days of paid leave per year [1]. ", "You may carry over 90 days [1]."]


async def post(http: aiohttp.ClientSession, path: str, **body: object) -> dict[str, Any]:
    async with http.post(path, json=body) as reply:
        answer: dict[str, Any] = await reply.json()
        assert reply.status < 300, answer
        return answer


async def worked(http: aiohttp.ClientSession) -> None:
    """Let the backend do everything once: ask, ask again, abstain, be rated, ingest, fail."""
    leave = "How many days of paid leave do I have?"
    answered = await post(http, "/query", question=leave)
    assert answered["metadata"]["dropped_sentences"] == 1
    assert (await post(http, "/query", question=leave))["metadata"]["cache"] == "l1"
    assert (await post(http, "/query", question="Who won the chess cup of 1972?"))["outcome"] == "abstained"
    for user, rating in (("U1", 1), ("U2", -1)):
        await post(http, "/feedback", run_id=answered["run_id"], user=user, rating=rating, kind="button")
    await post(http, "/ingest?wait=true", text="# Travel\n\nTrains are booked two weeks ahead.")
    async with http.post("/ingest?wait=true", json={"url": "http://127.0.0.1:1/private"}) as refused:
        assert refused.status == 422
    async with http.get("/health/detailed") as reply:
        health = await reply.json()
    assert (health["verdict"], health["components"]["disk"]["status"]) == ("healthy", "ok"), health


def queries() -> list[tuple[str, str]]:
    """Return every query of every panel, with where it stands."""
    found = []
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                query = target["expr"].replace("$__rate_interval", "1m")
                found.append((f"{path.stem}: {panel['title']}: {query}", query))
    return found


async def measured(seen: Prometheus, expression: str) -> set[str]:
    """Return the metrics of an expression that nobody has measured."""
    return {name for name in METRIC.findall(expression) if not await seen.ask(name)}


async def test_no_panel_is_empty_and_every_rule_is_evaluated_over_what_is_measured(tmp_path: Path) -> None:
    async with (
        openai_server(some_of_it, faults=[Fault(500)], usage=(900, 30)) as model,
        backend(tmp_path, model) as http,
    ):
        base = http._base_url
        assert base is not None
        assert base.port is not None
        async with prometheus(tmp_path, base.port) as seen:
            await worked(http)
            await seen.until('footnote_ingest_failures_total{reason="refused"} > 0')
            for recorded in ("footnote:cache_hits:ratio_rate5m > 0", "footnote:slo_errors:ratio_rate1h"):
                await seen.until(recorded)
            empty = [where for where, query in queries() if not await seen.ask(query)]
            assert not empty, "\n".join(empty)
            assert await seen.ask("sum(footnote_llm_retries_total)") == [1]
            for expected in ("footnote_dropped_sentences_total == 1", 'footnote_feedback_total{rating="down"} == 1'):
                assert await seen.ask(expected), expected

            rules = await seen.rules()
            assert {rule["health"] for rule in rules} == {"ok"}
            unknown = {rule["name"]: await measured(seen, rule["query"]) for rule in rules}
            assert not any(unknown.values()), unknown
            alarming = [rule["name"] for rule in rules if rule.get("alerts")]
            assert not alarming
