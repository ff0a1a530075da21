"""Durable ingestion: what is enqueued ends, once, whatever happens to the process."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from backend.adapters.dbos import DbosIngestQueue, Pace
from backend.adapters.dbos_work import size_of
from backend.domain import Document
from backend.errors import DatabaseUnavailable, FetchFailed, FetchRefused, IndexUnavailable
from backend.ingest.stranded import Stranded
from backend.ingest.submission import Submission, Upload
from tests.fakes.ingest import Rig
from tests.fakes.ingest_process import serve
from tests.fakes.state import FakeDocuments

QUICK = Pace(poll=0.02, retry=0.01, attempts=3)


@asynccontextmanager
async def opened(rig: Rig, folder: Path) -> AsyncIterator[DbosIngestQueue]:
    queue = await DbosIngestQueue.open(f"sqlite:///{folder}/state/dbos.sqlite", rig.ingest, workers=2, pace=QUICK)
    try:
        yield queue
    finally:
        await queue.close()


async def enqueue(rig: Rig, queue: DbosIngestQueue, submission: Submission) -> Document:
    document = await rig.ingest.accept(submission)
    await queue.enqueue(document.team, document.document_id, document.attempt)
    return document


async def ended(rig: Rig, queue: DbosIngestQueue, document: Document) -> Document:
    await asyncio.wait_for(queue.wait(document.team, document.document_id, document.attempt), 60)
    return rig.documents.rows[document.team, document.document_id]


def text(number: int) -> Submission:
    return Submission("T1", upload=Upload(f"# Title {number}\nText {number}.".encode()), document_id=f"d/{number}")


async def test_documents_are_ready_when_their_work_has_ended(tmp_path: Path) -> None:
    rig = Rig()
    async with opened(rig, tmp_path) as queue:
        documents = [await enqueue(rig, queue, text(number)) for number in range(5)]
        done = [await ended(rig, queue, document) for document in documents]
        assert await queue.depth() == 0

    assert {document.status for document in done} == {"ready"}
    assert sorted(written for commit in rig.writer.commits for written in commit) == [f"d/{n}" for n in range(5)]
    assert set(rig.blobs.rows) == {document.origin.blob for document in done}


async def test_a_failure_that_may_pass_is_tried_again_and_one_that_will_not_is_not(tmp_path: Path) -> None:
    rig = Rig()
    rig.fetcher.pages = {
        "https://down.example/": FetchFailed("It did not answer.", retry=True),
        "https://lan.example/": FetchRefused("It is a private address."),
    }
    async with opened(rig, tmp_path) as queue:
        down = await enqueue(rig, queue, Submission("T1", url="https://down.example/"))
        refused = await enqueue(rig, queue, Submission("T1", url="https://lan.example/"))
        down, refused = await ended(rig, queue, down), await ended(rig, queue, refused)

    assert (down.status, down.reason) == ("failed", "It did not answer.")
    assert (refused.status, refused.reason) == ("failed", "It is a private address.")
    assert rig.fetcher.fetched.count("https://down.example/") == QUICK.attempts
    assert rig.fetcher.fetched.count("https://lan.example/") == 1


async def test_an_index_that_is_down_for_good_fails_the_document_with_a_reason(tmp_path: Path) -> None:
    rig = Rig()
    rig.writer.fault = IndexUnavailable("The index cannot be reached.")
    async with opened(rig, tmp_path) as queue:
        document = await ended(rig, queue, await enqueue(rig, queue, text(1)))

    assert (document.status, document.reason) == ("failed", "The index cannot be reached.")


@dataclass
class FullDisk(FakeDocuments):
    """Records what is to be done, and nothing after that while it is `full`."""

    full: bool = False

    async def put(self, document: Document) -> None:
        if self.full and document.status != "processing":
            raise DatabaseUnavailable("database or disk is full")
        await super().put(document)


async def test_a_document_whose_end_could_not_be_recorded_is_brought_in_once_there_is_room(tmp_path: Path) -> None:
    documents = FullDisk()
    rig = Rig(documents=documents)
    rig.writer.fault = IndexUnavailable("The disk is full.")
    async with opened(rig, tmp_path) as queue:
        stranded = Stranded(rig.ingest, queue, grace=0.0)
        document = await enqueue(rig, queue, text(1))
        documents.full = True
        assert (await ended(rig, queue, document)).status == "processing"
        with pytest.raises(DatabaseUnavailable):
            await stranded.look()

        documents.full, rig.writer.fault = False, None
        await stranded.look()
        (anew,) = await documents.unfinished()
        assert anew.attempt != document.attempt
        assert (await ended(rig, queue, anew)).status == "ready"
        await stranded.look()
        assert await documents.unfinished() == ()


async def test_what_waits_or_is_worked_on_is_not_taken_for_lost(tmp_path: Path) -> None:
    rig = Rig()
    rig.writer.gate = asyncio.Event()
    async with opened(rig, tmp_path) as queue:
        begun = [await rig.ingest.accept(text(number)) for number in range(60)]
        works = [(one.team, one.document_id, one.attempt) for one in begun]
        assert await queue.without(works) == set(works)
        for work in works:
            await queue.enqueue(*work)
        await asyncio.wait_for(rig.writer.entered.wait(), 30)
        async with asyncio.timeout(30):
            while await queue.without(works):  # noqa: ASYNC110 - the queue tells nobody when it takes work up
                await asyncio.sleep(0.01)
        assert await queue.depth() == len(works)
        rig.writer.gate.set()
        assert {(await ended(rig, queue, one)).status for one in begun} == {"ready"}


async def test_the_same_attempt_enqueued_twice_is_one_piece_of_work(tmp_path: Path) -> None:
    rig = Rig()
    rig.fetcher.pages = {"https://example.org/": b"Text."}
    async with opened(rig, tmp_path) as queue:
        document = await enqueue(rig, queue, Submission("T1", url="https://example.org/"))
        await queue.enqueue(document.team, document.document_id, document.attempt)
        await ended(rig, queue, document)
        await queue.enqueue(document.team, document.document_id, document.attempt)
        await ended(rig, queue, document)

    assert rig.fetcher.fetched == ["https://example.org/"]


async def test_what_is_enqueued_in_one_go_shares_a_record_and_each_ends_for_itself(tmp_path: Path) -> None:
    rig = Rig()
    rig.fetcher.pages = {"https://lan.example/": FetchRefused("It is a private address.")}
    async with opened(rig, tmp_path) as queue:
        documents = [await enqueue(rig, queue, text(number)) for number in range(12)]
        documents.append(await enqueue(rig, queue, Submission("T1", url="https://lan.example/")))
        again = [(one.team, one.document_id, one.attempt) for one in documents]
        for work in again:
            await queue.enqueue(*work)
        done = [await ended(rig, queue, document) for document in documents]

    assert [one.status for one in done] == ["ready"] * 12 + ["failed"]
    assert sorted(written for commit in rig.writer.commits for written in commit) == sorted(f"d/{n}" for n in range(12))
    with closing(sqlite3.connect(tmp_path / "state" / "dbos.sqlite")) as database:
        names = [name for (name,) in database.execute("SELECT workflow_uuid FROM workflow_status")]
    assert len(names) < len(documents) / 2
    assert sum(size_of(name) for name in names) == len(documents)


async def test_a_group_that_was_begun_too_often_is_begun_one_by_one(tmp_path: Path) -> None:
    rig = Rig()
    rig.writer.gate = asyncio.Event()
    async with opened(rig, tmp_path) as queue:
        documents = [await enqueue(rig, queue, text(number)) for number in range(4)]
        await asyncio.wait_for(rig.writer.entered.wait(), 30)
    with closing(sqlite3.connect(tmp_path / "state" / "dbos.sqlite")) as database:
        database.execute("UPDATE workflow_status SET status = 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'")
        database.commit()

    rig.writer.gate.set()
    async with opened(rig, tmp_path) as queue:
        await rig.ingest.resume(queue)
        done = [await ended(rig, queue, document) for document in documents]
    assert [one.status for one in done] == ["failed", "ready", "ready", "ready"]
    assert "Something went wrong" in done[0].reason


async def test_closing_in_the_middle_of_work_and_opening_again_finishes_it(tmp_path: Path) -> None:
    rig = Rig()
    rig.writer.gate = asyncio.Event()
    async with opened(rig, tmp_path) as queue:
        documents = [await enqueue(rig, queue, text(number)) for number in range(4)]
        await asyncio.wait_for(rig.writer.entered.wait(), 10)
    assert rig.writer.commits == []

    rig.writer.gate.set()
    async with opened(rig, tmp_path) as queue:
        done = [await ended(rig, queue, document) for document in documents]
    assert {document.status for document in done} == {"ready"}
    assert await asyncio.to_thread(lambda: "threads still serve the loop") == "threads still serve the loop"


async def test_work_that_another_version_began_is_begun_anew(tmp_path: Path) -> None:
    rig = Rig()
    rig.writer.gate = asyncio.Event()
    async with opened(rig, tmp_path) as queue:
        document = await enqueue(rig, queue, text(1))
        await asyncio.wait_for(rig.writer.entered.wait(), 10)
    with closing(sqlite3.connect(tmp_path / "state" / "dbos.sqlite")) as database:
        database.execute("UPDATE workflow_status SET application_version = '1'")
        database.commit()

    rig.writer.gate.set()
    async with opened(rig, tmp_path) as queue:
        assert await queue.depth() == 0
        await rig.ingest.resume(queue)
        assert (await ended(rig, queue, document)).status == "ready"


async def test_no_text_reaches_the_tables_of_the_queue(tmp_path: Path) -> None:
    rig = Rig()
    secret = b"Xylophone-Quartz-7731"
    async with opened(rig, tmp_path) as queue:
        await ended(rig, queue, await enqueue(rig, queue, Submission("T1", upload=Upload(secret * 20))))

    with closing(sqlite3.connect(tmp_path / "state" / "dbos.sqlite")) as database:
        dump = "\n".join(database.iterdump())
    assert "workflow_status" in dump
    assert secret.decode() not in dump


# -------------------------------------------------------------------------------------------------------- real crashes


@contextmanager
def process(folder: Path, count: int) -> Iterator[tuple[BaseProcess, Connection]]:
    """Start one in a fork of a server that has imported everything, and kill it when done with."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.fakes.ingest_process"])
    here, there = context.Pipe(duplex=False)
    started = context.Process(target=serve, args=(folder, count, there), daemon=True)
    started.start()
    there.close()
    try:
        yield started, here
    finally:
        started.kill()
        started.join(10)
        started.close()
        here.close()


def test_a_process_killed_again_and_again_ends_with_every_document_ready(tmp_path: Path) -> None:
    count = 20
    for writings in (2, 1, 4):
        with process(tmp_path, count) as (_, told):
            assert [told.recv() for _ in range(writings)] == ["writing"] * writings

    with process(tmp_path, count) as (last, told):
        while told.recv() != "done":
            pass
        last.join(10)
        assert last.exitcode == 0

    with closing(sqlite3.connect(tmp_path / "footnote.sqlite")) as database:
        rows = database.execute("SELECT document_id, status, attempt, revision, chunks FROM documents").fetchall()
    assert len(rows) == count
    for document_id, status, attempt, revision, chunks in rows:
        written = [json.loads(line) for line in (tmp_path / "index" / f"{document_id}.jsonl").read_text().splitlines()]
        assert (status, attempt, chunks) == ("ready", "", 2)
        assert {line["revision"] for line in written} == {revision}
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
