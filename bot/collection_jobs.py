"""Whole sites, feeds and archives: one message that counts their documents, with a button that ends it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from loguru import logger

from backend.schema import Collection, CollectionRequest
from bot import blocks
from bot.audience import refusal_to_ingest
from bot.client import Backend, BackendProblem, BackendUnavailable
from bot.commands import CommandError, read_ingest, stated_visibility
from bot.directory import Directory
from bot.durable import Payload
from bot.progress import Asked, end_in_words
from bot.quotes import shortened
from bot.slack import Block, Slack, SlackRefused
from bot.store import PostedMessages, Store

CANCEL = "collection_cancel"
"""The action id of the Cancel button; its value is the collection's id."""
POLL = 0.5
MAX_POLL = 5.0
TIMEOUT = 3 * 3600.0
"""Seconds for which a message follows a collection: 500 documents take some minutes."""
SHOWN_FAILURES = 5
NAMES = {"site": "Site", "feed": "Feed", "zip": "Archive"}


@dataclass(frozen=True, slots=True)
class CollectionJob:
    """One `/ingest site`, `feed` or `zip`: its message follows the collection to its end.

    The collection's id is remembered beside the message, so that a later attempt goes on following the same one and
    never begins again what was cancelled.
    """

    slack: Slack
    backend: Backend
    store: Store
    directory: Directory
    allow_external: bool = False
    name: str = "collection"

    async def attempt(self, payload: Payload) -> None:
        asked = Asked.of(payload)
        if not self.allow_external and (refused := refusal_to_ingest(await self.directory.person(asked.user))):
            await asked.whisper(self.slack, refused)
            return
        try:
            request = request_of(payload["text"], asked)
        except CommandError as error:
            await asked.whisper(self.slack, str(error))
            return
        posted = await self.store.posted(asked.key)
        try:
            await self._follow(request, asked, posted)
        except BackendProblem as error:
            reason = blocks.escaped(shortened(str(error), 400))
            await end_in_words(self.slack, posted, asked, f"{_named(request)}\n⚠️ failed\n>{reason}")

    async def _follow(self, request: CollectionRequest, asked: Asked, posted: PostedMessages) -> None:
        await self._begin(request, asked, posted)
        try:
            if len(posted.ts) < 2:
                await posted.add((await self.backend.collect(request)).collection_id)
            await self._watch(posted.ts[1], asked, posted)
        except BackendUnavailable:
            waiting = f"{_named(request)}\n⏳ my document service is away; I'll go on when it is back"
            await self._write(posted, waiting, [blocks.section(waiting)])
            raise

    async def _begin(self, request: CollectionRequest, asked: Asked, posted: PostedMessages) -> None:
        """Post the message, unless an earlier attempt has; where we may not post, to the asker."""
        if posted.ts:
            return
        text = f"{_named(request)}\n⏳ queued"
        private = request.visibility.startswith("user:") and not asked.is_direct
        try:
            to, thread_ts = (asked.user, None) if private else (asked.channel, asked.thread_ts or None)
            place = await self.slack.post(to, text, [blocks.section(text)], thread_ts=thread_ts)
        except SlackRefused as error:
            logger.bind(code=error.code).info("ingest reported in a direct message")
            place = await self.slack.post(asked.user, text, [blocks.section(text)])
        await posted.add(" ".join(place))

    async def _watch(self, collection_id: str, asked: Asked, posted: PostedMessages) -> None:
        shown: list[Block] = []
        pause = POLL
        async with asyncio.timeout(TIMEOUT):
            while True:
                collection = await self.backend.collection(asked.team, collection_id)
                content = collection_blocks(collection, asked.user)
                if content != shown:
                    await self._write(posted, collection_text(collection), content)
                    shown = content
                if is_over(collection):
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, MAX_POLL)

    async def _write(self, posted: PostedMessages, text: str, content: list[Block]) -> None:
        channel, _, ts = posted.ts[0].partition(" ")
        await self.slack.update(channel, ts, text, content)

    async def give_up(self, payload: Payload) -> None:
        await self._end(payload, "My document service was away for too long. Please try again.")

    async def fail(self, payload: Payload) -> None:
        await self._end(payload, "Something went wrong on my side. `/docs list` shows what was taken in.")

    async def _end(self, payload: Payload, words: str) -> None:
        await end_in_words(self.slack, await self.store.posted(payload["key"]), Asked.of(payload), words)


