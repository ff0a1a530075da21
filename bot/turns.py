"""Durable turns: one Slack message → exactly one outcome, in its thread's order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from bot.durable import Payload
from bot.order import ThreadOrder
from bot.slack import SlackRefused
from bot.thread import Turn, position


class Answering(Protocol):
    """See bot.conversation.Conversation for the contracts."""

    async def answer(self, turn: Turn) -> None: ...
    async def say(self, turn: Turn, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class TurnJob:
    """One question, from Slack's event to its outcome. A thread's lock is held for an attempt, not between them."""

    conversation: Answering
    order: ThreadOrder
    name: str = "turn"

    async def attempt(self, payload: Payload) -> None:
        turn = read_turn(payload)
        async with self.order.turn(turn.thread, position(turn.ts), first=turn.ts == turn.thread_ts):
            await self.conversation.answer(turn)

    async def give_up(self, payload: Payload) -> None:
        await self._say(payload, "I could not answer this: my document service was away for too long. Please ask again")

    async def fail(self, payload: Payload) -> None:
        await self._say(payload, "Something went wrong on my side, so I have no answer. Please ask again")

    async def _say(self, payload: Payload, words: str) -> None:
        turn = read_turn(payload)
        try:
            await self.conversation.say(turn, f"{words} (turn `{turn.label}`).")
        except SlackRefused as error:
            raise UnsayableOutcome(error.code) from error


class UnsayableOutcome(Exception):
    """Slack takes no message in the place of the turn: archived, deleted, or we were removed."""


def write_turn(turn: Turn) -> Payload:
    """Return a turn as it is recorded."""
    return {field: str(value) for field, value in msgspec.structs.asdict(turn).items()}


def read_turn(payload: Payload) -> Turn:
    return msgspec.convert(payload, Turn)
