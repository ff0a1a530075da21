"""Durable work: what is recorded is done, once, also after kill -9. DBOS on `<data>/bot-dbos.sqlite`, or where several
bots share their work, on PostgreSQL.

A job's key is its identity: recording it again does nothing, whichever bot does. Work starts in this process as soon as
it is recorded; DBOS's queue is polled only for what an earlier process left behind, or a bot that is gone. A job may
run more than once around a crash, so its work must be repeatable; that is what bot.store is for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from dbos import DBOS, DBOSConfig, SetWorkflowID
from loguru import logger
from sqlalchemy.exc import InterfaceError, OperationalError

from backend.tracing import TRACEPARENT, Span, carried, span
from bot.client import BackendUnavailable
from bot.database import WORK_SCHEMA
from bot.peers import Alone, Peers
from bot.slack import SlackUnavailable
from bot.telemetry import Telemetry

Payload: TypeAlias = dict[str, str]
State: TypeAlias = Literal["done", "waiting", "failed"]
"""How an attempt ended: with the job's end, with something that another attempt may not meet, or unforeseen."""

VERSION = "footnote-bot-2"
"""DBOS resumes only work of the same version. Change it when a job's steps change, never with a release."""
DELAYS: tuple[float, ...] = (1, 2, 4, *([6] * 50), *([15] * 220))
"""Seconds between attempts: an hour in all, after which a person is told to ask again."""


REMEMBERED = timedelta(days=3)
"""How long a job that has ended is kept: longer than Slack redelivers, no longer than a question's words need to lie
about."""


UNFINISHED = ["PENDING", "ENQUEUED"]
"""What DBOS calls work that somebody has begun, and work that waits for whoever takes it."""

_RECORDED: ContextVar[bool] = ContextVar("footnote_job_recorded", default=False)
"""Whether the job under way was recorded by this process: what is recovered begins in a context of its own."""


class Job(Protocol):
    """One kind of durable work.

    `attempt` may raise BackendUnavailable or SlackUnavailable, or find the database away, and is tried again then;
    `give_up` is called when that never helped, and `fail` when something unforeseen was raised. Each ends in words for
    the person who waits, and is tried again, too, where Slack cannot take them.
    """

    @property
    def name(self) -> str: ...
    async def attempt(self, payload: Payload) -> None: ...
    async def give_up(self, payload: Payload) -> None: ...
    async def fail(self, payload: Payload) -> None: ...


@dataclass(frozen=True, slots=True)
class Work:
    """The tasks of this process: all of them, and those that are in the middle of an attempt."""

    tasks: set[asyncio.Task[object]]
    busy: set[asyncio.Task[object]]
    telemetry: Telemetry
    peers: Peers

    @contextmanager
    def counted(self, among: set[asyncio.Task[object]]) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        among.add(task)
        try:
            yield
        finally:
            among.discard(task)


class Closed(Exception):
    """This bot ends and records nothing more."""


class Durable:
    """Records and runs jobs. Made by `open_durable`."""

    def __init__(
        self,
        workflows: Mapping[str, Callable[[Payload], Awaitable[None]]],
        work: Work,
        begun: Callable[[], set[asyncio.Task[object]]],
        version: str,
    ) -> None:
        """`begun` returns the tasks of all jobs, also of those that have not come to their first line."""
        self._begun = begun
        self._workflows = workflows
        self._work = work
        self._version = version
        self._recording = 0
        self._closed = False

    async def record(self, name: str, key: str, payload: Payload) -> None:
        """Return once the job is on disk; it starts at once. A key that is known already changes nothing.

        Raises:
            Closed: this bot ends; whatever is to be recorded is for the next one.
        """
        await self._work.peers.sure()
        if self._closed:
            raise Closed
        self._recording += 1
        try:
            await self._begin(name, key, payload)
        finally:
            self._recording -= 1

    async def _begin(self, name: str, key: str, payload: Payload) -> None:
        with SetWorkflowID(key), _recording():
            await DBOS.start_workflow_async(self._workflows[name], payload | carried())  # type: ignore[arg-type]

    def knows(self, name: str) -> bool:
        """Whether there is such a job."""
        return name in self._workflows

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - a deadline for the whole, not for one await
        """Wait for attempts that are under way; what is not done by then stays recorded for the next start."""
        deadline = asyncio.get_running_loop().time() + timeout
        while self._work.busy and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(set(self._work.busy), timeout=min(left, 0.2))
        self._closed = True
        last = asyncio.get_running_loop().time() + 5
        while self._recording and asyncio.get_running_loop().time() < last:  # noqa: ASYNC110 - each is a few writes
            await asyncio.sleep(0.01)
        await self.abandon()

    async def abandon(self) -> None:
        """Stop everything in the middle; it stays recorded."""
        left_over = self._work.tasks | self._begun()
        for task in left_over:
            task.cancel()
        if left_over:
            await asyncio.wait(left_over, timeout=5)

    async def workers(self) -> set[str]:
        """Return the names of the bots that have begun work which has not ended."""
        begun = await DBOS.list_workflows_async(status=UNFINISHED, load_input=False, load_output=False)
        waits = {one.executor_id for one in begun if one.status == "PENDING" or one.app_version != self._version}
        return {name for name in waits if name}

    async def take_over(self, name: str) -> int:
        """Do what the bot of this name left; return how many jobs. It may not be at work meanwhile."""
        recovered = await asyncio.to_thread(DBOS._recover_pending_workflows, [name])
        return len(recovered) + await self.renew(name)

    async def renew(self, name: str) -> int:
        """Begin anew what a bot left of another version: its steps were others, the work is the same."""
        renewed = 0
        for left in await DBOS.list_workflows_async(status=UNFINISHED, executor_id=name):
            if left.app_version != self._version and self.knows(left.name) and left.input:
                await DBOS.delete_workflow_async(left.workflow_id)
                await self._begin(left.name, left.workflow_id, left.input["args"][0])
                renewed += 1
        return renewed


