"""The Stop button, from the local Slack through bot and backend down to the model: all real but the model's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from backend.ports import ChatMessage
from bot.app import open_bot
from bot.sandbox import Sandbox
from bot.settings import Settings
from tests.e2e.processes import free_port, start, until_healthy
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import FakeBackend, answered, open_backend
from tests.fakes.openai_server import Journal, openai_server

pytestmark = pytest.mark.e2e

LEAVE = {
    "title": "Leave",
    "text": "# Paid leave\n\nEveryone has 25 days of paid leave per year. Requests go to Ana Lima in the people team.",
}
KEY = "a-key-for-tests-only"


def slow(messages: list[ChatMessage]) -> list[str | float]:
    """A model that writes one sentence and then thinks for a long time."""
    return ["You have 25 days of paid leave per year [1]. ", "Requests go to ", 30.0, "Ana Lima [1]."]


@asynccontextmanager
async def real_backend(folder: Path, model_url: str) -> AsyncIterator[str]:
    port = free_port()
    environment = {
        "FOOTNOTE_DATA_DIR": str(folder / "backend"),
        "FOOTNOTE_PORT": str(port),
        "FOOTNOTE_API_KEY": KEY,
        "OPENAI_BASE_URL": model_url,
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_MODEL": "writer-1",
    }
    program = await start("backend", "backend", "serve", environment=environment, folder=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        await until_healthy(f"{url}/health/ready", program)
        async with (
            aiohttp.ClientSession(url, headers={"X-API-Key": KEY}) as session,
            session.post("/ingest?wait=true", json=LEAVE) as reply,
        ):
            assert reply.status == 200, await reply.text()
        yield url
    finally:
        await program.stop()


async def test_stop_reaches_the_model_within_a_second_and_keeps_what_was_checked(tmp_path: Path) -> None:
    journal = Journal()
    async with (
        openai_server(slow, journal=journal) as model_url,
        real_backend(tmp_path, model_url) as url,
        Sandbox(0) as sandbox,
        open_bot(settings_of(sandbox, tmp_path, url)),
    ):
        room = Room(sandbox, FakeBackend())
        asked = room.ask("<@U_FOOTNOTE> How many days of paid leave do I have?")
        await eventually(lambda: any("25 days" in words(message) for message in room.answers()), 20)
        room.sandbox.people.stop(channel=room.channel, user=room.user, thread_ts=asked.ts)
        async with asyncio.timeout(1):
            await journal.hung_up.wait()
        (answer,) = await eventually(lambda: room.answers() if "Stopped." in words(room.answers()[0]) else None)
        assert "You have 25 days of paid leave per year [1]." in answer.text
        assert "Leave" in str(answer.blocks[-1])
        assert not answer.is_streaming
        assert {one.status for one in sandbox.world.sessions.values()} == {"active"}
        assert "'in_progress'" not in str(answer.blocks)


def settings_of(sandbox: Sandbox, folder: Path, url: str) -> Settings:
    return settings_for(sandbox, FakeBackend(url=url), folder / "bot", api_key=KEY)


async def test_a_turn_that_waits_for_the_backend_can_be_stopped_too(tmp_path: Path) -> None:
    async with open_backend() as backend, Sandbox(0) as sandbox:
        room = Room(sandbox, backend)
        async with open_bot(settings_for(sandbox, backend, tmp_path), delays=(0.5,) * 100):
            backend.mode = "down"
            asked = room.ask("<@U_FOOTNOTE> leave?")
            await eventually(lambda: any("can't reach" in words(message) for message in room.answers()))
            room.sandbox.people.stop(channel=room.channel, user=room.user, thread_ts=asked.ts)
            await eventually(lambda: room.answers()[0].text == "_Stopped._")
            backend.mode = "up"
            await asyncio.sleep(0.8)
            assert [message.text for message in room.answers()] == ["_Stopped._"]


async def test_a_stop_that_is_told_again_later_does_not_stop_the_next_answer(tmp_path: Path) -> None:
    async with open_backend() as backend, Sandbox(0) as sandbox:
        room = Room(sandbox, backend)
        async with open_bot(settings_for(sandbox, backend, tmp_path)):
            backend.script = answered("One [1].", " Two [1].", pause=5.0)
            first = room.ask("<@U_FOOTNOTE> leave?")
            await eventually(lambda: any("One [1]." in words(message) for message in room.answers()))
            room.sandbox.people.stop(channel=room.channel, user=room.user, thread_ts=first.ts)
            await eventually(lambda: "Stopped." in words(room.answers()[0]))
            backend.script = answered("Three [1].", " Four [1].", pause=1.0)
            second = room.ask("<@U_FOOTNOTE> and adoption?", thread_ts=first.ts)
            await eventually(lambda: any("Three [1]." in words(message) for message in room.answers()))
            sandbox.redeliver(20)
            answer = await room.answer_to(second)
            assert "Four [1]." in words(answer)
            assert len(room.answers()) == 2
