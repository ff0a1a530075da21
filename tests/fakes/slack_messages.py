"""Slack as a reply sees it, in memory: streams that end, edits, posts, and refusals on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.slack import Block, SlackBusy, SlackRefused, SlackUnavailable


@dataclass
class FakeSlackMessages:
    """`refuse` maps a method to the code that it answers with; `outages` to how many calls of it fail first, `late`
    ones after they took effect, and `busy` to how many are told to come later; `latency` is what starting a stream
    takes, in seconds."""

    refuse: dict[str, str] = field(default_factory=dict)
    outages: dict[str, int] = field(default_factory=dict)
    busy: dict[str, int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    latency: float = 0.0
    made: int = 0
    texts: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, list[Block]] = field(default_factory=dict)
    streaming: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    chunks: list[Block] = field(default_factory=list)
    readers: list[tuple[str | None, str | None]] = field(default_factory=list)

    def _take(self, method: str) -> None:
        self.calls.append(method)
        if self.busy.get(method, 0) > 0:
            self.busy[method] -= 1
            raise SlackBusy(method)
        if self.outages.get(method, 0) > 0:
            self.outages[method] -= 1
            raise SlackUnavailable(method)
        if method in self.refuse:
            raise SlackRefused(self.refuse[method])

    def _lose(self, method: str) -> None:
        """Fail though everything is done."""
        if self.late.get(method, 0) > 0:
            self.late[method] -= 1
            raise SlackUnavailable(method)

    def _grow(self, ts: str, chunks: Sequence[Block]) -> None:
        self.chunks += chunks
        self.texts[ts] += "".join(chunk["text"] for chunk in chunks if chunk["type"] == "markdown_text")

    def _new(self) -> str:
        self.made = max(self.made, len(self.texts)) + 1
        ts = f"{self.made}.0"
        self.texts[ts], self.blocks[ts] = "", []
        return ts

    async def start_stream(
        self, channel: str, thread_ts: str, chunks: Sequence[Block], *, team: str | None, user: str | None
    ) -> str:
        self._take("start")
        self.readers.append((team, user))
        ts = self._new()
        self.streaming.add(ts)
        self._grow(ts, chunks)
        await asyncio.sleep(self.latency)
        self._lose("start")
        return ts

    async def append_stream(self, channel: str, ts: str, chunks: Sequence[Block]) -> None:
        self._take("append")
        if ts not in self.streaming:
            raise SlackRefused("message_not_in_streaming_state")
        self._grow(ts, chunks)
        self._lose("append")

    async def stop_stream(
        self, channel: str, ts: str, chunks: Sequence[Block] = (), blocks: Sequence[Block] = (), *, more: bool = False
    ) -> None:
        self._take("stop")
        if ts not in self.streaming:
            raise SlackRefused("message_not_in_streaming_state")
        self._grow(ts, chunks)
        self.streaming.discard(ts)
        self.blocks[ts] = list(blocks)
        self._lose("stop")

    async def post(
        self, channel: str, text: str, blocks: Sequence[Block] = (), *, thread_ts: str | None = None
    ) -> tuple[str, str]:
        self._take("post")
        ts = self._new()
        self._show(ts, text, blocks)
        self._lose("post")
        return channel, ts

    async def update(self, channel: str, ts: str, text: str, blocks: Sequence[Block] = ()) -> None:
        self._take("update")
        if ts in self.streaming:
            raise SlackRefused("streaming_state_conflict")
        self._show(ts, text, blocks)
        self._lose("update")

    def _show(self, ts: str, text: str, blocks: Sequence[Block]) -> None:
        shown = [str(block["text"]) for block in blocks if block["type"] == "markdown"]
        self.texts[ts] = "".join(shown) or text
        self.blocks[ts] = [block for block in blocks if block["type"] != "markdown"]

    async def delete(self, channel: str, ts: str) -> None:
        self._take("delete")
        del self.texts[ts], self.blocks[ts]


@dataclass
class FakePosted:
    """The messages of one turn, in memory. `making` is whether one may exist that is not known."""

    known: list[str] = field(default_factory=list)
    making: bool = False

    @property
    def ts(self) -> Sequence[str]:
        return tuple(self.known)

    async def intend(self) -> None:
        self.making = True

    async def dismiss(self) -> None:
        self.making = False

    async def add(self, ts: str) -> None:
        self.making = False
        self.known.append(ts)

    async def drop_last(self) -> None:
        self.known.pop()
