"""Two connections, a watch over them, and what the bot tells of its own health."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.app import open_bot
from bot.sandbox import Sandbox
from tests.e2e.slack_room import Room, eventually, settings_for
from tests.fakes.backend_server import open_backend

pytestmark = pytest.mark.e2e


async def ready(port: int) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/health/ready") as page:
        return page.status, (await page.json())["checks"]


async def test_the_bot_listens_twice_answers_each_question_once_and_knows_when_it_cannot(tmp_path: Path) -> None:
    async with (
        open_backend() as backend,
        Sandbox(0) as sandbox,
        open_bot(settings_for(sandbox, backend, tmp_path)) as bot,
    ):
        assert bot.port is not None
        assert bot.events_port is None
        assert await ready(bot.port) == (200, {"backend": True, "workspaces": True, "socket": True})
        assert sandbox._socket_mode is not None
        assert len(sandbox._socket_mode._connections) == 2
        room = Room(sandbox, backend)
        for _ in range(3):
            await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
        assert len(room.answers()) == len(backend.queries) == 3

        backend.mode = "down"
        assert (await ready(bot.port))[0] == 503
        backend.mode = "up"
        sandbox.drop_sockets()
        await eventually(lambda: len(sandbox._socket_mode._connections) == 2, seconds=40)  # type: ignore[union-attr]
        await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))


async def test_who_leaves_a_channel_or_is_a_guest_there_changes_what_may_be_used_at_once(tmp_path: Path) -> None:
    async with open_backend() as backend, Sandbox(0) as sandbox, open_bot(settings_for(sandbox, backend, tmp_path)):
        room = Room(sandbox, backend)
        await room.answer_to(room.ask("what is in it?", channel="D_ANA"))
        sandbox.people.leave(user="U_ANA", channel="C_HR")
        await room.answer_to(room.ask("what is in it now?", channel="D_ANA"))
        before, after = (query.audience for query in backend.queries)
        assert before is not None
        assert after is not None
        assert "C_HR" in before.channels
        assert "C_HR" not in after.channels
