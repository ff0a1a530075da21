"""Figures for Prometheus, in a registry of their own. They count and time; they never hold content."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal, get_args

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

from backend.domain import Cached, Degraded, Outcome, Run, RunMetadata, Status
from backend.ingest import figures
from backend.ports import CacheTier, IndexStatus, Scope

CONTENT_TYPE = CONTENT_TYPE_LATEST

REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
STAGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

FIRST_SENTENCE_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60)
INGEST_STAGE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
INGEST_SECONDS = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14_400)
"""From a document's being enqueued to its being searchable; 300 is the objective (deploy/prometheus)."""

BREAKER_STATES = ("closed", "half-open", "open")

CALL_OUTCOMES = ("ok", "failed", "interrupted", "hung_up")
QUOTED = "none"
"""The prompt of an answer that quotes: there is none."""
NEVER = {("vectors", "l3"), ("vectors", "semantic"), ("readings", "l2"), ("readings", "l3"), ("readings", "semantic")}
"""Where vectors, and readings of questions, are not kept."""

Stage = Literal["understand", "embedding", "search", "compress", "generation", "verify", "total"]
STAGES: tuple[Stage, ...] = ("understand", "embedding", "search", "compress", "generation", "verify", "total")


@dataclass(frozen=True, slots=True)
class State:
    """What is read when Prometheus asks: documents by status, the index, and work that has not ended."""

    documents: dict[str, int]
    index: IndexStatus | None
    queue_depth: int
    oldest_seconds: float = 0.0
    """Age of the oldest work that has not ended."""
    under_way: int = 0
    """Runs that have not ended."""


