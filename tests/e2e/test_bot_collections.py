"""A whole site from one command: counted, cancelled, failed; in a local Slack against a scripted backend."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app import open_bot
from bot.sandbox import Sandbox
from bot.sandbox.world import Message
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import collection, open_backend

pytestmark = pytest.mark.e2e

SITE = "https://docs.example/"


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with (
        open_backend() as backend,
        Sandbox(0) as sandbox,
        open_bot(settings_for(sandbox, backend, tmp_path), delays=(0.2,) * 100),
    ):
        yield Room(sandbox, backend)


async def run(room: Room, text: str) -> None:
    await room.sandbox.people.command(channel=room.channel, user=room.user, command="/ingest", text=text)


async def shown(room: Room, word: str) -> Message:
    return await eventually(lambda: next((m for m in room.answers() if word in words(m)), None))


async def test_a_site_is_counted_until_everything_is_ready(room: Room) -> None:
    room.backend.stages = (
        collection("queued"),
        collection("discovering", 2, queued=2),
        collection("discovered", 3, ready=1, processing=1, queued=1),
        collection("discovered", 3, ready=2, failed=1),
    )
    await run(room, f"site {SITE} pages:3 tags:hr")
    await shown(room, "looking for documents: 2 so far")
    message = await shown(room, "2 of 3 documents ready · 1 failed")
    assert "It needs a login." in words(message)
    assert "Cancel" not in words(message)
    assert len(room.answers()) == 1
    (request,) = room.backend.collected
    assert (request.url, request.kind, request.limit, request.by) == (SITE, "site", 3, room.user)
    assert (request.visibility, request.metadata) == ("team", {"tags": ["hr"]})
    assert room.backend.ingested == []


async def test_cancel_ends_it(room: Room) -> None:
    room.backend.stages = (collection("discovered", 3, ready=1, queued=2),)
    await run(room, f"site {SITE}")
    message = await shown(room, "1 of 3 documents ready")
    await room.sandbox.people.act(user=room.user, channel=room.channel, ts=message.ts, action_id="collection_cancel")
    ended = await shown(room, "cancelled · 1 document taken in")
    assert "collection_cancel" not in words(ended)


async def test_a_site_that_cannot_be_read_says_why(room: Room) -> None:
    room.backend.stages = (collection("failed", reason="The site's robots.txt asks not to be read by robots."),)
    await run(room, f"site {SITE}")
    await shown(room, "robots.txt asks")
    await run(room, "site https://forbidden.example/")
    await shown(room, "That address is private")


async def test_a_limit_that_is_reached_within_a_site_is_told_beside_what_was_taken(room: Room) -> None:
    reason = "Your team has added 3 documents today, which is as many as it may add in a day."
    room.backend.stages = (collection("discovered", 3, reason, ready=3),)
    await run(room, f"site {SITE}")
    message = await shown(room, "3 of 3 documents ready")
    assert reason in words(message)


async def test_a_site_waits_for_the_backend_and_is_begun_once(room: Room) -> None:
    room.backend.mode = "down"
    await run(room, f"site {SITE}")
    await shown(room, "is away")
    room.backend.mode = "up"
    room.backend.stages = (collection("discovered", 1, processing=1),)
    await shown(room, "0 of 1 document ready")
    room.backend.mode = "down"
    await shown(room, "is away")
    room.backend.stages = (collection("discovered", 1, ready=1),)
    room.backend.mode = "up"
    await shown(room, "1 of 1 document ready")
    assert len(room.backend.collected) == 1
    assert len(room.answers()) == 1


async def test_a_mention_takes_a_site_too_and_a_bad_option_is_explained(room: Room) -> None:
    room.backend.stages = (collection("discovered", 1, ready=1),)
    asked = room.ask(f"<@U_FOOTNOTE> ingest the whole site {SITE}")
    assert (await shown(room, "1 of 1 document ready")).thread_ts == asked.ts
    await run(room, f"site {SITE} pages:9000")
    await eventually(lambda: any("from 1 to 500" in words(note) for note in room.notes()))
