"""A person's view of the local Slack: one channel, one direct message, and what is said in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bot.sandbox import Sandbox
from bot.sandbox.values import BOT_USER
from bot.sandbox.world import Message
from bot.settings import Settings
from tests.fakes.backend_server import FakeBackend

Found = TypeVar("Found")


class Room:
    """One channel, one person, and what is said there."""

    def __init__(self, sandbox: Sandbox, backend: FakeBackend) -> None:
        self.sandbox = sandbox
        self.backend = backend
        world = sandbox.world
        self.user = next(u.id for u in world.users.values() if not u.is_bot and not u.is_guest and u.team == "local")
        self.channel = next(
            c.id
            for c in world.channels.values()
            if c.kind == "public" and BOT_USER in c.members and self.user in c.members and not c.is_shared
        )
        self.dm = next(c.id for c in world.channels.values() if c.kind == "im" and self.user in c.members)

    def ask(self, text: str, *, thread_ts: str | None = None, channel: str | None = None) -> Message:
        return self.sandbox.people.write(
            channel=channel or self.channel, user=self.user, text=text, thread_ts=thread_ts
        )

    def answers(self, channel: str | None = None) -> list[Message]:
        """The bot's messages, oldest first."""
        found = [
            message
            for message in self.sandbox.world.messages.values()
            if message.channel == (channel or self.channel)
            and message.user == BOT_USER
            and message.subtype != "tombstone"
        ]
        return sorted(found, key=lambda message: float(message.ts))

    async def answer_to(self, asked: Message) -> Message:
        """Wait for the finished answer in the thread of `asked`."""
        root = asked.thread_ts or asked.ts

        def finished() -> Message | None:
            for message in self.answers(asked.channel):
                if message.thread_ts == root and float(message.ts) > float(asked.ts) and not message.is_streaming:
                    return message
            return None

        return await eventually(finished)

    def notes(self) -> list[Message]:
        return list(self.sandbox.world.ephemerals.values())


async def eventually(look: Callable[[], Found | None], seconds: float = 30.0) -> Found:
    """Return the first true thing that `look` finds."""
    async with asyncio.timeout(seconds):
        while not (found := look()):  # noqa: ASYNC110 - another program is waited for
            await asyncio.sleep(0.02)
        return found


def words(message: Message) -> str:
    """Everything that a message shows, as one text."""
    return message.text + str(message.blocks) + str(message.stream.parts if message.stream else "")


def settings_for(sandbox: Sandbox, backend: FakeBackend, data_dir: Path, **changes: object) -> Settings:
    """Settings as the environment would give them, without reading it."""
    given = {"data_dir": data_dir, "backend_url": backend.url, "api_key": "key", "stop_timeout": 3.0, "bot_port": 0}
    slack = {name: value for name, value in sandbox.env().items() if name.startswith("SLACK_")}
    return Settings.model_validate(given | slack | changes)
