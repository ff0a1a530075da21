"""Group commits: together where that costs nobody anything, alone where one would hold up the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from backend.domain import UNSEEN
from backend.errors import IndexUnavailable
from backend.ingest.group import MAX_BATCH, GroupCommit
from backend.ingest.submission import Submission, Upload
from backend.ingest.twins import Prepared
from tests.fakes.ingest import Rig


async def made(count: int) -> list[Prepared]:
    rig = Rig()
    document = await rig.ingest.accept(Submission("T1", upload=Upload(b"Text."), document_id="0"))
    loaded = await rig.ingest.load("T1", "0", document.attempt)
    assert loaded
    first = await rig.ingest.prepare(loaded)
    assert first
    return [Prepared(replace(document, document_id=str(n)), first.indexed, UNSEEN) for n in range(count)]


class Commits:
    """Records batches; what is named in `broken` fails, and with it the batch."""

    def __init__(self, *broken: str) -> None:
        self.batches: list[list[str]] = []
        self.broken = broken

    async def __call__(self, batch: Sequence[Prepared]) -> None:
        ids = [one.document.document_id for one in batch]
        self.batches.append(ids)
        await asyncio.sleep(0)
        if set(ids) & set(self.broken):
            raise IndexUnavailable("It is down.")


async def test_alone_a_document_is_written_at_once() -> None:
    commits = Commits()
    group = GroupCommit(commits, more=lambda waiting: waiting < 1, linger=30)
    [one] = await made(1)
    async with asyncio.timeout(5):
        await group(one)
    assert commits.batches == [["0"]]


async def test_what_is_ready_together_is_one_commit_of_at_most_a_batch() -> None:
    commits = Commits()
    documents = await made(MAX_BATCH + 3)
    group = GroupCommit(commits, more=lambda waiting: False)
    async with asyncio.timeout(5):
        await asyncio.gather(*(group(one) for one in documents))
    assert sorted(map(len, commits.batches), reverse=True)[0] <= MAX_BATCH
    assert sum(map(len, commits.batches)) == len(documents)
    assert len(commits.batches) <= 3


async def test_while_more_is_on_its_way_it_waits_but_not_for_long() -> None:
    commits = Commits()
    group = GroupCommit(commits, more=lambda waiting: True, linger=0.05)
    began = time.monotonic()
    async with asyncio.timeout(5):
        await asyncio.gather(*(group(one) for one in await made(3)))
    assert commits.batches == [["0", "1", "2"]]
    assert time.monotonic() - began >= 0.05


async def test_what_will_not_come_after_all_is_not_waited_for() -> None:
    commits = Commits()
    on_its_way = [1]
    group = GroupCommit(commits, more=lambda waiting: bool(on_its_way), linger=30)
    [one] = await made(1)
    writing = asyncio.create_task(group(one))
    await asyncio.sleep(0.02)
    assert commits.batches == []
    on_its_way.clear()
    async with asyncio.timeout(5):
        await group.look()
        await writing
    assert commits.batches == [["0"]]


async def test_a_document_that_cannot_be_written_holds_up_no_other() -> None:
    commits = Commits("1")
    group = GroupCommit(commits, more=lambda waiting: waiting < 3, linger=30)
    async with asyncio.timeout(5):
        ended = await asyncio.gather(*(group(one) for one in await made(3)), return_exceptions=True)
    assert [type(one) for one in ended] == [type(None), IndexUnavailable, type(None)]
    assert commits.batches == [["0", "1", "2"], ["0"], ["1"], ["2"]]


async def test_a_caller_that_is_cancelled_leaves_the_others_to_be_written() -> None:
    commits = Commits()
    group = GroupCommit(commits, more=lambda waiting: True, linger=0.05)
    first, second = await made(2)
    going = asyncio.create_task(group(first))
    await asyncio.sleep(0.01)
    staying = asyncio.create_task(group(second))
    await asyncio.sleep(0.01)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    async with asyncio.timeout(5):
        await staying
    assert commits.batches == [["1"]]
