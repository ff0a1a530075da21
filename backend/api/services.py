"""What the HTTP layer needs of the rest, as one value: `app.py` fills it with the real things, tests with fakes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from backend.access import Audit
from backend.api.security import Access
from backend.api.vitals import Check, Pulse
from backend.domain import Document, Event, Evidence, Query, Question, RunMetadata
from backend.evaluate.looking import Insights
from backend.experiments import NO_PLAN, Plan
from backend.ingest.collection import Collector
from backend.ingest.submission import Submission
from backend.people import People
from backend.ports import CollectionQueue, Documents, Feedbacks, IndexStatus, IngestQueue, Notices, Removals, Runs
from backend.telemetry import Telemetry

T = TypeVar("T")


class Pipeline(Protocol):
    """The query story."""

    def check(self, question: Question) -> None:
        """Raise BadInput where the question asks for what there is not."""

    def answer(self, question: Question, run_id: str) -> AsyncGenerator[Event, None]:
        """Tell a run as it happens, `Done` last, or raise. Closing the generator ends the work."""

    async def search(self, question: Question) -> tuple[Query, tuple[Evidence, ...], RunMetadata]:
        """Understand, retrieve and compress; no generation."""


class Ingest(Protocol):
    """The beginning and the end of a document's life; what lies between is the queue's."""

    async def accept(self, submission: Submission) -> Document: ...
    async def refresh(self, team: str, document_id: str) -> Document: ...
    async def remove(self, team: str, document_id: str) -> None: ...


class IndexFigures(Protocol):
    """All that the HTTP layer asks the index itself."""

    async def status(self) -> IndexStatus: ...


class Door(Protocol):
    """The limits on questions."""

    async def admit(self, question: Question) -> None:
        """Count a question that is to be answered. Raises LimitReached."""

    async def slow_down(self, question: Question) -> None:
        """Count a question that costs no model. Raises LimitReached."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of a request's body."""

    body: int = 2_000_000
    document: int = 50_000_000


class Work:
    """The runs that are under way: each has this owner, and a server that ends gives them a little time."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self, coroutine: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run it as a task that is kept until it ends."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def drain(self, grace: float) -> None:
        """Wait `grace` seconds for what is under way, then cancel the rest."""
        tasks = set(self._tasks)
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def __len__(self) -> int:
        return len(self._tasks)


@dataclass(frozen=True)
class Services:
    """The ports of the HTTP layer. `team` is used where a request names none."""

    pipeline: Pipeline
    ingest: Ingest
    queue: IngestQueue
    documents: Documents
    runs: Runs
    feedbacks: Feedbacks
    removals: Removals
    notices: Notices
    collector: Collector
    collections: CollectionQueue
    index: IndexFigures
    access: Access
    audit: Audit
    people: People
    door: Door
    insights: Insights
    plan: Plan = NO_PLAN
    """Which version of a prompt a thread gets."""
    prompts: tuple[str, ...] = ()
    """The versions of the prompt that writes answers, the default first."""
    team: str = "local"
    answers_with: str = "extractive"
    embedder: str = ""
    limits: Limits = Limits()
    keep_alive: float = 15.0
    """Seconds of silence after which a stream sends a comment."""
    telemetry: Telemetry = field(default_factory=Telemetry)
    work: Work = field(default_factory=Work)
    checks: Mapping[str, Check] = field(default_factory=dict)
    """Looks at parts that the HTTP layer does not know, by name; instead of its own where a name is the same."""
    pulse: Pulse = field(default_factory=Pulse)
    started: float = field(default_factory=time.monotonic)
