"""Questions that come without a message of their own: from a form, or shared from a private answer.

A message that repeats the question is posted first; the answer then stands in its thread, for those who read it there.
A shared question is asked anew, so that its answer uses only what everybody in the channel may read: the private one
may hold more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from bot import blocks
from bot.channels import Channels
from bot.durable import Payload
from bot.quotes import shortened
from bot.readers import Readers
from bot.slack import Slack, SlackRefused
from bot.store import Store
from bot.thread import OPENED, Turn
from bot.turns import TurnJob, write_turn

NOT_THERE = "I can't post in this channel. Invite me to it (`/invite @Footnote`) and share again."
SHARED = "Shared: the answer in the channel uses only what everybody there may read."


class Opening(msgspec.Struct, frozen=True):
    """A question to open a thread with. `channel` is "" for the asker's direct messages; only what comes from a button
    has a `response_url`."""

    key: str
    team: str
    user: str
    question: str
    channel: str = ""
    user_team: str = ""
    response_url: str = ""
    reading: Literal["full", "plain"] = "full"

    def turn(self, channel: str, ts: str) -> Turn:
        return Turn(
            team=self.team,
            channel=channel,
            ts=ts,
            thread_ts=ts,
            user=self.user,
            text=blocks.escaped(self.question),
            place="channel" if self.channel else "direct",
            user_team=self.user_team,
            reading=self.reading,
        )


@dataclass(frozen=True, slots=True)
class OpeningJob:
    """One such question, to its answer."""

    slack: Slack
    store: Store
    readers: Readers
    channels: Channels
    turns: TurnJob
    name: str = "opening"

    async def attempt(self, payload: Payload) -> None:
        opening = msgspec.convert(payload, Opening)
        turn = opening.turn(opening.channel, "")
        if refused := await self.readers.refusal(turn) or await self.channels.refusal(turn):
            await self._tell(opening, refused)
            return
        try:
            turn = await self._open(opening)
        except SlackRefused:
            await self._tell(opening, NOT_THERE)
            return
        await self.turns.attempt(write_turn(turn))

    async def _open(self, opening: Opening) -> Turn:
        """Return the question as a turn of the thread that a message of ours begins, now or at an earlier attempt."""
        posted = await self.store.posted(opening.key)
        if not posted.ts:
            asked = f"<@{opening.user}> asked" if opening.channel else OPENED.strip()
            text = f"{asked}\n>{blocks.escaped(shortened(opening.question, 2_500))}"
            at = await self.slack.post(opening.channel or opening.user, text, [blocks.section(text)])
            await posted.add(" ".join(at))
            if opening.response_url:
                await self._tell(opening, SHARED)
        channel, _, ts = posted.ts[0].partition(" ")
        return opening.turn(channel, ts)

    async def _tell(self, opening: Opening, words: str) -> None:
        if opening.response_url:
            await self.slack.respond(opening.response_url, words, [blocks.section(words)])
        else:
            await self.slack.post(opening.user, words)

    async def give_up(self, payload: Payload) -> None:
        await self._end(payload, self.turns.give_up)

    async def fail(self, payload: Payload) -> None:
        await self._end(payload, self.turns.fail)

    async def _end(self, payload: Payload, end: Callable[[Payload], Awaitable[None]]) -> None:
        """End the turn in words, where its thread has been begun; else tell who asked."""
        opening = msgspec.convert(payload, Opening)
        posted = await self.store.posted(opening.key)
        if not posted.ts:
            await self._tell(opening, "Something went wrong on my side, so I have not asked that. Please try again.")
            return
        channel, _, ts = posted.ts[0].partition(" ")
        await end(write_turn(opening.turn(channel, ts)))
