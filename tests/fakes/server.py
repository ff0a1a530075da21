"""The real HTTP application on a real port, over fakes: a client in process would buffer streams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import aiohttp
import numpy as np
import uvicorn

from backend.access import Keyring
from backend.api.application import create
from backend.api.security import Access, Key, Keys
from backend.api.services import Door, Limits, Services
from backend.domain import (
    Began,
    Citation,
    Cited,
    Collection,
    Delta,
    Document,
    Done,
    Event,
    Evidence,
    Found,
    Metadata,
    Origin,
    Outcome,
    Passage,
    Query,
    Question,
    Removal,
    Run,
    RunMetadata,
    Status,
    Understood,
)
from backend.errors import BadInput, FootnoteError, NotFound
from backend.evaluate.looking import Insights
from backend.experiments import NO_PLAN, Plan
from backend.ingest.collection import Collector
from backend.ingest.submission import Submission, derive_id
from backend.people import People
from backend.ports import IndexStatus, Work
from backend.query.caching.tiers import Tiers
from tests.fakes.access import FakeApiKeys, FakeAudit, FakeBelonging, NoWords, flush
from tests.fakes.embedder import HashEmbedder
from tests.fakes.history import FakeHistory
from tests.fakes.ingest import FakeFetcher
from tests.fakes.state import FakeCollections, FakeDocuments, FakeFeedbacks, FakeNotices, FakeRemovals, FakeRuns

ADMIN, ASK, INGEST = "admin-key-0123456789", "ask-key-0123456789", "ingest-key-0123456789"
KEYS = Keys((Key.of(ADMIN, {"admin"}, "boss"), Key.of(ASK, {"ask"}, "asker"), Key.of(INGEST, {"ingest"}, "feeder")))
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)

PASSAGE = Passage(
    chunk_id="c1",
    document_id="handbook",
    section_id="handbook#1",
    position=0,
    title="Handbook",
    url="https://docs.example/handbook",
    heading="Leave",
    text="Everyone has 25 days of leave. Ask Ana.",
    sentences=((0, 30), (31, 39)),
    sentence_vectors=np.zeros((2, 384), dtype=np.float32),
    score=0.9,
)
EVIDENCE = Evidence(1, PASSAGE, (0,), "Everyone has 25 days of leave.")
CITATION = Citation(
    1, "handbook", "c1", "Handbook", "https://docs.example/handbook", "Everyone has 25 days of leave.", "Leave"
)


@dataclass
class FakePipeline:
    """Tells one run. `before` is awaited ahead of the answer; an error it raises ends the run."""

    runs: FakeRuns
    outcome: Outcome = "answered"
    before: Callable[[], Awaitable[None]] | None = None
    asked: list[Question] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a run has ended, whatever its end."""

    def check(self, question: Question) -> None:
        if question.prompt == "unknown@v9":
            raise BadInput("prompt: there is no such prompt; there are answer@v1")

    async def answer(self, question: Question, run_id: str) -> AsyncGenerator[Event, None]:
        self.asked.append(question)
        query = Query(question.text, question.team, question.audience, question.filter)
        try:
            yield Began("understand")
            yield Understood(query)
            yield Found((EVIDENCE,))
            if self.before:
                await self.before()
            run = self._run(question, query, run_id)
            yield Delta(run.answer)
            yield Cited(run.citations)
            await self.runs.put(run)
            yield Done(run)
        finally:
            self.closed.set()

    def _run(self, question: Question, query: Query, run_id: str) -> Run:
        answered = self.outcome == "answered"
        return Run(
            run_id=run_id,
            question=question,
            outcome=self.outcome,
            query=query,
            passages=(PASSAGE,),
            answer="Everyone has 25 days of leave. [1]" if answered else "The documents do not say.",
            citations=(CITATION,) if answered else (),
            metadata=RunMetadata(total_ms=12.0, search_ms=3.0),
            created_at=NOW,
        )

    async def search(self, question: Question) -> tuple[Query, tuple[Evidence, ...], RunMetadata]:
        self.asked.append(question)
        if self.before:
            await self.before()
        query = Query(question.text, question.team, question.audience, question.filter)
        return query, (EVIDENCE,), RunMetadata(search_ms=3.0)


