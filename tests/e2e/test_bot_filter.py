"""What was understood of a question is shown below its answer, with a button that asks again without it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from backend.schema import QueryEvent, QueryRequest, QueryStreamEvent, Understood
from bot.app import open_bot
from bot.sandbox import Sandbox
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import abstained, answered, open_backend

pytestmark = pytest.mark.e2e

DESCRIBED = "author Ana · since 1 Mar 2026"
NOTICE = "No document here has the tag “x”, so I did not filter by it."


def understanding(request: QueryRequest) -> Sequence[QueryStreamEvent | float]:
    """Answer with a filter read from the question, unless that is not wanted."""
    query = Understood(request.question, described=DESCRIBED if request.understand else "", notices=(NOTICE,))
    return [QueryEvent(query), *answered()(request)]


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with (
        open_backend() as backend,
        Sandbox(0) as sandbox,
        open_bot(settings_for(sandbox, backend, tmp_path)),
    ):
        backend.script = understanding
        yield Room(sandbox, backend)


async def test_the_filter_is_shown_and_its_button_asks_the_same_question_without_it(room: Room) -> None:
    first = room.ask("<@U_FOOTNOTE> what did we hear of leave?")
    await room.answer_to(first)
    asked = room.ask("and what did Ana write since March?", thread_ts=first.ts)
    answer = await room.answer_to(asked)
    assert f"*Filter:* {DESCRIBED}" in words(answer)
    assert NOTICE in words(answer)

    await room.sandbox.people.act(user=room.user, action_id="ask_plainly", channel=room.channel, ts=answer.ts)
    await eventually(lambda: len(room.answers()) == 3 and not room.answers()[-1].is_streaming)
    _, full, plain = room.backend.queries
    assert (full.understand, plain.understand) == (True, False)
    assert plain.question == full.question == "and what did Ana write since March?"
    assert plain.history == full.history
    assert room.answers()[-1].thread_ts == first.ts
    assert "Filter" not in words(room.answers()[-1])


async def test_a_private_answer_is_asked_again_in_private(room: Room) -> None:
    await room.sandbox.people.command(channel=room.channel, user=room.user, command="/ask", text="notes by Ana?")
    note = await eventually(lambda: next(iter(room.notes()), None))
    assert DESCRIBED in words(note)
    await room.sandbox.people.act(user=room.user, action_id="ask_plainly", channel=room.channel, ts=note.ts)
    await eventually(lambda: len(room.notes()) == 2)
    assert [query.understand for query in room.backend.queries] == [True, False]
    assert room.backend.queries[1].audience == room.backend.queries[0].audience
    assert room.answers() == []


async def test_an_abstention_shows_the_filter_too(room: Room) -> None:
    room.backend.script = lambda request: [understanding(request)[0], *abstained()(request)]
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> notes by Ana?"))
    assert DESCRIBED in words(answer)


async def test_dates_are_meant_in_the_time_zone_of_the_asker(room: Room) -> None:
    await room.answer_to(room.ask("<@U_FOOTNOTE> notes from yesterday?"))
    assert room.backend.queries[0].time_zone == "Etc/UTC"
