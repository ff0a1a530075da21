"""Figures for Prometheus, in a registry of the bot's own. They count and time; they never hold content."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from slack_sdk.errors import SlackApiError

from bot.rungs import RungName
from bot.slack import SlackBusy, SlackRefused, ours

CONTENT_TYPE = CONTENT_TYPE_LATEST

CALL_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
FIRST_WORDS_SECONDS = (0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120)
TURN_SECONDS = (0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 1800)

METHODS = frozenset(
    {
        "agents.sessions.setStatus",
        "apps.connections.open",
        "assistant.threads.setSuggestedPrompts",
        "auth.test",
        "chat.appendStream",
        "chat.delete",
        "chat.getPermalink",
        "chat.postEphemeral",
        "chat.postMessage",
        "chat.startStream",
        "chat.stopStream",
        "chat.update",
        "conversations.info",
        "conversations.members",
        "conversations.replies",
        "users.conversations",
        "users.info",
        "users.list",
        "views.open",
        "views.publish",
        "views.update",
    }
)
"""The methods that we call; any other counts as `other`."""

Ending: TypeAlias = Literal["ok", "refused", "limited", "unavailable"]
"""How a call of Slack's ended; `limited`: it wants fewer calls, also after we had waited."""
Outcome: TypeAlias = Literal[
    "answered", "abstained", "replied", "failed", "stopped", "declined", "refused", "explained", "gave_up"
]
"""What came of a turn. `replied`: small talk; `declined`: by a limit, or by the backend; `refused`: to who asked;
`explained`: there was no question, or too long a one; `gave_up`: after all attempts."""
Came: TypeAlias = Literal["recorded", "recovered"]
"""How a job came to this process: recorded by it, or left behind by an earlier one."""


