"""Documents come in: links and files, by `/ingest` or by a message, and whoever asked sees how it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile

import msgspec

from backend.schema import CollectionRequest, IngestReply, IngestRequest
from bot import blocks
from bot.archives import archive_request, follow_archive
from bot.audience import refusal_to_ingest
from bot.client import Backend
from bot.commands import (
    INGEST_HELP,
    MAX_URLS,
    CommandError,
    IngestCommand,
    read_ingest,
    shared_visibility,
    stated_visibility,
)
from bot.directory import Directory
from bot.durable import Payload
from bot.files import MAX_FILE, SharedFile, is_archive, read_files, write_files
from bot.progress import Asked, Progress, end_in_words, follow, follow_all
from bot.slack import Slack, SlackRefused
from bot.store import PostedMessages, Store
from bot.thread import Turn
from bot.wish import links_in

FILE_PROBLEMS = {
    "not_on_slack": "That file is not kept in Slack. Give me its address instead.",
    "too_large": f"The file is larger than {MAX_FILE // 1_000_000} MB, which is the most that I take.",
    "missing_scope": "Slack does not let me read files here. Someone needs to add the `files:read` scope to the app.",
    "file_not_found": "Slack no longer has that file.",
}
NOTHING_TO_ADD = (
    "There is neither a link nor a file in that message. Give me an address, share a file with the words "
    "_ingest this_, or use *Ingest this thread* in a message's menu."
)


class Wanted(msgspec.Struct, frozen=True):
    """What one request comes to: the command, and the links and files that it is about."""

    command: IngestCommand
    urls: tuple[str, ...] = ()
    files: tuple[SharedFile, ...] = ()


def payload_of_wish(turn: Turn, wish: str, files: Sequence[SharedFile]) -> Payload:
    """Return what is recorded of a message that asks to be ingested. Its app_mention/message twins share the key."""
    return {
        "key": f"ingest:{turn.team}:{turn.channel}:{turn.ts}",
        "team": turn.team,
        "channel": turn.channel,
        "user": turn.user,
        "text": wish,
        "files": write_files(files),
        "thread_ts": turn.thread_ts,
    }


@dataclass(frozen=True, slots=True)
class IngestJob:
    """One wish to ingest: a message whose lines follow each document to `ready` or `failed`.

    The message stands where the wish was made, in its thread if it was a message; where we may not post, and for
    documents of the asker alone, it goes to the asker's direct messages.
    """

    slack: Slack
    backend: Backend
    store: Store
    directory: Directory
    allow_external: bool = False
    name: str = "ingest"

    async def attempt(self, payload: Payload) -> None:
        asked = Asked.of(payload)
        if not self.allow_external and (refused := refusal_to_ingest(await self.directory.person(asked.user))):
            await asked.whisper(self.slack, refused)
            return
        try:
            wanted = await self._wanted(payload)
        except CommandError as error:
            await asked.whisper(self.slack, str(error))
            return
        await self._bring_in(wanted, asked)

    async def _wanted(self, payload: Payload) -> Wanted:
        """Return what is asked for; "ingest this" without anything is about the message that it replies to.

        CommandError if that comes to nothing.
        """
        thread_ts = payload.get("thread_ts", "")
        command = read_ingest(payload["text"], needs_url=not thread_ts)
        urls, files = command.urls, read_files(payload.get("files", ""))
        if not urls and not files:
            text, files = await self._message(payload["channel"], thread_ts)
            urls = tuple(links_in(text))[:MAX_URLS]
        if not urls and not files:
            raise CommandError(NOTHING_TO_ADD)
        return Wanted(command, urls, files)

    async def _message(self, channel: str, ts: str) -> tuple[str, tuple[SharedFile, ...]]:
        try:
            return await self.slack.message(channel, ts)
        except SlackRefused:
            raise CommandError(INGEST_HELP) from None

    async def _bring_in(self, wanted: Wanted, asked: Asked) -> None:
        labels = {url: blocks.linked(url, "") for url in wanted.urls}
        labels |= {file.id: blocks.linked(file.name, "") for file in wanted.files}
        posted = await self.store.posted(asked.key)
        progress = Progress(self.slack, posted, asked, labels)
        await progress.begin(private=wanted.command.visibility == "private")
        links = [self._follow_link(url, wanted.command, asked, progress) for url in wanted.urls]
        files = [self._follow_file(file, wanted.command, asked, progress, posted) for file in wanted.files]
        await follow_all(progress, [*links, *files])

    async def _follow_link(self, url: str, command: IngestCommand, asked: Asked, progress: Progress) -> None:
        visibility = stated_visibility(command, asked.channel, asked.user)
        request = request_of(command, asked, visibility, url=url, title=command.title or None)
        await follow(self.backend, asked.team, url, lambda: self.backend.ingest(request), progress)

    async def _follow_file(
        self, file: SharedFile, command: IngestCommand, asked: Asked, progress: Progress, posted: PostedMessages
    ) -> None:
        visibility = shared_visibility(command, asked.channel, asked.user)
        request = request_of(command, asked, visibility, title=command.title or file.stated_title or None)
        archive = archive_request(command, asked)
        try:
            if is_archive(file):
                await follow_archive(
                    self.backend, asked, file, lambda: self._hand_over_archive(file, archive), progress, posted
                )
            else:
                await follow(self.backend, asked.team, file.id, lambda: self._hand_over(file, request), progress)
        except SlackRefused as error:
            reason = FILE_PROBLEMS.get(error.code, f"Slack does not give me that file ({error.code}).")
            await progress.fail(file.id, reason)

    async def _hand_over(self, file: SharedFile, request: IngestRequest) -> IngestReply:
        """Bring a file from Slack to the backend, by way of the disk: neither end holds it whole."""
        with TemporaryFile() as content:
            await self.slack.download(file, content, limit=MAX_FILE)
            return await self.backend.ingest_file(request, content, name=file.name, mimetype=file.mimetype)

    async def _hand_over_archive(self, file: SharedFile, request: CollectionRequest) -> str:
        with TemporaryFile() as content:
            await self.slack.download(file, content, limit=MAX_FILE)
            reply = await self.backend.collect_file(request, content, name=file.name, mimetype=file.mimetype)
            return reply.collection_id

    async def give_up(self, payload: Payload) -> None:
        await self._end(payload, "My document service was away for too long. Please try again.")

    async def fail(self, payload: Payload) -> None:
        await self._end(payload, "Something went wrong on my side. Please try again.")

    async def _end(self, payload: Payload, words: str) -> None:
        await end_in_words(self.slack, await self.store.posted(payload["key"]), Asked.of(payload), words)


def request_of(
    command: IngestCommand, asked: Asked, visibility: str, *, url: str | None = None, title: str | None = None
) -> IngestRequest:
    """Return one document as the backend takes it; a refresh is for what has an address."""
    metadata = command.metadata
    return IngestRequest(
        url=url,
        title=title,
        team=asked.team,
        visibility=visibility,
        metadata=metadata if url else metadata | {"source": "slack"},
        refresh_days=command.refresh_days if url else None,
        by=asked.user,
    )
