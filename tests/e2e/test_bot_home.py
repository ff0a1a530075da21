"""The App Home and the form for adding documents, in the local Slack."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import msgspec
import pytest
import pytest_asyncio

from backend.schema import KnowledgeGap
from bot.app import open_bot
from bot.sandbox import Sandbox
from bot.sandbox.values import BOT_USER, Json
from bot.sandbox.world import Message, User
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import abstained, answered, document, open_backend

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

ANA, BEN, HR = "U_ANA", "U_BEN", "C_HR"
_numbers = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    data = tmp_path_factory.mktemp("home")
    async with (
        open_backend() as backend,
        Sandbox(0) as sandbox,
        open_bot(settings_for(sandbox, backend, data), delays=(0.1,) * 50),
    ):
        yield Room(sandbox, backend)


@pytest.fixture
def room(opened: Room) -> Room:
    """The shared room, with two documents, one of them #hr's, and a run of its own for each test."""
    opened.backend.ingested.clear()
    opened.backend.collected.clear()
    opened.backend.mode = "up"
    opened.backend.parts = {}
    opened.backend.script = answered(run_id=f"run-{next(_numbers)}")
    opened.backend.documents = {
        "a": msgspec.structs.replace(document("a", title="Leave"), status="ready"),
        "b": msgspec.structs.replace(document("b", title="Salaries", visibility=f"channel:{HR}"), status="ready"),
    }
    opened.sandbox.world.homes.clear()
    opened.sandbox.world.modals.clear()
    return opened


async def home(room: Room, user: str = ANA, *, saying: str = "Newest documents") -> str:
    """Open somebody's Home; return all that it shows once it shows this."""
    room.sandbox.people.open_home(user=user, tab="home")
    return await shown(room, user, saying)


async def shown(room: Room, user: str, saying: str) -> str:
    return await eventually(lambda: text if saying in (text := str(room.sandbox.world.homes.get(user))) else None, 30)


async def press(room: Room, user: str, action: str) -> None:
    view = room.sandbox.world.homes[user]
    await room.sandbox.people.act(user=user, action_id=action, view_id=view["id"])


async def form_of(room: Room, user: str = ANA) -> Json:
    return await eventually(lambda: next(iter(room.sandbox.world.modals.get(user, [])), None), 30)


async def whisper(room: Room, user: str, question: str) -> None:
    """Ask by `/ask`, to the answer."""
    before = len(room.notes())
    await room.sandbox.people.command(channel=room.channel, user=user, command="/ask", text=question)
    await eventually(lambda: len(room.notes()) > before, 30)


# ------------------------------------------------------------------------------------------------------------- the Home


async def test_a_home_shows_what_its_person_asked_with_a_link_and_what_came_of_it(room: Room) -> None:
    answer = await room.answer_to(room.ask(f"<@{BOT_USER}> how long is <https://x.example|*leave*>?"))
    room.backend.script = abstained(f"run-{next(_numbers)}")
    await room.answer_to(room.ask("who signs it?", channel=room.dm))
    seen = await home(room, saying="who signs it?")
    assert f"/{room.channel}/p{answer.ts.replace('.', '')}" in seen
    assert "✅ answered · in <#C_GENERAL>" in seen
    assert "🔎 not in the documents · in a direct message" in seen
    assert "how long is *leave*?" in seen


async def test_a_private_question_is_on_its_askers_home_and_on_nobody_elses(room: Room) -> None:
    await whisper(room, ANA, "what does Ben earn?")
    assert "what does Ben earn?" in await home(room, ANA, saying="what does Ben earn?")
    bens = await home(room, BEN)
    assert "what does Ben earn?" not in bens
    assert "You haven't asked anything yet." in bens


async def test_documents_of_a_channel_never_show_outside_and_go_when_one_leaves(room: Room) -> None:
    assert "Salaries" in await home(room, ANA)
    assert "Salaries" not in await home(room, BEN)
    room.sandbox.people.leave(channel=HR, user=ANA)
    try:
        await eventually(lambda: "Salaries" not in str(room.sandbox.world.homes[ANA]), 30)
        assert "Leave" in str(room.sandbox.world.homes[ANA])
    finally:
        room.sandbox.people.join(channel=HR, user=ANA)


