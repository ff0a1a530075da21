"""A process that ingests documents durably into a folder and says `writing` and `done`: to be killed in the middle.

Everything is real but the fetcher, which is slow, and the index, which is a file for each document.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from loguru import logger

from backend.adapters.blobs import FileBlobs
from backend.adapters.dbos import DbosIngestQueue, Pace
from backend.adapters.migrate import migrate
from backend.adapters.sql import Database
from backend.domain import Contents, IndexedDocument, Snapshot
from backend.ingest.pipeline import Ingest
from backend.ingest.submission import Submission
from backend.ports import Fetched
from tests.fakes.embedder import HashEmbedder
from tests.fakes.ingest import read_text, split_lines

TEAM = "T1"
PAUSE = 0.03
"""Seconds that a fetch and a write take, so that a kill falls into them."""


class SlowFetcher:
    async def fetch(self, url: str, known: Snapshot | None = None) -> Fetched:
        await asyncio.sleep(PAUSE)
        return Fetched(f"# {url}\nText of {url}.".encode(), url, "text/plain")


@dataclass(frozen=True)
class FolderWriter:
    """Appends to each document's file what was written, so that a second writing shows."""

    folder: Path
    told: Connection

    async def replace(self, documents: Sequence[IndexedDocument]) -> None:
        for document in documents:
            self.told.send("writing")
            with (self.folder / f"{document.document_id}.jsonl").open("a") as file:
                file.write(json.dumps({"revision": document.revision, "chunks": len(document.chunks)}) + "\n")
            await asyncio.sleep(PAUSE)

    async def delete(self, team: str, document_ids: Sequence[str]) -> None:
        for document_id in document_ids:
            (self.folder / f"{document_id}.jsonl").unlink(missing_ok=True)

    async def contents(self, team: str, document_id: str) -> Contents | None:
        return None

    async def optimise(self) -> None:
        return None


async def drained(queue: DbosIngestQueue) -> None:
    async with asyncio.timeout(20):
        while await queue.depth():  # noqa: ASYNC110 - the queue tells no more than its depth
            await asyncio.sleep(0.05)


async def main(folder: Path, count: int, told: Connection) -> None:
    (folder / "index").mkdir(exist_ok=True)
    database = Database.open(f"sqlite:///{folder}/footnote.sqlite")
    blobs = FileBlobs(folder / "blobs")
    await blobs.clear_unfinished()
    ingest = Ingest(
        documents=database.documents,
        removals=database.removals,
        notices=database.notices,
        sketches=database.sketches,
        usages=database.usages,
        blobs=blobs,
        fetcher=SlowFetcher(),
        extract=read_text,
        split=split_lines,
        embedder=HashEmbedder(),
        writer=FolderWriter(folder / "index", told),
    )
    queue = await DbosIngestQueue.open(f"sqlite:///{folder}/dbos.sqlite", ingest, workers=2, pace=Pace(poll=0.02))
    await ingest.resume(queue)
    for number in range(count):
        submission = Submission(TEAM, url=f"https://example.org/{number}", document_id=str(number))
        if await database.documents.get(TEAM, submission.document_id) is None:
            document = await ingest.accept(submission)
            await queue.enqueue(TEAM, document.document_id, document.attempt)
    for number in range(count):
        waiting = await database.documents.get(TEAM, str(number))
        if waiting and waiting.attempt:
            await queue.wait(TEAM, waiting.document_id, waiting.attempt)
    await drained(queue)
    await queue.close()
    await database.close()
    told.send("done")


def serve(folder: Path, count: int, told: Connection) -> None:
    logger.remove()
    migrate(f"sqlite:///{folder}/footnote.sqlite")
    asyncio.run(main(folder, count, told))
