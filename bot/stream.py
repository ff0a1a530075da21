"""One answer as it appears in Slack: down the ladder Stream → Edit → Post, in its pace, from page to page.

A reply climbs down a rung when Slack refuses the one it is on, and keeps the messages that it has already posted: a
message is edited rather than posted again, also by a later attempt after a crash.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, TypeAlias

from loguru import logger
from tenacity import (
    retry,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from bot.blocks import plainer
from bot.pace import Pace
from bot.pages import Pages
from bot.rungs import EditRung, MaybePosted, Place, Posted, PostRung, Rung, RungName, SlackMessages, StreamRung
from bot.slack import Block, SlackRefused, SlackUnavailable

STREAM_AGE, MAX_STREAM_AGE = 220.0, 250.0
"""A stream ends about 300 seconds after it began, whether or not it is appended to. It is stopped after so long, at the
next place where nothing is cut in two or at the latest; until 270 seconds it may wait for its turn to be stopped."""

BLOCKS_REFUSED = {"invalid_blocks", "invalid_blocks_format"}

Step: TypeAlias = Callable[[SlackMessages, Place, Posted, Pace], Rung]


class Watch(Protocol):
    """Who counts how replies get on."""

    def first_words(self) -> None:
        """The first words of the answer are in Slack."""

    def stepped_down(self, rung: RungName) -> None:
        """Slack closed this rung to the reply."""

    def replied(self, rung: RungName) -> None:
        """The reply came to its end on this rung."""


class Unwatched:
    """A Watch that nobody reads."""

    def first_words(self) -> None: ...
    def stepped_down(self, rung: RungName) -> None: ...
    def replied(self, rung: RungName) -> None: ...


class Reply:
    """Use as a context manager; `write` and `show` return at once and a pump brings them to Slack in its pace.

    `finish` or `replace` ends the reply; without either it stays as it is, for a later attempt to take up. `stopped` is
    set when the reader pressed Stop.
    """

    def __init__(
        self,
        slack: SlackMessages,
        place: Place,
        posted: Posted,
        pace: Pace,
        *,
        stopped: asyncio.Event | None = None,
        watch: Watch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slack = slack
        self._place = place
        self._posted = posted
        self._pace = pace
        self._clock = clock
        self._watch: Watch = watch or Unwatched()
        self._spoke = False
        self._text = ""
        self._tasks: dict[str, Block] = {}
        self._dirty = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()
        self._halted = False
        self._ladder: list[Step] = [PostRung, EditRung] if posted.ts else [PostRung, EditRung, StreamRung]
        self.stopped = stopped or asyncio.Event()
        self._step_down()

    @property
    def text(self) -> str:
        return self._text

    async def __aenter__(self) -> Reply:
        self._pace.live += 1
        self._pump = asyncio.create_task(self._run_pump())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pace.live -= 1
        await self._end_pump()

    def show(self, task: Block) -> None:
        """Show a task card, or bring the one of its id up to date, where the rung has such."""
        self._tasks[str(task["id"])] = task
        self._dirty.set()

    def write(self, text: str) -> None:
        """Append text to the answer."""
        self._text += text
        self._pages.add(text)
        self._dirty.set()

    async def finish(self, blocks: Sequence[Block]) -> None:
        """Send what is left, with `blocks` below the last page.

        Raises:
            SlackRefused: not even a post is possible.
            SlackUnavailable: Slack could not be reached; another attempt may complete it.
        """
        await self._end_pump()
        await self._close(blocks)

    async def replace(self, text: str, blocks: Sequence[Block] = ()) -> None:
        """End the reply with other words than those written so far."""
        await self._end_pump()
        if isinstance(self._rung, StreamRung) and (self._text or not self._posted.ts):
            self._step_down()
        self._text, self._pages = "", Pages(self._rung.page)
        self.write(text)
        await self._close(blocks)

    def _step_down(self) -> None:
        """Take the next rung; its pages may be shorter, so the text is cut anew."""
        self._rung = self._ladder.pop()(self._slack, self._place, self._posted, self._pace)
        self._pages = Pages(self._rung.page)
        self._pages.add(self._text)
        self._began: float | None = None

    @retry(
        retry=retry_if_exception_type(SlackUnavailable) & retry_if_not_exception_type(MaybePosted),
        stop=stop_after_attempt(4),
        wait=wait_exponential(multiplier=0.5, max=8),
        reraise=True,
    )
    async def _close(self, blocks: Sequence[Block]) -> None:
        while True:
            try:
                if self._needs_start():
                    await self._flush()
                await self._rung.close(self._pages.pages, blocks, tuple(self._tasks.values()))
                self._note_words()
                self._watch.replied(self._rung.name)
                return
            except SlackRefused as error:
                simple = plainer(blocks)
                if error.code in BLOCKS_REFUSED and simple != list(blocks):
                    blocks = simple
                else:
                    self._refused(error)

    async def _run_pump(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            async with self._sending:
                await self._pump_once()
            await asyncio.sleep(self._pace.interval(self._rung.call, self._rung.interval))

    async def _pump_once(self) -> None:
        if self.stopped.is_set():
            return
        if not self._needs_start() and not self._pace.is_free(self._rung.call):
            self._dirty.set()
            return
        try:
            await self._flush()
        except SlackRefused as error:
            self._refused(error)
            self._dirty.set()
        except MaybePosted:
            raise
        except SlackUnavailable as error:
            logger.bind(error=str(error)).warning("slack unavailable, will send later")
            self._dirty.set()

    async def _flush(self) -> None:
        if self._needs_start() and not self._pace.is_free("start"):
            raise SlackRefused("start_budget_spent")
        if self._began is None:
            self._began = self._clock()
        elif isinstance(self._rung, StreamRung) and self._is_old(self._clock() - self._began):
            self._pages.turn()
            self._began = self._clock()
        tasks, self._tasks = self._tasks, {}
        try:
            await self._rung.show(self._pages.pages, tuple(tasks.values()))
        except (SlackUnavailable, SlackRefused):
            self._tasks = tasks | self._tasks
            raise
        if self._rung.name != "post":  # which shows nothing before its end
            self._note_words()

    def _note_words(self) -> None:
        if self._text and not self._spoke:
            self._spoke = True
            self._watch.first_words()

    def _is_old(self, age: float) -> bool:
        return age > MAX_STREAM_AGE or (age > STREAM_AGE and self._pages.is_between)

    def _needs_start(self) -> bool:
        return isinstance(self._rung, StreamRung) and self._began is None

    def _refused(self, error: SlackRefused) -> None:
        """Climb down, or give up where there is no rung left. A stream that its reader stopped is closed as it is."""
        logger.bind(code=error.code, rung=type(self._rung).__name__).info("slack refused")
        if error.code == "stopped_by_user":
            self.stopped.set()
            if not self._halted:
                self._halted = True
                return
        if not self._ladder:
            raise error
        self._watch.stepped_down(self._rung.name)
        self._step_down()

    async def _end_pump(self) -> None:
        """End the pump between two calls, so that nothing is sent twice."""
        pump, self._pump = self._pump, None
        if pump is None:
            return
        async with self._sending:
            pump.cancel()
        await asyncio.wait({pump})
        if not pump.cancelled() and (error := pump.exception()) is not None:
            raise error
