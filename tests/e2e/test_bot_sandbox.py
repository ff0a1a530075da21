"""The unmodified bot in a local Slack, against a scripted backend: what people do, and what they get to see."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from backend.schema import DeltaEvent, DoneEvent, FailedEvent, Problem, RunMetadata, StatusEvent
from bot.app import open_bot
from bot.sandbox import Sandbox
from bot.settings import Settings
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import abstained, answered, open_backend

pytestmark = pytest.mark.e2e

DELAYS = (0.2,) * 100


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with (
        open_backend() as backend,
        Sandbox(0) as sandbox,
        open_bot(settings_for(sandbox, backend, tmp_path), delays=DELAYS),
    ):
        yield Room(sandbox, backend)


async def test_a_mention_is_answered_once_in_its_thread_with_sources(room: Room) -> None:
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> how much parental leave?"))
    await asyncio.sleep(0.3)
    assert "Parents get twenty weeks [1]." in answer.text
    assert "handbook.example/leave#:~:text=Parents%20get" in words(answer)
    assert "Quotes only, no model" in words(answer)
    assert len(room.answers()) == 1
    assert len(room.backend.queries) == 1
    assert room.backend.queries[0].question == "how much parental leave?"


async def test_the_audience_of_a_channel_is_everybody_and_of_a_direct_message_the_asker(room: Room) -> None:
    await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    await room.answer_to(room.ask("leave?", channel=room.dm))
    in_channel, in_dm = (query.audience for query in room.backend.queries)
    assert in_channel is not None
    assert in_dm is not None
    assert (in_channel.private, in_channel.channel, in_channel.channels) == (False, room.channel, ())
    assert in_dm.private
    assert room.channel in in_dm.channels


async def test_a_reply_in_our_thread_needs_no_mention_and_brings_the_history(room: Room) -> None:
    first = room.ask("<@U_FOOTNOTE> how much parental leave?")
    await room.answer_to(first)
    await room.answer_to(room.ask("and for adoption?", thread_ts=first.ts))
    first_query, second_query = room.backend.queries
    assert first_query.thread == second_query.thread == f"local:{room.channel}:{first.ts}"
    history = second_query.history
    assert [(turn.role, turn.text) for turn in history] == [
        ("user", "how much parental leave?"),
        ("assistant", "Parents get twenty weeks."),
    ]


async def test_a_reply_while_the_first_answer_is_being_written_is_answered_after_it(room: Room) -> None:
    room.backend.script = answered("One [1].", " Two [1].", pause=0.5)
    first = room.ask("<@U_FOOTNOTE> leave?")
    await eventually(lambda: room.backend.queries)
    room.ask("and for adoption?", thread_ts=first.ts)
    await eventually(lambda: len([a for a in room.answers() if "Quotes only" in words(a)]) == 2)
    assert [query.question for query in room.backend.queries] == ["leave?", "and for adoption?"]


async def test_a_reply_in_a_thread_that_is_not_ours_is_left_alone(room: Room) -> None:
    first = room.ask("who is on call?")
    room.ask("not me", thread_ts=first.ts)
    await asyncio.sleep(0.5)
    assert room.backend.queries == []


async def test_an_event_that_comes_twice_is_answered_once(room: Room) -> None:
    room.sandbox.duplicate_next(4)
    await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    await asyncio.sleep(0.5)
    assert len(room.backend.queries) == 1
    assert len(room.answers()) == 1


async def test_questions_of_one_thread_are_answered_in_order(room: Room) -> None:
    room.backend.script = lambda request: [0.1, *answered(f"About {request.question} [1].")(request)]
    first = room.ask("<@U_FOOTNOTE> one")
    await room.answer_to(first)
    for text in ("two", "three", "four"):
        room.ask(f"<@U_FOOTNOTE> {text}", thread_ts=first.ts)
    await eventually(lambda: len([a for a in room.answers() if not a.is_streaming]) == 4)
    assert [query.question for query in room.backend.queries] == ["one", "two", "three", "four"]


async def test_an_abstention_names_the_closest_documents_and_a_way_on(room: Room) -> None:
    room.backend.script = abstained()
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> what is the meaning of life?"))
    assert "couldn't find an answer" in answer.text
    assert "Leave" in words(answer)
    assert "/ingest" in words(answer)


async def test_a_failed_run_becomes_a_plain_sentence_with_its_run_id(room: Room) -> None:
    problem = Problem(title="Broken", status=500, detail="Something broke.", run_id="run-7")
    room.backend.script = lambda request: [FailedEvent(problem)]
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    assert answer.text == "Something broke. (run `run-7`)"


async def test_while_the_backend_is_down_one_message_says_so_and_then_becomes_the_answer(room: Room) -> None:
    room.backend.mode = "down"
    asked = room.ask("<@U_FOOTNOTE> leave?")
    notice = await room.answer_to(asked)
    assert "I can't reach my document service" in notice.text
    await asyncio.sleep(0.5)
    room.backend.mode = "up"
    await eventually(lambda: "twenty weeks" in words(room.answers()[0]))
    assert [message.ts for message in room.answers()] == [notice.ts]
    assert "can't reach" not in words(room.answers()[0])


async def test_a_stream_that_breaks_off_is_taken_up_again_in_the_same_message(room: Room) -> None:
    room.backend.mode = "hang_up"
    asked = room.ask("<@U_FOOTNOTE> leave?")
    await eventually(lambda: any("can't reach" in words(message) for message in room.answers()))
    room.backend.mode = "up"
    await eventually(lambda: "Quotes only" in words(room.answers()[0]))
    assert len(room.answers()) == 1
    assert room.answers()[0].thread_ts == asked.ts


async def test_reactions_on_an_answer_are_feedback_and_so_is_their_removal(room: Room) -> None:
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    given = room.backend.feedback

    def react(name: str, *, add: bool) -> None:
        room.sandbox.people.react(channel=room.channel, user=room.user, ts=answer.ts, name=name, add=add)

    react("+1", add=True)
    await eventually(lambda: given == {("run-1", room.user, "reaction"): 1})
    react("-1::skin-tone-3", add=True)
    await eventually(lambda: given == {("run-1", room.user, "reaction"): -1})
    react("-1::skin-tone-3", add=False)
    await eventually(lambda: given == {("run-1", room.user, "reaction"): 1})
    react("+1", add=False)
    await eventually(lambda: given == {})


async def test_the_feedback_buttons_rate_the_run(room: Room) -> None:
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    await room.sandbox.people.act(
        user=room.user, action_id="feedback", channel=room.channel, ts=answer.ts, value="run-1:-1"
    )
    await eventually(lambda: room.backend.feedback == {("run-1", room.user, "button"): -1})


async def test_ask_answers_only_the_asker(room: Room) -> None:
    await room.sandbox.people.command(channel=room.channel, user=room.user, command="/ask", text="leave?")
    note = await eventually(lambda: next(iter(room.notes()), None))
    assert note.only_for == room.user
    assert "twenty weeks" in words(note)
    assert "handbook.example" in words(note)
    assert room.answers() == []


async def test_ingest_reports_in_place_until_the_documents_are_ready(room: Room) -> None:
    text = "https://docs.example/a https://docs.example/forbidden tags:x,y refresh:2w"
    await room.sandbox.people.command(channel=room.channel, user=room.user, command="/ingest", text=text)
    await eventually(lambda: any("ready" in words(m) and "private" in words(m) for m in room.answers()))
    assert len(room.answers()) == 1
    assert room.backend.ingested[0].metadata == {"tags": ["x", "y"]}
    assert room.backend.ingested[0].refresh_days == 14


async def test_docs_lists_what_the_asker_may_read_and_removes_by_number(room: Room) -> None:
    for url, visibility in (("https://d.example/a", "team"), ("https://d.example/b", "private")):
        text = f"{url} visibility:{visibility}"
        await room.sandbox.people.command(channel=room.channel, user=room.user, command="/ingest", text=text)
    await eventually(lambda: len(room.backend.documents) == 2)
    await room.sandbox.people.command(channel=room.channel, user=room.user, command="/docs", text="list")
    note = await eventually(lambda: next(iter(room.notes()), None))
    assert "d.example/a" in words(note)
    assert "d.example/b" in words(note)
    await room.sandbox.people.command(channel=room.channel, user=room.user, command="/docs", text="remove 1")
    await eventually(lambda: len(room.backend.documents) == 1)


async def test_a_button_under_the_list_removes_the_document(room: Room) -> None:
    await room.sandbox.people.command(
        channel=room.channel, user=room.user, command="/ingest", text="https://d.example/a"
    )
    await eventually(lambda: room.backend.documents)
    await room.sandbox.people.command(channel=room.channel, user=room.user, command="/docs", text="")
    note = await eventually(lambda: next(iter(room.notes()), None))
    await room.sandbox.people.act(user=room.user, action_id="document_remove", channel=room.channel, ts=note.ts)
    await eventually(lambda: not room.backend.documents)


async def test_stop_ends_the_answer_with_what_was_said(room: Room) -> None:
    room.backend.script = answered("One [1].", " Two [1].", pause=5.0)
    asked = room.ask("<@U_FOOTNOTE> leave?")
    await eventually(lambda: any("One [1]." in words(m) for m in room.answers()))
    room.sandbox.people.stop(channel=room.channel, user=room.user, thread_ts=asked.ts)
    await eventually(lambda: any("Stopped." in words(m) for m in room.answers()))
    assert len(room.answers()) == 1
    assert "One [1]." in words(room.answers()[0])
    await eventually(lambda: room.backend.hung_up == 1)


@pytest.mark.parametrize("error", ["channel_type_not_supported", "internal_error"])
async def test_where_streams_are_refused_the_answer_is_posted(room: Room, error: str) -> None:
    room.sandbox.fail("chat.startStream", times=1, error=error)
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    await eventually(lambda: "Quotes only" in words(room.answers()[0]))
    assert "twenty weeks" in words(answer)
    assert len(room.answers()) == 1


async def test_a_message_that_slack_made_but_did_not_confirm_is_found_again(room: Room) -> None:
    room.sandbox.fail("chat.startStream", status=500, after=True)
    asked = room.ask("<@U_FOOTNOTE> leave?")
    await eventually(lambda: any("Quotes only" in words(message) for message in room.answers()))
    assert len(room.answers()) == 1
    assert not room.answers()[0].is_streaming
    assert room.answers()[0].thread_ts == asked.ts


async def test_ask_says_that_the_backend_is_down_and_answers_later(room: Room) -> None:
    room.backend.mode = "down"
    await room.sandbox.people.command(channel=room.channel, user=room.user, command="/ask", text="leave?")
    await eventually(lambda: any("can't reach" in words(note) for note in room.notes()))
    room.backend.mode = "up"
    await eventually(lambda: any("twenty weeks" in words(note) for note in room.notes()))
    assert len(room.notes()) == 2


async def test_ingest_goes_on_when_the_backend_is_back(room: Room) -> None:
    room.backend.mode = "down"
    text = "https://docs.example/a"
    await room.sandbox.people.command(channel=room.channel, user=room.user, command="/ingest", text=text)
    await eventually(lambda: any("is away" in words(message) for message in room.answers()))
    room.backend.mode = "up"
    await eventually(lambda: any("ready" in words(message) for message in room.answers()))
    assert len(room.answers()) == 1


async def test_an_answer_longer_than_a_message_goes_on_in_the_next(room: Room) -> None:
    sentence = "Parents get twenty weeks of leave [1]. " * 50
    room.backend.script = answered(*([sentence] * 10))
    asked = room.ask("<@U_FOOTNOTE> leave?")
    await eventually(lambda: any("Quotes only" in words(m) for m in room.answers()))
    assert sum(len(m.text) for m in room.answers()) >= 10 * len(sentence)
    assert {m.thread_ts for m in room.answers()} == {asked.ts}
    assert len(room.answers()) == 2


async def test_a_shared_channel_gets_a_private_refusal_and_no_query(room: Room) -> None:
    channel = room.sandbox.world.channels[room.channel]
    channel.is_shared = True
    room.ask("<@U_FOOTNOTE> leave?")
    note = await eventually(lambda: next(iter(room.notes()), None))
    assert "shared with another workspace" in note.text
    assert room.backend.queries == []
    assert room.answers() == []


async def test_a_question_that_is_too_long_never_reaches_the_backend(room: Room) -> None:
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> " + "why " * 1_200))
    assert "longer than 4,000" in answer.text
    assert room.backend.queries == []


async def test_hostile_text_is_shown_without_working_links(room: Room) -> None:
    hostile = "See [here](https://evil.example/?q=secret) and <!channel> ![x](https://evil.example/p.png)."
    room.backend.script = lambda request: [
        StatusEvent("generate"),
        DeltaEvent(hostile),
        DoneEvent("r", "answered", RunMetadata()),
    ]
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    assert "evil.example" not in words(answer)
    assert "<!channel>" not in words(answer)


async def test_app_home_shows_the_documents(room: Room) -> None:
    room.sandbox.people.open_home(user=room.user, tab="home")
    home = await eventually(lambda: room.sandbox.world.homes.get(room.user))
    assert "Ask me about your team" in str(home)


async def test_http_mode_answers_signed_events(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with open_backend() as backend, Sandbox(0, request_url=f"http://127.0.0.1:{port}/slack/events") as sandbox:
        settings = settings_for(sandbox, backend, tmp_path, bot_port=port)
        async with open_bot(settings):
            room = Room(sandbox, backend)
            answer = await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
            assert "twenty weeks" in answer.text


async def test_without_tokens_the_bot_brings_its_own_slack_and_its_documents(tmp_path: Path) -> None:
    async with open_backend() as backend:
        given = {"data_dir": tmp_path, "backend_url": backend.url, "api_key": "key", "sandbox_port": 0}
        async with open_bot(Settings.model_validate(given)) as bot:
            assert bot.page is not None
            async with aiohttp.ClientSession() as session, session.get(bot.page) as page:
                assert page.status == 200
            await eventually(lambda: any(asked.id == "welcome/README.md" for asked in backend.ingested))


async def test_who_asks_too_fast_is_told_when_to_come_back_privately_and_once(room: Room) -> None:
    room.backend.mode = "limited"
    asked = room.ask("<@U_FOOTNOTE> leave?")
    (note,) = await eventually(room.notes)
    await asyncio.sleep(0.5)
    assert note.text == "You have asked a lot in a short time. Please ask again in 20 s."
    assert (len(room.notes()), room.answers(), len(room.backend.queries)) == (1, [], 1)
    room.backend.mode = "up"
    assert "twenty weeks" in (await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))).text
    assert asked.ts not in {answer.thread_ts for answer in room.answers()}


async def test_a_limit_in_a_direct_message_is_told_there(room: Room) -> None:
    room.backend.mode = "limited"
    note = await room.answer_to(room.ask("leave?", channel=room.dm))
    assert "ask again in 20 s" in note.text