@contextmanager
def _recording() -> Iterator[None]:
    token = _RECORDED.set(True)
    try:
        yield
    finally:
        _RECORDED.reset(token)


@asynccontextmanager
async def open_durable(
    database: Path | str,
    jobs: Sequence[Job],
    *,
    stop_timeout: float,
    delays: Sequence[float] = DELAYS,
    remembered: timedelta = REMEMBERED,
    version: str = VERSION,
    telemetry: Telemetry | None = None,
    peers: Peers | None = None,
) -> AsyncIterator[Durable]:
    """Launch DBOS in the running loop with these jobs, resume what was left, and close it all in the end.

    `database` is a SQLite file or PostgreSQL's URL, which `peers` share. What ended longer ago than `remembered` is
    forgotten, its words with it.

    DBOS is one per process. It gets its own thread to be taken down in: its shutdown joins threads of its own.
    """
    work = Work(set(), set(), telemetry or Telemetry(), peers or Alone())
    work.telemetry.expect_jobs(job.name for job in jobs)
    work.telemetry.watch_jobs(lambda: len(work.tasks), lambda: len(work.busy))
    dbos = DBOS(config=_config(database, version, work.peers.name))
    workflows = {job.name: _workflow(job, work, delays) for job in jobs}
    async with work.peers.starting():
        DBOS.launch()
    durable = Durable(workflows, work, lambda: set(dbos._workflow_tasks), version)
    await durable.renew(work.peers.name)
    forgetting = asyncio.create_task(_forget(remembered))
    try:
        yield durable
    finally:
        forgetting.cancel()
        await asyncio.wait({forgetting})
        await durable.drain(stop_timeout)
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            await loop.run_in_executor(pool, _destroy)
        loop.set_default_executor(ThreadPoolExecutor())  # DBOS leaves its own, closed, in its place


async def _forget(remembered: timedelta) -> None:
    """Delete jobs that ended long ago, now and every hour."""
    while True:
        before = (datetime.now(UTC) - remembered).isoformat()
        while ended := await DBOS.list_workflows_async(
            status=["SUCCESS", "ERROR", "CANCELLED"], completed_before=before, limit=200, load_input=False
        ):
            await DBOS.delete_workflows_async([one.workflow_id for one in ended])
        await asyncio.sleep(3600)


def _destroy() -> None:
    DBOS.destroy(destroy_registry=True)


def _config(database: Path | str, version: str, name: str) -> DBOSConfig:
    return {
        "name": "footnote-bot",
        "system_database_url": f"sqlite:///{database}" if isinstance(database, Path) else database,
        "dbos_system_schema": WORK_SCHEMA,
        "sys_db_pool_size": 10,
        "application_version": version,
        "executor_id": name,
        "log_level": "ERROR",
        "enable_otlp": False,
        "notification_listener_polling_interval_sec": 1.0,
        "scheduler_polling_interval_sec": 60.0,
    }


def _workflow(job: Job, work: Work, delays: Sequence[float]) -> Callable[[Payload], Awaitable[None]]:
    """Register one job with DBOS: attempts with durable pauses between them, and then, if need be, last words."""

    @DBOS.step(name=f"{job.name}.attempt")
    async def attempt(payload: Payload) -> State:
        await work.peers.sure()
        with work.counted(work.busy), _spanned(job, "attempt", payload):
            return await _attempt(job, payload)

    @DBOS.step(name=f"{job.name}.last_words")
    async def last_words(payload: Payload, state: State) -> State:
        await work.peers.sure()
        with work.counted(work.busy), _spanned(job, "last words", payload):
            return await _tried(job, (job.fail if state == "failed" else job.give_up)(payload))

    @DBOS.workflow(name=job.name)
    async def workflow(payload: Payload) -> None:
        with work.counted(work.tasks):
            work.telemetry.job(job.name, "recorded" if _RECORDED.get() else "recovered")
            state: State = "waiting"
            for delay in delays:
                if (state := await attempt(payload)) != "waiting":
                    break
                await DBOS.sleep_async(delay)
            if state == "done":
                return
            logger.bind(job=job.name, state=state).error("ends in words")
            for delay in delays:
                if await last_words(payload, state) == "done":
                    return
                await DBOS.sleep_async(delay)

    return workflow


def _spanned(job: Job, what: str, payload: Payload) -> AbstractContextManager[Span]:
    """Return a span that is part of what recorded the job, perhaps in an earlier process."""
    return span(f"{job.name} {what}", kind="consumer", parent=payload.get(TRACEPARENT, ""))


async def _attempt(job: Job, payload: Payload) -> State:
    try:
        return await _tried(job, job.attempt(payload))
    except Exception:  # noqa: BLE001 - the rim: whatever happens, the person who asked gets words
        logger.bind(job=job.name).exception("job failed")
        return "failed"


async def _tried(job: Job, work: Coroutine[object, object, None]) -> State:
    """Return whether the work was done, or is worth another try."""
    try:
        await work
    except (BackendUnavailable, SlackUnavailable) as error:
        logger.bind(job=job.name, error=str(error)).warning("will try again")
        return "waiting"
    except (OperationalError, InterfaceError) as error:  # its words would name values
        logger.bind(job=job.name, error=type(error.orig).__name__).warning("database away, will try again")
        return "waiting"
    return "done"
