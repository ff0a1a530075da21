"""Threads as documents: taken in when somebody asks, then kept as Slack has them, and gone when Slack's are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from loguru import logger

from backend.schema import Document, IngestRequest
from bot import blocks
from bot.audience import refusal_to_ingest
from bot.client import Backend, BackendProblem
from bot.directory import Directory
from bot.durable import Payload
from bot.progress import Asked, Progress, end_in_words, follow, follow_all
from bot.slack import Slack, SlackRefused
from bot.store import IngestedThread, Store
from bot.thread_document import (
    ThreadChange,
    ThreadMessage,
    document_id_of,
    people_in,
    thread_request,
    up_to,
)

SETTLE = 2.0
"""Seconds without a further edit before a thread is read again."""
CANNOT_READ = "I can't read this conversation. Invite me to it (`/invite @Footnote`) and try again."
SHARED = "This channel is shared with another workspace, so I don't take its threads in."
NO_TEXT = "There is nothing in this thread that I could take in."
GONE = {"thread_not_found", "message_not_found"}


@dataclass(frozen=True, slots=True)
class Threads:
    """Slack's threads, read as documents."""

    slack: Slack
    directory: Directory
    bot_user: str

    async def read(self, thread: IngestedThread) -> IngestRequest | None:
        """Return the thread as a document, as Slack has it now; None if nothing is left of it.

        SlackRefused: we may not read it, or it is gone.
        """
        found = await self.slack.thread(thread.channel, thread.thread_ts)
        messages = up_to(found, thread.until_ts, self.bot_user)
        if not messages:
            return None
        return thread_request(
            messages,
            await self._names(messages),
            team=thread.team,
            channel=thread.channel,
            thread_ts=thread.thread_ts,
            user=thread.user,
            url=await self.slack.permalink(thread.channel, thread.thread_ts),
        )

    async def _names(self, messages: list[ThreadMessage]) -> dict[str, str]:
        ids = people_in(messages)
        people = await asyncio.gather(*(self.directory.person(user) for user in ids))
        return {user: person.name for user, person in zip(ids, people, strict=True) if person and person.name}


@dataclass(frozen=True, slots=True)
class ThreadJob:
    """One use of *Ingest this thread*: the thread as it is now becomes a document for those who read it."""

    slack: Slack
    backend: Backend
    store: Store
    threads: Threads
    allow_external: bool = False
    name: str = "thread"

    async def attempt(self, payload: Payload) -> None:
        asked = Asked.of(payload)
        try:
            refused = None if self.allow_external else await self._refusal(asked)
            read = None if refused else await self._read(asked, payload["until_ts"])
        except SlackRefused as error:
            logger.bind(code=error.code).info("thread not readable")
            refused, read = CANNOT_READ, None
        if read is None:
            await asked.whisper(self.slack, refused or NO_TEXT)
            return
        await self._bring_in(*read, asked)

    async def _refusal(self, asked: Asked) -> str | None:
        directory = self.threads.directory
        if refused := refusal_to_ingest(await directory.person(asked.user)):
            return refused
        if asked.is_direct:
            return None
        channel = await directory.channel(asked.channel)
        return CANNOT_READ if channel is None else SHARED if channel.shared else None

    async def _read(self, asked: Asked, until_ts: str) -> tuple[IngestedThread, IngestRequest] | None:
        thread = IngestedThread(asked.team, asked.channel, asked.thread_ts, until_ts, asked.user)
        request = await self.threads.read(thread)
        return (thread, request) if request else None

    async def _bring_in(self, thread: IngestedThread, request: IngestRequest, asked: Asked) -> None:
        """Remember the thread before it is handed over, so that no edit of it is missed."""
        await self.store.put_thread(thread)
        name = thread.document_id
        progress = Progress(
            self.slack, await self.store.posted(asked.key), asked, {name: blocks.escaped(request.title or "")}
        )
        await progress.begin(private=False)
        following = follow(self.backend, asked.team, name, lambda: self.backend.ingest(request), progress)
        await follow_all(progress, [following])
        await progress.finish([blocks.remove_button(name)])

    async def give_up(self, payload: Payload) -> None:
        await self._end(payload, "My document service was away for too long. Please try again.")

    async def fail(self, payload: Payload) -> None:
        await self._end(payload, "Something went wrong on my side. Please try again.")

    async def _end(self, payload: Payload, words: str) -> None:
        await end_in_words(self.slack, await self.store.posted(payload["key"]), Asked.of(payload), words)


@dataclass(frozen=True, slots=True)
class ThreadChangeJob:
    """One edit or deletion in a thread that is a document: the document follows, once the edits have settled."""

    backend: Backend
    store: Store
    threads: Threads
    settle: float = SETTLE
    name: str = "thread-change"

    async def attempt(self, payload: Payload) -> None:
        team, channel, thread_ts = payload["team"], payload["channel"], payload["thread_ts"]
        if payload["ends"] == "yes":
            await self._remove(team, document_id_of(team, channel, thread_ts))
            return
        await asyncio.sleep(self.settle)
        thread = await self.store.thread(team, channel, thread_ts)
        if thread is None or thread.changes != int(payload["change"]):
            return
        await self._renew(thread)

    async def _renew(self, thread: IngestedThread) -> None:
        """Bring the document up to date, unless it was removed meanwhile, before or while we did."""
        if await self._document(thread) is None:
            await self.store.drop_thread(thread.document_id)
            return
        request = await self._read(thread)
        if request is None:
            await self._remove(thread.team, thread.document_id)
            return
        await self.backend.ingest(request)
        if await self.store.thread(thread.team, thread.channel, thread.thread_ts) is None:
            await self._remove(thread.team, thread.document_id)
        logger.bind(document_id=thread.document_id).info("thread followed")

    async def _document(self, thread: IngestedThread) -> Document | None:
        try:
            document = await self.backend.document(thread.team, thread.document_id)
        except BackendProblem as error:
            if error.problem.status == 404:
                return None
            raise
        return None if document.status == "deleted" else document

    async def _read(self, thread: IngestedThread) -> IngestRequest | None:
        try:
            return await self.threads.read(thread)
        except SlackRefused as error:
            if error.code in GONE:
                return None
            raise

    async def _remove(self, team: str, document_id: str) -> None:
        try:
            await self.backend.remove(team, document_id)
        except BackendProblem as error:
            if error.problem.status != 404:
                raise
        await self.store.drop_thread(document_id)
        logger.bind(document_id=document_id).info("thread removed")

    async def give_up(self, payload: Payload) -> None:
        logger.bind(channel=payload["channel"], thread_ts=payload["thread_ts"]).error("thread not followed")

    async def fail(self, payload: Payload) -> None:
        logger.bind(channel=payload["channel"], thread_ts=payload["thread_ts"]).error("thread not followed")


def payload_of_change(team: str, change: ThreadChange, number: int) -> Payload:
    """Return what is recorded of an edit or deletion; `number` counts the changes of that thread."""
    return {
        "team": team,
        "channel": change.channel,
        "thread_ts": change.thread_ts,
        "change": str(number),
        "ends": "yes" if change.ends else "",
    }
