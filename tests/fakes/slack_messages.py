"""Slack as a reply sees it, in memory: streams that end, edits, posts, and refusals on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from bot.slack import Block, SlackRefused, SlackUnavailable


@dataclass
class FakeSlackMessages:
    """`refuse` maps a method to the code that it answers with; `outages` to how many calls of it fail first;
    `latency` is what starting a stream takes, in seconds."""

    refuse: dict[str, str] = field(default_factory=dict)
    outages: dict[str, int] = field(default_factory=dict)
    latency: float = 0.0
    texts: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, list[Block]] = field(default_factory=dict)
    streaming: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    chunks: list[Block] = field(default_factory=list)
    readers: list[tuple[str | None, str | None]] = field(default_factory=list)

    def _take(self, method: str) -> None:
        self.calls.append(method)
        if self.outages.get(method, 0) > 0:
            self.outages[method] -= 1
            raise SlackUnavailable(method)
        if method in self.refuse:
            raise SlackRefused(self.refuse[method])

    def _grow(self, ts: str, chunks: Sequence[Block]) -> None:
        self.chunks += chunks
        self.texts[ts] += "".join(chunk["text"] for chunk in chunks if chunk["type"] == "markdown_text")

    def _new(self) -> str:
        ts = f"{len(self.texts) + 1}.0"
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
        return ts

    async def append_stream(self, channel: str, ts: str, chunks: Sequence[Block]) -> None:
        self._take("append")
        if ts not in self.streaming:
            raise SlackRefused("message_not_in_streaming_state")
        self._grow(ts, chunks)

    async def stop_stream(
        self, channel: str, ts: str, chunks: Sequence[Block] = (), blocks: Sequence[Block] = ()
    ) -> None:
        self._take("stop")
        if ts not in self.streaming:
            raise SlackRefused("message_not_in_streaming_state")
        self._grow(ts, chunks)
        self.streaming.discard(ts)
        self.blocks[ts] = list(blocks)

    async def post(
        self, channel: str, text: str, blocks: Sequence[Block] = (), *, thread_ts: str | None = None
    ) -> tuple[str, str]:
        self._take("post")
        ts = self._new()
        self._show(ts, text, blocks)
        return channel, ts

    async def update(self, channel: str, ts: str, text: str, blocks: Sequence[Block] = ()) -> None:
        self._take("update")
        if ts in self.streaming:
            raise SlackRefused("streaming_state_conflict")
        self._show(ts, text, blocks)

    def _show(self, ts: str, text: str, blocks: Sequence[Block]) -> None:
        shown = [str(block["text"]) for block in blocks if block["type"] == "markdown"]
        self.texts[ts] = "".join(shown) or text
        self.blocks[ts] = [block for block in blocks if block["type"] != "markdown"]

    async def delete(self, channel: str, ts: str) -> None:
        self._take("delete")
        del self.texts[ts], self.blocks[ts]


@dataclass
class FakePosted:
    """The messages of one turn, in memory."""

    known: list[str] = field(default_factory=list)

    @property
    def ts(self) -> Sequence[str]:
        return tuple(self.known)

    async def add(self, ts: str) -> None:
        self.known.append(ts)

    async def drop_last(self) -> None:
        self.known.pop()
