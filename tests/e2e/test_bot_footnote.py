"""`/footnote` and the settings of channels, in the local Slack: who sees what, and what each setting does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from backend.schema import KnowledgeGap
from bot.app import open_bot
from bot.sandbox import Sandbox
from bot.sandbox.values import BOT_USER
from bot.sandbox.world import Channel, Message, User
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import abstained, answered, open_backend

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

ANA, BEN, CARA, DAN = "U_ANA", "U_BEN", "U_CARA", "U_DAN"
"""Ana and Dan are admins; Cara made the channels."""
CHANNELS = 40
_numbers = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    async with open_backend() as backend, Sandbox(0) as sandbox:
        sandbox.world.add_user(User(CARA, "Cara", "local"))
        sandbox.world.add_channel(Channel("C_HIDDEN", "hidden", "private", [BEN, BOT_USER]))
        sandbox.world.add_channel(Channel("C_ALONE", "alone", "public", [ANA]))
        sandbox.world.add_user(User(DAN, "Dan", "local", is_admin=True))
        for number in range(CHANNELS):  # before the bot looks who is where: it is told of what changes, not of this
            members = [ANA, BEN, CARA, DAN, BOT_USER]
            sandbox.world.add_channel(Channel(f"C_T{number}", f"t{number}", "public", members, creator=CARA))
        settings = settings_for(sandbox, backend, tmp_path_factory.mktemp("footnote"), busy_from=6)
        async with open_bot(settings, delays=(0.1,) * 50):
            yield Room(sandbox, backend)


@pytest.fixture
def room(opened: Room) -> Room:
    """The shared room in a channel of its own for each test, which Cara made, with nothing said to the backend."""
    backend, number = opened.backend, next(_numbers)
    backend.queries.clear()
    backend.gaps_asked.clear()
    backend.parts, backend.prompts, backend.lacking, backend.mode = {}, ("answer@v2", "answer@v1"), (), "up"
    backend.script = answered(run_id=f"run-{number}")
    opened.sandbox.world.ephemerals.clear()
    opened.channel = f"C_T{number}"
    return opened


async def footnote(room: Room, text: str, user: str = ANA, channel: str | None = None) -> None:
    await room.sandbox.people.command(channel=channel or room.channel, user=user, command="/footnote", text=text)


async def note_of(room: Room, user: str, saying: str) -> Message:
    return await eventually(lambda: next((n for n in room.notes() if n.only_for == user and saying in words(n)), None))


async def told(room: Room, text: str, saying: str, user: str = ANA, channel: str | None = None) -> str:
    """Run a command; return all that its asker alone is told."""
    await footnote(room, text, user, channel)
    return words(await note_of(room, user, saying))


def filled(**changes: object) -> dict[str, Any]:
    """The fields of the form as Slack sends them."""
    given: dict[str, Any] = {
        "auto_answer": "default",
        "tags": "",
        "sources": "",
        "prompt": "current",
        "language": "asker",
    }
    given |= changes
    muted = [{"value": "muted"}] if given.get("muted") else []
    return {
        "auto_answer": {"auto_answer": {"selected_option": {"value": given["auto_answer"]}}},
        "tags": {"tags": {"value": given["tags"]}},
        "sources": {"sources": {"value": given["sources"]}},
        "prompt": {"prompt": {"selected_option": {"value": given["prompt"]}}},
        "language": {"language": {"selected_option": {"value": given["language"]}}},
        "muted": {"muted": {"selected_options": muted}},
        "expert": {"expert": {"selected_user": given.get("expert")}},
        "expert_channel": {"expert_channel": {"selected_conversation": given.get("expert_channel")}},
    }


async def form_of(room: Room, user: str) -> dict[str, Any]:
    return await eventually(lambda: next(iter(room.sandbox.world.modals.get(user, [])), None))


async def settle(room: Room, user: str = ANA, **changes: object) -> dict[str, Any]:
    """Change the settings of the room's channel by its form; return what is wrong with it."""
    await footnote(room, "config", user)
    view = await form_of(room, user)
    errors: dict[str, Any] = await room.sandbox.people.submit(user=user, view_id=view["id"], values=filled(**changes))
    if not errors:
        assert "Saved" in str((await form_of(room, user))["blocks"])
        room.sandbox.world.set_modals(user, [])
    return errors


async def settled_quietly(room: Room, queries: int) -> None:
    """Give whatever might come a moment, then see that nothing did."""
    await asyncio.sleep(0.4)
    assert len(room.backend.queries) == queries


# ---------------------------------------------------------------------------------------------------------- the command


@pytest.mark.parametrize("text", ["", "help", "HELP me"])
async def test_help_explains_every_subcommand(room: Room, text: str) -> None:
    said = await told(room, text, "What I can do")
    assert all(f"/footnote {verb}" in said for verb in ("status", "config", "gaps"))


