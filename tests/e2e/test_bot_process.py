"""The bot as a process of its own: killed in mid-answer, and asked to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.app import open_bot
from bot.sandbox import Options, Sandbox
from tests.e2e.slack_room import Room, eventually, settings_for, words
from tests.fakes.backend_server import FakeBackend, answered, open_backend

pytestmark = pytest.mark.e2e


@asynccontextmanager
async def bot_process(
    sandbox: Sandbox, backend: FakeBackend, data_dir: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m bot`, ready for events."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SLACK_", "FOOTNOTE_"))}
    env |= sandbox.env() | {
        "FOOTNOTE_DATA_DIR": str(data_dir),
        "FOOTNOTE_BACKEND_URL": backend.url,
        "FOOTNOTE_API_KEY": "key",
    }
    opened = sum(call.method == "apps.connections.open" for call in sandbox.calls)
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bot", env=env, stderr=asyncio.subprocess.PIPE)
    try:
        await eventually(
            lambda: sum(call.method == "apps.connections.open" for call in sandbox.calls) > opened, seconds=30
        )
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_bot_killed_in_mid_answer_completes_that_answer_after_its_restart(tmp_path: Path) -> None:
    async with open_backend() as backend, Sandbox(0) as sandbox:
        room = Room(sandbox, backend)
        backend.script = answered("Half an answer [1].", " The other half [1].", pause=60.0)
        async with bot_process(sandbox, backend, tmp_path) as process:
            asked = room.ask("<@U_FOOTNOTE> leave?")
            await eventually(lambda: any("Half an answer" in words(m) for m in room.answers()))
            process.kill()
            await process.wait()
        assert [m.is_streaming for m in room.answers()] == [True]
        backend.script = answered("Half an answer [1].", " The other half [1].")
        async with bot_process(sandbox, backend, tmp_path):
            await eventually(lambda: "Quotes only" in words(room.answers()[0]), seconds=20)
        assert len(room.answers()) == 1
        (answer,) = room.answers()
        assert (answer.is_streaming, answer.thread_ts) == (False, asked.ts)
        assert str(answer.blocks).count("Half an answer [1]. The other half [1].") == 1


async def test_a_bot_that_is_asked_to_stop_finishes_its_answer_and_exits_cleanly(tmp_path: Path) -> None:
    async with open_backend() as backend, Sandbox(0) as sandbox:
        room = Room(sandbox, backend)
        backend.script = answered("One [1].", " Two [1].", pause=1.5)
        async with bot_process(sandbox, backend, tmp_path) as process:
            room.ask("<@U_FOOTNOTE> leave?")
            await eventually(lambda: any("One [1]." in words(m) for m in room.answers()))
            process.send_signal(signal.SIGTERM)
            _, errors = await asyncio.wait_for(process.communicate(), 15)
        assert process.returncode == 0
        assert b"Traceback" not in errors
        assert "Two [1]." in words(room.answers()[0])
        assert not room.answers()[0].is_streaming


async def test_an_answer_that_does_not_finish_in_time_is_handed_on_to_the_next_start(tmp_path: Path) -> None:
    async with open_backend() as backend, Sandbox(0) as sandbox:
        room, settings = Room(sandbox, backend), settings_for(sandbox, backend, tmp_path, stop_timeout=0.1)
        backend.script = answered("One [1].", " Two [1].", pause=60.0)
        async with open_bot(settings):
            asked = room.ask("<@U_FOOTNOTE> leave?")
            await eventually(lambda: any("One [1]." in words(m) for m in room.answers()))
        await eventually(lambda: backend.hung_up == 1)
        backend.script = answered("One [1].", " Two [1].")
        async with open_bot(settings):
            await eventually(lambda: "Quotes only" in words(room.answers()[0]), seconds=20)
        (answer,) = room.answers()
        assert (answer.is_streaming, answer.thread_ts) == (False, asked.ts)
        assert str(answer.blocks).count("One [1]. Two [1].") == 1
        assert {session.status for session in sandbox.world.sessions.values()} == {"active"}


async def test_redeliveries_are_harmless_also_after_a_restart(tmp_path: Path) -> None:
    async with open_backend() as backend, Sandbox(0) as sandbox:
        room, settings = Room(sandbox, backend), settings_for(sandbox, backend, tmp_path)
        async with open_bot(settings):
            await room.answer_to(room.ask("<@U_FOOTNOTE> leave?"))
            sandbox.redeliver(20)
            await asyncio.sleep(0.3)
        async with open_bot(settings):
            sandbox.redeliver(20)
            await asyncio.sleep(0.5)
        assert len(backend.queries) == 1
        assert len(room.answers()) == 1


async def test_what_cannot_be_recorded_comes_again_and_brings_the_replies_that_came_before_it(tmp_path: Path) -> None:
    """The bot's database is locked for longer than it waits for it, so that the thread is not known to be ours."""
    options = Options(retry_seconds=(1.0, 2.0, 3.0))
    async with open_backend() as backend, Sandbox(0, options=options) as sandbox:
        room = Room(sandbox, backend)
        async with open_bot(settings_for(sandbox, backend, tmp_path)):
            locking = sqlite3.connect(tmp_path / "bot.sqlite", isolation_level=None)
            locking.execute("BEGIN EXCLUSIVE")
            asked = room.ask("<@U_FOOTNOTE> leave?")
            await asyncio.sleep(0.2)
            reply = room.ask("and for adoption?", thread_ts=asked.ts)
            await asyncio.sleep(5.3)
            assert backend.queries == []
            locking.execute("ROLLBACK")
            locking.close()
            await room.answer_to(reply)
            await eventually(lambda: len(room.answers()) == 2)
        assert [query.question for query in backend.queries] == ["leave?", "and for adoption?"]
