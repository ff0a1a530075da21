"""A person at the sandbox, over HTTP: writes, presses, and waits for what the bot says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeAlias

import aiohttp

Json: TypeAlias = dict[str, Any]
BOT = "U_FOOTNOTE"


class Refused(Exception):
    """The sandbox said no; `error` is its code, `status` is 504 where the app did not answer."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(f"{status} {error}")
        self.status = status
        self.error = error


@dataclass(frozen=True)
class Reply:
    """A message that the bot posted, as it stands. `text` is Markdown where it was streamed."""

    channel: str
    ts: str
    thread_ts: str | None
    text: str
    blocks: list[Json]
    reactions: dict[str, list[str]]
    is_complete: bool
    is_ephemeral: bool
    raw: Json

    def elements(self, kind: str) -> list[Json]:
        """Controls of one type, such as `feedback_buttons`, anywhere in the blocks."""
        return [found for found in walk(self.blocks) if found.get("type") == kind]

    @property
    def all_text(self) -> str:
        """Every text of the message, blocks included."""
        texts = [str(found["text"]) for found in walk(self.blocks) if isinstance(found.get("text"), str)]
        return "\n".join([self.text, *texts])


def walk(value: object) -> list[Json]:
    """Every object within `value`, outermost first."""
    if isinstance(value, dict):
        return [value, *(found for item in value.values() for found in walk(item))]
    return [found for item in value for found in walk(item)] if isinstance(value, list) else []


