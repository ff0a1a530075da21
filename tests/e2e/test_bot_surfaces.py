"""What people meet beside the conversation, in the local Slack: feedback forms, shortcuts, quiet threads, experts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count

import msgspec
import pytest
import pytest_asyncio

from bot.app import open_bot
from bot.sandbox import Sandbox
from bot.sandbox.values import BOT_USER
from bot.sandbox.world import Channel, Message, User
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import abstained, answered, document, open_backend

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

ANA, BEN = "U_ANA", "U_BEN"
EXPERTS, BUSY = "C_EXPERTS", "C_BUSY"
_numbers = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    data = tmp_path_factory.mktemp("surfaces")
    async with open_backend() as backend, Sandbox(0) as sandbox:
        world = sandbox.world
        world.add_channel(Channel(EXPERTS, "experts", "private", [BEN, BOT_USER]))
        crowd = [world.add_user(User(f"U_{n}", f"Person {n}", "local")).id for n in range(20)]
        world.add_channel(Channel(BUSY, "busy", "public", [ANA, BEN, BOT_USER, *crowd]))
        changes = {"expert": EXPERTS, "busy_from": 10, "agent_view": "on"}
        async with open_bot(settings_for(sandbox, backend, data, **changes), delays=(0.1,) * 50):
            yield Room(sandbox, backend)


@pytest.fixture
def room(opened: Room) -> Room:
    """The shared room, with nothing said to the backend and a run of its own for each test."""
    opened.backend.queries.clear()
    opened.backend.feedback.clear()
    opened.backend.comments.clear()
    opened.backend.ingested.clear()
    opened.backend.documents.clear()
    opened.backend.script = answered(run_id=f"run-{next(_numbers)}")
    opened.backend.documents["leave"] = document("leave", title="Leave")
    opened.sandbox.world.ephemerals.clear()
    return opened


async def ask(room: Room, text: str = "<@U_FOOTNOTE> leave?", channel: str | None = None) -> tuple[Message, str]:
    """Ask something; return the finished answer and its run."""
    answer = await room.answer_to(room.ask(text, channel=channel))
    return answer, list(room.backend.runs)[-1]


async def press(room: Room, message: Message, action: str, user: str = ANA, value: str | None = None) -> None:
    await room.sandbox.people.act(user=user, action_id=action, channel=message.channel, ts=message.ts, value=value)


async def submit(room: Room, user: str, **fields: str) -> None:
    """Fill in the form that is open for `user`."""
    view = await eventually(lambda: next(iter(room.sandbox.world.modals.get(user, [])), None))
    values = {name: {name: {"type": "plain_text_input", "value": value}} for name, value in fields.items()}
    assert await room.sandbox.people.submit(user=user, view_id=view["id"], values=values) == {}


async def note_of(room: Room, user: str, saying: str) -> Message:
    return await eventually(lambda: next((n for n in room.notes() if n.only_for == user and saying in words(n)), None))


def said(room: Room, saying: str, channel: str | None = None) -> Callable[[], Message | None]:
    return lambda: next((m for m in room.answers(channel) if saying in words(m) and not m.is_streaming), None)


# ------------------------------------------------------------------------------------------------------------- feedback


async def test_a_bad_rating_opens_a_form_and_the_comment_reaches_the_backend(room: Room) -> None:
    answer, run_id = await ask(room)
    await press(room, answer, "feedback", value=f"{run_id}:-1")
    assert room.sandbox.world.modals[ANA][0]["blocks"][0]["label"]["text"] == "What was wrong?"
    await eventually(lambda: room.backend.feedback == {(run_id, ANA, "button"): -1})
    await submit(room, ANA, wrong="It is outdated.", right="Twenty-two weeks")
    await eventually(lambda: room.backend.comments[run_id, ANA, "button"])
    assert room.backend.comments[run_id, ANA, "button"] == "It is outdated.\n\nThe right answer: Twenty-two weeks"
    assert room.sandbox.world.modals[ANA] == []


async def test_pressing_again_does_not_take_the_comment_away(room: Room) -> None:
    answer, run_id = await ask(room)
    await press(room, answer, "feedback", value=f"{run_id}:-1")
    await submit(room, ANA, wrong="Wrong.")
    await eventually(lambda: room.backend.comments.get((run_id, ANA, "button")))
    await press(room, answer, "feedback", value=f"{run_id}:-1")
    await asyncio.sleep(0.4)
    assert room.backend.comments[run_id, ANA, "button"] == "Wrong."


async def test_a_person_has_one_rating_the_newest_of_button_and_reaction(room: Room) -> None:
    answer, run_id = await ask(room)
    given = room.backend.feedback
    await press(room, answer, "feedback", value=f"{run_id}:1")
    await eventually(lambda: given == {(run_id, ANA, "button"): 1})
    room.sandbox.people.react(channel=room.channel, user=ANA, ts=answer.ts, name="x", add=True)
    await eventually(lambda: given == {(run_id, ANA, "reaction"): -1})
    room.sandbox.people.react(channel=room.channel, user=ANA, ts=answer.ts, name="x", add=False)
    await eventually(lambda: given == {(run_id, ANA, "button"): 1})


async def test_a_bad_reaction_is_asked_about_once_where_only_its_giver_sees_it(room: Room) -> None:
    answer, run_id = await ask(room)
    for add in (True, False, True):
        room.sandbox.people.react(channel=room.channel, user=BEN, ts=answer.ts, name="-1::skin-tone-2", add=add)
        await asyncio.sleep(0.2)
    note = await note_of(room, BEN, "Say what was wrong")
    assert note.thread_ts == answer.thread_ts
    await press(room, note, "feedback_why", user=BEN)
    await submit(room, BEN, wrong="No.")
    await eventually(lambda: room.backend.comments.get((run_id, BEN, "reaction")) == "No.")
    assert len([n for n in room.notes() if n.only_for == BEN]) == 1


async def test_reactions_on_what_is_no_answer_rate_nothing(room: Room) -> None:
    asked = room.ask("<@U_FOOTNOTE> leave?")
    await room.answer_to(asked)
    room.sandbox.people.react(channel=room.channel, user=ANA, ts=asked.ts, name="+1", add=True)
    await asyncio.sleep(0.3)
    assert room.backend.feedback == {}


# ---------------------------------------------------------------------------------------------------- other ways to ask


async def test_a_message_is_answered_from_its_menu_in_its_thread(room: Room) -> None:
    message = room.sandbox.people.write(channel=room.channel, user=BEN, text="Does anybody know how long leave is?")
    await room.sandbox.people.shortcut(user=ANA, callback_id="answer_message", channel=room.channel, ts=message.ts)
    answer = await room.answer_to(message)
    assert "twenty weeks" in words(answer)
    assert room.backend.queries[0].question == "Does anybody know how long leave is?"
    assert room.backend.queries[0].history == ()
    audience = room.backend.queries[0].audience
    assert audience
    assert not audience.private


async def test_a_message_where_the_bot_is_not_is_answered_privately(room: Room) -> None:
    world = room.sandbox.world
    world.add_channel(Channel("C_ELSEWHERE", "elsewhere", "public", [ANA, BEN]))
    message = room.sandbox.people.write(channel="C_ELSEWHERE", user=BEN, text="How long is leave?")
    await room.sandbox.people.shortcut(user=ANA, callback_id="answer_message", channel="C_ELSEWHERE", ts=message.ts)
    note = await note_of(room, ANA, "twenty weeks")
    assert note.channel == "C_ELSEWHERE"
    assert room.answers("C_ELSEWHERE") == []


async def test_the_form_asks_from_anywhere_and_answers_in_a_direct_message(room: Room) -> None:
    await room.sandbox.people.shortcut(user=ANA, callback_id="ask_modal")
    await submit(room, ANA, question="How long is *parental* leave <!channel>?")
    opening = await eventually(said(room, "You asked", room.dm))
    answer = await eventually(lambda: next((m for m in room.answers(room.dm) if m.thread_ts == opening.ts), None))
    await eventually(lambda: "twenty weeks" in words(answer) and not answer.is_streaming)
    assert "<!channel>" not in words(opening)
    [query] = room.backend.queries
    assert query.audience
    assert query.audience.private

    await room.answer_to(room.ask("and for adoption?", channel=room.dm, thread_ts=opening.ts))
    history = room.backend.queries[1].history
    assert [turn.role for turn in history] == ["user", "assistant"]
    assert history[0].text == "How long is *parental* leave <!channel>?"


async def test_a_shared_answer_is_asked_anew_for_those_who_read_the_channel(room: Room) -> None:
    room.backend.script = lambda request: answered(
        "A secret of mine [1]." if request.audience and request.audience.private else "What all may know [1]."
    )(request)
    await room.sandbox.people.command(channel=room.channel, user=ANA, command="/ask", text="leave?")
    note = await note_of(room, ANA, "A secret of mine")
    await press(room, note, "share")
    root = await eventually(said(room, f"<@{ANA}> asked"))
    answer = await eventually(lambda: next((m for m in room.answers() if m.thread_ts == root.ts), None))
    await eventually(lambda: "What all may know" in words(answer))
    await press(room, note, "share")
    await asyncio.sleep(0.3)
    assert "secret" not in "".join(words(m) for m in room.answers() if m.ts >= root.ts)
    assert [q.audience.private for q in room.backend.queries if q.audience] == [True, False]


async def test_an_answer_in_a_direct_message_is_shared_with_a_channel_of_choice(room: Room) -> None:
    answer = await room.answer_to(room.ask("leave?", channel=room.dm))
    await press(room, answer, "share_to")
    view = room.sandbox.world.modals[ANA][0]
    for channel, errors in ((EXPERTS, ["channel"]), ("C_HR", [])):
        values = {
            "channel": {"channel": {"type": "conversations_select", "selected_conversation": channel}},
            "question": {"question": {"type": "plain_text_input", "value": "How long is leave?"}},
        }
        problems = await room.sandbox.people.submit(user=ANA, view_id=view["id"], values=values)
        assert list(problems) == errors
    await eventually(said(room, "twenty weeks", "C_HR"))
    audience = room.backend.queries[-1].audience
    assert audience
    assert (audience.channel, audience.private) == ("C_HR", False)


async def test_nothing_is_shared_with_a_channel_that_outsiders_read(room: Room) -> None:
    world = room.sandbox.world
    world.add_channel(Channel("C_PARTNER", "partner", "public", [ANA, BOT_USER], is_shared=True))
    await room.sandbox.people.command(channel="C_PARTNER", user=ANA, command="/ask", text="leave?")
    note = await note_of(room, ANA, "twenty weeks")
    await press(room, note, "share")
    await note_of(room, ANA, "shared with another workspace")
    assert room.answers("C_PARTNER") == []


# -------------------------------------------------------------------------------------------------------- quiet threads


async def test_mute_quiets_a_thread_a_mention_is_answered_and_unmute_wakes_it(room: Room) -> None:
    answer, _ = await ask(room)
    for text, answers in (("mute", 1), ("and for adoption?", 1), ("<@U_FOOTNOTE> please?", 2)):
        room.ask(text, thread_ts=answer.thread_ts)
        await eventually(lambda answers=answers: len(room.backend.queries) == answers)  # type: ignore[misc]
        await asyncio.sleep(0.3)
        assert len(room.backend.queries) == answers
    await note_of(room, ANA, "stay quiet")
    room.ask("Unmute.", thread_ts=answer.thread_ts)
    await note_of(room, ANA, "every reply")
    room.ask("and now?", thread_ts=answer.thread_ts)
    await eventually(lambda: len(room.backend.queries) == 3)


async def test_a_muted_speaker_on_an_answer_quiets_its_thread_until_it_is_taken_away(room: Room) -> None:
    answer, _ = await ask(room)
    for add, queries in ((True, 1), (False, 2)):
        room.sandbox.people.react(channel=room.channel, user=BEN, ts=answer.ts, name="mute", add=add)
        await note_of(room, BEN, "stay quiet" if add else "every reply")
        room.ask("and for adoption?", thread_ts=answer.thread_ts)
        await asyncio.sleep(0.5)
        assert len(room.backend.queries) == queries


async def test_in_a_busy_channel_replies_need_a_mention_unless_somebody_asks(room: Room) -> None:
    answer, _ = await ask(room, channel=BUSY)
    for _ in range(2):
        room.ask("and for adoption?", thread_ts=answer.thread_ts, channel=BUSY)
    await note_of(room, ANA, "many people in this channel")
    await asyncio.sleep(0.3)
    assert (len(room.backend.queries), len(room.notes())) == (1, 1)
    room.ask("follow", thread_ts=answer.thread_ts, channel=BUSY)
    await note_of(room, ANA, "every reply")
    room.ask("and for adoption?", thread_ts=answer.thread_ts, channel=BUSY)
    await eventually(lambda: len(room.backend.queries) == 2)


# -------------------------------------------------------------------------------------------------------------- experts


async def test_an_expert_is_asked_answers_and_the_answer_is_passed_on_and_kept_after_a_review(room: Room) -> None:
    room.backend.script = abstained("run-expert")
    answer, run_id = await ask(room, "<@U_FOOTNOTE> who signs <b>leave</b>?")
    await press(room, answer, "ask_human")
    request = await eventually(said(room, "Can somebody help?", EXPERTS))
    assert "who signs &lt;b&gt;leave" in words(request)
    assert "Leave" in words(request)
    await note_of(room, ANA, f"I have asked <#{EXPERTS}>")
    await press(room, answer, "ask_human", user=BEN)
    await note_of(room, BEN, "handed on")

    reply = room.sandbox.people.write(channel=EXPERTS, user=BEN, text="*Maria* does <!here>.", thread_ts=request.ts)
    offer = await note_of(room, BEN, "Shall I do something")
    await press(room, offer, "expert_send", user=BEN)
    passed_on = await eventually(said(room, "answers your question"))
    assert (passed_on.thread_ts, "<!here>" in words(passed_on)) == (answer.thread_ts, False)

    await press(room, offer, "expert_keep", user=BEN)
    form = room.sandbox.world.modals[BEN][0]
    assert form["blocks"][0]["element"]["initial_value"] == "who signs <b>leave</b>?"
    assert "*Maria* does" in form["blocks"][1]["element"]["initial_value"]
    await submit(room, BEN, title="Who signs leave?", text="Maria signs it.")
    await eventually(said(room, "ready", EXPERTS))
    [kept] = room.backend.ingested
    assert (kept.title, kept.text, kept.visibility) == (
        "Who signs leave?",
        "Maria signs it.",
        f"channel:{room.channel}",
    )
    assert (kept.metadata["author"], kept.by, kept.id) == ("Ben", BEN, f"expert/local/{EXPERTS}/{reply.ts}")
    assert len(room.backend.queries) == 1
    assert run_id == "run-expert"


async def test_an_expert_is_not_shown_what_their_channel_may_not_read(room: Room) -> None:
    """The document of #hr, and the answer that draws on it, stay there."""
    room.backend.documents["leave"] = document("leave", title="Leave", visibility="channel:C_HR")
    answer, run_id = await ask(room, channel="C_HR")
    await press(room, answer, "feedback", value=f"{run_id}:-1")
    note = await note_of(room, ANA, "Ask a human")
    await press(room, note, "ask_human")
    request = await eventually(said(room, "not everybody here may read it", EXPERTS))
    assert "leave?" in words(request)
    assert "twenty weeks" not in words(request)
    assert "handbook.example" not in words(request)


