"""A thread becomes a document and stays what Slack says it is: in a local Slack, against a scripted backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.schema import IngestRequest
from bot.app import open_bot
from bot.sandbox import Sandbox
from bot.sandbox.world import Message, User
from tests.browser import needs_browser, page_at
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import open_backend

pytestmark = pytest.mark.e2e

DELAYS = (0.2,) * 100
SETTLED = 2.6
"""Seconds after which an edit has been followed, or never will be."""


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with (
        open_backend() as backend,
        Sandbox(0) as sandbox,
        open_bot(settings_for(sandbox, backend, tmp_path), delays=DELAYS),
    ):
        yield Room(sandbox, backend)


def thread(room: Room, channel: str = "") -> tuple[Message, Message]:
    """A question and its answer, by two people."""
    place = channel or room.channel
    first = room.ask("How long is the notice period?", channel=place)
    answering = room.user if channel else "U_BEN"
    second = room.sandbox.people.write(channel=place, user=answering, text="Three months.", thread_ts=first.ts)
    return first, second


async def ingest(room: Room, message: Message) -> None:
    await room.sandbox.people.shortcut(
        user=room.user, callback_id="ingest_thread", channel=message.channel, ts=message.ts
    )


async def ready(room: Room, message: Message) -> IngestRequest:
    """Ingest a thread; return what the backend got."""
    await ingest(room, message)
    await eventually(lambda: any("Remove" in words(shown) for shown in room.answers(message.channel)))
    return room.backend.ingested[-1]


async def test_a_thread_becomes_a_document_of_its_channel_with_authors_and_times(room: Room) -> None:
    first, second = thread(room)
    request = await ready(room, second)
    assert request.id == f"slack/local/{room.channel}/{first.ts}"
    assert request.visibility == f"channel:{room.channel}"
    assert request.title == "Thread: How long is the notice period?"
    assert request.text is not None
    assert "## Ana · " in request.text
    assert "Three months." in request.text
    assert request.metadata["author"] == ["Ana", "Ben"]
    assert request.metadata["source"] == "slack"
    assert str(request.metadata["url"]).endswith(f"/archives/{room.channel}/p{first.ts.replace('.', '')}")
    (shown,) = room.answers()
    assert shown.thread_ts == first.ts
    assert "ready" in words(shown)


async def test_a_private_channels_thread_is_for_that_channel(room: Room) -> None:
    first, _ = thread(room, "C_HR")
    assert (await ready(room, first)).visibility == "channel:C_HR"


async def test_a_thread_of_direct_messages_is_for_its_person(room: Room) -> None:
    first = room.ask("Remember that the notice period is three months, will you?", channel=room.dm)
    await room.answer_to(first)
    request = await ready(room, first)
    assert request.visibility == f"user:{room.user}"
    assert "Parents get twenty weeks" not in str(request.text)


async def test_an_edit_is_followed_and_many_at_once_are_followed_once(room: Room) -> None:
    first, second = thread(room)
    await ready(room, first)
    for text in ("Two months.", "Four months.", "Six months."):
        room.sandbox.people.edit(channel=room.channel, user="U_BEN", ts=second.ts, text=text)
    await eventually(lambda: len(room.backend.ingested) == 2)
    await asyncio.sleep(0.3)
    before, after = room.backend.ingested
    assert "Six months." in str(after.text)
    assert "Three months." not in str(after.text)
    assert (after.id, after.visibility) == (before.id, before.visibility)


async def test_a_reply_that_is_deleted_leaves_the_document(room: Room) -> None:
    first, second = thread(room)
    await ready(room, first)
    room.sandbox.people.delete(channel=room.channel, user="U_BEN", ts=second.ts)
    await eventually(lambda: len(room.backend.ingested) == 2)
    assert "Three months." not in str(room.backend.ingested[-1].text)


async def test_the_document_goes_with_the_first_message(room: Room) -> None:
    first, _ = thread(room)
    request = await ready(room, first)
    assert request.id in room.backend.documents
    room.sandbox.people.delete(channel=room.channel, user=room.user, ts=first.ts)
    await eventually(lambda: request.id not in room.backend.documents)


async def test_what_is_written_later_is_not_taken_in_unasked(room: Room) -> None:
    first, second = thread(room)
    await ready(room, first)
    later = room.ask("By the way, the salary is secret.", thread_ts=first.ts)
    room.sandbox.people.edit(channel=room.channel, user=room.user, ts=later.ts, text="The salary is a secret.")
    room.sandbox.people.edit(channel=room.channel, user="U_BEN", ts=second.ts, text="Six months.")
    await eventually(lambda: len(room.backend.ingested) == 2)
    assert "salary" not in str(room.backend.ingested[-1].text)
    await ingest(room, first)
    await eventually(lambda: len(room.backend.ingested) == 3)
    assert "salary" in str(room.backend.ingested[-1].text)


async def test_a_removed_thread_does_not_come_back_with_an_edit(room: Room) -> None:
    first, second = thread(room)
    request = await ready(room, first)
    shown = room.answers()[0]
    people = room.sandbox.people
    await people.act(user=room.user, channel=room.channel, ts=shown.ts, action_id="document_remove")
    await eventually(lambda: request.id not in room.backend.documents)
    people.edit(channel=room.channel, user="U_BEN", ts=second.ts, text="Six months.")
    await asyncio.sleep(SETTLED)
    assert len(room.backend.ingested) == 1


async def test_an_edit_while_the_backend_is_away_is_followed_when_it_is_back(room: Room) -> None:
    first, second = thread(room)
    await ready(room, first)
    room.backend.mode = "down"
    room.sandbox.people.edit(channel=room.channel, user="U_BEN", ts=second.ts, text="Six months.")
    await asyncio.sleep(SETTLED)
    room.backend.mode = "up"
    await eventually(lambda: "Six months." in str(room.backend.ingested[-1].text))


async def test_a_shared_channels_thread_and_a_guests_wish_are_refused(room: Room) -> None:
    first, _ = thread(room)
    room.sandbox.world.channels[room.channel].is_shared = True
    await ingest(room, first)
    note = await eventually(lambda: next(iter(room.notes()), None))
    assert "shared with another workspace" in note.text
    guest = room.sandbox.world.add_user(User("U_GUEST", "Gus", "local", is_guest=True))
    room.sandbox.world.channels[room.channel].members.append(guest.id)
    await room.sandbox.people.shortcut(user=guest.id, callback_id="ingest_thread", channel=room.channel, ts=first.ts)
    await eventually(lambda: any("Only members" in words(one) for one in room.notes()))
    assert room.backend.ingested == []


async def test_where_we_are_not_a_member_we_say_so(room: Room) -> None:
    first, _ = thread(room, "C_HR")
    room.sandbox.world.channels["C_HR"].members.remove("U_FOOTNOTE")
    await ingest(room, first)
    note = await eventually(lambda: next(iter(room.notes()), None))
    assert "Invite me" in note.text


@needs_browser
async def test_the_page_offers_it_in_a_messages_menu(room: Room) -> None:
    first, _ = thread(room)
    async with page_at(room.sandbox.page_url) as page:
        message = page.locator("#messages article").filter(has_text="notice period")
        await message.hover()
        await message.get_by_label("More actions").click()
        await message.get_by_role("button", name="Ingest this thread").click()
        await eventually(lambda: any("Remove" in words(shown) for shown in room.answers()))
    assert room.backend.ingested[0].id == f"slack/local/{room.channel}/{first.ts}"
