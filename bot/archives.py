"""Archives that people share: the backend makes a collection of them, told in one line among the other documents."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from backend.schema import MAX_COLLECTION, Collection, CollectionRequest
from bot import blocks
from bot.client import Backend, BackendProblem
from bot.collection_jobs import CANCEL, collection_text, failed_documents, is_over
from bot.commands import IngestCommand, shared_visibility
from bot.files import SharedFile
from bot.progress import MAX_POLL, POLL, Asked, Progress
from bot.slack import Block
from bot.store import PostedMessages


def archive_request(command: IngestCommand, asked: Asked) -> CollectionRequest:
    """Return what goes with the archive. Whoever shares one means all of it, as far as the backend takes so much."""
    return CollectionRequest(
        kind="zip",
        limit=MAX_COLLECTION,
        team=asked.team,
        visibility=shared_visibility(command, asked.channel, asked.user),
        metadata=command.metadata | {"source": "slack"},
        by=asked.user,
    )


async def follow_archive(
    backend: Backend,
    asked: Asked,
    file: SharedFile,
    hand_over: Callable[[], Awaitable[str]],
    progress: Progress,
    posted: PostedMessages,
) -> None:
    """Hand an archive over and report until each of its documents has come to an end.

    The collection's id is remembered beside the message: a later attempt follows it, and begins nothing again that was
    cancelled. `hand_over` returns that id.
    """
    try:
        collection_id = _remembered(posted, file) or await hand_over()
        if not _remembered(posted, file):
            await posted.add(f"{file.id} {collection_id}")
        pause = POLL
        while True:
            collection = await backend.collection(asked.team, collection_id)
            over = is_over(collection)
            await progress.set(file.id, archive_line(collection), pending=not over, below=_controls(collection))
            if over:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_POLL)
    except BackendProblem as error:
        await progress.fail(file.id, str(error))


def archive_line(collection: Collection) -> str:
    """Return an archive as its line says it: its name, how far it is, what failed and why."""
    return "\n".join((blocks.linked(collection.url, ""), collection_text(collection), *failed_documents(collection)))


def _controls(collection: Collection) -> list[Block]:
    if is_over(collection) or collection.status == "cancelled":
        return []
    return [blocks.cancel_button(CANCEL, collection.collection_id)]


def _remembered(posted: PostedMessages, file: SharedFile) -> str:
    """Return the id of the collection that an earlier attempt began, "" if none has."""
    pairs = (entry.partition(" ") for entry in posted.ts[1:])
    return next((collection_id for file_id, _, collection_id in pairs if file_id == file.id), "")