async def test_a_wrong_word_is_named_and_explained(room: Room) -> None:
    assert "I don't know `sta&lt;us`" not in (said := await told(room, "`sta<us`", "I don't know"))
    assert "What I can do" in said


async def test_everybody_sees_in_one_line_that_all_is_well(room: Room) -> None:
    room.backend.parts = {"index": {}, "disk": {}}
    said = await told(room, "status", "All is well", BEN)
    assert "Search index" not in said
    assert "Search index" in await told(room, "status", "All is well", ANA)


async def test_admins_see_what_is_not_well_and_what_to_do(room: Room) -> None:
    room.backend.parts = {"index": {}, "disk": {"verdict": "degraded", "advice": "Free some <space> soon."}}
    said = await told(room, "status", "not everything is well", ANA)
    assert "Free some &lt;space&gt; soon." in said
    assert "Connection to Slack" in said
    assert "Free some" not in await told(room, "status", "Admins see here", BEN)


async def test_status_is_told_while_the_backend_is_away_or_refuses_our_key(room: Room) -> None:
    room.backend.mode = "down"
    assert "python -m backend serve" in await told(room, "status", "can't answer at the moment")
    room.backend.mode, room.backend.parts = "up", {"refused": {}}
    assert "takes one with the role" in await told(room, "status", "the document service answers")


async def test_gaps_are_for_admins_and_of_the_channels_that_they_read(room: Room) -> None:
    room.backend.lacking = (KnowledgeGap(3, 1, ("Where may I <park>?",), 2, "Old map"), KnowledgeGap(1, 0, (), 1))
    said = await told(room, "gaps", "What the documents lack")
    assert "Where may I &lt;park&gt;?" in said
    assert "3 × not answered · 1 × answer disliked · 2 of them asked elsewhere · closest: Old map" in said
    assert "Asked privately, or where you and I are not both in" in said
    [asked] = room.backend.gaps_asked
    assert {"C_GENERAL", "C_HR", room.channel} <= set(asked.channels)
    assert "C_HIDDEN" not in asked.channels
    assert "park" not in await told(room, "gaps", "Only admins", BEN)
    assert len(room.backend.gaps_asked) == 1


async def test_gaps_say_so_where_there_are_none_or_the_backend_is_away(room: Room) -> None:
    await told(room, "gaps", "No gaps: 40 questions in the last 30 days")
    room.backend.mode = "down"
    await told(room, "gaps", "can't reach my document service")


# ------------------------------------------------------------------------------------------------------------- the form


async def test_admins_and_who_made_the_channel_change_its_settings(room: Room) -> None:
    assert await settle(room, ANA, tags="hr, policy", auto_answer="mentions") == {}
    assert await settle(room, CARA, tags="hr", auto_answer="mentions", prompt="answer@v1") == {}
    said = await told(room, "config", "How I answer in", BEN)
    assert "only those tagged hr" in said
    assert f"Changed by <@{CARA}>" in said
    assert "Admins of this workspace, and who made the channel" in said
    assert room.sandbox.world.modals.get(BEN, []) == []
    await footnote(room, "config", ANA)
    shown = {block.get("block_id"): block.get("element", {}) for block in (await form_of(room, ANA))["blocks"]}
    assert shown["tags"]["initial_value"] == "hr"
    assert shown["prompt"]["initial_option"]["value"] == "answer@v1"
    assert [one["value"] for one in shown["prompt"]["options"]] == ["current", "answer@v2", "answer@v1"]


async def test_what_is_filled_in_wrong_is_said_beside_its_field(room: Room) -> None:
    wrong = {"sources": "https://", "tags": "x" * 101, "expert": BEN, "expert_channel": "C_HR"}
    assert sorted(await settle(room, ANA, **wrong)) == ["expert_channel", "sources", "tags"]
    assert list(await settle(room, CARA, expert_channel="C_HR")) == ["expert_channel"]


async def test_who_has_left_the_channel_while_the_form_was_open_changes_nothing(room: Room) -> None:
    await footnote(room, "config", DAN)
    view = await form_of(room, DAN)
    room.sandbox.people.leave(channel=room.channel, user=DAN)
    async with asyncio.timeout(30):
        while "Only admins" not in str((await form_of(room, DAN))["blocks"]):  # until the bot has heard of it
            await asyncio.sleep(0.1)
            view = await form_of(room, DAN)
            await room.sandbox.people.submit(user=DAN, view_id=view["id"], values=filled())
    await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))


async def test_the_home_opens_the_settings_of_a_chosen_channel_for_those_who_are_in_it(room: Room) -> None:
    async def choose(user: str, channel: str) -> str:
        room.sandbox.people.open_home(user=user, tab="home")
        home = await eventually(lambda: room.sandbox.world.homes.get(user))
        chosen = {"selected_conversation": channel}
        await room.sandbox.people.act(user=user, action_id="channel_settings", view_id=home["id"], chosen=chosen)
        view = await form_of(room, user)
        room.sandbox.world.set_modals(user, [])
        return str(view)

    await settle(room, tags="hr")
    assert "Only documents with one of these tags" in await choose(ANA, room.channel)
    hidden = await choose(ANA, "C_HIDDEN")
    assert "I'm not in this channel" in hidden
    assert "tags" not in hidden


