"""Questions that are edited or deleted, through the local Slack: their answers follow, also across a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app import open_bot
from bot.sandbox import Sandbox
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import answered, open_backend

pytestmark = pytest.mark.e2e

DELAYS = (0.2,) * 100


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with (
        open_backend() as backend,
        Sandbox(0) as sandbox,
        open_bot(settings_for(sandbox, backend, tmp_path), delays=DELAYS),
    ):
        room = Room(sandbox, backend)
        backend.script = lambda request: answered(f"About {request.question} [1].")(request)
        yield room


def edit(room: Room, ts: str, text: str) -> None:
    room.sandbox.people.edit(channel=room.channel, user=room.user, ts=ts, text=text)


async def test_an_edited_question_is_answered_anew_in_the_same_message(room: Room) -> None:
    asked = room.ask("<@U_FOOTNOTE> leave?")
    first = await room.answer_to(asked)
    edit(room, asked.ts, "<@U_FOOTNOTE> parental leave?")
    await eventually(lambda: "About parental leave?" in words(room.answers()[0]))
    edit(room, asked.ts, "<@U_FOOTNOTE>  parental leave?")
    await asyncio.sleep(0.3)
    assert [answer.ts for answer in room.answers()] == [first.ts]
    assert "About leave?" not in words(room.answers()[0])
    assert [query.question for query in room.backend.queries] == ["leave?", "parental leave?"]


async def test_an_edit_while_the_answer_is_being_written_is_answered_instead(room: Room) -> None:
    room.backend.script = lambda request: answered(
        f"About {request.question} [1].", " More [1].", pause=9.0 if request.question == "leave?" else 0.0
    )(request)
    asked = room.ask("<@U_FOOTNOTE> leave?")
    await eventually(lambda: any("About leave?" in words(message) for message in room.answers()))
    edit(room, asked.ts, "<@U_FOOTNOTE> parental leave?")
    await eventually(lambda: "Quotes only" in words(room.answers()[0]))
    assert len(room.answers()) == 1
    assert "About parental leave? [1]. More [1]." in words(room.answers()[0])
    assert room.backend.hung_up == 1
    assert {one.status for one in room.sandbox.world.sessions.values()} == {"active"}


async def test_an_edit_of_an_earlier_question_changes_nothing(room: Room) -> None:
    first = room.ask("<@U_FOOTNOTE> leave?")
    await room.answer_to(first)
    await room.answer_to(room.ask("and for adoption?", thread_ts=first.ts))
    edit(room, first.ts, "<@U_FOOTNOTE> parental leave?")
    await asyncio.sleep(0.5)
    assert len(room.backend.queries) == 2


async def test_the_answer_to_a_deleted_question_is_deleted(room: Room) -> None:
    first = room.ask("<@U_FOOTNOTE> leave?")
    kept = await room.answer_to(first)
    second = room.ask("and for adoption?", thread_ts=first.ts)
    await room.answer_to(second)
    room.sandbox.people.delete(channel=room.channel, user=room.user, ts=second.ts)
    await eventually(lambda: len(room.answers()) == 1)
    assert room.answers()[0].ts == kept.ts
    room.sandbox.people.delete(channel=room.channel, user=room.user, ts=first.ts)
    await eventually(lambda: not room.answers())


async def test_a_question_that_is_deleted_while_it_is_answered_leaves_nothing_behind(room: Room) -> None:
    room.backend.script = answered("One [1].", " Two [1].", pause=9.0)
    asked = room.ask("<@U_FOOTNOTE> leave?")
    await eventually(lambda: any("One [1]." in words(message) for message in room.answers()))
    room.sandbox.people.delete(channel=room.channel, user=room.user, ts=asked.ts)
    await eventually(lambda: not room.answers())
    await eventually(lambda: room.backend.hung_up == 1)
    await asyncio.sleep(0.3)
    assert room.answers() == []


async def test_edits_and_deletions_before_a_restart_are_followed_after_it(tmp_path: Path) -> None:
    async with open_backend() as backend, Sandbox(0) as sandbox:
        backend.script = lambda request: answered(f"About {request.question} [1].")(request)
        room, settings = Room(sandbox, backend), settings_for(sandbox, backend, tmp_path)
        async with open_bot(settings, delays=DELAYS):
            edited, deleted = room.ask("<@U_FOOTNOTE> leave?"), room.ask("<@U_FOOTNOTE> sick leave?")
            await room.answer_to(edited)
            await room.answer_to(deleted)
        edit(room, edited.ts, "<@U_FOOTNOTE> parental leave?")
        room.sandbox.people.delete(channel=room.channel, user=room.user, ts=deleted.ts)
        async with open_bot(settings, delays=DELAYS):
            await eventually(lambda: len(room.answers()) == 1 and "About parental leave?" in words(room.answers()[0]))
        assert room.answers()[0].thread_ts == edited.ts