@dataclass(frozen=True, slots=True)
class CancelJob:
    """One press of Cancel; the message itself shows what came of it."""

    slack: Slack
    backend: Backend
    name: str = "collection-cancel"

    async def attempt(self, payload: Payload) -> None:
        try:
            await self.backend.cancel_collection(payload["team"], payload["collection_id"], by=payload.get("user", ""))
        except BackendProblem as error:
            await self.slack.respond(payload["response_url"], str(error))

    async def give_up(self, payload: Payload) -> None:
        await self.fail(payload)

    async def fail(self, payload: Payload) -> None:
        await self.slack.respond(payload["response_url"], "I could not cancel that. Please try again.")


# ------------------------------------------------------------------------------------------------ decisions and wording


def request_of(text: str, asked: Asked) -> CollectionRequest:
    """Return what the backend is asked for. CommandError if the text is no collection."""
    command = read_ingest(text)
    return CollectionRequest(
        url=command.urls[0],
        kind=command.collection,
        limit=command.limit,
        team=asked.team,
        visibility=stated_visibility(command, asked.channel, asked.user),
        metadata=command.metadata,
        refresh_days=command.refresh_days,
        by=asked.user,
    )


def _named(request: CollectionRequest) -> str:
    return blocks.linked(request.url or "", "")


def is_over(collection: Collection) -> bool:
    """Whether nothing of it will change any more. Cancelled ones still finish what was being read."""
    if collection.status in ("queued", "discovering"):
        return False
    return collection.status == "failed" or not _under_way(collection)


def _under_way(collection: Collection) -> int:
    return collection.counts.get("queued", 0) + collection.counts.get("processing", 0)


def collection_text(collection: Collection) -> str:
    """Return how far it is, in one line."""
    counts = collection.counts
    ready, failed = counts.get("ready", 0), counts.get("failed", 0)
    parts = [f"{ready} of {blocks.counted(collection.found, 'document')} ready"]
    parts += [f"{failed} failed"] if failed else []
    match collection.status:
        case "queued":
            return "⏳ queued"
        case "discovering":
            return f"⏳ looking for documents: {collection.found} so far"
        case "failed":
            return f"⚠️ failed\n>{blocks.escaped(shortened(collection.reason, 400))}"
        case "cancelled":
            return f"🛑 cancelled · {blocks.counted(ready, 'document')} taken in"
        case _:
            stopped = f"\n⚠️ {blocks.escaped(shortened(collection.reason, 400))}" if collection.reason else ""
            return f"{'⏳' if _under_way(collection) else '✅'} {' · '.join(parts)}{stopped}"


def failed_documents(collection: Collection) -> list[str]:
    """Return a line for each of the first documents that failed, with the reason."""
    return [
        f"• {blocks.linked(one.url or one.document_id, '')}: {blocks.escaped(shortened(one.reason, 150))}"
        for one in collection.failures[:SHOWN_FAILURES]
    ]


def collection_blocks(collection: Collection, user: str) -> list[Block]:
    """Return the message: what it is, how far, what failed and why, and the button that ends it."""
    name = NAMES.get(collection.kind or "", "Site")
    shown = [blocks.section(f"*{name}* {blocks.linked(collection.url, '')}\n{collection_text(collection)}")]
    failures = failed_documents(collection)
    if failures:
        shown.append(blocks.section("*Failed*\n" + "\n".join(failures)))
    if not is_over(collection) and collection.status != "cancelled":
        shown.append(blocks.cancel_button(CANCEL, collection.collection_id))
    return [*shown, blocks.context(f"Added by <@{user}>; `/docs` lists and removes documents")]
