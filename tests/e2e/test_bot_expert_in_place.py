"""An expert who reads the channel is asked in the very thread of the question."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.app import open_bot
from bot.sandbox import Sandbox
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import abstained, open_backend

pytestmark = pytest.mark.e2e

BEN = "U_BEN"


async def test_an_expert_who_is_in_the_channel_is_asked_in_the_thread_and_not_answered_by_us(tmp_path: Path) -> None:
    async with (
        open_backend() as backend,
        Sandbox(0) as sandbox,
        open_bot(settings_for(sandbox, backend, tmp_path, expert=BEN)),
    ):
        room = Room(sandbox, backend)
        backend.script = abstained("run-in-place")
        answer = await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
        act = room.sandbox.people.act
        await act(user=room.user, action_id="ask_human", channel=room.channel, ts=answer.ts)
        request = await eventually(lambda: next((m for m in room.answers() if "can you help?" in words(m)), None))
        assert f"<@{BEN}>" in request.text
        assert request.thread_ts == answer.thread_ts
        await eventually(lambda: next((n for n in room.notes() if "I have asked" in words(n)), None))
        room.sandbox.people.write(channel=room.channel, user=BEN, text="Ask Maria.", thread_ts=answer.thread_ts)
        offer = await eventually(lambda: next((n for n in room.notes() if n.only_for == BEN), None))
        assert "Keep as a document" in words(offer)
        assert "Send to who asked" not in words(offer)
        room.ask("Thanks! And who is Maria?", thread_ts=answer.thread_ts)
        await eventually(lambda: len(backend.queries) == 2)