# ------------------------------------------------------------------------------------------------------------ the agent


async def test_the_agents_messages_open_with_questions_about_what_the_person_may_read(room: Room) -> None:
    room.backend.documents = {
        "a": msgspec.structs.replace(document("a", title="Leave"), status="ready"),
        "b": msgspec.structs.replace(document("b", title="Salaries", visibility="channel:C_HR"), status="ready"),
    }
    room.sandbox.people.open_home(user=BEN, tab="messages")
    dm = room.sandbox.world.dm(BEN).id
    shown = await eventually(lambda: room.sandbox.world.prompts.get(dm))
    titles = [prompt["title"] for prompt in shown["prompts"]]
    assert titles[0] == "What is in “Leave”?"
    assert not any("Salaries" in title for title in titles)
    assert len(titles) <= 4


async def test_a_conversation_of_the_older_kind_gets_its_questions_in_its_thread(room: Room) -> None:
    root = room.sandbox.people.open_assistant(user=ANA)
    call = await eventually(
        lambda: next(
            (
                call
                for call in room.sandbox.calls
                if call.method == "assistant.threads.setSuggestedPrompts" and call.arguments.get("thread_ts") == root.ts
            ),
            None,
        )
    )
    assert call.answer["ok"]


async def test_a_direct_conversation_has_its_question_as_title_and_ends_active(room: Room) -> None:
    asked = room.ask("How long is parental leave?", channel=room.dm)
    await room.answer_to(asked)
    session = await eventually(lambda: room.sandbox.world.sessions.get((room.dm, asked.ts)))
    assert session.title == "How long is parental leave?"
    await eventually(lambda: room.sandbox.world.sessions[room.dm, asked.ts].status == "active")


# --------------------------------------------------------------------------------------------------------- in all of it


async def test_every_message_with_blocks_says_the_same_in_plain_text(room: Room) -> None:
    """Runs last: it looks at what all the others had the bot post."""
    posts = {"chat.postMessage", "chat.postEphemeral", "chat.update"}
    calls = [call for call in room.sandbox.calls if call.method in posts]
    assert len(calls) > 10
    assert [call.method for call in calls if not str(call.arguments.get("text") or "").strip()] == []
    assert [call for call in calls if call.method == "chat.postMessage" and call.arguments.get("unfurl_links")] == []