class Telemetry:
    """The metrics of one bot. Series whose labels are known are there from the start, so that a rate over them is 0 and
    not missing."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._calls = Counter(
            "footnote_slack_calls",
            "Calls of Slack's methods by how they ended.",
            ["method", "ending"],
            registry=registry,
        )
        self._call_seconds = Histogram(
            "footnote_slack_call_seconds",
            "Time of a call of Slack's, with what is tried again.",
            ["method"],
            buckets=CALL_SECONDS,
            registry=registry,
        )
        self._waits = Counter("footnote_slack_waits", "Waits that Slack asked for.", ["method"], registry=registry)
        self._waited = Counter(
            "footnote_slack_wait_seconds", "Time spent in waits that Slack asked for.", ["method"], registry=registry
        )
        self._jobs = Counter("footnote_jobs", "Jobs by how they came here.", ["job_kind", "came"], registry=registry)
        self._turns = Counter("footnote_turns", "Turns by what came of them.", ["outcome"], registry=registry)
        self._first_words = Histogram(
            "footnote_turn_first_words_seconds",
            "Time from a message to the first words of its answer in Slack.",
            buckets=FIRST_WORDS_SECONDS,
            registry=registry,
        )
        self._turn_seconds = Histogram(
            "footnote_turn_seconds",
            "Time from a message to the end of its answer in Slack.",
            buckets=TURN_SECONDS,
            registry=registry,
        )
        self._replies = Counter("footnote_replies", "Replies by the rung they ended on.", ["rung"], registry=registry)
        self._steps_down = Counter(
            "footnote_replies_stepped_down", "Rungs that Slack closed to a reply.", ["rung"], registry=registry
        )
        self._open_jobs = Gauge("footnote_jobs_open", "Jobs that have not ended.", registry=registry)
        self._busy_jobs = Gauge("footnote_jobs_busy", "Jobs that are in the middle of an attempt.", registry=registry)
        self._sockets = Gauge("footnote_sockets_up", "Connections to Slack that hear.", registry=registry)
        self._wanted = Gauge("footnote_sockets_wanted", "Connections that there should be.", registry=registry)
        self._rebuilt = Gauge("footnote_sockets_rebuilt", "Connections built anew since the start.", registry=registry)
        self._events = Gauge("footnote_events_queued", "Events received and not yet looked at.", registry=registry)
        self._workspaces = Gauge("footnote_workspaces", "Workspaces that are answered.", registry=registry)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._begin()

    def _begin(self) -> None:
        for method, ending in product(METHODS, get_args(Ending)):
            self._calls.labels(method, ending)
        for method in METHODS:
            self._call_seconds.labels(method)
            self._waits.labels(method)
            self._waited.labels(method)
        for outcome in get_args(Outcome):
            self._turns.labels(outcome)
        for rung in get_args(RungName):
            self._replies.labels(rung)
            self._steps_down.labels(rung)

    def expect_jobs(self, names: Iterable[str]) -> None:
        """Name the kinds of jobs."""
        for name, came in product(names, get_args(Came)):
            self._jobs.labels(name, came)

    def watch_jobs(self, left: Callable[[], int], busy: Callable[[], int]) -> None:
        """Count jobs whenever Prometheus asks."""
        self._open_jobs.set_function(left)
        self._busy_jobs.set_function(busy)

    @contextmanager
    def calling(self, method: str) -> Iterator[None]:
        """Count and time a call of Slack's; one that is cancelled counts as unavailable."""
        known, start = _known(method), time.perf_counter()
        ending: Ending = "unavailable"
        try:
            yield
            ending = "ok"
        except SlackApiError as error:
            ending = _ending(error)
            raise
        finally:
            self._calls.labels(known, ending).inc()
            self._call_seconds.labels(known).observe(time.perf_counter() - start)

    def waited(self, method: str, seconds: float) -> None:
        """Count a wait that Slack asked for."""
        self._waits.labels(_known(method)).inc()
        self._waited.labels(_known(method)).inc(seconds)

    def job(self, name: str, came: Came) -> None:
        """Count a job that begins in this process."""
        self._jobs.labels(name, came).inc()

    def turn(self, outcome: Outcome, asked_at: float | None) -> None:
        """Count a turn that has its outcome, and time it where it is known when it was asked (seconds of the epoch, by
        Slack's clock)."""
        self._turns.labels(outcome).inc()
        if asked_at is not None:
            self._turn_seconds.observe(max(0.0, time.time() - asked_at))

    def first_words(self, asked_at: float | None) -> None:
        """Time the first words of an answer in Slack."""
        if asked_at is not None:
            self._first_words.observe(max(0.0, time.time() - asked_at))

    def replied(self, rung: RungName) -> None:
        """Count a reply that came to its end."""
        self._replies.labels(rung).inc()

    def stepped_down(self, rung: RungName) -> None:
        """Count a rung that Slack closed to a reply."""
        self._steps_down.labels(rung).inc()

    def sockets(self, *, up: int, wanted: int, rebuilt: int, queued: int) -> None:
        """Note how the connections do."""
        self._sockets.set(up)
        self._wanted.set(wanted)
        self._rebuilt.set(rebuilt)
        self._events.set(queued)

    def render(self, workspaces: int) -> bytes:
        """Return everything in Prometheus' text format."""
        self._workspaces.set(workspaces)
        return generate_latest(self.registry)


@dataclass(frozen=True, slots=True)
class ReplyFigures:
    """bot.stream.Watch of the reply to what was asked at this time."""

    telemetry: Telemetry
    asked_at: float | None

    def first_words(self) -> None:
        self.telemetry.first_words(self.asked_at)

    def stepped_down(self, rung: RungName) -> None:
        self.telemetry.stepped_down(rung)

    def replied(self, rung: RungName) -> None:
        self.telemetry.replied(rung)


def _known(method: str) -> str:
    return method if method in METHODS else "other"


def _ending(error: SlackApiError) -> Ending:
    found = ours(error)
    if isinstance(found, SlackBusy):
        return "limited"
    return "refused" if isinstance(found, SlackRefused) else "unavailable"
