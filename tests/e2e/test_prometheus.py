"""The dashboards and rules that we ship, against a real Prometheus that scraped a backend and a bot at work."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from backend.ports import ChatMessage
from bot.app import open_bot
from bot.sandbox import Sandbox
from bot.sandbox.values import BOT_USER
from bot.settings import Settings
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


@asynccontextmanager
async def bot_in_slack(folder: Path, backend: URL) -> AsyncIterator[tuple[int, Callable[[str], object]]]:
    """Run a bot on a local Slack until the block ends; yield the port of its figures, and what asks it a question."""
    async with Sandbox(0) as sandbox:
        slack = {name: value for name, value in sandbox.env().items() if name.startswith("SLACK_")}
        given = {"data_dir": folder / "bot", "backend_url": str(backend), "bot_port": 0}
        key = (folder / "data" / "api-key").read_text().strip()
        async with open_bot(Settings.model_validate(given | {"api_key": key} | slack)) as bot:
            assert bot.port is not None
            people, world = sandbox.people, sandbox.world
            room = next(one for one in world.channels.values() if one.kind == "public" and BOT_USER in one.members)
            asker = next(one for one in world.users.values() if one.id in room.members and not one.is_bot)
            yield bot.port, lambda text: people.write(channel=room.id, user=asker.id, text=f"<@{BOT_USER}> {text}")


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
        async with (
            bot_in_slack(tmp_path, base) as (bot, ask),
            prometheus(tmp_path, backend=base.port, bot=bot) as seen,
        ):
            await worked(http)
            ask("Who won the chess cup of 1972?")
            await seen.until('footnote_ingest_failures_total{reason="refused"} > 0')
            await seen.until('footnote_turns_total{outcome="abstained"} == 1')
            for recorded in ("footnote:cache_hits:ratio_rate5m > 0", "footnote:slo_errors:ratio_rate1h"):
                await seen.until(recorded)
            empty = [where for where, query in queries() if not await seen.ask(query)]
            assert not empty, "\n".join(empty)
            assert await seen.ask("sum(footnote_llm_retries_total)") == [1]
            for expected in ("footnote_dropped_sentences_total == 1", 'footnote_feedback_total{rating="down"} == 1'):
                assert await seen.ask(expected), expected

            for expected in (
                'footnote_jobs_total{job_kind="turn",came="recorded"} == 1',
                'footnote_replies_total{rung="stream"} == 1',
                'footnote_slack_calls_total{method="chat.startStream",ending="ok"} >= 1',
                "footnote_turn_first_words_seconds_count == 1",
            ):
                assert await seen.ask(expected), expected

            rules = await seen.rules()
            assert {rule["health"] for rule in rules} == {"ok"}
            unknown = {rule["name"]: await measured(seen, rule["query"]) for rule in rules}
            assert not any(unknown.values()), unknown
            alarming = [rule["name"] for rule in rules if rule.get("alerts")]
            assert not alarming
