"""Figures for Prometheus, in a registry of their own. They count and time; they never hold content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from backend.domain import Run, RunMetadata
from backend.ports import IndexStatus

CONTENT_TYPE = CONTENT_TYPE_LATEST

REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
STAGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

Stage = Literal["understand", "embedding", "search", "compress", "generation", "verify", "total"]
STAGES: tuple[Stage, ...] = ("understand", "embedding", "search", "compress", "generation", "verify", "total")


@dataclass(frozen=True, slots=True)
class State:
    """What is read when Prometheus asks: documents by status, the index, and work that has not ended."""

    documents: dict[str, int]
    index: IndexStatus | None
    queue_depth: int


class Telemetry:
    """The metrics of one backend."""

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
        self._stages = Histogram(
            "footnote_stage_seconds", "Time per stage of a run.", ["stage"], buckets=STAGE_SECONDS, registry=registry
        )
        self._dropped = Counter("footnote_dropped_sentences", "Sentences that nothing supported.", registry=registry)
        self._documents = Gauge("footnote_documents", "Documents by status.", ["status"], registry=registry)
        self._rows = Gauge("footnote_index_rows", "Chunks in the index.", registry=registry)
        self._unindexed = Gauge("footnote_index_unindexed_rows", "Chunks outside the text index.", registry=registry)
        self._index_up = Gauge("footnote_index_up", "Whether the index answers.", registry=registry)
        self._depth = Gauge("footnote_ingest_queue_depth", "Documents that are being ingested.", registry=registry)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one HTTP request; `route` is the path's template, never the path itself."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def run(self, run: Run) -> None:
        """Count a finished run, its stages and what it left out."""
        self._runs.labels(run.outcome).inc()
        self._dropped.inc(run.metadata.dropped_sentences)
        self.stages(run.metadata)

    def run_failed(self) -> None:
        """Count a run that an error ended."""
        self._runs.labels("failed").inc()

    def hang_up(self) -> None:
        """Count a stream whose reader left before its end."""
        self._hang_ups.inc()

    def stages(self, metadata: RunMetadata) -> None:
        """Time the stages that took place."""
        for stage in STAGES:
            milliseconds = float(getattr(metadata, f"{stage}_ms"))
            if milliseconds:
                self._stages.labels(stage).observe(milliseconds / 1000)

    def render(self, state: State) -> bytes:
        """Return everything in Prometheus' text format."""
        self._documents.clear()
        for status, count in state.documents.items():
            self._documents.labels(status).set(count)
        self._index_up.set(state.index is not None)
        if state.index is not None:
            self._rows.set(state.index.rows)
            self._unindexed.set(state.index.unindexed_rows)
        self._depth.set(state.queue_depth)
        return generate_latest(self.registry)
