"""How documents come in, as those who asked see it: one message, a line per document, from `queued` to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
from loguru import logger

from backend.schema import Document, IngestReply
from bot import blocks
from bot.client import Backend, BackendProblem, BackendUnavailable
from bot.durable import Payload
from bot.quotes import shortened
from bot.slack import Block, Slack, SlackRefused
from bot.store import PostedMessages

POLL = 0.5
"""Seconds between looks at a document that is being ingested; twice as long each time, up to MAX_POLL."""
MAX_POLL = 3.0
INGEST_TIMEOUT = 600.0
PENDING = {"queued", "processing"}


class Asked(msgspec.Struct, frozen=True):
    """Who wants something ingested, where and how. `thread_ts` is "" and `response_url` set after a command.
    `channel` is a user's id where it was asked in none: that posts to their direct messages."""

    key: str
    team: str
    channel: str
    user: str
    thread_ts: str = ""
    response_url: str = ""

    @staticmethod
    def of(payload: Payload) -> Asked:
        return msgspec.convert(payload, Asked)

    @property
    def is_direct(self) -> bool:
        """Whether only the asker reads along; a person's id stands for their direct messages."""
        return self.channel.startswith(("D", "U", "W"))

    async def whisper(self, slack: Slack, text: str) -> None:
        """Say something to the asker alone."""
        if self.response_url:
            await slack.respond(self.response_url, text, [blocks.section(text)])
        elif self.is_direct:
            await slack.post(self.channel, text, thread_ts=self.thread_ts or None)
        else:
            await slack.whisper(self.channel, self.user, text, thread_ts=self.thread_ts or None)


class Progress:
    """The message of one request, edited in place. Its place is remembered as `channel ts`.

    `labels` is what each document is called until the backend knows its title, by whatever the caller knows it as.
    """

    def __init__(self, slack: Slack, posted: PostedMessages, asked: Asked, labels: Mapping[str, str]) -> None:
        self._slack = slack
        self._posted = posted
        self._asked = asked
        self._labels = labels
        self._lines = {name: f"{label}\n⏳ queued" for name, label in labels.items()}
        self._pending = set(labels)
        self._controls: dict[str, list[Block]] = {}
        self._below: list[Block] = []
        self._writing = asyncio.Lock()

    async def begin(self, *, private: bool) -> None:
        """Post the message, unless an earlier attempt has."""
        if self._posted.ts:
            return
        asked = self._asked
        thread_ts = asked.thread_ts or None
        try:
            if private and not asked.is_direct:
                posted = await self._slack.post(asked.user, self._text(), self._blocks())
            else:
                posted = await self._slack.post(asked.channel, self._text(), self._blocks(), thread_ts=thread_ts)
        except SlackRefused as error:
            logger.bind(code=error.code).info("ingest reported in a direct message")
            posted = await self._slack.post(asked.user, self._text(), self._blocks())
        await self._posted.add(" ".join(posted))

    async def show(self, name: str, document: Document) -> None:
        await self.set(name, blocks.document_line(document), pending=document.status in PENDING)

    async def fail(self, name: str, reason: str) -> None:
        words = blocks.escaped(shortened(reason, 400))
        await self.set(name, f"{self._labels[name]}\n⚠️ failed\n>{words}", pending=False)

    async def set(self, name: str, line: str, *, pending: bool, below: Sequence[Block] = ()) -> None:
        """Show a document's line, with the controls `below` it."""
        if self._lines[name] != line or self._controls.get(name, []) != list(below):
            self._lines[name], self._controls[name] = line, list(below)
            await self._write(self._text(), self._blocks())
        if not pending:
            self._pending.discard(name)

    async def set_all_pending(self, words: str) -> None:
        for name in self._pending:
            self._lines[name] = f"{self._labels[name]}\n{words}"
            self._controls.pop(name, None)
        await self._write(self._text(), self._blocks())

    async def waiting(self) -> None:
        await self.set_all_pending("⏳ my document service is away; I'll go on as soon as it is back")

    async def finish(self, below: Sequence[Block]) -> None:
        """Put controls under the documents."""
        self._below = list(below)
        await self._write(self._text(), self._blocks())

    async def say(self, words: str) -> None:
        await self._write(words, [blocks.section(words)])

    async def _write(self, text: str, content: list[Block]) -> None:
        channel, _, ts = self._posted.ts[0].partition(" ")
        async with self._writing:
            await self._slack.update(channel, ts, text, content)

    def _text(self) -> str:
        return f"Ingesting {blocks.counted(len(self._lines), 'document')}"

    def _blocks(self) -> list[Block]:
        asker = blocks.context(f"Added by <@{self._asked.user}>; `/docs` lists and removes documents")
        shown = [
            block
            for name, line in self._lines.items()
            for block in (blocks.section(line), *self._controls.get(name, ()))
        ]
        return [*shown, *self._below, asker]


async def follow_all(progress: Progress, following: Sequence[Awaitable[None]]) -> None:
    """Wait until every document has come to its end, or for as long as anybody watches.

    Raises:
        BackendUnavailable: the backend is away; the message says so.
    """
    try:
        async with asyncio.timeout(INGEST_TIMEOUT):
            ended = await asyncio.gather(*following, return_exceptions=True)
    except TimeoutError:
        await progress.set_all_pending("⏳ still under way; see `/docs list`")
        return
    for error in ended:
        if isinstance(error, BackendUnavailable):
            await progress.waiting()
        if error is not None:
            raise error


async def follow(
    backend: Backend, team: str, name: str, hand_over: Callable[[], Awaitable[IngestReply]], progress: Progress
) -> None:
    """Hand one document over and report until it has come to an end."""
    try:
        document_id = (await hand_over()).document_id
        pause = POLL
        while True:
            document = await backend.document(team, document_id)
            await progress.show(name, document)
            if document.status not in PENDING:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_POLL)
    except BackendProblem as error:
        await progress.fail(name, str(error))


async def end_in_words(slack: Slack, posted: PostedMessages, asked: Asked, words: str) -> None:
    """Replace the message by a sentence; what a job does when it cannot go on."""
    progress = Progress(slack, posted, asked, {})
    await progress.begin(private=False)
    await progress.say(words)