class SlackDriver:
    """Acts as `user` at the sandbox of `base_url`; waits poll its state and fail with what was there instead."""

    def __init__(self, base_url: str, *, user: str = "U_ANA") -> None:
        self.user = user
        self._base_url = base_url.rstrip("/")

    async def __aenter__(self) -> SlackDriver:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def _call(self, path: str, **body: object) -> Json:
        given = {name: value for name, value in body.items() if value is not None}
        async with self._session.post(f"{self._base_url}/sandbox/{path}", json=given) as answer:
            return await self._read(answer)

    async def _read(self, answer: aiohttp.ClientResponse) -> Json:
        body: Json = await answer.json()
        if answer.status != 200:
            raise Refused(answer.status, str(body.get("error")))
        return body

    async def post(self, channel: str, text: str, *, thread_ts: str | None = None, user: str | None = None) -> str:
        """Write a message and return its ts. `@Footnote` mentions the bot."""
        body = await self._call("messages", channel=channel, user=user or self.user, text=text, thread_ts=thread_ts)
        return str(body["ts"])

    async def edit(self, channel: str, ts: str, text: str) -> None:
        await self._call("edits", channel=channel, user=self.user, ts=ts, text=text)

    async def delete(self, channel: str, ts: str) -> None:
        await self._call("deletions", channel=channel, user=self.user, ts=ts)

    async def command(
        self, command: str, text: str = "", *, channel: str = "C_GENERAL", user: str | None = None
    ) -> None:
        """Run a slash command; returns once it is acknowledged."""
        await self._call("commands", channel=channel, user=user or self.user, command=command, text=text)

    async def react(self, channel: str, ts: str, name: str, *, add: bool = True, user: str | None = None) -> None:
        await self._call("reactions", channel=channel, user=user or self.user, ts=ts, name=name, add=add)

    async def act(self, reply: Reply, action_id: str, *, value: str | None = None, user: str | None = None) -> None:
        """Press a control of a message; `value` picks one of two feedback buttons."""
        place = {"channel": reply.channel, "ts": reply.ts}
        await self._call("actions", user=user or self.user, action_id=action_id, value=value, **place)

    async def act_in_view(self, view_id: str, action_id: str, *, value: str | None = None) -> None:
        await self._call("actions", user=self.user, action_id=action_id, value=value, view_id=view_id)

    async def submit(self, view_id: str, values: Json) -> Json:
        """Submit a modal with `{block_id: {action_id: {…}}}`; returns errors by block id."""
        body = await self._call("submissions", user=self.user, view_id=view_id, values=values)
        errors: Json = body["errors"]
        return errors

    async def close(self, view_id: str) -> None:
        """Close a modal as its Close button does."""
        await self._call("closings", user=self.user, view_id=view_id)

    async def shortcut(self, callback_id: str, *, channel: str = "", ts: str = "") -> None:
        await self._call("shortcuts", user=self.user, callback_id=callback_id, channel=channel, ts=ts)

    async def open_home(self, *, tab: str = "home") -> None:
        await self._call("home", user=self.user, tab=tab)

    async def stop(self, channel: str, thread_ts: str) -> None:
        """Press the Stop button of a thread."""
        await self._call("stops", channel=channel, user=self.user, thread_ts=thread_ts)

    async def upload(self, channel: str, name: str, content: bytes, *, mimetype: str, text: str = "") -> str:
        """Share a file; returns the ts of its message."""
        form = aiohttp.FormData({"channel": channel, "user": self.user, "text": text})
        form.add_field("file", content, filename=name, content_type=mimetype)
        async with self._session.post(f"{self._base_url}/sandbox/files", data=form) as answer:
            return str((await self._read(answer))["ts"])

    async def state(self, *, user: str | None = None) -> Json:
        """The workspace as `user` sees it; all of it without one."""
        query = {"user": user} if user else {}
        async with self._session.get(f"{self._base_url}/sandbox/state", params=query) as answer:
            return await self._read(answer)

    # Faults

    async def fail(
        self, method: str, *, error: str = "", status: int = 200, times: int = 1, after: bool = False
    ) -> None:
        await self._call("control/fail", method=method, error=error, status=status, times=times, after=after)

    async def slow(self, method: str, seconds: float, *, times: int = 1) -> None:
        await self._call("control/slow", method=method, seconds=seconds, times=times)

    async def advance(self, seconds: float) -> None:
        await self._call("control/clock", seconds=seconds)

    async def drop_sockets(self) -> None:
        await self._call("control/sockets", do="drop")

    async def refresh_sockets(self) -> None:
        await self._call("control/sockets", do="refresh")

    async def duplicate_next(self, events: int = 1) -> None:
        await self._call("control/duplicates", events=events)

    async def redeliver(self, events: int = 1) -> None:
        await self._call("control/redeliveries", events=events)

    async def weather(self, chance: float, *, hang: float, seed: int = 0) -> int:
        """Let a share of all calls fail from now on; return how many have failed so before."""
        return int((await self._call("control/weather", chance=chance, hang=str(hang), seed=str(seed)))["struck"])

    # Waiting

    async def until(self, ready: Callable[[Json], bool], *, within: float = 10.0, what: str = "the state") -> Json:
        """The state, once `ready` says so of it.

        Raises:
            AssertionError: not within so many seconds.
        """
        deadline = time.monotonic() + within
        while True:
            state = await self.state()
            if ready(state):
                return state
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what} within {within} s; the bot's messages: {bot_texts(state)}")
            await asyncio.sleep(0.03)

    async def connected(self, *, within: float = 10.0) -> None:
        """Return once the bot listens."""
        await self.until(lambda state: bool(state["bot"]["connected"]), within=within, what="connection of the bot")

    async def replies(self, channel: str, thread_ts: str) -> list[Reply]:
        """What the bot has said in a thread so far, oldest first."""
        return bot_replies(await self.state(), channel, thread_ts)

    async def reply(self, channel: str, thread_ts: str, *, n: int = 1, within: float = 15.0) -> Reply:
        """The `n`th message of the bot in a thread, once it is complete (posted, or its stream stopped)."""

        def ready(state: Json) -> bool:
            found = bot_replies(state, channel, thread_ts)
            return len(found) >= n and found[n - 1].is_complete

        state = await self.until(ready, within=within, what=f"complete reply {n} in {thread_ts}")
        return bot_replies(state, channel, thread_ts)[n - 1]

    async def ephemeral(self, *, n: int = 1, user: str | None = None, within: float = 15.0) -> Reply:
        """The `n`th message that only `user` sees."""
        owner = user or self.user

        def found(state: Json) -> list[Reply]:
            return [to_reply(m) for m in state["ephemerals"] if m["only_for"] == owner]

        state = await self.until(lambda state: len(found(state)) >= n, within=within, what=f"ephemeral {n}")
        return found(state)[n - 1]

    async def modal(self, *, within: float = 10.0) -> Json:
        """The topmost modal of the user."""
        state = await self.until(lambda state: bool(state["modals"].get(self.user)), within=within, what="modal")
        top: Json = state["modals"][self.user][-1]
        return top

    async def home(self, *, within: float = 10.0) -> Json:
        """The user's published App Home."""
        state = await self.until(lambda state: self.user in state["homes"], within=within, what="home")
        view: Json = state["homes"][self.user]
        return view


def to_reply(message: Json) -> Reply:
    return Reply(
        channel=message["channel"],
        ts=message["ts"],
        thread_ts=message.get("thread_ts"),
        text=message["text"],
        blocks=message.get("blocks", []),
        reactions={r["name"]: r["users"] for r in message.get("reactions", [])},
        is_complete=not message["streaming"],
        is_ephemeral=message["only_for"] is not None,
        raw=message,
    )


def bot_replies(state: Json, channel: str, thread_ts: str) -> list[Reply]:
    """The bot's messages of one thread in a state, oldest first, the root not among them."""
    return [
        to_reply(message)
        for message in state["messages"]
        if message["channel"] == channel
        and message["user"] == BOT
        and message.get("thread_ts") == thread_ts
        and message["ts"] != thread_ts
    ]


def bot_texts(state: Json) -> list[str]:
    return [message["text"][:80] for message in state["messages"] if message["user"] == BOT]