@dataclass
class FakeIngest:
    """Accepts; `run` is what a queue does afterwards. `fails_with` is the reason for which that fails."""

    documents: FakeDocuments
    removals: FakeRemovals
    accepted: list[Submission] = field(default_factory=list)
    fails_with: str = ""
    refuses_with: FootnoteError | None = None
    """Raised by `accept`."""

    async def accept(self, submission: Submission) -> Document:
        if self.refuses_with:
            raise self.refuses_with
        self.accepted.append(submission)
        document = Document(
            team=submission.team,
            document_id=derive_id(submission),
            origin=Origin(url=submission.url),
            title=submission.title,
            url=submission.shown_url or submission.url,
            visibility=submission.visibility,
            status="queued",
            created_at=NOW,
            updated_at=NOW,
            stated=submission.stated,
            metadata=Metadata(language="en"),
            attempt="a1",
        )
        await self.documents.put(document)
        return document

    async def refresh(self, team: str, document_id: str) -> Document:
        document = replace(await self._existing(team, document_id), status="queued", attempt="a2")
        await self.documents.put(document)
        return document

    async def remove(self, team: str, document_id: str) -> None:
        await self.documents.put(replace(await self._existing(team, document_id), status="deleted"))
        await self.removals.put(Removal(team, document_id, datetime.now(UTC)))

    async def run(self, team: str, document_id: str, attempt: str) -> None:
        document = await self._existing(team, document_id)
        status: Status = "failed" if self.fails_with else "ready"
        await self.documents.put(replace(document, status=status, reason=self.fails_with, attempt=""))

    async def _existing(self, team: str, document_id: str) -> Document:
        document = await self.documents.get(team, document_id)
        if document is None or document.status == "deleted":
            raise NotFound("There is no such document.")
        return document


@dataclass
class FakeQueue:
    """Does the work inside `enqueue`."""

    ingest: FakeIngest
    collector: Collector | None = None
    enqueued: list[tuple[str, str, str]] = field(default_factory=list)

    async def enqueue(self, team: str, document_id: str, attempt: str) -> None:
        self.enqueued.append((team, document_id, attempt))
        await self.ingest.run(team, document_id, attempt)

    async def collect(self, collection: Collection) -> None:
        assert self.collector is not None
        work = (collection.team, collection.collection_id, collection.attempt)
        for document_id, attempt in await self.collector.collect(*work):
            await self.enqueue(collection.team, document_id, attempt)

    async def wait(self, team: str, document_id: str, attempt: str) -> None:
        return None

    async def without(self, works: Iterable[Work]) -> frozenset[Work]:
        return frozenset(works).difference(self.enqueued)

    async def depth(self) -> int:
        return 0

    async def oldest(self) -> datetime | None:
        return None


class OpenDoor:
    """Lets every question in."""

    async def admit(self, question: Question) -> None:
        return None

    async def slow_down(self, question: Question) -> None:
        return None


@dataclass
class FakeIndexStatus:
    error: FootnoteError | None = None

    async def status(self) -> IndexStatus:
        if self.error:
            raise self.error
        return IndexStatus(rows=7, unindexed_rows=1, version=3, embedder="fake")


@dataclass
class Backend:
    """A running backend over fakes, and a session that holds the admin key."""

    url: str
    services: Services
    http: aiohttp.ClientSession
    pipeline: FakePipeline
    ingest: FakeIngest
    documents: FakeDocuments
    runs: FakeRuns
    index: FakeIndexStatus
    queue: FakeQueue
    fetcher: FakeFetcher
    history: FakeHistory


@asynccontextmanager
async def running(
    *, keep_alive: float = 15.0, plan: Plan = NO_PLAN, door: Door | None = None, limits: Limits | None = None
) -> AsyncIterator[Backend]:
    """Serve on a free port of loopback until the block ends."""
    documents, runs, index = FakeDocuments(), FakeRuns(), FakeIndexStatus()
    removals = FakeRemovals()
    pipeline, ingest = FakePipeline(runs), FakeIngest(documents, removals)
    fetcher = FakeFetcher()
    collector = Collector(FakeCollections(documents), ingest, fetcher)
    queue = FakeQueue(ingest, collector)
    history = FakeHistory(documents)
    services = Services(
        insights=Insights(history, HashEmbedder(), plan),
        plan=plan,
        pipeline=pipeline,
        ingest=ingest,
        queue=queue,
        documents=documents,
        runs=runs,
        feedbacks=FakeFeedbacks(runs),
        removals=removals,
        notices=FakeNotices(),
        collector=collector,
        collections=queue,
        index=index,
        door=door or OpenDoor(),
        access=Access(KEYS, Keyring(FakeApiKeys())),
        audit=FakeAudit(),
        people=People(FakeBelonging(), documents, ingest, NoWords(), Tiers(), flush),
        keep_alive=keep_alive,
        limits=limits or Limits(),
    )
    async with (
        served(services) as url,
        aiohttp.ClientSession(url, headers={"X-API-Key": ADMIN}) as http,
    ):
        yield Backend(url, services, http, pipeline, ingest, documents, runs, index, queue, fetcher, history)


@asynccontextmanager
async def served(services: Services) -> AsyncIterator[str]:
    """Serve these services with uvicorn, as `app.py` does; yield the URL."""
    config = uvicorn.Config(create(services), log_config=None, lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:  # asyncio disables Nagle only where it knows it is TCP
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # from here on connections wait until the server takes them
        task = asyncio.create_task(server._serve([listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await services.work.drain(0)
        await task
