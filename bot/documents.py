"""`/ingest` and `/docs`: documents come in and go out, and whoever asked sees how it went."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from loguru import logger

from backend.schema import Audience, Document, IngestRequest
from bot import blocks
from bot.audience import audience_of, may_read
from bot.client import Backend, BackendProblem, BackendUnavailable
from bot.commands import CommandError, DocsCommand, read_docs, read_ingest, stated_visibility
from bot.directory import Directory
from bot.durable import Payload
from bot.home import home_blocks
from bot.quotes import shortened
from bot.slack import Block, Slack, SlackRefused
from bot.store import PostedMessages, Store
from bot.thread import Turn

POLL = 0.5
"""Seconds between looks at a document that is being ingested; twice as long each time, up to MAX_POLL."""
MAX_POLL = 3.0
INGEST_TIMEOUT = 600.0
SHOWN = 10
"""Documents of one list."""
SCANNED = 200
"""Documents that are looked through for those that the reader may see."""
DOWN = "I can't reach my document service at the moment. Please try again in a minute."


@dataclass(frozen=True, slots=True)
class IngestJob:
    """One `/ingest`: a message whose lines follow each document to `ready` or `failed`.

    The message stands where the command was typed; where we may not post, and for private documents, it goes to the
    asker's direct messages.
    """

    slack: Slack
    backend: Backend
    store: Store
    name: str = "ingest"

    async def attempt(self, payload: Payload) -> None:
        command = read_ingest(payload["text"])
        progress = Progress(self.slack, await self.store.posted(payload["key"]), payload, command.urls)
        await progress.begin(private=command.visibility == "private")
        following = (self._follow(url, payload, progress) for url in command.urls)
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

    async def _follow(self, url: str, payload: Payload, progress: Progress) -> None:
        """Hand one URL over and report until it has come to an end."""
        try:
            document_id = (await self.backend.ingest(_request(url, payload))).document_id
            pause = POLL
            while True:
                document = await self.backend.document(payload["team"], document_id)
                await progress.set(url, blocks.document_line(document))
                if document.status not in {"queued", "processing"}:
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_POLL)
        except BackendProblem as error:
            reason = blocks.escaped(shortened(str(error), 400))
            await progress.set(url, f"{blocks.linked(url, '')}\n⚠️ failed\n>{reason}")

    async def give_up(self, payload: Payload) -> None:
        await self._end(payload, "My document service was away for too long. Please run the command again.")

    async def fail(self, payload: Payload) -> None:
        await self._end(payload, "Something went wrong on my side. Please run the command again.")

    async def _end(self, payload: Payload, words: str) -> None:
        progress = Progress(self.slack, await self.store.posted(payload["key"]), payload, ())
        await progress.begin(private=False)
        await progress.say(words)


def _request(url: str, payload: Payload) -> IngestRequest:
    command = read_ingest(payload["text"])
    return IngestRequest(
        url=url,
        team=payload["team"],
        visibility=stated_visibility(command, payload["channel"], payload["user"]),
        metadata={"tags": list(command.tags)} if command.tags else {},
        refresh_days=command.refresh_days,
    )


class Progress:
    """The message of one `/ingest`, edited in place. Its place is remembered as `channel ts`."""

    def __init__(self, slack: Slack, posted: PostedMessages, payload: Payload, urls: tuple[str, ...]) -> None:
        self._slack = slack
        self._posted = posted
        self._payload = payload
        self._lines = {url: f"{blocks.linked(url, '')}\n⏳ queued" for url in urls}
        self._pending = set(urls)
        self._writing = asyncio.Lock()

    async def begin(self, *, private: bool) -> None:
        """Post the message, unless an earlier attempt has."""
        if self._posted.ts:
            return
        channel, user = self._payload["channel"], self._payload["user"]
        try:
            posted = await self._slack.post(user if private else channel, self._text(), self._blocks())
        except SlackRefused as error:
            logger.bind(code=error.code).info("ingest reported in a direct message")
            posted = await self._slack.post(user, self._text(), self._blocks())
        await self._posted.add(" ".join(posted))

    async def set(self, url: str, line: str) -> None:
        if self._lines[url] != line:
            self._lines[url] = line
            await self._write(self._text(), self._blocks())
        if "⏳" not in line:
            self._pending.discard(url)

    async def set_all_pending(self, words: str) -> None:
        for url in self._pending:
            self._lines[url] = f"{blocks.linked(url, '')}\n{words}"
        await self._write(self._text(), self._blocks())

    async def waiting(self) -> None:
        await self.set_all_pending("⏳ my document service is away; I'll go on as soon as it is back")

    async def say(self, words: str) -> None:
        await self._write(words, [blocks.section(words)])

    async def _write(self, text: str, content: list[Block]) -> None:
        channel, _, ts = self._posted.ts[0].partition(" ")
        async with self._writing:
            await self._slack.update(channel, ts, text, content)

    def _text(self) -> str:
        return f"Ingesting {blocks.counted(len(self._lines), 'document')}"

    def _blocks(self) -> list[Block]:
        asker = blocks.context(f"Added by <@{self._payload['user']}> with `/ingest`")
        return [*(blocks.section(line) for line in self._lines.values()), asker]


@dataclass(frozen=True, slots=True)
class DocsJob:
    """One `/docs` command, or a button under its list; answered once, also where the bot restarts in between."""

    shelf: Shelf
    slack: Slack
    name: str = "docs"

    async def attempt(self, payload: Payload) -> None:
        try:
            command = read_docs(payload["text"])
        except CommandError as error:
            await self._respond(payload, str(error))
            return
        exact = payload.get("exact") == "yes"
        await self._respond(payload, *await self.shelf.run(command, _asker(payload), exact=exact))

    async def give_up(self, payload: Payload) -> None:
        logger.bind(job=self.name, user=payload["user"]).error("command unanswered")

    async def fail(self, payload: Payload) -> None:
        await self._respond(payload, "Something went wrong on my side. Please run the command again.")

    async def _respond(self, payload: Payload, text: str, content: Sequence[Block] = ()) -> None:
        await self.slack.respond(payload["response_url"], text, content or [blocks.section(text)])


def _asker(payload: Payload) -> Turn:
    """Return who asked, as a turn whose answer only they see."""
    return Turn(
        team=payload["team"],
        channel=payload["channel"],
        ts="",
        thread_ts="",
        user=payload["user"],
        text="",
        place="ephemeral",
    )


@dataclass(frozen=True, slots=True)
class HomeJob:
    """One visit to the App Home."""

    shelf: Shelf
    slack: Slack
    name: str = "home"

    async def attempt(self, payload: Payload) -> None:
        user = payload["user"]
        documents: list[Document] | None
        try:
            documents = await self.shelf.readable(Audience(user=user, private=True), payload["team"])
        except (BackendUnavailable, BackendProblem):
            documents = None
        await self.slack.publish_home(user, home_blocks(documents))

    async def give_up(self, payload: Payload) -> None:
        logger.bind(job=self.name, user=payload["user"]).warning("home not shown")

    async def fail(self, payload: Payload) -> None:
        logger.bind(job=self.name, user=payload["user"]).warning("home not shown")


@dataclass(frozen=True, slots=True)
class Shelf:
    """`/docs`: what the asker may read, listed, searched, refreshed, removed. Answers are for the asker alone."""

    backend: Backend
    directory: Directory
    listed: OrderedDict[str, tuple[str, ...]] = field(default_factory=OrderedDict)
    """The ids that each user last saw as numbers."""

    async def run(self, command: DocsCommand, turn: Turn, *, exact: bool = False) -> tuple[str, list[Block]]:
        """Return the answer's text and blocks. With `exact` the target is an id, never a number."""
        try:
            if command.verb in {"list", "search"}:
                return await self._list(command, turn)
            document_id = command.target if exact else self._named(command.target, turn.user)
            return await self._change(command.verb, document_id, turn)
        except BackendUnavailable:
            return DOWN, []
        except BackendProblem as error:
            return str(error), []

    async def readable(self, audience: Audience, team: str, text: str = "") -> list[Document]:
        """Return the newest documents that the audience may read."""
        found = await self.backend.documents(team, text=text, limit=SCANNED)
        return [document for document in found.documents if may_read(document.visibility, audience)]

    async def _audience(self, turn: Turn) -> Audience:
        return audience_of(turn, await self.directory.channels_of(turn.user))

    async def _list(self, command: DocsCommand, turn: Turn) -> tuple[str, list[Block]]:
        documents = await self.readable(await self._audience(turn), turn.team, command.target)
        if not documents:
            return ("Nothing matches that." if command.target else "There are no documents yet. Try `/ingest URL`."), []
        shown = documents[:SHOWN]
        self._note(turn.user, tuple(document.document_id for document in shown))
        heading = f"*{blocks.counted(len(documents), 'document')}*"
        heading += f", the {SHOWN} newest; find more with `/docs search WORDS`" if len(documents) > SHOWN else ""
        return f"{blocks.counted(len(documents), 'document')}", blocks.document_blocks(shown, heading)

    def _note(self, user: str, ids: tuple[str, ...]) -> None:
        self.listed[user] = ids
        self.listed.move_to_end(user)
        if len(self.listed) > 1_000:
            self.listed.popitem(last=False)

    async def _change(self, verb: str, document_id: str | None, turn: Turn) -> tuple[str, list[Block]]:
        if document_id is None:
            return "I don't know which one that is. Run `/docs list` first, then use its number.", []
        document = await self.backend.document(turn.team, document_id)
        if not may_read(document.visibility, await self._audience(turn)):
            return "There is no such document.", []
        title = blocks.escaped(shortened(document.title or document.document_id, 100))
        if verb == "remove":
            await self.backend.remove(turn.team, document_id)
            return f"Removed *{title}*. No answer uses it any more.", []
        await self.backend.refresh(turn.team, document_id)
        return f"Refreshing *{title}*; `/docs list` shows when it is ready.", []

    def _named(self, target: str, user: str) -> str | None:
        if not target.isdigit() or len(target) > 4:
            return target
        listed = self.listed.get(user, ())
        return listed[int(target) - 1] if 1 <= int(target) <= len(listed) else None
