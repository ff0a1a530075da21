"""Durable work: what is recorded is done, once, also after kill -9. DBOS on `<data>/bot-dbos.sqlite`.

A job's key is its identity: recording it again does nothing. Work starts in this process as soon as it is recorded;
DBOS's queue is polled only for what an earlier process left behind. A job may run more than once around a crash, so its
work must be repeatable; that is what bot.store is for.
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

from backend.tracing import TRACEPARENT, Span, carried, span
from bot.client import BackendUnavailable
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


_RECORDED: ContextVar[bool] = ContextVar("footnote_job_recorded", default=False)
"""Whether the job under way was recorded by this process: what is recovered begins in a context of its own."""


class Job(Protocol):
    """One kind of durable work.

    `attempt` may raise BackendUnavailable or SlackUnavailable, and is then tried again later; `give_up` is called when
    that never helped, and `fail` when something unforeseen was raised. Each ends in words for the person who waits, and
    is tried again, too, where Slack cannot take them.
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

    @contextmanager
    def counted(self, among: set[asyncio.Task[object]]) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        among.add(task)
        try:
            yield
        finally:
            among.discard(task)


class Durable:
    """Records and runs jobs. Made by `open_durable`."""

    def __init__(self, workflows: Mapping[str, Callable[[Payload], Awaitable[None]]], work: Work) -> None:
        self._workflows = workflows
        self._work = work

    async def record(self, name: str, key: str, payload: Payload) -> None:
        """Return once the job is on disk; it starts at once. A key that is known already changes nothing."""
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
        left_over = set(self._work.tasks)
        for task in left_over:
            task.cancel()
        if left_over:
            await asyncio.wait(left_over, timeout=5)


@contextmanager
def _recording() -> Iterator[None]:
    token = _RECORDED.set(True)
    try:
        yield
    finally:
        _RECORDED.reset(token)


@asynccontextmanager
async def open_durable(
    path: Path,
    jobs: Sequence[Job],
    *,
    stop_timeout: float,
    delays: Sequence[float] = DELAYS,
    remembered: timedelta = REMEMBERED,
    version: str = VERSION,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[Durable]:
    """Launch DBOS in the running loop with these jobs, resume what was left, and close it all in the end.

    What ended longer ago than `remembered` is forgotten, its words with it.

    DBOS is one per process. It gets its own thread to be taken down in: its shutdown joins threads of its own.
    """
    work = Work(set(), set(), telemetry or Telemetry())
    work.telemetry.expect_jobs(job.name for job in jobs)
    work.telemetry.watch_jobs(lambda: len(work.tasks), lambda: len(work.busy))
    DBOS(config=_config(path, version))
    workflows = {job.name: _workflow(job, work, delays) for job in jobs}
    DBOS.launch()
    durable = Durable(workflows, work)
    await _take_over(durable, version)
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


async def _take_over(durable: Durable, version: str) -> None:
    """Begin anew what a bot of another version left undone: its steps were others, the work is the same."""
    for left in await DBOS.list_workflows_async(status=["PENDING", "ENQUEUED"]):
        if left.app_version != version and durable.knows(left.name) and left.input:
            await DBOS.delete_workflow_async(left.workflow_id)
            await durable.record(left.name, left.workflow_id, left.input["args"][0])


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


def _config(path: Path, version: str) -> DBOSConfig:
    return {
        "name": "footnote-bot",
        "system_database_url": f"sqlite:///{path}",
        "application_version": version,
        "executor_id": "bot",
        "log_level": "ERROR",
        "enable_otlp": False,
        "notification_listener_polling_interval_sec": 1.0,
        "scheduler_polling_interval_sec": 60.0,
    }


def _workflow(job: Job, work: Work, delays: Sequence[float]) -> Callable[[Payload], Awaitable[None]]:
    """Register one job with DBOS: attempts with durable pauses between them, and then, if need be, last words."""

    @DBOS.step(name=f"{job.name}.attempt")
    async def attempt(payload: Payload) -> State:
        with work.counted(work.busy), _spanned(job, "attempt", payload):
            return await _attempt(job, payload)

    @DBOS.step(name=f"{job.name}.last_words")
    async def last_words(payload: Payload, state: State) -> State:
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
    return "done"
