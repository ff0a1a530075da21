"""What ingestion tells of itself: how long its stages take, and why documents fail. Figures, never content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal, Protocol, TypeAlias

from backend.errors import FetchFailed, FetchRefused, LimitReached, TooLarge, Unavailable, Unreadable
from backend.tracing import span

Stage: TypeAlias = Literal["fetch", "extract", "split", "embed", "write"]
Failure: TypeAlias = Literal[
    "refused", "gone", "not_fetched", "unreadable", "too_large", "limit", "unavailable", "unexpected"
]
"""Kinds of errors.IngestFailed and of what else ends an ingestion."""


class IngestFigures(Protocol):
    """Counts what ingestion does."""

    def ingest_stage(self, stage: Stage, seconds: float) -> None: ...

    def ingested(self, seconds: float) -> None:
        """A document came to a good end, so long after it was enqueued."""

    def ingest_failed(self, reason: Failure) -> None: ...


class Uncounted:
    """IngestFigures where nobody counts."""

    def ingest_stage(self, stage: Stage, seconds: float) -> None:
        pass

    def ingested(self, seconds: float) -> None:
        pass

    def ingest_failed(self, reason: Failure) -> None:
        pass


UNCOUNTED: IngestFigures = Uncounted()


@contextmanager
def timed(figures: IngestFigures, stage: Stage) -> Iterator[None]:
    """Time a stage, however it ends."""
    start = perf_counter()
    try:
        with span(stage):
            yield
    finally:
        figures.ingest_stage(stage, perf_counter() - start)


def failure_of(error: BaseException) -> Failure:
    """Return the kind of what ended an ingestion."""
    match error:
        case FetchRefused():
            return "refused"
        case FetchFailed():
            return "gone" if error.gone else "not_fetched"
        case Unreadable():
            return "unreadable"
        case TooLarge():
            return "too_large"
        case LimitReached():
            return "limit"
        case Unavailable():
            return "unavailable"
        case _:
            return "unexpected"
