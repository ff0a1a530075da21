"""Durable turns: one Slack message → exactly one outcome, in its thread's order; and what happens to it afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from bot.durable import Payload
from bot.ledger import Ledger
from bot.order import PATIENCE, SETTLE, SETTLE_LATE, ThreadOrder
from bot.peers import Alone, Peers
from bot.running import Running
from bot.slack import SlackRefused
from bot.telemetry import Telemetry
from bot.thread import Turn, asked_at, position

LATE = 3.0
"""Seconds after which a message did not come straight to us."""
HEED = 0.4
"""Seconds between two looks at what other bots know of the turns that we are at, or wait for."""


class Answering(Protocol):
    """See bot.conversation.Conversation for the contracts."""

    async def answer(self, turn: Turn) -> None: ...
    async def say(self, turn: Turn, text: str) -> None: ...
    async def halt(self, turn: Turn) -> None: ...
    async def take_back(self, turn: Turn) -> None: ...


@dataclass(frozen=True, slots=True)
class Turns:
    """The turns of all threads: what is expected of them, in which order, and which are being answered now."""

    ledger: Ledger
    order: ThreadOrder
    running: Running
    telemetry: Telemetry = field(default_factory=Telemetry)
    peers: Peers = field(default_factory=Alone)

    async def expect(self, turn: Turn) -> None:
        """Note a turn before its work is recorded, so that later ones of its thread wait for it.

        Where there are several bots, the ledger alone says who waits for whom.
        """
        if turn.place != "ephemeral" and await self.ledger.ask(turn) and self.peers.alone:
            self.order.expect(turn.thread, position(turn.ts))

    async def resume(self) -> None:
        """Expect what an earlier process left behind."""
        await self.ledger.forget()
        if not self.peers.alone:
            return
        for thread, ts in await self.ledger.unfinished():
            self.order.expect(thread, position(ts))

    @asynccontextmanager
    async def at_work(self, turn: Turn, *, settle: float) -> AsyncIterator[None]:
        """Wait until it is a turn's turn in its thread, whichever bot is at the others, then for a slot.

        Among several bots a turn that waits for an earlier one holds nothing meanwhile, which that one may need.
        """
        if self.peers.alone:
            async with self.order.turn(turn.thread, position(turn.ts), settle=settle):
                yield
            return
        deadline = time.monotonic() + PATIENCE
        while True:
            async with (
                self.order.line(turn.thread, position(turn.ts), settle=settle),
                self.peers.at_work(turn.thread),
            ):
                if time.monotonic() > deadline or not await self._has_earlier(turn):
                    async with self.order.slot():
                        yield
                    return
            while time.monotonic() < deadline and await self._has_earlier(turn):  # noqa: ASYNC110 - others' state
                await asyncio.sleep(HEED)

    async def _has_earlier(self, turn: Turn) -> bool:
        return turn.place != "ephemeral" and await self.ledger.has_earlier(turn)

    async def follow(self) -> None:
        """Heed what other bots were told of the turns that this one is at, for ever."""
        while True:
            await asyncio.sleep(HEED)
            if keys := [stop.turn.key for stop in self.running.all()]:
                try:
                    self.running.heed(await self.ledger.all_asked(keys))
                except SQLAlchemyError as error:
                    logger.bind(error=type(error).__name__).warning("turns not looked at: the database is away")

    async def stop(self, thread: str, before: str) -> int:
        """Stop the answers to what was asked before a ts; return how many are being written now."""
        await self.ledger.stop(thread, before)
        return self.running.stop(thread, before)

    async def is_due(self, turn: Turn) -> bool:
        """Whether a turn still wants its outcome, in these words."""
        if turn.place == "ephemeral":
            return True
        await self.ledger.ask(turn)
        if turn.edited_ts and await self.ledger.edit(turn):
            self.running.supersede(turn)
        known = await self.ledger.asked(turn.key)
        return known is not None and not (known.ended or known.withdrawn) and known.edited_ts == turn.edited_ts

    async def is_stopped(self, turn: Turn) -> bool:
        known = await self.ledger.asked(turn.key)
        return known is not None and known.stopped

    async def end(self, turn: Turn) -> None:
        """Note that a turn has its outcome, or wants none any more."""
        await self.ledger.end(turn.key, turn.edited_ts)
        self.order.done(turn.thread, position(turn.ts))


@dataclass(frozen=True, slots=True)
class TurnJob:
    """One question, from Slack's event to its outcome. A thread's lock is held for an attempt; between attempts later
    turns of the thread wait, within reason."""

    conversation: Answering
    turns: Turns
    name: str = "turn"

    async def attempt(self, payload: Payload) -> None:
        turn = read_turn(payload)
        if not await self.turns.is_due(turn):
            await self.turns.end(turn)
            return
        async with self.turns.at_work(turn, settle=settling(turn, time.time())):
            if await self.turns.is_due(turn):
                await self._answer(turn)
            await self.turns.end(turn)

    async def _answer(self, turn: Turn) -> None:
        if await self.turns.is_stopped(turn):
            await self.conversation.halt(turn)
        else:
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
        finally:
            await self.turns.end(turn)
        self.turns.telemetry.turn("gave_up", asked_at(turn))


@dataclass(frozen=True, slots=True)
class WithdrawJob:
    """A question that was deleted: its answer goes, too."""

    conversation: Answering
    turns: Turns
    name: str = "withdraw"

    async def attempt(self, payload: Payload) -> None:
        turn = read_turn(payload)
        if not await self.turns.ledger.withdraw(turn.key):
            return
        self.turns.running.supersede(turn)
        async with self.turns.at_work(turn, settle=0):
            await self.conversation.take_back(turn)
            await self.turns.end(turn)

    async def give_up(self, payload: Payload) -> None:
        """Nobody waits for it."""

    async def fail(self, payload: Payload) -> None:
        """Nobody waits for it."""


class UnsayableOutcome(Exception):
    """Slack takes no message in the place of the turn: archived, deleted, or we were removed."""


def settling(turn: Turn, now: float) -> float:
    """Return how long a turn waits for others that were asked before it; the first of its thread does not."""
    if turn.ts == turn.thread_ts:
        return 0.0
    return SETTLE_LATE if now - position(turn.ts)[0] > LATE else SETTLE


def write_turn(turn: Turn) -> Payload:
    """Return a turn as it is recorded."""
    return {field: str(value) for field, value in msgspec.structs.asdict(turn).items()}


def read_turn(payload: Payload) -> Turn:
    return msgspec.convert(payload, Turn)
