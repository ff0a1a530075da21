"""Durable ingestion on DBOS: what is enqueued runs to its end, through crashes and upgrades.

Three queues. `collect` discovers what a collection consists of, and enqueues that. `ingest` loads and prepares
documents, a few at once in each process. `write` commits what is staged, one at a time over all processes, because the
index has one writer; a commit takes along whatever else is staged here. DBOS's own tables hold names and blob keys,
never text or vectors.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos import error as dbos_error
from loguru import logger
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from backend.domain import Collection
from backend.errors import DatabaseUnavailable, FootnoteError
from backend.ingest.collection import Collector
from backend.ingest.pipeline import Ingest, Staged, worth_retry

P = ParamSpec("P")
T = TypeVar("T")

APPLICATION = "footnote-backend"
WORKFLOWS = "1"
"""Version of the workflows below. Work is resumed only by the version that began it: it changes only if the order of
steps does, and never with a release."""
EXECUTOR = "local"
"""One name for this machine's process, so that after a crash the next one takes up its work."""
MAX_STARTS = 25
"""How often interrupted work is begun again before it is given up: a document that kills the process is one such."""
COLLECT = "collect"
COLLECT_POLL = 1.0
"""Seconds between looks at the queue of collections: nobody waits for their first second."""
MAX_COLLECT_STARTS = 5
MAX_BATCH = 16
"""Documents in one commit; each may hold some megabytes of vectors."""
MAX_THREADS = 32
"""Threads for blocking calls, as many as asyncio's own pool has at most."""
ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
RUNNING = ["ENQUEUED", "PENDING", "DELAYED"]
UNEXPECTED = "Something went wrong inside Footnote while reading it. Try a refresh; the log has the details."

