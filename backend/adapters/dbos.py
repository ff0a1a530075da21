"""Durable ingestion on DBOS: what is enqueued runs to its end, through crashes and upgrades.

Two queues. `collect` discovers what a collection consists of, and enqueues that. `ingest` brings documents in, several
at once: each is one workflow without recorded steps, because all of it may be repeated and a record of every step costs
as much as embedding a page. DBOS's own tables hold names, never text or vectors.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import ParamSpec, TypeVar

from dbos import DBOS, DBOSConfig, SetWorkflowID, WorkflowStatus
from dbos import error as dbos_error
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

from backend.adapters.dbos_ground import listen_quietly, prepare_sqlite
from backend.adapters.dbos_takeover import drop_other_versions
from backend.domain import Collection
from backend.errors import DatabaseUnavailable, FootnoteError
from backend.ingest.collection import Collector
from backend.ingest.figures import failure_of
from backend.ingest.group import GroupCommit
from backend.ingest.pipeline import Ingest, Loaded, worth_retry
from backend.ingest.twins import Prepared
from backend.tracing import span, traceparent

P = ParamSpec("P")
T = TypeVar("T")

APPLICATION = "footnote-backend"
WORKFLOWS = "2"
"""Version of the workflows below. Work is resumed only by the version that began it: it changes only if the order of
recorded steps does, and never with a release. What another version left is dropped at start: the records of documents
and collections say what is to be done, and it is begun anew."""
EXECUTOR = "local"
"""The name of a process that shares with no other, so that after a crash the next one takes up its work."""
MAX_STARTS = 25
"""How often interrupted work is begun again before it is given up: a document that kills the process is one such."""
COLLECT = "collect"
COLLECT_POLL = 1.0
"""Seconds between looks at the queue of collections: nobody waits for their first second."""
MAX_COLLECT_STARTS = 5
MOST_TIMED = 100_000
"""Pieces of work whose wait in the queue is measured."""
IN_FLIGHT = 48
"""Documents that are under way, most of them waiting to be committed together; this bounds what memory holds."""
AT_HAND = 6
"""Documents per worker that are between being loaded and being embedded, so that the embedder never waits."""
HEAVY = 1_000_000
"""Bytes from which on a document counts as heavy: of those only as many as there are workers are prepared at once."""
MAX_THREADS = 32
"""Threads for blocking calls, as many as asyncio's own pool has at most."""
ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
WAITING = ["ENQUEUED", "DELAYED"]
RUNNING = [*WAITING, "PENDING"]
UNEXPECTED = "Something went wrong inside Footnote while reading it. Try a refresh; the log has the details."

Work = tuple[str, str, str]
"""(team, document_id, attempt)."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How eager the queue is. `poll` and `retry` in seconds; a retry waits twice as long each time.

    A queue polled five times a second costs an idle process one to two percent of a core.
    """

    poll: float = 0.2
    retry: float = 1.0
    attempts: int = 5


DEFAULT_PACE = Pace()


