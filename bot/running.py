"""The answers that are being written now, so that they can be cut short: by the Stop button, or because the question
changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from bot.ledger import Asked
from bot.thread import Turn, position

Item = TypeVar("Item")


@dataclass(slots=True, eq=False)
class Stop:
    """`pressed` is set when the answer to a turn is to end; `superseded` tells that another attempt takes it up."""

    turn: Turn
    pressed: asyncio.Event = field(default_factory=asyncio.Event)
    superseded: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    stops: dict[str, set[Stop]] = field(default_factory=dict)

    @contextmanager
    def entered(self, turn: Turn) -> Iterator[Stop]:
        """Make the answer to a turn known while it is written."""
        stop, thread = Stop(turn), turn.thread
        self.stops.setdefault(thread, set()).add(stop)
        try:
            yield stop
        finally:
            self.stops[thread].discard(stop)
            if not self.stops[thread]:
                del self.stops[thread]

    def stop(self, thread: str, before: str) -> int:
        """Stop the answers in a thread to what was asked before a ts; return how many that were.

        The ts is that of the press: told of it late, we leave alone what was asked since.
        """
        stops = [stop for stop in self.stops.get(thread, set()) if position(stop.turn.ts) < position(before)]
        for stop in stops:
            stop.pressed.set()
        return len(stops)

    def all(self) -> Sequence[Stop]:
        """Return the answers that are being written now."""
        return [stop for stops in self.stops.values() for stop in stops]

    def heed(self, known: Mapping[str, Asked]) -> None:
        """Cut short what was stopped, edited or taken back, perhaps through another bot. `known` is by key."""
        for stop in self.all():
            asked = known.get(stop.turn.key)
            if asked is None:
                continue
            if asked.withdrawn or asked.edited_ts != stop.turn.edited_ts:
                stop.superseded = True
            if stop.superseded or asked.stopped:
                stop.pressed.set()

    def supersede(self, turn: Turn) -> None:
        """Leave the answer to a turn as it is, if it is being written."""
        for stop in self.stops.get(turn.thread, set()):
            if stop.turn.key == turn.key:
                stop.superseded = True
                stop.pressed.set()


async def until(stop: asyncio.Event, items: AsyncIterator[Item]) -> AsyncIterator[Item]:
    """Yield items until there are no more or `stop` is set, whichever is first, also while waiting for the next."""
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while not stop.is_set():
            coming = asyncio.ensure_future(anext(items))
            try:
                await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait({coming})
            if coming.cancelled():
                return
            try:
                item = coming.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        stopping.cancel()
