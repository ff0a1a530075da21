"""Documents that come in from Slack itself: links and files, in a local Slack against a scripted backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from bot.app import open_bot
from bot.files import MAX_FILE
from bot.sandbox import Sandbox
from bot.sandbox.world import Message, User
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import collection, open_backend

pytestmark = pytest.mark.e2e

DELAYS = (0.2,) * 100
BOT = "<@U_FOOTNOTE>"
PRIVATE = "C_HR"


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with (
        open_backend() as backend,
        Sandbox(0) as sandbox,
        open_bot(settings_for(sandbox, backend, tmp_path), delays=DELAYS),
    ):
        yield Room(sandbox, backend)


def share(room: Room, text: str, *, channel: str = "", content: bytes = b"%PDF-1.7 leave", user: str = "") -> Message:
    return room.sandbox.people.upload(
        channel=channel or room.channel,
        user=user or room.user,
        name="leave.pdf",
        mimetype="application/pdf",
        content=content,
        text=text,
        thread_ts=None,
    )


async def progress(room: Room, word: str, channel: str | None = None) -> Message:
    """Wait until the bot shows `word` in a message of the channel."""
    return await eventually(lambda: next((m for m in room.answers(channel) if word in words(m)), None))


# -------------------------------------------------------------------------------------------------------------- links


async def test_a_link_with_the_mention_is_ingested_in_its_thread(room: Room) -> None:
    asked = room.ask(f"{BOT} ingest this https://docs.example/a tags:hr")
    shown = await progress(room, "ready")
    (request,) = room.backend.ingested
    assert (request.url, request.visibility, request.metadata) == ("https://docs.example/a", "team", {"tags": ["hr"]})
    assert shown.thread_ts == asked.ts
    assert len(room.answers()) == 1
    assert room.backend.queries == []


async def test_a_question_with_a_link_in_it_is_a_question(room: Room) -> None:
    await room.answer_to(room.ask(f"{BOT} what does https://docs.example/a say about leave?"))
    assert room.backend.ingested == []
    assert len(room.backend.queries) == 1


async def test_ingest_this_is_about_the_message_that_it_replies_to(room: Room) -> None:
    first = room.ask("Ben, have a look at https://docs.example/a and https://docs.example/b")
    room.ask(f"{BOT} ingest this", thread_ts=first.ts)
    await eventually(lambda: len(room.backend.ingested) == 2)
    assert [request.url for request in room.backend.ingested] == ["https://docs.example/a", "https://docs.example/b"]


async def test_ingest_this_about_nothing_is_explained_to_the_asker(room: Room) -> None:
    room.ask(f"{BOT} ingest this")
    note = await eventually(lambda: next(iter(room.notes()), None))
    assert "neither a link nor a file" in note.text
    assert room.backend.ingested == []
    assert room.backend.queries == []


async def test_an_option_that_cannot_be_read_is_explained_to_the_asker(room: Room) -> None:
    room.ask(f"{BOT} add https://docs.example/a visibility:all")
    note = await eventually(lambda: next(iter(room.notes()), None))
    assert "visibility:" in note.text
    assert room.backend.ingested == []


async def test_a_link_in_a_thread_of_ours_is_not_ingested_without_the_mention(room: Room) -> None:
    first = room.ask(f"{BOT} how much leave?")
    await room.answer_to(first)
    room.ask("https://docs.example/a", thread_ts=first.ts)
    await eventually(lambda: len(room.backend.queries) == 2)
    assert room.backend.ingested == []


async def test_a_guest_adds_nothing(room: Room) -> None:
    guest = room.sandbox.world.add_user(User("U_GUEST", "Gus", "local", is_guest=True))
    room.sandbox.world.channels[room.channel].members.append(guest.id)
    room.sandbox.people.write(channel=room.channel, user=guest.id, text=f"{BOT} add https://docs.example/a")
    note = await eventually(lambda: next(iter(room.notes()), None))
    assert "Only members" in note.text
    assert room.backend.ingested == []


# -------------------------------------------------------------------------------------------------------------- files


async def test_a_file_shared_with_the_mention_is_for_the_readers_of_its_channel(room: Room) -> None:
    content = b"%PDF-1.7 " + bytes(range(256)) * 20_000
    asked = share(room, f"{BOT} ingest this tags:hr", channel=PRIVATE, content=content)
    shown = await progress(room, "ready", PRIVATE)
    assert shown.thread_ts == asked.ts
    assert room.backend.files == [("leave.pdf", content)]
    (request,) = room.backend.ingested
    assert request.visibility == f"channel:{PRIVATE}"
    assert request.metadata == {"source": "slack", "tags": ["hr"]}


async def test_a_file_in_a_direct_message_is_for_its_sender_alone(room: Room) -> None:
    share(room, "ingest this", channel=room.dm)
    await progress(room, "ready", room.dm)
    assert [request.visibility for request in room.backend.ingested] == [f"user:{room.user}"]


async def test_a_file_is_for_the_team_where_that_is_said(room: Room) -> None:
    share(room, f"{BOT} ingest this visibility:team")
    await progress(room, "ready")
    assert [request.visibility for request in room.backend.ingested] == ["team"]


async def test_a_file_with_a_question_is_a_question(room: Room) -> None:
    await room.answer_to(share(room, f"{BOT} does this match our policy?"))
    assert room.backend.files == []


async def test_a_file_that_is_too_large_is_refused_in_words(room: Room) -> None:
    share(room, f"{BOT} ingest this", content=bytes(MAX_FILE + 1))
    await progress(room, "larger than 50 MB")
    assert room.backend.files == []


def share_archive(room: Room, text: str = f"{BOT} ingest this tags:hr", channel: str = "") -> Message:
    return room.sandbox.people.upload(
        channel=channel or room.channel,
        user=room.user,
        name="handbook.ZIP",
        mimetype="application/octet-stream",
        content=b"PK\x03\x04",
        text=text,
        thread_ts=None,
    )


async def test_an_archive_is_taken_in_whole_and_its_pages_are_counted_in_the_thread(room: Room) -> None:
    room.backend.stages = (
        collection("discovered", 3, processing=3),
        collection("discovered", 3, ready=1, processing=2),
        collection("discovered", 3, ready=2, failed=1),
    )
    asked = share_archive(room, channel=PRIVATE)
    shown = await progress(room, "2 of 3 documents ready · 1 failed", PRIVATE)
    assert shown.thread_ts == asked.ts
    assert "It needs a login." in words(shown)
    assert "collection_cancel" not in words(shown)
    assert len(room.answers(PRIVATE)) == 1
    assert room.backend.files == [("handbook.ZIP", b"PK\x03\x04")]
    (request,) = room.backend.collected
    assert (request.url, request.kind, request.limit, request.by) == (None, "zip", 500, room.user)
    assert (request.visibility, request.metadata) == (f"channel:{PRIVATE}", {"source": "slack", "tags": ["hr"]})


async def test_an_archive_that_is_being_read_can_be_cancelled(room: Room) -> None:
    room.backend.stages = (collection("discovered", 3, ready=1, queued=2),)
    share_archive(room)
    message = await progress(room, "1 of 3 documents ready")
    await eventually(lambda: "collection_cancel" in words(message))
    await room.sandbox.people.act(user=room.user, channel=room.channel, ts=message.ts, action_id="collection_cancel")
    ended = await progress(room, "cancelled · 1 document taken in")
    assert "collection_cancel" not in words(ended)


async def test_an_archive_is_handed_in_once_though_the_backend_goes_away_meanwhile(room: Room) -> None:
    room.backend.stages = (collection("discovered", 1, processing=1),)
    share_archive(room)
    await progress(room, "0 of 1 document ready")
    room.backend.mode = "down"
    await progress(room, "is away")
    room.backend.stages = (collection("discovered", 1, ready=1),)
    room.backend.mode = "up"
    await progress(room, "1 of 1 document ready")
    assert len(room.backend.collected) == 1
    assert len(room.answers()) == 1


async def test_the_token_goes_to_slack_and_to_nobody_else(room: Room) -> None:
    seen: list[str | None] = []

    async def other(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(body=b"x")

    application = web.Application()
    application.router.add_get("/{name}", other)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/x"
    file = {"id": "F1", "name": "x.pdf", "mimetype": "application/pdf", "url_private": address}
    room.sandbox.people.write(channel=room.channel, user=room.user, text=f"{BOT} ingest this", files=[file])
    await progress(room, "not kept in Slack")
    await runner.cleanup()
    assert seen == []
    assert room.backend.files == []


async def test_a_file_waits_for_the_backend_and_is_taken_once(room: Room) -> None:
    room.backend.mode = "down"
    share(room, f"{BOT} ingest this")
    await progress(room, "is away")
    room.backend.mode = "up"
    await progress(room, "ready")
    await asyncio.sleep(0.3)
    assert len(room.answers()) == 1
    assert len(room.backend.files) == 1