async def test_an_open_home_follows_what_its_person_asks_and_no_other_home_is_made(room: Room) -> None:
    await home(room)
    room.sandbox.world.homes.pop(BEN, None)
    await room.answer_to(room.ask(f"<@{BOT_USER}> how many days for adoption?"))
    await shown(room, ANA, "how many days for adoption?")
    assert BEN not in room.sandbox.world.homes


async def test_many_openings_at_once_are_few_publications(room: Room) -> None:
    await home(room)
    before = published(room)
    for _ in range(20):
        room.sandbox.people.open_home(user=ANA, tab="home")
    await eventually(lambda: published(room) > before, 30)
    assert published(room) - before < 5


def published(room: Room) -> int:
    return sum(call.method == "views.publish" for call in room.sandbox.calls)


async def test_an_example_opens_the_form_with_its_question_in_it(room: Room) -> None:
    await home(room)
    await press(room, ANA, "home_ask:0")
    form = await form_of(room)
    assert form["blocks"][0]["element"]["initial_value"] == "What does “Leave” say?"
    await press(room, ANA, "home_ask")
    await eventually(lambda: "initial_value" not in str(room.sandbox.world.modals[ANA]), 30)


async def test_titles_of_documents_come_to_no_life(room: Room) -> None:
    title = "<!channel> <https://evil.example|x> *b* & `c`"
    room.backend.documents["a"] = msgspec.structs.replace(document("a", title=title), status="ready")
    seen = await home(room)
    assert "&lt;!channel&gt; &lt;https://evil.example¦x&gt;" in seen
    assert "<!channel>" not in str([block for block in _blocks(room) if block["type"] == "section"])


def _blocks(room: Room) -> list[Json]:
    found: list[Json] = room.sandbox.world.homes[ANA]["blocks"]
    return found


async def test_without_the_backend_the_home_says_so(room: Room) -> None:
    room.backend.mode = "down"
    await home(room, saying="can't reach my document service")
    room.backend.mode = "up"
    await home(room)


# ---------------------------------------------------------------------------------------------------------- for admins


def admin(room: Room, name: str) -> str:
    """Somebody new who is an admin, in #general and in no other channel."""
    world = room.sandbox.world
    user = world.add_user(User(f"U_{name.upper()}", name, "local", is_admin=True)).id
    world.channels[room.channel].members.append(user)
    return user


async def test_admins_see_how_it_is_what_people_thought_and_what_is_missing_and_others_do_not(room: Room) -> None:
    room.backend.parts = {"index": {}, "disk": {"verdict": "degraded", "advice": "Make room on <disk>."}}
    room.backend.lacking = (KnowledgeGap(3, 1, ("Where is the <!channel> bike room?",), 2, "Offices"),)
    seen = await home(room, admin(room, "Cleo"), saying="For admins")
    assert "I can answer, but not everything is well." in seen
    assert "Make room on &lt;disk&gt;." in seen
    assert "*40 questions* in the last 30 days: 30 answered, 9 not in the documents, 1 failed" in seen
    assert "11 of 12 rated answers were good" in seen
    assert "Where is the &lt;!channel&gt; bike room?" in seen
    assert room.backend.gaps_asked[-1].channels == (room.channel,)
    bens = await home(room, BEN)
    for theirs in ("For admins", "bike room", "Make room", "11 of 12", "channel_settings"):
        assert theirs not in bens


async def test_a_key_that_may_not_see_figures_leaves_the_rest_of_an_admins_home(room: Room) -> None:
    room.backend.parts = {"refused": {}}
    room.backend.lacking = ()
    seen = await home(room, admin(room, "Dora"), saying="For admins")
    assert "My key may not see its parts" in seen
    assert "Newest documents" in seen


async def test_an_admin_opens_a_channels_settings_from_the_home(room: Room) -> None:
    user = admin(room, "Emil")
    await home(room, user, saying="channel_settings")
    view = room.sandbox.world.homes[user]
    picked = {"selected_conversation": room.channel}
    await room.sandbox.people.act(user=user, action_id="channel_settings", view_id=view["id"], chosen=picked)
    assert room.channel in str(await form_of(room, user))


# ------------------------------------------------------------------------------------------------------------- the form


def chosen(value: str) -> Json:
    return {"type": "static_select", "selected_option": {"value": value}}