class Telemetry:
    """The metrics of one backend. Labels take few values; those that are known beforehand are there from the start, so
    that a rate over them is 0 and not missing, and the first failure counts as one."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "footnote_http_requests", "HTTP requests.", ["method", "route", "status"], registry=registry
        )
        self._request_seconds = Histogram(
            "footnote_http_request_seconds",
            "Time to the end of an HTTP response.",
            ["method", "route"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self._runs = Counter("footnote_runs", "Runs by outcome.", ["outcome"], registry=registry)
        self._hang_ups = Counter("footnote_hang_ups", "Streams that the reader left.", registry=registry)
        self._first_sentence = Histogram(
            "footnote_first_sentence_seconds",
            "Time from a question to the first words of its answer.",
            buckets=FIRST_SENTENCE_SECONDS,
            registry=registry,
        )
        self._feedback = Counter(
            "footnote_feedback", "Ratings by the prompt that wrote the answer.", ["rating", "prompt"], registry=registry
        )
        self._stages = Histogram(
            "footnote_stage_seconds", "Time per stage of a run.", ["stage"], buckets=STAGE_SECONDS, registry=registry
        )
        self._dropped = Counter("footnote_dropped_sentences", "Sentences that nothing supported.", registry=registry)
        self._calls = Counter(
            "footnote_llm_calls", "Calls to models by how they ended.", ["model", "role", "outcome"], registry=registry
        )
        self._call_seconds = Histogram(
            "footnote_llm_call_seconds",
            "Time of a call to a model.",
            ["model", "role"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self._tokens = Counter(
            "footnote_llm_tokens", "Tokens of models, read (in) and written (out).", ["model", "way"], registry=registry
        )
        self._cost = Counter(
            "footnote_llm_cost", "What models cost, by the settings' prices.", ["model"], registry=registry
        )
        self._breakers = Gauge(
            "footnote_llm_breaker", "1 for the state that an endpoint is in.", ["endpoint", "state"], registry=registry
        )
        self._retries = Counter("footnote_llm_retries", "Requests to models made again.", ["model"], registry=registry)
        self._small_talk = Counter("footnote_small_talk", "Messages answered without a run.", registry=registry)
        self._degraded = Counter(
            "footnote_degraded_answers", "Answers that faults of models changed.", ["how"], registry=registry
        )
        self._documents = Gauge("footnote_documents", "Documents by status.", ["status"], registry=registry)
        self._cache_lookups = Counter(
            "footnote_cache_lookups",
            "Look-ups, by where something was found: l1, l2, l3, semantic, or miss.",
            ["cache", "result"],
            registry=registry,
        )
        self._cache_evictions = Counter(
            "footnote_cache_evictions", "Entries that had to go for others.", ["tier"], registry=registry
        )
        self._cache_failures = Counter(
            "footnote_cache_failures", "Calls to a cache that failed; work went on.", ["tier"], registry=registry
        )
        self._limited = Counter(
            "footnote_limited", "Questions refused by a rate limit or a budget.", ["limit", "scope"], registry=registry
        )
        self._limit_failures = Counter(
            "footnote_limit_failures", "Limits that could not be looked up; questions were let through.",
            ["limit"], registry=registry,
        )  # fmt: skip
        self._rows = Gauge("footnote_index_rows", "Chunks in the index.", registry=registry)
        self._unindexed = Gauge("footnote_index_unindexed_rows", "Chunks outside the text index.", registry=registry)
        self._index_up = Gauge("footnote_index_up", "Whether the index answers.", registry=registry)
        self._optimised = Gauge(
            "footnote_index_optimised_timestamp_seconds",
            "When this process last compacted the index; 0 if it has not.",
            registry=registry,
        )
        self._depth = Gauge("footnote_ingest_queue_depth", "Documents that are being ingested.", registry=registry)
        self._oldest = Gauge("footnote_ingest_oldest_seconds", "Age of the oldest of them.", registry=registry)
        self._ingest_stages = Histogram(
            "footnote_ingest_stage_seconds",
            "Time per stage of an ingestion.",
            ["stage"],
            buckets=INGEST_STAGE_SECONDS,
            registry=registry,
        )
        self._ingested = Histogram(
            "footnote_ingest_seconds",
            "Time from a document's being enqueued to its good end.",
            buckets=INGEST_SECONDS,
            registry=registry,
        )
        self._ingest_failures = Counter(
            "footnote_ingest_failures", "Documents that failed, by reason.", ["reason"], registry=registry
        )
        self._under_way = Gauge("footnote_runs_under_way", "Runs that have not ended.", registry=registry)
        self._disk = Gauge(
            "footnote_disk_bytes", "The data folder's disk, by free and total.", ["of"], registry=registry
        )
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._begin()

    def _begin(self) -> None:
        """Make the series whose labels are known."""
        for outcome in get_args(Outcome):
            self._runs.labels(outcome)
        for stage in STAGES:
            self._stages.labels(stage)
        for how in filter(None, get_args(Degraded)):
            self._degraded.labels(how)
        for cache, result in product(("answers", "vectors", "readings"), get_args(Cached)):
            if (cache, result) not in NEVER:
                self._cache_lookups.labels(cache, result)
        for tier in get_args(CacheTier):
            self._cache_evictions.labels(tier)
            self._cache_failures.labels(tier)
        for limit, scope in product(("rate", "tokens", "cost"), get_args(Scope)):
            self._limited.labels(limit, scope)
        for limit in ("rate", "budget"):
            self._limit_failures.labels(limit)
        for part in get_args(figures.Stage):
            self._ingest_stages.labels(part)
        for reason in get_args(figures.Failure):
            self._ingest_failures.labels(reason)
        self.expect_prompts([])

    def expect_prompts(self, prompts: Iterable[str]) -> None:
        """Name the prompts that answers may have been written with; any other counts as `other`."""
        self._prompts = frozenset({*prompts, QUOTED})
        for rating, prompt in product(("up", "down"), sorted(self._prompts)):
            self._feedback.labels(rating, prompt)

    def expect_model(self, model: str, roles: Iterable[str]) -> None:
        """Name a model and what it may be asked for."""
        self._retries.labels(model)
        self._cost.labels(model)
        for way in ("in", "out"):
            self._tokens.labels(model, way)
        for role in roles:
            self._call_seconds.labels(model, role)
            for outcome in CALL_OUTCOMES:
                self._calls.labels(model, role, outcome)

    def watch_disk(self, folder: Path) -> None:
        """Measure the disk that a folder is on, whenever Prometheus asks."""
        for of in ("free", "total"):
            self._disk.labels(of).set_function(partial(_disk_bytes, folder, of))

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one HTTP request; `route` is the path's template, never the path itself."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def run(self, run: Run) -> None:
        """Count a finished run, its stages and what it left out; a reply without a run only as that."""
        if not run.run_id:
            self._small_talk.inc()
            return
        self._runs.labels(run.outcome).inc()
        self._dropped.inc(run.metadata.dropped_sentences)
        if run.metadata.degraded:
            self._degraded.labels(run.metadata.degraded).inc()
        self.stages(run.metadata)

    def spent(self, model: str, tokens_in: int, tokens_out: int, cost: float) -> None:
        """Count what a request to a model used."""
        self._tokens.labels(model, "in").inc(tokens_in)
        self._tokens.labels(model, "out").inc(tokens_out)
        self._cost.labels(model).inc(cost)

    def called(self, model: str, role: str, outcome: str, seconds: float) -> None:
        """Count a call to a model by how it ended: ok, failed, interrupted or hung_up."""
        self._calls.labels(model, role, outcome).inc()
        self._call_seconds.labels(model, role).observe(seconds)

    def breaker(self, endpoint: str, state: str) -> None:
        """Note the state of an endpoint's circuit breaker: closed, half-open or open."""
        for one in BREAKER_STATES:
            self._breakers.labels(endpoint, one).set(one == state)

    def retried(self, model: str) -> None:
        """Count a request to a model that is made again because the last one failed."""
        self._retries.labels(model).inc()

    def first_sentence(self, seconds: float) -> None:
        """Time the first words of an answer."""
        self._first_sentence.observe(seconds)

    def rated(self, rating: int, prompt: str) -> None:
        """Count a rating (1 or -1) of an answer; `prompt` is "" for one that quotes."""
        named = prompt or QUOTED
        self._feedback.labels("up" if rating > 0 else "down", named if named in self._prompts else "other").inc()

    def ingest_stage(self, stage: figures.Stage, seconds: float) -> None:
        """Time a stage of an ingestion."""
        self._ingest_stages.labels(stage).observe(seconds)

    def ingested(self, seconds: float) -> None:
        """Count a document that came to a good end so long after it was enqueued."""
        self._ingested.observe(seconds)

    def ingest_failed(self, reason: figures.Failure) -> None:
        """Count a document that failed."""
        self._ingest_failures.labels(reason).inc()

    def run_failed(self) -> None:
        """Count a run that an error ended."""
        self._runs.labels("failed").inc()

    def hang_up(self) -> None:
        """Count a stream whose reader left before its end."""
        self._hang_ups.inc()

    def looked_up(self, cache: str, result: Cached) -> None:
        """Count a look-up in a cache."""
        self._cache_lookups.labels(cache, result).inc()

    def evicted(self, tier: CacheTier, entries: int) -> None:
        """Count entries that had to go for others."""
        self._cache_evictions.labels(tier).inc(entries)

    def cache_failed(self, tier: CacheTier) -> None:
        """Count a call to a cache that failed."""
        self._cache_failures.labels(tier).inc()

    def limited(self, limit: str, scope: Scope) -> None:
        """Count a question that was refused; `limit` is `rate`, `tokens` or `cost`."""
        self._limited.labels(limit, scope).inc()

    def limit_failed(self, limit: str) -> None:
        """Count a limit that could not be looked up."""
        self._limit_failures.labels(limit).inc()

    def stages(self, metadata: RunMetadata) -> None:
        """Time the stages that took place."""
        for stage in STAGES:
            milliseconds = float(getattr(metadata, f"{stage}_ms"))
            if milliseconds:
                self._stages.labels(stage).observe(milliseconds / 1000)

    def render(self, state: State) -> bytes:
        """Return everything in Prometheus' text format."""
        self._documents.clear()
        for status, count in {**dict.fromkeys(get_args(Status), 0), **state.documents}.items():
            self._documents.labels(status).set(count)
        self._index_up.set(state.index is not None)
        if state.index is not None:
            self._rows.set(state.index.rows)
            self._unindexed.set(state.index.unindexed_rows)
            self._optimised.set(state.index.optimised_at.timestamp() if state.index.optimised_at else 0)
        self._depth.set(state.queue_depth)
        self._oldest.set(state.oldest_seconds)
        self._under_way.set(state.under_way)
        return generate_latest(self.registry)


def _disk_bytes(folder: Path, of: str) -> float:
    """Return the bytes of the folder's disk; not a number where they cannot be had."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return float("nan")
    return usage.free if of == "free" else usage.total
