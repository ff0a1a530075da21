"""What is enqueued right after something else waits a moment for company."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from backend.adapters.dbos_bursts import Bursts
from backend.adapters.dbos_work import Named, is_group, name_of, size_of, work_of, workflow_id
from backend.errors import DatabaseUnavailable


def work(number: int) -> Named:
    return ("T1", f"site/page {number}", "a1", "")


@dataclass
class Queue:
    started: list[list[Named]] = field(default_factory=list)
    lost: list[Named] = field(default_factory=list)
    down: bool = False

    async def start(self, works: Sequence[Named]) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise DatabaseUnavailable("The queue cannot be reached.")
        self.started.append(list(works))

    def bursts(self, lull: float) -> Bursts:
        return Bursts(self.start, self.lost.extend, lull=lull, together=3)


async def test_what_comes_alone_is_enqueued_at_once() -> None:
    queue = Queue()
    bursts = queue.bursts(lull=0.0)
    for number in range(3):
        await bursts.add(work(number))
        assert queue.started[-1] == [work(number)]
    await bursts.close()


async def test_what_comes_fast_is_enqueued_together_as_soon_as_there_is_enough_of_it() -> None:
    queue = Queue()
    bursts = queue.bursts(lull=60.0)
    for number in range(6):
        await bursts.add(work(number))
    assert queue.started == [[work(0)], [work(1), work(2), work(3)]]
    assert work(4)[:3] in bursts
    assert work(3)[:3] not in bursts
    await bursts.close()
    assert queue.started[2:] == [[work(4), work(5)]]


async def test_nothing_waits_longer_than_the_lull() -> None:
    queue = Queue()
    bursts = queue.bursts(lull=0.01)
    await bursts.add(work(0))
    await bursts.add(work(1))
    async with asyncio.timeout(30):
        while len(queue.started) < 2:  # noqa: ASYNC110 - the timer tells nobody
            await asyncio.sleep(0.005)
    assert queue.started == [[work(0)], [work(1)]]
    await bursts.close()


async def test_a_queue_that_is_down_is_told_to_who_comes_alone_and_noted_of_who_comes_in_company() -> None:
    queue = Queue(down=True)
    bursts = queue.bursts(lull=60.0)
    with pytest.raises(DatabaseUnavailable):
        await bursts.add(work(0))
    await bursts.add(work(1))
    await bursts.close()
    assert queue.lost == [work(1)]


@pytest.mark.parametrize("document_id", ["d", "site/a/b", "8/x", "/"])
def test_a_name_is_read_back_whatever_the_document_is_called(document_id: str) -> None:
    one = ("T1", document_id, "a1")
    assert work_of(name_of(one)) == one
    assert workflow_id([(*one, "trace")]) == name_of(one)
    assert not is_group(name_of(one))
    assert size_of(name_of(one)) == 1


def test_the_id_of_a_group_says_how_many_it_holds() -> None:
    name = workflow_id([work(1), work(2)])
    assert is_group(name)
    assert size_of(name) == 2
    assert workflow_id([work(1), work(2)]) != name
