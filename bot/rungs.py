"""The rungs of the ladder Stream → Edit → Post: three ways to bring an answer, cut into pages, to Slack.

Facts about limits that Slack does not document (12,000 characters and five minutes per stream) come from reports of
others and are kept well clear of.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal, Protocol, TypeAlias

import msgspec
from loguru import logger

from bot.blocks import fallback, markdown
from bot.pace import Call, Pace
from bot.slack import Block, SlackBusy, SlackRefused, SlackUnavailable

STREAM_PAGE = 11_000
"""A streamed message holds about 12,000 characters in all, whatever the size of each append."""
POSTED_PAGE = 6_500
"""All blocks of a posted message hold about 13,200 characters, the sources included."""
STREAM_INTERVAL = 0.8
EDIT_INTERVAL = 3.0
"""chat.update: at most once in three seconds while a message is being written."""


RungName: TypeAlias = Literal["stream", "edit", "post"]


class Place(msgspec.Struct, frozen=True):
    """The thread that a reply goes to; `team` and `user` are the reader's, and None in direct messages."""

    channel: str
    thread_ts: str
    team: str | None = None
    user: str | None = None


class SlackMessages(Protocol):
    """What a reply needs of Slack; see bot.slack.Slack for the contracts."""

    async def start_stream(
        self, channel: str, thread_ts: str, chunks: Sequence[Block], *, team: str | None, user: str | None
    ) -> str: ...
    async def append_stream(self, channel: str, ts: str, chunks: Sequence[Block]) -> None: ...
    async def stop_stream(
        self, channel: str, ts: str, chunks: Sequence[Block] = (), blocks: Sequence[Block] = (), *, more: bool = False
    ) -> None: ...
    async def post(
        self, channel: str, text: str, blocks: Sequence[Block] = (), *, thread_ts: str | None = None
    ) -> tuple[str, str]: ...
    async def update(self, channel: str, ts: str, text: str, blocks: Sequence[Block] = ()) -> None: ...
    async def delete(self, channel: str, ts: str) -> None: ...


class Posted(Protocol):
    """The messages of one turn that Slack has, in order, remembered across restarts.

    `intend` is called before one is made and `add` or `dismiss` once it is known what came of it: where neither was, a
    later attempt looks for a message that nobody knows.
    """

    @property
    def ts(self) -> Sequence[str]: ...
    async def intend(self) -> None: ...
    async def dismiss(self) -> None: ...
    async def add(self, ts: str) -> None: ...
    async def drop_last(self) -> None: ...


class MaybePosted(SlackUnavailable):
    """Slack failed while making a new message, which may exist nevertheless: only a new attempt can look for it."""


@asynccontextmanager
async def making_a_message(posted: Posted) -> AsyncIterator[None]:
    await posted.intend()
    try:
        yield
    except (SlackRefused, SlackBusy):
        await posted.dismiss()
        raise
    except SlackUnavailable as error:
        raise MaybePosted(str(error)) from error


class Rung(Protocol):
    """One way to bring an answer to Slack. Both methods take all pages so far and send what is new.

    SlackRefused means: this way is closed. SlackUnavailable: try again, nothing is lost.
    """

    name: RungName
    page: int
    call: Call
    interval: float
    """The shortest time between two such calls."""

    async def show(self, pages: Sequence[str], tasks: Sequence[Block]) -> None: ...
    async def close(self, pages: Sequence[str], blocks: Sequence[Block], tasks: Sequence[Block]) -> None: ...


class StreamRung:
    """chat.startStream, appendStream and stopStream; in chunks only, because Slack refuses to mix modes."""

    name: RungName = "stream"
    page = STREAM_PAGE
    call: Call = "append"
    interval = STREAM_INTERVAL

    def __init__(self, slack: SlackMessages, place: Place, posted: Posted, pace: Pace) -> None:
        self._slack = slack
        self._place = place
        self._posted = posted
        self._pace = pace
        self._open: str | None = None
        self._current = 0
        self._sent = 0

    async def show(self, pages: Sequence[str], tasks: Sequence[Block]) -> None:
        await self._finish_pages(pages)
        await self._send(pages, tasks)

    async def close(self, pages: Sequence[str], blocks: Sequence[Block], tasks: Sequence[Block]) -> None:
        await self._finish_pages(pages)
        await self._complete(pages, blocks, tasks)

    async def _finish_pages(self, pages: Sequence[str]) -> None:
        """Complete the messages of all pages but the last."""
        while self._current < len(pages) - 1:
            await self._complete(pages, (), (), more=True)
            self._current, self._sent = self._current + 1, 0

    async def _complete(
        self, pages: Sequence[str], blocks: Sequence[Block], tasks: Sequence[Block], *, more: bool = False
    ) -> None:
        """Stop the page's stream with what is left of the page, starting it first if it has not been.

        Where the budget has no stop to give at once, the text is shown meanwhile.
        """
        if self._open is None or not self._pace.is_free("stop"):
            await self._send(pages, tasks)
            tasks = ()
        if self._open is not None:
            await self._pace.take("stop")
            page = pages[self._current]
            await self._slack.stop_stream(self._place.channel, self._open, self._unsent(page, tasks), blocks, more=more)
            self._open = None

    def _unsent(self, page: str, tasks: Sequence[Block]) -> list[Block]:
        text = page[self._sent :]
        return [*tasks, *([{"type": "markdown_text", "text": text}] if text else [])]

    async def _send(self, pages: Sequence[str], tasks: Sequence[Block]) -> None:
        """Start the page's stream or append to it. The page is taken as it is once the budget allows the call."""
        if not self._unsent(pages[self._current], tasks):
            return
        await self._pace.take("start" if self._open is None else "append")
        page, place = pages[self._current], self._place
        chunks = self._unsent(page, tasks)
        if self._open is None:
            async with making_a_message(self._posted):
                self._open = await self._slack.start_stream(
                    place.channel, place.thread_ts, chunks, team=place.team, user=place.user
                )
            await self._posted.add(self._open)
        else:
            await self._append(self._open, chunks)
        self._sent = len(page)

    async def _append(self, ts: str, chunks: Sequence[Block]) -> None:
        """Append; what may have been appended already is not appended again: an edit of the whole is never wrong."""
        try:
            await self._slack.append_stream(self._place.channel, ts, chunks)
        except SlackBusy:
            raise
        except SlackUnavailable as error:
            raise SlackRefused("append_unconfirmed") from error