async def test_settings_are_a_channels_and_of_one_that_we_are_in(room: Room) -> None:
    await told(room, "config", "run `/footnote config` in one", channel=room.dm)
    await told(room, "config", "I'm not in this channel", channel="C_ALONE")


# ------------------------------------------------------------------------------------------------- what a setting does


async def test_a_muted_channel_is_quiet_and_who_asks_is_told_privately(room: Room) -> None:
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    await settle(room, muted=True)
    room.ask("and for adoption?", thread_ts=answer.thread_ts)
    room.ask("follow", thread_ts=answer.thread_ts)
    room.ask("<@U_FOOTNOTE> leave?")
    await note_of(room, ANA, "I'm muted in this channel")
    await settled_quietly(room, queries=1)
    assert len(room.answers()) == 1
    assert len(room.notes()) == 1
    await room.sandbox.people.command(channel=room.channel, user=ANA, command="/ask", text="leave?")
    await note_of(room, ANA, "twenty weeks")
    shared = await note_of(room, ANA, "twenty weeks")
    await room.sandbox.people.act(user=ANA, action_id="share", channel=room.channel, ts=shared.ts)
    await eventually(lambda: len([n for n in room.notes() if "I'm muted in this channel" in words(n)]) == 2)
    assert len(room.answers()) == 1
    assert await settle(room, muted=False) == {}
    await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))


async def test_allowed_tags_and_hosts_limit_every_question_of_the_channel_and_of_no_other(room: Room) -> None:
    await settle(room, tags="HR", sources="https://www.handbook.example/leave, wiki.example")
    await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    await room.sandbox.people.command(channel=room.channel, user=BEN, command="/ask", text="leave?")
    await note_of(room, BEN, "twenty weeks")
    await room.answer_to(room.ask("leave?", channel=room.dm))
    tagged = {"op": "in", "field": "tags", "value": ["HR"]}
    hosted = {"op": "in", "field": "source", "value": ["handbook.example", "wiki.example"]}
    here = {"op": "and", "items": [tagged, hosted]}
    assert [query.filter for query in room.backend.queries] == [here, here, None]


async def test_a_question_is_answered_without_a_mention_where_the_channel_wants_it(room: Room) -> None:
    room.ask("How long is parental leave?")
    await settled_quietly(room, queries=0)
    await settle(room, auto_answer="questions")
    for text in ("Good morning.", "<@U_BEN> how long is yours?", "https://wiki.example/?q=a b", "Really?"):
        room.ask(text)
    asked = room.ask("Does anybody know: how long is parental leave? Thanks!")
    answer = await room.answer_to(asked)
    assert "twenty weeks" in words(answer)
    room.ask("and for adoption", thread_ts=asked.ts)
    await eventually(lambda: len(room.backend.queries) == 2)
    await settled_quietly(room, queries=2)


async def test_a_mention_is_answered_once_where_questions_are_answered_too(room: Room) -> None:
    await settle(room, auto_answer="questions")
    asked = room.ask("<@U_FOOTNOTE> how long is parental leave?")
    await room.answer_to(asked)
    await settled_quietly(room, queries=1)


async def test_replies_need_a_mention_or_none_as_the_channel_wants(room: Room) -> None:
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    await settle(room, auto_answer="mentions")
    room.ask("and for adoption?", thread_ts=answer.thread_ts)
    await note_of(room, ANA, "only if it mentions me")
    await settled_quietly(room, queries=1)
    await settle(room, auto_answer="replies")
    room.ask("and for adoption?", thread_ts=answer.thread_ts)
    await eventually(lambda: len(room.backend.queries) == 2)


async def test_the_channels_prompt_writes_and_one_that_is_gone_stops_nobody(room: Room) -> None:
    await settle(room, prompt="answer@v1")
    await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    room.backend.prompts = ("answer@v2",)
    await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    assert [query.prompt for query in room.backend.queries] == ["answer@v1", None]


async def test_the_channels_language_is_written_in(room: Room) -> None:
    await settle(room, language="fr")
    await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    await settle(room, language="asker")
    await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
    assert [query.language for query in room.backend.queries] == ["fr", None]


async def test_the_channels_expert_is_asked(room: Room) -> None:
    await settle(room, expert=BEN)
    room.backend.script = abstained(f"run-expert-{room.channel}")
    answer = await room.answer_to(room.ask("<@U_FOOTNOTE> who signs?"))
    await room.sandbox.people.act(user=ANA, action_id="ask_human", channel=answer.channel, ts=answer.ts)
    await note_of(room, ANA, f"I have asked <@{BEN}>")
