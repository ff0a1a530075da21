"""Streams under Slack's limits, which the local Slack enforces: nothing is lost, everything ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from backend.schema import (
    CitationsEvent,
    DeltaEvent,
    DoneEvent,
    PassagesEvent,
    QueryRequest,
    QueryStreamEvent,
    RunMetadata,
    StatusEvent,
)
from bot.app import open_bot
from bot.sandbox import Options, Sandbox
from bot.sandbox.streams import expire
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.e2e.streams import Plan, markdown, measure
from tests.fakes.backend_server import answered, citation, open_backend, passage

pytestmark = pytest.mark.e2e

DELAYS = (0.2,) * 100
TABLE = "| city | days |\n|---|---|\n"


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with (
        open_backend() as backend,
        Sandbox(0, options=Options(agent=True)) as sandbox,
        open_bot(settings_for(sandbox, backend, tmp_path), delays=DELAYS),
    ):
        yield Room(sandbox, backend)


async def test_more_than_twenty_answers_at_once_are_all_complete_within_slacks_limits(room: Room) -> None:
    seen = await measure(room, Plan(answers=24, sentences=12, pause=0.3))
    assert (seen.lost, seen.hanging) == (0, 0)
    assert sum(seen.refused.values()) == 0
    assert seen.streamed >= 18
    assert all(session.status == "active" for session in room.sandbox.world.sessions.values())


async def test_the_cards_tell_what_is_going_on_and_are_done_in_the_end(room: Room) -> None:
    room.backend.script = answered("One [1].", " Two [1].", pause=2.0)
    room.ask("<@U_FOOTNOTE> leave?")
    await eventually(lambda: any("Writing the answer" in words(message) for message in room.answers()))
    await eventually(lambda: "Quotes only" in words(room.answers()[0]))
    cards = [block for block in room.answers()[0].blocks if block["type"] == "task_card"]
    assert [(card["task_id"], card["status"]) for card in cards] == [
        ("search", "complete"),
        ("read", "complete"),
        ("write", "complete"),
    ]
    assert cards[0]["sources"][0]["text"] == "Leave"


def long_table(request: QueryRequest) -> Sequence[QueryStreamEvent | float]:
    rows = [DeltaEvent(f"| City number {n} | {n} days [1] and what else there is to say of it |\n") for n in range(250)]
    code = [DeltaEvent("\n```python\n"), *(DeltaEvent(f"line_{n} = '{'x' * 60}'\n") for n in range(120))]
    return [
        StatusEvent("retrieve"),
        PassagesEvent((passage(),)),
        DeltaEvent(TABLE),
        *rows,
        *code,
        DeltaEvent("```\n"),
        CitationsEvent((citation(),)),
        DoneEvent("run-1", "answered", RunMetadata()),
    ]


@pytest.mark.parametrize("refuse", [False, True])
async def test_a_long_answer_goes_on_in_the_next_message_with_its_tables_and_code_whole(
    room: Room, refuse: bool
) -> None:
    if refuse:
        room.sandbox.fail("chat.startStream", error="channel_type_not_supported")
    room.backend.script = long_table
    room.ask("<@U_FOOTNOTE> which cities?")
    await eventually(lambda: "Quotes only" in str([message.blocks for message in room.answers()]), 20)
    pages = [markdown(message) for message in room.answers()]
    assert len(pages) > 2
    assert all(len(page) <= 11_000 for page in pages)
    for page in pages:
        assert page.count("```") % 2 == 0
        if "| City" in page:
            assert page.startswith(TABLE)
    stops = [call.arguments.get("session_status") for call in room.sandbox.calls if call.method == "chat.stopStream"]
    assert stops == ([] if refuse else ["processing"] * (len(pages) - 1) + [None])
    everything = "".join(pages)
    assert all(everything.count(f"| City number {n} |") == 1 for n in range(250))
    assert all(everything.count(f"line_{n} = ") == 1 for n in range(120))


async def test_an_answer_that_takes_longer_than_a_stream_lives_goes_on_in_another(tmp_path: Path) -> None:
    """The local Slack's clock is put forward; the bot's is not, so that it finds the stream over."""
    async with open_backend() as backend, Sandbox(0) as sandbox:
        room = Room(sandbox, backend)
        async with open_bot(settings_for(sandbox, backend, tmp_path), delays=DELAYS):
            backend.script = answered("One [1].", " Two [1].", " Three [1].", pause=1.5)
            room.ask("<@U_FOOTNOTE> leave?")
            await eventually(lambda: any("One [1]." in words(message) for message in room.answers()))
            sandbox.advance(301)
            expire(sandbox.world, room.answers()[0])
            await eventually(lambda: "Quotes only" in words(room.answers()[0]))
            assert [markdown(message) for message in room.answers()] == ["One [1]. Two [1]. Three [1]."]


async def test_a_method_that_is_closed_for_a_while_holds_up_no_other_thread(room: Room) -> None:
    room.backend.script = answered("One [1].", " Two [1].", pause=0.4)
    room.sandbox.fail("chat.appendStream", status=429, times=1)
    began = asyncio.get_running_loop().time()
    first = room.ask("<@U_FOOTNOTE> leave?")
    await eventually(lambda: any("One" in words(message) for message in room.answers()))
    other = room.ask("leave?", channel=room.dm)
    await room.answer_to(other)
    await room.answer_to(first)
    assert asyncio.get_running_loop().time() - began < 5
    texts = [markdown(message) for message in (*room.answers(), *room.answers(room.dm))]
    assert texts == ["One [1]. Two [1]."] * 2


@pytest.mark.parametrize("after", [False, True])
async def test_errors_before_or_after_their_effect_neither_lose_nor_double_a_word(room: Room, after: bool) -> None:
    room.backend.script = answered("One [1].", " Two [1].", " Three [1].", pause=1.0)
    for method in ("chat.appendStream", "chat.stopStream", "chat.update"):
        room.sandbox.fail(method, status=500, after=after)
    room.ask("<@U_FOOTNOTE> leave?")
    await eventually(lambda: any("One" in words(message) for message in room.answers()))
    room.sandbox.fail("chat.startStream", status=500, after=after)
    room.ask("leave?", channel=room.dm)
    await completely_answered(room, room.channel)
    await completely_answered(room, room.dm)


async def completely_answered(room: Room, channel: str) -> None:
    answer = await eventually(lambda: next((m for m in room.answers(channel) if "Quotes only" in words(m)), None), 20)
    assert [markdown(message) for message in room.answers(channel)] == ["One [1]. Two [1]. Three [1]."]
    assert not answer.is_streaming


async def test_blocks_that_slack_does_not_take_are_left_out_rather_than_the_answer(room: Room) -> None:
    room.sandbox.fail("chat.stopStream", error="invalid_blocks")
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    await eventually(lambda: "Quotes only" in words(answer))
    assert "twenty weeks" in words(answer)
    assert len(room.answers()) == 1