def filled(links: str, **changes: Json | str) -> Json:
    """What is filled in, by field; choices stay as they are at first."""
    said: dict[str, Json | str] = {"kind": chosen("page"), "visibility": chosen("team"), "refresh": chosen("never")}
    said |= {"links": links, "tags": "", "title": "", "author": ""} | changes
    return {name: {name: {"value": value} if isinstance(value, str) else value} for name, value in said.items()}


async def submit(room: Room, values: Json, user: str = ANA) -> Json:
    form = await form_of(room, user)
    return await room.sandbox.people.submit(user=user, view_id=form["id"], values=values)


async def command(room: Room, text: str = "", user: str = ANA) -> None:
    await room.sandbox.people.command(channel=room.channel, user=user, command="/ingest", text=text)


async def reported(room: Room, channel: str) -> Message:
    return await eventually(lambda: next((m for m in room.answers(channel) if "ready" in words(m)), None), 30)


async def test_ingest_without_words_opens_a_form_that_says_all_that_the_command_can(room: Room) -> None:
    await command(room)
    assert [block["block_id"] for block in (await form_of(room))["blocks"]][:2] == ["links", "kind"]
    values = filled(
        "https://docs.example/a?x=1&y=2",
        tags="hr, parental leave",
        visibility=chosen("channel"),
        refresh=chosen("7d"),
        title='The "new" \\ <leave> & more',
        author="Ana Li, Ben",
        date={"type": "datepicker", "selected_date": "2026-03-01"},
    )
    assert await submit(room, values) == {}
    assert "docs.example" in words(await reported(room, room.channel))
    [request] = room.backend.ingested
    assert (request.url, request.visibility) == ("https://docs.example/a?x=1&y=2", f"channel:{room.channel}")
    assert (request.refresh_days, request.by, request.title) == (7, ANA, 'The "new" \\ <leave> & more')
    assert request.metadata == {
        "tags": ["hr", "parental leave"],
        "author": ["Ana Li", "Ben"],
        "published_at": "2026-03-01",
    }


async def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_taken(room: Room) -> None:
    await command(room, "form")
    wrong = [
        (filled("docs.example/a"), "links", "must begin with https://"),
        (filled("https://a.example https://b.example", title="Leave"), "title", "one document"),
        (filled("https://a.example https://b.example", kind=chosen("site")), "links", "2 addresses"),
        (filled("https://a.example", tags="x" * 101), "tags", "100 characters"),
        (filled(" "), "links", "at least one address"),
    ]
    for values, field, saying in wrong:
        problems = await submit(room, values)
        assert list(problems) == [field]
        assert saying in problems[field]
    assert room.backend.ingested == []


async def test_the_form_opens_from_the_home_and_from_anywhere_and_reports_to_the_person(room: Room) -> None:
    await home(room, BEN)
    await press(room, BEN, "ingest_form")
    assert "This channel only" not in str(await form_of(room, BEN))
    assert await submit(room, filled("https://docs.example/b,https://docs.example/c"), BEN) == {}
    dm = room.sandbox.world.dm(BEN).id
    await eventually(lambda: len(room.backend.ingested) == 2, 30)
    await reported(room, dm)
    assert {request.visibility for request in room.backend.ingested} == {"team"}
    await shown(room, BEN, "docs.example/b")

    await room.sandbox.people.shortcut(user=BEN, callback_id="ingest_form")
    values = filled("https://docs.example/d visibility:team", visibility=chosen("private"))
    assert await submit(room, values, BEN) == {}
    await eventually(lambda: room.backend.ingested[-1].visibility == f"user:{BEN}", 30)


async def test_a_guest_fills_in_the_form_and_is_told_that_members_add(room: Room) -> None:
    world = room.sandbox.world
    guest = world.add_user(User("U_GUEST", "Gia", "local", is_guest=True))
    world.channels[room.channel].members.append(guest.id)
    try:
        await command(room, user=guest.id)
        assert await submit(room, filled("https://docs.example/g"), guest.id) == {}
        await eventually(lambda: any("Only members" in words(note) for note in room.notes()), 30)
        seen = await home(room, guest.id, saying="can't answer guests")
        assert "Newest documents" not in seen
    finally:
        world.channels[room.channel].members.remove(guest.id)
    assert room.backend.ingested == []
