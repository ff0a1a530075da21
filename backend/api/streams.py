"""A run as server-sent events: told as it happens, alive in silence, ended with exactly one `done` or `failed`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter

from anyio import CancelScope
from loguru import logger

from backend import domain, schema
from backend.api import present
from backend.api.problems import problem_of
from backend.api.services import Services
from backend.domain import Delta, Done, Event, Evidence, Found
from backend.errors import FootnoteError, Unavailable
from backend.tracing import Attributes, span

HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
"""What keeps proxies from holding a stream back."""
MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE = b": keep-alive\n\n"


@dataclass
class Run:
    """A run under way: what it tells comes out of `told`, None at its end, whatever that was."""

    services: Services
    events: AsyncGenerator[Event, None]
    run_id: str
    told: asyncio.Queue[Event | None] = field(default_factory=asyncio.Queue)
    evidence: tuple[Evidence, ...] = ()
    asked: float = field(default_factory=perf_counter)
    spoke: bool = False

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[asyncio.Task[Done]]:
        """Start it; cancel what is left of it at the end, which is also how a hang-up ends it.

        It has a task of its own because its deadlines and its log context must see one task from beginning to end.
        """
        work = self.services.work.start(self._listen())
        work.add_done_callback(self._count)
        try:
            yield work
        finally:
            work.cancel()
            # Litestar cancels a stream's scope again and again until it is left: wait for the run's end apart from it.
            with CancelScope(shield=True):
                await asyncio.wait({work})

    async def _listen(self) -> Done:
        done: Done | None = None
        try:
            with span("run", {"footnote.run_id": self.run_id}) as spent, logger.contextualize(run_id=self.run_id):
                async with aclosing(self.events):
                    async for event in self.events:
                        self._tell(event)
                        done = event if isinstance(event, Done) else done
                if done is not None:
                    spent.note(_attributes(done.run))
        finally:
            self.told.put_nowait(None)
        assert done is not None, "a run that ends without an error ends with Done"
        return done

    def _tell(self, event: Event) -> None:
        if isinstance(event, Found):
            self.evidence = event.evidence
        if isinstance(event, Delta) and not self.spoke:
            self.spoke = True
            self.services.telemetry.first_sentence(perf_counter() - self.asked)
        self.told.put_nowait(event)

    def _count(self, ended: asyncio.Task[Done]) -> None:
        telemetry = self.services.telemetry
        if ended.cancelled():
            telemetry.hang_up()
        elif ended.exception():
            telemetry.run_failed()
        else:
            telemetry.run(ended.result().run)


def _attributes(run: domain.Run) -> Attributes:
    """Return what a trace shows of a run: figures, no words."""
    metadata = run.metadata
    return {
        "footnote.outcome": run.outcome,
        "footnote.cache": metadata.cache,
        "footnote.degraded": metadata.degraded,
        "footnote.passages": len(run.passages),
        "footnote.dropped_sentences": metadata.dropped_sentences,
        "footnote.prompt": metadata.prompt,
        "gen_ai.response.model": metadata.model,
    }


async def stream(run: Run, *, request_id: str) -> AsyncIterator[bytes]:
    """Yield the bytes of a run's stream. Closing this ends the run."""
    async with run.begun() as work:
        async for event in _until_end(run):
            yield encode(event) if event else KEEP_ALIVE
        await asyncio.wait({work})
        yield encode(_ending(work, run.run_id, request_id))


def encode(event: schema.QueryStreamEvent) -> bytes:
    """Return one server-sent event."""
    name, data = schema.encode_event(event)
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


async def _until_end(run: Run) -> AsyncIterator[schema.QueryStreamEvent | None]:
    """Yield what is told as it comes, None after each silence; the ending is left out."""
    while True:
        try:
            async with asyncio.timeout(run.services.keep_alive):
                event = await run.told.get()
        except TimeoutError:
            yield None
            continue
        if event is None:
            return
        if not isinstance(event, Done):
            yield present.event(event)


def _ending(work: asyncio.Task[Done], run_id: str, request_id: str) -> schema.DoneEvent | schema.FailedEvent:
    """Return the one event that ends a stream; an error that nobody foresaw is logged."""
    error = error_of(work)
    if error is None:
        return present.done(work.result().run)
    if not isinstance(error, FootnoteError):
        logger.bind(run_id=run_id).opt(exception=error).error("unforeseen error")
    return schema.FailedEvent(problem_of(error, request_id=request_id, run_id=run_id))


def error_of(work: asyncio.Task[Done]) -> BaseException | None:
    """Return the error that ended a run, None for one that is done."""
    if work.cancelled():
        return Unavailable("The backend is restarting; ask again in a moment.")
    return work.exception()
