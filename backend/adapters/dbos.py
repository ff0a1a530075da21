"""Durable ingestion on DBOS: what is enqueued runs to its end, through crashes and upgrades.

Two queues. `collect` discovers what a collection consists of, and enqueues that. `ingest` brings documents in, several
at once, in workflows without recorded steps, because all of it may be repeated and a record of every step costs as much
as embedding a page. DBOS's own tables hold names, never text or vectors.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
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

from backend.adapters.dbos_bursts import Bursts
from backend.adapters.dbos_ground import listen_quietly, prepare_sqlite, shut_down
from backend.adapters.dbos_takeover import drop_other_versions
from backend.adapters.dbos_work import Named, is_group, name_of, size_of, work_of, workflow_id, works_of
from backend.domain import Collection
from backend.errors import DatabaseUnavailable, FootnoteError
from backend.ingest.collection import Collector
from backend.ingest.figures import failure_of
from backend.ingest.group import GroupCommit
from backend.ingest.pipeline import Ingest, Loaded, worth_retry
from backend.ingest.twins import Prepared
from backend.ports import Work
from backend.tracing import span, traceparent

P = ParamSpec("P")
T = TypeVar("T")

APPLICATION = "footnote-backend"
WORKFLOWS = "3"
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
AT_ONCE = 12
"""Workflows that are under way, of up to eight documents each, most of which wait for others or to be committed with
them."""
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
    grouped: dict[Work, str] = field(default_factory=dict)
    """The workflows of work that this process enqueued together with other."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    workflows: dict[str, Callable[..., Coroutine[None, None, None]]] = field(default_factory=dict)
    bursts: Bursts = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bursts", Bursts(self._start, self._forget))

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
            await DBOS.register_queue_async("ingest", worker_concurrency=AT_ONCE, polling_interval_sec=pace.poll)
            if collector is not None:
                poll = max(pace.poll, min(COLLECT_POLL, pace.poll * 5))
                await DBOS.register_queue_async(COLLECT, worker_concurrency=2, polling_interval_sec=poll)
            await queue._give_up()
        except (SQLAlchemyError, sqlite3.Error, OSError, dbos_error.DBOSException) as error:
            await shut_down(None)
            raise DatabaseUnavailable("The database of durable work cannot be opened.") from error
        return queue

    async def close(self) -> None:
        """Stop; what is under way stays recorded and is taken up by the next start."""
        await self.bursts.close()
        self.closing.set()
        await shut_down(self.dbos)

    async def enqueue(self, team: str, document_id: str, attempt: str) -> None:
        work = (team, document_id, attempt)
        if work in self.enqueued or work in self.under_way:
            return
        if len(self.enqueued) < MOST_TIMED:  # other processes may begin what this one enqueued
            self.enqueued[work] = monotonic()
        await self.bursts.add((*work, traceparent()))

    async def collect(self, collection: Collection) -> None:
        team, collection_id, attempt = collection.team, collection.collection_id, collection.attempt
        with SetWorkflowID(f"{COLLECT}/{name_of((team, collection_id, attempt))}"):
            await _translated(
                DBOS.enqueue_workflow_async(
                    COLLECT, self.workflows[COLLECT], team, collection_id, attempt, traceparent()
                )
            )

    async def wait(self, team: str, document_id: str, attempt: str) -> None:
        work = (team, document_id, attempt)
        if work in self.bursts:
            await self.bursts.flush()
        pause = self.pace.poll / 2
        while not await self._is_over(work):
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    async def depth(self) -> int:
        running = await _translated(
            DBOS.list_workflows_async(status=RUNNING, name=list(self.workflows), load_input=False, load_output=False)
        )
        return sum(size_of(one.workflow_id) for one in running) + len(self.bursts.waiting)

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
        groups = await self._groups([name for name in waiting if is_group(name)])
        held = {one[:3] for one in (*groups, *self.bursts.waiting)} | self.under_way
        return frozenset(work for work in works if work not in held and name_of(work) not in waiting)

    async def _groups(self, names: list[str]) -> list[Named]:
        if not names:
            return []
        listed = await _translated(DBOS.list_workflows_async(workflow_ids=names, load_output=False))
        return [work for one in listed for work in works_of(one)]

    async def _start(self, works: Sequence[Named]) -> None:
        name = workflow_id(works)
        if is_group(name):
            self.grouped.update(dict.fromkeys((work[:3] for work in works), name))
        try:
            with SetWorkflowID(name):
                await _translated(DBOS.enqueue_workflow_async("ingest", self.workflows["ingest"], list(works)))
        except DatabaseUnavailable:
            self._forget(works)
            raise

    def _forget(self, works: Sequence[Named]) -> None:
        for work in works:
            self.enqueued.pop(work[:3], None)
            self.grouped.pop(work[:3], None)

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

    async def _ingest(self, works: Sequence[Named]) -> None:
        """Bring documents in. Repeating this after a crash does no work twice: once written, an attempt is over."""
        ends = await asyncio.gather(*(self._one(*work) for work in works), return_exceptions=True)
        error = next((end for end in ends if end is not None), None)
        if error:
            raise error

    async def _one(self, team: str, document_id: str, attempt: str, trace: str) -> None:
        with span("ingest", {"footnote.document_id": document_id}, kind="consumer", parent=trace):
            await self._work((team, document_id, attempt))

    async def _work(self, work: Work) -> None:
        began = self.enqueued.pop(work, monotonic())
        if work in self.under_way:
            return
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
            self.grouped.pop(work, None)
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

    async def _is_over(self, work: Work) -> bool:
        status = await _translated(DBOS.get_workflow_status_async(self.grouped.get(work, name_of(work))))
        return status is None or status.status in ENDED

    async def _give_up(self) -> None:
        """Mark the documents failed whose work was begun too often; what was begun with others is begun alone first."""
        lost = await DBOS.list_workflows_async(
            status="MAX_RECOVERY_ATTEMPTS_EXCEEDED", name=list(self.workflows), load_input=False, load_output=False
        )
        for workflow in lost:
            kind, _, rest = workflow.workflow_id.partition("/")
            if is_group(workflow.workflow_id):
                for work in await self._groups([workflow.workflow_id]):
                    await self._start([work])
            elif workflow.name != COLLECT:
                await self.ingest.fail(*work_of(workflow.workflow_id), UNEXPECTED)
            elif kind == COLLECT and self.collector is not None:
                await self.collector.fail(*work_of(rest), UNEXPECTED)


# -------------------------------------------------------------------------------------------------------------- errors


def _is_begun_here(workflow: WorkflowStatus) -> bool:
    return workflow.status == "PENDING" and workflow.executor_id == DBOS.executor_id


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
