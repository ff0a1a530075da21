"""What the backend has people told reaches them in the local Slack: each thing once, as a direct message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.schema import Notice
from bot.app import open_bot
from bot.sandbox import Sandbox
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import open_backend

pytestmark = pytest.mark.e2e


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with (
        open_backend() as backend,
        Sandbox(0) as sandbox,
        open_bot(settings_for(sandbox, backend, tmp_path, notices_every=0.05), delays=(0.1,) * 50),
    ):
        yield Room(sandbox, backend)


def gone(user: str) -> Notice:
    return Notice(
        "n1",
        user,
        "leave",
        "Leave <policy>",
        "https://d.example/leave",
        "d.example has had no such page.",
        "2026-11-20",
    )


async def test_who_added_a_document_is_told_once_that_it_is_gone(room: Room) -> None:
    room.backend.notices["n1"] = gone(room.user)
    [told] = await eventually(lambda: room.answers(room.dm))
    assert "Leave &lt;policy&gt;" in words(told)
    assert "d.example has had no such page." in words(told)
    await eventually(lambda: not room.backend.notices)

    looks = room.backend.looks_for_notices
    await eventually(lambda: room.backend.looks_for_notices > looks + 3)
    assert len(room.answers(room.dm)) == 1


async def test_a_notice_that_could_not_be_struck_off_is_not_told_again(room: Room) -> None:
    room.backend.notices["n1"] = gone(room.user)
    await eventually(lambda: room.answers(room.dm))
    await eventually(lambda: not room.backend.notices)
    room.backend.notices["n1"] = gone(room.user)
    await asyncio.sleep(0.3)
    assert len(room.answers(room.dm)) == 1


async def test_somebody_whom_slack_does_not_know_holds_up_nobody(room: Room) -> None:
    room.backend.notices["n1"] = gone("U_NOBODY")
    await eventually(lambda: not room.backend.notices)
    assert room.answers(room.dm) == []


async def test_while_the_backend_is_away_nothing_is_lost(room: Room) -> None:
    room.backend.mode = "down"
    room.backend.notices["n1"] = gone(room.user)
    await asyncio.sleep(0.3)
    room.backend.mode = "up"
    await eventually(lambda: room.answers(room.dm))


async def test_a_limit_that_is_reached_is_said_at_once_and_not_tried_again(room: Room) -> None:
    await room.sandbox.people.command(
        channel=room.channel, user=room.user, command="/ingest", text="https://d.example/one-too-many"
    )
    await eventually(lambda: any("has added 3 documents today" in words(m) for m in room.answers()))
    await asyncio.sleep(0.3)
    assert len(room.backend.ingested) == 1
