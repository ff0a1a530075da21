"""Chores at intervals."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from backend.errors import IndexUnavailable
from backend.settings import Settings, read_duration
from backend.upkeep import LONGEST, SHORTEST, interval, kept_up

QUICK = timedelta(milliseconds=5)


async def test_chores_are_done_again_and_again_until_the_end() -> None:
    done: list[str] = []

    async def chore() -> None:
        done.append("done")

    async with kept_up({"chore": chore}, QUICK), asyncio.timeout(5):
        while len(done) < 3:  # noqa: ASYNC110 - another task is waited for
            await asyncio.sleep(0.001)
    count = len(done)
    await asyncio.sleep(0.02)
    assert len(done) == count


@pytest.mark.parametrize("error", [IndexUnavailable("It is down."), ZeroDivisionError("A bug.")])
async def test_a_chore_that_fails_ends_neither_itself_nor_the_others(error: Exception) -> None:
    tried: list[str] = []

    async def broken() -> None:
        tried.append("broken")
        raise error

    async def other() -> None:
        tried.append("other")

    async with kept_up({"broken": broken, "other": other}, QUICK), asyncio.timeout(5):
        while tried.count("broken") < 2:  # noqa: ASYNC110 - another task is waited for
            await asyncio.sleep(0.001)
    assert tried[:3] == ["broken", "other", "broken"]


def test_the_interval_leaves_room_within_the_shortest_deadline() -> None:
    assert interval(timedelta(hours=24)) == LONGEST
    assert interval(timedelta(seconds=80), timedelta(hours=1)) == timedelta(seconds=10)
    assert interval(timedelta(0)) == SHORTEST


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("24h", 86400), ("7d", 604800), (" 1.5H ", 5400)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert read_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1w", "24 h 5m"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="24h"):
        read_duration(text)


def test_settings_read_durations() -> None:
    assert Settings.model_validate({"purge_after": "2h"}).purge_after == timedelta(hours=2)