@dataclass(frozen=True, eq=False)
class DbosIngestQueue:
    """ports.IngestQueue and CollectionQueue. One per process (DBOS is a singleton); `open` it inside the running loop,
    and close it. Without a `collector` there are no collections."""

    ingest: Ingest
    pace: Pace
    dbos: DBOS
    group: GroupCommit
    at_hand: asyncio.Semaphore
    heavy: asyncio.Semaphore
    collector: Collector | None = None
    under_way: set[Work] = field(default_factory=set)
    enqueued: dict[Work, float] = field(default_factory=dict)
    """When work that has not begun was enqueued by this process."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    workflows: dict[str, Callable[..., Coroutine[None, None, None]]] = field(default_factory=dict)

    @classmethod
    async def open(
        cls,
        url: str,
        ingest: Ingest,
        *,
        workers: int,
        pace: Pace = DEFAULT_PACE,
        collector: Collector | None = None,
        executor: str = EXECUTOR,
    ) -> DbosIngestQueue:
        """Start working on what is enqueued and on what an earlier process of the same `executor` left behind.

        Args:
            url: DBOS's own database, `sqlite:///path` or `postgresql://…`; it is made and migrated.
            workers: how many documents are extracted at once.
            executor: this process's name among those that share the database, the same after a restart.

        Raises:
            DatabaseUnavailable: the database cannot be opened.
        """
        listen_quietly()
        try:
            await asyncio.to_thread(prepare_sqlite, url)
            under_way: set[Work] = set()
            group = GroupCommit(ingest.commit, more=lambda waiting: len(under_way) > waiting)
            at_hand, heavy = asyncio.Semaphore(AT_HAND * workers), asyncio.Semaphore(workers)
            queue = cls(ingest, pace, DBOS(config=_config(url, executor)), group, at_hand, heavy, collector, under_way)
            queue._register()
            DBOS.launch()
            await drop_other_versions(WORKFLOWS, RUNNING)
            await DBOS.register_queue_async("ingest", worker_concurrency=IN_FLIGHT, polling_interval_sec=pace.poll)
            if collector is not None:
                poll = max(pace.poll, min(COLLECT_POLL, pace.poll * 5))
                await DBOS.register_queue_async(COLLECT, worker_concurrency=2, polling_interval_sec=poll)
            await queue._give_up()
        except (SQLAlchemyError, sqlite3.Error, OSError, dbos_error.DBOSException) as error:
            await _shut_down(None)
            raise DatabaseUnavailable("The database of durable work cannot be opened.") from error
        return queue

    async def close(self) -> None:
        """Stop; what is under way stays recorded and is taken up by the next start."""
        self.closing.set()
        await _shut_down(self.dbos)

    async def enqueue(self, team: str, document_id: str, attempt: str) -> None:
        if len(self.enqueued) < MOST_TIMED:  # other processes may begin what this one enqueued
            self.enqueued.setdefault((team, document_id, attempt), monotonic())
        with SetWorkflowID(_name((team, document_id, attempt))):
            await _translated(
                DBOS.enqueue_workflow_async("ingest", self.workflows["ingest"], team, document_id, attempt, *_trace())
            )

    async def collect(self, collection: Collection) -> None:
        team, collection_id, attempt = collection.team, collection.collection_id, collection.attempt
        with SetWorkflowID(f"{COLLECT}/{_name((team, collection_id, attempt))}"):
            await _translated(
                DBOS.enqueue_workflow_async(COLLECT, self.workflows[COLLECT], team, collection_id, attempt, *_trace())
            )

    async def wait(self, team: str, document_id: str, attempt: str) -> None:
        await self._ended(_name((team, document_id, attempt)))

    async def depth(self) -> int:
        running = await _translated(
            DBOS.list_workflows_async(status=RUNNING, name=list(self.workflows), load_input=False, load_output=False)
        )
        return len(running)

    async def oldest(self) -> datetime | None:
        listed = DBOS.list_workflows_async(
            status=RUNNING, name=list(self.workflows), limit=1, load_input=False, load_output=False
        )
        created = next((one.created_at for one in await _translated(listed) if one.created_at), None)
        return datetime.fromtimestamp(created / 1000, UTC) if created else None

    async def without(self, works: Iterable[Work]) -> frozenset[Work]:
        """Return those of these that are neither waiting nor being worked on."""
        listed = DBOS.list_workflows_async(status=RUNNING, name="ingest", load_input=False, load_output=False)
        waiting = {one.workflow_id for one in await _translated(listed) if not _is_begun_here(one)}
        return frozenset(work for work in works if work not in self.under_way and _name(work) not in waiting)

    # ------------------------------------------------------------------------------------------------- the workflows

    def _register(self) -> None:
        """Decorate here and not at import: the workflows belong to this queue."""
        workflow = DBOS.workflow(name="ingest", max_recovery_attempts=MAX_STARTS)
        self.workflows["ingest"] = workflow(_function(self._ingest))
        if self.collector is not None:
            discover = partial(self._collect, self.collector)
            workflow = DBOS.workflow(name=COLLECT, max_recovery_attempts=MAX_COLLECT_STARTS)
            self.workflows[COLLECT] = workflow(_function(discover))

    async def _collect(
        self, collector: Collector, team: str, collection_id: str, attempt: str, trace: str = ""
    ) -> None:
        """Discover a collection, then enqueue its documents; `trace` names the span that asked for it."""
        with span("collect", {"footnote.collection_id": collection_id}, kind="consumer", parent=trace):
            await self._discover(collector, team, collection_id, attempt)

    async def _discover(self, collector: Collector, team: str, collection_id: str, attempt: str) -> None:
        work = (team, collection_id, attempt)
        try:
            found = await self._step("collect", collector.collect, *work)
        except Exception as error:
            logger.bind(collection_id=collection_id, error=type(error).__name__).warning("discovery gave up")
            await self._step("fail", collector.fail, *work, _reason(error))
            if not _expected(error):
                raise
            return
        for document_id, document_attempt in found:
            await self.enqueue(team, document_id, document_attempt)

    async def _ingest(self, team: str, document_id: str, attempt: str, trace: str = "") -> None:
        """Bring a document in. Repeating this after a crash does no work twice: once written, an attempt is over.
        `trace` names the span that asked for it."""
        with span("ingest", {"footnote.document_id": document_id}, kind="consumer", parent=trace):
            await self._work((team, document_id, attempt))

    async def _work(self, work: Work) -> None:
        began = self.enqueued.pop(work, monotonic())
        self.under_way.add(work)
        try:
            await self._bring_in(work)
            self.ingest.figures.ingested(monotonic() - began)
        except Exception as error:
            if self.closing.is_set():  # What goes wrong because we end says nothing of the document.
                raise asyncio.CancelledError from error
            await self._fail(work, error)
            if not _expected(error):
                raise
        finally:
            self.under_way.discard(work)
            await self.group.look()

    async def _bring_in(self, work: Work) -> None:
        async with self.at_hand:
            loaded = await self._tried(self.ingest.load, *work)
            prepared = await self._prepare(loaded) if loaded else None
        if prepared:
            await self._tried(self.group, prepared)

    async def _prepare(self, loaded: Loaded) -> Prepared | None:
        async with self.heavy if len(loaded.fetched.content) >= HEAVY else nullcontext():
            return await self._tried(self.ingest.prepare, loaded)

    async def _fail(self, work: Work, error: Exception) -> None:
        logger.bind(document_id=work[1], attempt=work[2], error=type(error).__name__).warning("ingestion gave up")
        self.ingest.figures.ingest_failed(failure_of(error))
        await self._tried(self.ingest.fail, *work, _reason(error))

    async def _tried(self, function: Callable[P, Coroutine[None, None, T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it, and again after a growing pause where another try may help; raise what the last one raised."""
        tries = AsyncRetrying(
            stop=stop_after_attempt(self.pace.attempts),
            wait=wait_exponential(multiplier=self.pace.retry),
            retry=retry_if_exception(worth_retry),
            reraise=True,
        )
        return await tries(function, *args, **kwargs)

    async def _step(
        self, name: str, function: Callable[P, Coroutine[None, None, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a step whose outcome is recorded, with a growing pause between tries where another try may help."""
        return await DBOS.run_step_async(
            {
                "name": name,
                "retries_allowed": True,
                "interval_seconds": self.pace.retry,
                "max_attempts": self.pace.attempts,
                "backoff_rate": 2.0,
                "should_retry": worth_retry,
            },
            function,
            *args,
            **kwargs,
        )

    async def _ended(self, name: str) -> None:
        pause = self.pace.poll / 2
        while True:
            status = await _translated(DBOS.get_workflow_status_async(name))
            if status is None or status.status in ENDED:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    async def _give_up(self) -> None:
        """Mark the documents failed whose work was begun too often."""
        lost = await DBOS.list_workflows_async(
            status="MAX_RECOVERY_ATTEMPTS_EXCEEDED", name=list(self.workflows), load_input=False, load_output=False
        )
        for workflow in lost:
            kind, _, rest = workflow.workflow_id.partition("/")
            if workflow.name != COLLECT:
                await self.ingest.fail(*_work(workflow.workflow_id), UNEXPECTED)
            elif kind == COLLECT and self.collector is not None:
                await self.collector.fail(*_work(rest), UNEXPECTED)


# --------------------------------------------------------------------------------------------------------------- names


def _trace() -> tuple[str, ...]:
    """Return the input that names the current span; none where there is none, as in what was enqueued by others."""
    return (named,) if (named := traceparent()) else ()


def _name(work: Work) -> str:
    """Return the workflow's id: neither a team nor an attempt has a slash in it, so this can be read back."""
    return "/".join(work)


def _is_begun_here(workflow: WorkflowStatus) -> bool:
    return workflow.status == "PENDING" and workflow.executor_id == DBOS.executor_id


def _work(name: str) -> Work:
    team, _, rest = name.partition("/")
    document_id, _, attempt = rest.rpartition("/")
    return team, document_id, attempt


# -------------------------------------------------------------------------------------------------------------- errors


def _expected(error: Exception) -> bool:
    return isinstance(error, FootnoteError | dbos_error.DBOSMaxStepRetriesExceeded)


def _reason(error: Exception) -> str:
    """Return what a person is told, after the last try."""
    last = error.errors[-1] if isinstance(error, dbos_error.DBOSMaxStepRetriesExceeded) and error.errors else error
    return str(last) if isinstance(last, FootnoteError) else UNEXPECTED


async def _translated(call: Awaitable[T]) -> T:
    try:
        return await call
    except (SQLAlchemyError, dbos_error.DBOSException) as error:
        raise DatabaseUnavailable("The queue of durable work cannot be reached; try again in a moment.") from error


# ---------------------------------------------------------------------------------------------------- opening, closing


def _function(method: Callable[P, Coroutine[None, None, None]]) -> Callable[P, Coroutine[None, None, None]]:
    """Return a plain function: DBOS takes a method for one of its own configured classes'."""

    async def call(*args: P.args, **kwargs: P.kwargs) -> None:
        await method(*args, **kwargs)

    return call


def _config(url: str, executor: str) -> DBOSConfig:
    return {
        "name": APPLICATION,
        "system_database_url": url,
        "application_version": WORKFLOWS,
        "executor_id": executor,
        "log_level": "WARNING",
        "enable_otlp": False,
        "max_executor_threads": MAX_THREADS,
    }


async def _shut_down(dbos: DBOS | None) -> None:
    """Interrupt the workflows (they stay recorded as pending), stop DBOS, and give the loop a thread pool of its own.

    `destroy` joins threads that may be waiting for this loop, so it runs on a thread of its own.
    """
    loop = asyncio.get_running_loop()
    if dbos is not None:
        for stop in dbos.background_thread_stop_events:
            stop.set()
        await _interrupt(dbos)
    with ThreadPoolExecutor(1, thread_name_prefix="dbos-destroy") as thread:
        await loop.run_in_executor(thread, partial(DBOS.destroy, destroy_registry=True))
    if dbos is not None:
        await _interrupt(dbos)
    loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))


async def _interrupt(dbos: DBOS) -> None:
    running = list(dbos._workflow_tasks)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
