"""The rungs of the ladder Stream → Edit → Post: three ways to bring an answer, cut into pages, to Slack.

Facts about limits that Slack does not document (12,000 characters and five minutes per stream) come from reports of
others and are kept well clear of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec
from loguru import logger

from bot.blocks import fallback, markdown
from bot.slack import Block, SlackRefused, SlackUnavailable

STREAM_PAGE = 11_000
"""A streamed message holds about 12,000 characters in all, whatever the size of each append."""
POSTED_PAGE = 6_500
"""All blocks of a posted message hold about 13,200 characters, the sources included."""
STREAM_INTERVAL = 0.8
EDIT_INTERVAL = 3.0
"""chat.update: at most once in three seconds while a message is being written."""


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
        self, channel: str, ts: str, chunks: Sequence[Block] = (), blocks: Sequence[Block] = ()
    ) -> None: ...
    async def post(
        self, channel: str, text: str, blocks: Sequence[Block] = (), *, thread_ts: str | None = None
    ) -> tuple[str, str]: ...
    async def update(self, channel: str, ts: str, text: str, blocks: Sequence[Block] = ()) -> None: ...
    async def delete(self, channel: str, ts: str) -> None: ...


class Posted(Protocol):
    """The messages of one turn that Slack has, in order, remembered across restarts."""

    @property
    def ts(self) -> Sequence[str]: ...
    async def add(self, ts: str) -> None: ...
    async def drop_last(self) -> None: ...


class MaybePosted(SlackUnavailable):
    """Slack failed while making a new message, which may exist nevertheless: only a new attempt can look for it."""


@contextmanager
def making_a_message() -> Iterator[None]:
    try:
        yield
    except SlackUnavailable as error:
        raise MaybePosted(str(error)) from error


class Rung(Protocol):
    """One way to bring an answer to Slack. Both methods take all pages so far and send what is new.

    SlackRefused means: this way is closed. SlackUnavailable: try again, nothing is lost.
    """

    page: int
    interval: float

    async def show(self, pages: Sequence[str], task: Block | None) -> None: ...
    async def close(self, pages: Sequence[str], blocks: Sequence[Block], task: Block | None) -> None: ...


class StreamRung:
    """chat.startStream, appendStream and stopStream; in chunks only, because Slack refuses to mix modes."""

    page = STREAM_PAGE
    interval = STREAM_INTERVAL

    def __init__(self, slack: SlackMessages, place: Place, posted: Posted) -> None:
        self._slack = slack
        self._place = place
        self._posted = posted
        self._open: str | None = None
        self._current = 0
        self._sent = 0

    async def show(self, pages: Sequence[str], task: Block | None) -> None:
        await self._finish_pages(pages)
        await self._send(pages[self._current], task)

    async def close(self, pages: Sequence[str], blocks: Sequence[Block], task: Block | None) -> None:
        await self._finish_pages(pages)
        await self._complete(pages[self._current], blocks, task)

    async def _finish_pages(self, pages: Sequence[str]) -> None:
        """Complete the messages of all pages but the last."""
        while self._current < len(pages) - 1:
            await self._complete(pages[self._current], (), None)
            self._current, self._sent = self._current + 1, 0

    async def _complete(self, page: str, blocks: Sequence[Block], task: Block | None) -> None:
        """Stop the page's stream with what is left of the page, starting it first if it has not been."""
        if self._open is None:
            await self._send(page, None)
        if self._open is not None:
            await self._slack.stop_stream(self._place.channel, self._open, self._unsent(page, task), blocks)
            self._open = None

    def _unsent(self, page: str, task: Block | None) -> list[Block]:
        text = page[self._sent :]
        return ([task] if task else []) + ([{"type": "markdown_text", "text": text}] if text else [])

    async def _send(self, page: str, task: Block | None) -> None:
        """Start the page's stream or append to it. `page` is the page as it is now: it may grow meanwhile."""
        chunks, place = self._unsent(page, task), self._place
        if not chunks:
            return
        if self._open is not None:
            await self._slack.append_stream(place.channel, self._open, chunks)
        else:
            with making_a_message():
                self._open = await self._slack.start_stream(
                    place.channel, place.thread_ts, chunks, team=place.team, user=place.user
                )
            await self._posted.add(self._open)
        self._sent = len(page)


class EditRung:
    """One posted message per page, edited as it grows. Takes over the messages that the turn already has."""

    page = POSTED_PAGE
    interval = EDIT_INTERVAL

    def __init__(self, slack: SlackMessages, place: Place, posted: Posted) -> None:
        self._slack = slack
        self._place = place
        self._posted = posted
        self._shown: dict[int, str] = {}
        self._taken_over = False

    async def show(self, pages: Sequence[str], task: Block | None) -> None:  # noqa: ARG002 - no task cards here
        await self._take_over()
        for number, page in enumerate(pages):
            if page and self._shown.get(number) != page:
                await self._write(number, page, ())

    async def close(self, pages: Sequence[str], blocks: Sequence[Block], task: Block | None) -> None:  # noqa: ARG002
        await self.show(pages[:-1], None)
        await self._take_over()
        await self._write(len(pages) - 1, pages[-1], blocks)
        while len(self._posted.ts) > len(pages):
            await self._remove_last()

    async def _take_over(self) -> None:
        """End whatever still streams; Slack refuses to edit a streaming message, and to stop one that is not."""
        if self._taken_over:
            return
        for ts in self._posted.ts:
            try:
                await self._slack.stop_stream(self._place.channel, ts)
            except SlackRefused as error:
                logger.bind(code=error.code).debug("stream had ended")
        self._taken_over = True

    async def _write(self, number: int, page: str, blocks: Sequence[Block]) -> None:
        content = [markdown(page), *blocks] if page else list(blocks)
        if number < len(self._posted.ts):
            await self._slack.update(self._place.channel, self._posted.ts[number], fallback(page), content)
        else:
            with making_a_message():
                _, ts = await self._slack.post(
                    self._place.channel, fallback(page), content, thread_ts=self._place.thread_ts
                )
            await self._posted.add(ts)
        self._shown[number] = page

    async def _remove_last(self) -> None:
        try:
            await self._slack.delete(self._place.channel, self._posted.ts[-1])
        except SlackRefused as error:
            logger.bind(code=error.code).debug("message was gone")
        await self._posted.drop_last()


class PostRung:
    """Nothing until the answer is complete, then new posts: what always works."""

    page = POSTED_PAGE
    interval = EDIT_INTERVAL

    def __init__(self, slack: SlackMessages, place: Place, posted: Posted) -> None:
        self._slack = slack
        self._place = place
        self._posted = posted
        self._done = 0

    async def show(self, pages: Sequence[str], task: Block | None) -> None:
        """Nothing is shown before the end."""

    async def close(self, pages: Sequence[str], blocks: Sequence[Block], task: Block | None) -> None:  # noqa: ARG002
        for number, page in list(enumerate(pages))[self._done :]:
            below = blocks if number == len(pages) - 1 else ()
            content = [markdown(page), *below] if page else list(below)
            with making_a_message():
                _, ts = await self._slack.post(
                    self._place.channel, fallback(page), content, thread_ts=self._place.thread_ts
                )
            await self._posted.add(ts)
            self._done = number + 1
