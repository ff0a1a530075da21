"""People at work, for locust: `make load`, or `locust -f tests/load/locustfile.py --headless -H http://…`.

FOOTNOTE_API_KEY, LOAD_SCENARIO (steady, spike, stress, soak), LOAD_SECONDS for a shorter form. A backend that is to
bear this needs its limits per user and team lifted: FOOTNOTE_RATE_USER=off and so on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import count
from typing import Any

from locust import FastHttpUser, LoadTestShape, constant_throughput, task

from tests.load.mix import Action, actions, document
from tests.load.scenarios import EACH, NAMES, scenario

PAGES = int(os.environ.get("LOAD_PAGES", "200"))
"""Pages of the handbook that are indexed."""
_SEEDS = count(1)


class Shape(LoadTestShape):
    """As many users as the scenario wants."""

    def __init__(self) -> None:
        super().__init__()
        name = os.environ.get("LOAD_SCENARIO", "steady")
        assert name in NAMES, name
        self.scenario = scenario(name, float(os.environ.get("LOAD_SECONDS", "0")))

    def tick(self) -> tuple[int, float] | None:
        users = self.scenario.users(self.get_run_time())
        return None if users is None else (users, 100.0)


class Person(FastHttpUser):
    """Does one thing after another, at a steady pace however long each takes."""

    wait_time = constant_throughput(EACH / 60)

    def on_start(self) -> None:
        self.client.client.default_headers = {"X-API-Key": os.environ["FOOTNOTE_API_KEY"]}
        self.todo: Iterator[Action] = actions(next(_SEEDS), PAGES)
        self.run_id = ""

    @task
    def work(self) -> None:
        action = next(self.todo)
        match action.kind:
            case "ask" | "ask streamed":
                self.ask(action)
            case "search":
                self.post("/search", {"question": action.words, **self.whose(action)}, "search")
            case "rate" if self.run_id:
                self.post(
                    "/feedback", {"run_id": self.run_id, "user": action.user, "rating": 1, "kind": "button"}, "rate"
                )
            case "ingest":
                self.post("/ingest", dict(document(int(action.words))), "ingest")
            case _:
                self.client.get("/documents?limit=20", name="list")

    def whose(self, action: Action) -> dict[str, Any]:
        return {"audience": {"channel": "C1", "user": action.user, "private": False, "channels": []}}

    def ask(self, action: Action) -> None:
        streamed = action.kind == "ask streamed"
        body = {"question": action.words, "stream": streamed, **self.whose(action)}
        with self.client.post("/query", json=body, name=action.kind, catch_response=True) as reply:
            if reply.status_code != 200:
                reply.failure(f"status {reply.status_code}")
                return
            told = ended(reply.text) if streamed else json.loads(reply.text)
            if told.get("outcome") not in {"answered", "abstained"}:
                reply.failure("no outcome")
            else:
                self.run_id = told["run_id"]

    def post(self, path: str, body: dict[str, Any], name: str) -> None:
        self.client.post(path, json=body, name=name)


def ended(stream: str) -> dict[str, Any]:
    """Return the event that ended a stream, if it ended well."""
    _, _, last = stream.rpartition("event: done\ndata: ")
    found: dict[str, Any] = json.loads(last) if last != stream else {}
    return found
