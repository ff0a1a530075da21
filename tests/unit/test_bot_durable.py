"""Durable jobs and their order: once, in turn, and never without an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from bot.client import BackendUnavailable
from bot.durable import Payload, open_durable
from bot.order import ThreadOrder
from bot.slack import SlackUnavailable


@dataclass
class RecordingJob:
    """Does what `work` says and notes what was asked of it."""

    work: Callable[[int], None] = lambda attempt: None
    name: str = "turn"
    pause: float = 0.0
    seen: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    async def attempt(self, payload: Payload) -> None:
        self.seen.append(payload["id"])
        await asyncio.sleep(self.pause)
        self.work(len(self.seen))
        self.ends.append("done")

    async def give_up(self, payload: Payload) -> None:
        self.ends.append("gave up")

    async def fail(self, payload: Payload) -> None:
        self.ends.append("failed")


async def ended(job: RecordingJob, count: int = 1) -> None:
    async with asyncio.timeout(5):
        while len(job.ends) < count:  # noqa: ASYNC110 - the job knows nothing of the test
            await asyncio.sleep(0.01)


def away(attempts: int) -> Callable[[int], None]:
    def work(attempt: int) -> None:
        if attempt <= attempts:
            raise BackendUnavailable("away")

    return work


def broken(attempt: int) -> None:
    raise ZeroDivisionError


async def test_what_ended_long_ago_is_forgotten_and_what_ended_lately_is_not(tmp_path: Path) -> None:
    job = RecordingJob()
    path = tmp_path / "d.sqlite"
    async with open_durable(path, [job], stop_timeout=2) as durable:
        await durable.record("turn", "T1-C1-1", {"id": "1", "text": "secret words"})
        await ended(job)
        await asyncio.sleep(0.5)  # until that is on disk, too
    async with open_durable(path, [job], stop_timeout=2) as durable:
        await durable.record("turn", "T1-C1-1", {"id": "1", "text": "secret words"})
        await asyncio.sleep(0.3)
        assert job.seen == ["1"]
    all_of_it = timedelta(seconds=-5)  # DBOS keeps whole seconds
    async with open_durable(path, [job], stop_timeout=2, remembered=all_of_it) as durable:
        async with asyncio.timeout(5):
            while len(job.seen) < 2:
                await asyncio.sleep(0.5)
                await durable.record("turn", "T1-C1-1", {"id": "again", "text": "secret words"})


async def test_a_key_that_is_recorded_again_is_worked_on_once(tmp_path: Path) -> None:
    job = RecordingJob(pause=0.05)
    async with open_durable(tmp_path / "d.sqlite", [job], stop_timeout=2) as durable:
        for _ in range(3):
            await durable.record("turn", "k1", {"id": "a"})
        await ended(job)
        await durable.record("turn", "k1", {"id": "a"})
        await asyncio.sleep(0.1)
    assert job.seen == ["a"]


async def test_what_is_away_is_tried_again_until_it_is_back(tmp_path: Path) -> None:
    job = RecordingJob(away(2))
    async with open_durable(tmp_path / "d.sqlite", [job], stop_timeout=2, delays=[0.01] * 9) as durable:
        await durable.record("turn", "k1", {"id": "a"})
        await ended(job)
    assert (len(job.seen), job.ends) == (3, ["done"])


@pytest.mark.parametrize(("work", "end"), [(away(99), "gave up"), (broken, "failed")])
async def test_a_job_that_cannot_succeed_ends_in_words(tmp_path: Path, work: Callable[[int], None], end: str) -> None:
    job = RecordingJob(work)
    async with open_durable(tmp_path / "d.sqlite", [job], stop_timeout=2, delays=[0.01] * 2) as durable:
        await durable.record("turn", "k1", {"id": "a"})
        await ended(job)
    assert job.ends == [end]


async def test_what_is_cut_off_at_shutdown_is_resumed_at_the_next_start(tmp_path: Path) -> None:
    slow = RecordingJob(pause=30)
    async with open_durable(tmp_path / "d.sqlite", [slow], stop_timeout=0.1) as durable:
        await durable.record("turn", "k1", {"id": "a"})
        await asyncio.sleep(0.1)
    assert (slow.seen, slow.ends) == (["a"], [])
    again = RecordingJob()
    async with open_durable(tmp_path / "d.sqlite", [again], stop_timeout=2):
        await ended(again)
    assert again.seen == ["a"]


async def test_what_a_bot_of_another_version_left_is_begun_anew(tmp_path: Path) -> None:
    slow = RecordingJob(pause=30)
    async with open_durable(tmp_path / "d.sqlite", [slow], stop_timeout=0.1, version="old") as durable:
        await durable.record("turn", "k1", {"id": "a"})
        await asyncio.sleep(0.1)
    again = RecordingJob()
    async with open_durable(tmp_path / "d.sqlite", [again], stop_timeout=2, version="new") as durable:
        await ended(again)
        await durable.record("turn", "k1", {"id": "a"})
        await asyncio.sleep(0.1)
    assert again.seen == ["a"]


@dataclass
class WordlessJob(RecordingJob):
    """Cannot say at first that it failed."""

    tries: int = 0

    async def fail(self, payload: Payload) -> None:
        self.tries += 1
        if self.tries < 3:
            raise SlackUnavailable("away")
        await super().fail(payload)


async def test_that_a_job_failed_is_said_as_soon_as_it_can_be(tmp_path: Path) -> None:
    job = WordlessJob(broken)
    async with open_durable(tmp_path / "d.sqlite", [job], stop_timeout=2, delays=[0.01] * 9) as durable:
        await durable.record("turn", "k1", {"id": "a"})
        await ended(job)
    assert (job.seen, job.ends, job.tries) == (["a"], ["failed"], 3)


async def test_work_starts_without_waiting_for_a_poll(tmp_path: Path) -> None:
    job = RecordingJob()
    async with open_durable(tmp_path / "d.sqlite", [job], stop_timeout=2) as durable:
        await durable.record("turn", "warm", {"id": "w"})
        await ended(job)
        began = asyncio.get_running_loop().time()
        await durable.record("turn", "k1", {"id": "a"})
        await ended(job, 2)
        assert asyncio.get_running_loop().time() - began < 0.5


# ------------------------------------------------------------------------------------------------------------- order


async def run_in(order: ThreadOrder, key: str, position: int, log: list[str]) -> None:
    async with order.turn(key, (position, "")):
        log.append(f"{key}{position}+")
        await asyncio.sleep(0.01)
        log.append(f"{key}{position}-")


async def test_one_turn_of_a_thread_runs_at_a_time_and_the_earliest_waiting_first() -> None:
    order, log = ThreadOrder(9), list[str]()
    await asyncio.gather(*(run_in(order, "a", position, log) for position in (1, 4, 3, 2)))
    assert log == ["a1+", "a1-", "a2+", "a2-", "a3+", "a3-", "a4+", "a4-"]


async def test_threads_do_not_wait_for_each_other() -> None:
    order, log = ThreadOrder(9), list[str]()
    await asyncio.gather(run_in(order, "a", 1, log), run_in(order, "b", 1, log))
    assert log[:2] == ["a1+", "b1+"]


async def test_no_more_run_at_once_than_there_are_slots() -> None:
    order, log = ThreadOrder(1), list[str]()
    await asyncio.gather(run_in(order, "a", 1, log), run_in(order, "b", 1, log))
    assert log == ["a1+", "a1-", "b1+", "b1-"]


async def test_a_waiter_that_is_cancelled_holds_nobody_up() -> None:
    order, log = ThreadOrder(9), list[str]()
    tasks = [asyncio.create_task(run_in(order, "a", position, log)) for position in (1, 2, 3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await run_in(order, "a", 4, log)
    assert log == ["a1+", "a1-", "a3+", "a3-", "a4+", "a4-"]


async def test_turns_that_arrive_together_run_in_their_order_whichever_was_first() -> None:
    order, log = ThreadOrder(9), list[str]()
    await asyncio.gather(*(run_in(order, "a", position, log) for position in (3, 1, 2)))
    assert log == ["a1+", "a1-", "a2+", "a2-", "a3+", "a3-"]


async def test_a_later_turn_waits_for_an_earlier_one_that_is_to_be_tried_again() -> None:
    order, log = ThreadOrder(9), list[str]()
    for position in (1, 2):
        order.expect("a", (position, ""))
    later = asyncio.create_task(run_in(order, "a", 2, log))
    await asyncio.sleep(0.15)
    assert log == []
    await run_in(order, "a", 1, log)
    await asyncio.sleep(0.05)
    assert log == ["a1+", "a1-"]
    order.done("a", (1, ""))
    await later
    assert log == ["a1+", "a1-", "a2+", "a2-"]


async def test_a_later_turn_does_not_wait_for_ever() -> None:
    order, log = ThreadOrder(9, patience=0.2), list[str]()
    order.expect("a", (1, ""))
    async with asyncio.timeout(1):
        await run_in(order, "a", 2, log)
        await run_in(order, "a", 3, log)
    assert log == ["a2+", "a2-", "a3+", "a3-"]


async def test_a_thread_in_which_all_is_said_is_forgotten() -> None:
    order, log = ThreadOrder(9), list[str]()
    order.expect("a", (1, ""))
    await run_in(order, "a", 1, log)
    order.done("a", (1, ""))
    assert order._lines == {}