Work = tuple[str, str, str]
"""(team, document_id, attempt)."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How eager the queue is. `poll` and `retry` in seconds; a retry waits twice as long each time.

    Two queues polled five times a second cost an idle process about 3 % of a core; ten times, 5 to 7 %.
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
    collector: Collector | None = None
    staged: dict[Work, Staged] = field(default_factory=dict)
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
    ) -> DbosIngestQueue:
        """Start working on what is enqueued and on what an earlier process left behind.

        Args:
            url: DBOS's own database, `sqlite:///path` or `postgresql://…`; it is made and migrated.
            workers: how many documents are prepared at once.

        Raises:
            DatabaseUnavailable: the database cannot be opened.
        """
        _listen_quietly()
        try:
            await asyncio.to_thread(_prepare_sqlite, url)
            queue = cls(ingest, pace, DBOS(config=_config(url)), collector)
            queue._register()
            DBOS.launch()
            await DBOS.register_queue_async("ingest", worker_concurrency=workers, polling_interval_sec=pace.poll)
            await DBOS.register_queue_async("write", global_concurrency=1, polling_interval_sec=pace.poll)
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
        await _shut_down(self.dbos)

    async def enqueue(self, team: str, document_id: str, attempt: str) -> None:
        with SetWorkflowID(_name((team, document_id, attempt))):
            await _translated(
                DBOS.enqueue_workflow_async("ingest", self.workflows["ingest"], team, document_id, attempt)
            )

    async def collect(self, collection: Collection) -> None:
        team, collection_id, attempt = collection.team, collection.collection_id, collection.attempt
        with SetWorkflowID(f"{COLLECT}/{_name((team, collection_id, attempt))}"):
            await _translated(
                DBOS.enqueue_workflow_async(COLLECT, self.workflows[COLLECT], team, collection_id, attempt)
            )

    async def wait(self, team: str, document_id: str, attempt: str) -> None:
        name = _name((team, document_id, attempt))
        await self._ended(name)
        await self._ended(f"{name}/write")

    async def depth(self) -> int:
        running = await _translated(
            DBOS.list_workflows_async(status=RUNNING, name=list(self.workflows), load_input=False, load_output=False)
        )
        return len(running)

    # ------------------------------------------------------------------------------------------------- the workflows

    def _register(self) -> None:
        """Decorate here and not at import: the workflows belong to this queue."""
        for name, function in (("ingest", self._prepare), ("write", self._write)):
            self.workflows[name] = DBOS.workflow(name=name, max_recovery_attempts=MAX_STARTS)(_function(function))
        if self.collector is not None:
            discover = partial(self._collect, self.collector)
            workflow = DBOS.workflow(name=COLLECT, max_recovery_attempts=MAX_COLLECT_STARTS)
            self.workflows[COLLECT] = workflow(_function(discover))

    async def _collect(self, collector: Collector, team: str, collection_id: str, attempt: str) -> None:
        """Discover a collection, then enqueue its documents."""
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

    async def _prepare(self, team: str, document_id: str, attempt: str) -> None:
        """Load and prepare, then hand over to the writer. The order of steps is what WORKFLOWS names."""
        work = (team, document_id, attempt)
        blob = staged = None
        try:
            blob = await self._step("load", self.ingest.load, *work)
            if blob:
                staged = await self._step("prepare", self.ingest.prepare, *work, blob)
        except Exception as error:
            await self._fail(work, error)
            if not _expected(error):
                raise
        if staged:
            self.staged[work] = Staged(*work, staged)
            with SetWorkflowID(f"{_name(work)}/write"):
                await DBOS.enqueue_workflow_async("write", self.workflows["write"], *work, staged)
        if blob:
            await self._step("discard", self.ingest.discard, team, document_id, [blob])

    async def _write(self, team: str, document_id: str, attempt: str, key: str) -> None:
        """Commit one staged document; a superseded or already committed one is a step that does nothing."""
        work = (team, document_id, attempt)
        try:
            await self._step("commit", self._commit, Staged(team, document_id, attempt, key))
        except Exception as error:
            await self._fail(work, error)
            if not _expected(error):
                raise
        await self._step("discard", self.ingest.discard, team, document_id, [key])

    async def _commit(self, own: Staged) -> None:
        """Commit with whatever else is staged; if that fails, alone, so that one document cannot hold up the others."""
        mine = (own.team, own.document_id, own.attempt)
        self.staged.pop(mine, None)
        others = [self.staged.pop(work) for work in list(self.staged)[: MAX_BATCH - 1]]
        try:
            await self.ingest.commit([own, *others])
        except FootnoteError:
            if not others:
                raise
            await self.ingest.commit([own])

    async def _fail(self, work: Work, error: Exception) -> None:
        reason = _reason(error)
        logger.bind(document_id=work[1], attempt=work[2], error=type(error).__name__).warning("ingestion gave up")
        await self._step("fail", self.ingest.fail, *work, reason)

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


def _name(work: Work) -> str:
    """Return the workflow's id: neither a team nor an attempt has a slash in it, so this can be read back."""
    return "/".join(work)


def _work(name: str) -> Work:
    team, _, rest = name.removesuffix("/write").partition("/")
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


def _config(url: str) -> DBOSConfig:
    return {
        "name": APPLICATION,
        "system_database_url": url,
        "application_version": WORKFLOWS,
        "executor_id": EXECUTOR,
        "log_level": "WARNING",
        "enable_otlp": False,
        "max_executor_threads": MAX_THREADS,
    }


def _prepare_sqlite(url: str) -> None:
    """Make the folder, and set WAL: it is kept in the file, so DBOS's own connections have it too."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    path = Path(parsed.database)
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


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


class _ToLoguru(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        logger.bind(library="dbos").opt(exception=record.exc_info).log(record.levelname, record.getMessage())


def _listen_quietly() -> None:
    """DBOS writes to the console unless its logger has a handler already."""
    dbos_logger = logging.getLogger("dbos")
    dbos_logger.propagate = False
    if not any(isinstance(handler, _ToLoguru) for handler in dbos_logger.handlers):
        dbos_logger.handlers[:] = [_ToLoguru()]