class EditRung:
    """One posted message per page, edited as it grows. Takes over the messages that the turn already has."""

    name: RungName = "edit"
    page = POSTED_PAGE
    call: Call = "update"
    interval = EDIT_INTERVAL

    def __init__(self, slack: SlackMessages, place: Place, posted: Posted, pace: Pace) -> None:
        self._slack = slack
        self._place = place
        self._posted = posted
        self._pace = pace
        self._shown: dict[int, str] = {}

    async def show(self, pages: Sequence[str], tasks: Sequence[Block]) -> None:  # noqa: ARG002 - no task cards here
        for number, page in enumerate(pages):
            if page and self._shown.get(number) != page:
                await self._write(number, page, ())

    async def close(self, pages: Sequence[str], blocks: Sequence[Block], tasks: Sequence[Block]) -> None:  # noqa: ARG002
        await self.show(pages[:-1], ())
        await self._write(len(pages) - 1, pages[-1], blocks)
        while len(self._posted.ts) > len(pages):
            await remove_last(self._slack, self._place, self._posted)

    async def _write(self, number: int, page: str, blocks: Sequence[Block]) -> None:
        content = [markdown(page), *blocks] if page else list(blocks)
        if number < len(self._posted.ts):
            await self._edit(self._posted.ts[number], page, content)
        else:
            await self._pace.take_post(self._place.channel)
            async with making_a_message(self._posted):
                _, ts = await self._slack.post(
                    self._place.channel, fallback(page), content, thread_ts=self._place.thread_ts
                )
            await self._posted.add(ts)
        self._shown[number] = page

    async def _edit(self, ts: str, page: str, content: Sequence[Block]) -> None:
        await self._pace.take("update")
        try:
            await self._slack.update(self._place.channel, ts, fallback(page), content)
        except SlackRefused as error:
            if error.code != "streaming_state_conflict":
                raise
            await self._end_stream(ts)
            await self._pace.take("update")
            await self._slack.update(self._place.channel, ts, fallback(page), content)

    async def _end_stream(self, ts: str) -> None:
        """End what still streams, as after a crash: Slack refuses to edit it."""
        await self._pace.take("stop")
        try:
            await self._slack.stop_stream(self._place.channel, ts)
        except SlackRefused as error:
            logger.bind(code=error.code).debug("stream had ended")


async def remove_last(slack: SlackMessages, place: Place, posted: Posted) -> None:
    """Take the last message of a turn back, or forget it where Slack does not let us."""
    try:
        await slack.delete(place.channel, posted.ts[-1])
    except SlackRefused as error:
        logger.bind(code=error.code).info("message not deleted")
    await posted.drop_last()


class PostRung:
    """Nothing until the answer is complete, then new posts in place of what the turn has: what always works."""

    name: RungName = "post"
    page = POSTED_PAGE
    call: Call = "update"
    interval = EDIT_INTERVAL

    def __init__(self, slack: SlackMessages, place: Place, posted: Posted, pace: Pace) -> None:
        self._slack = slack
        self._place = place
        self._posted = posted
        self._pace = pace
        self._done = 0

    async def show(self, pages: Sequence[str], tasks: Sequence[Block]) -> None:
        """Nothing is shown before the end."""

    async def close(self, pages: Sequence[str], blocks: Sequence[Block], tasks: Sequence[Block]) -> None:  # noqa: ARG002
        while not self._done and self._posted.ts:
            await remove_last(self._slack, self._place, self._posted)
        for number, page in list(enumerate(pages))[self._done :]:
            below = blocks if number == len(pages) - 1 else ()
            content = [markdown(page), *below] if page else list(below)
            await self._pace.take_post(self._place.channel)
            async with making_a_message(self._posted):
                _, ts = await self._slack.post(
                    self._place.channel, fallback(page), content, thread_ts=self._place.thread_ts
                )
            await self._posted.add(ts)
            self._done = number + 1
