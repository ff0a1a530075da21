"""What leaves for the app: each parcel has an owner, a deadline and, if it is an event, Slack's redelivery."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Protocol

from loguru import logger

from bot.sandbox.clock import Clock
from bot.sandbox.events import Parcel
from bot.sandbox.values import Json, Options


class NotDelivered(Exception):
    """The app did not acknowledge in time, or could not be reached; `may_retry` is false where it asked for no more."""

    def __init__(self, reason: str, *, may_retry: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_retry = may_retry


@dataclass(frozen=True)
class Attempt:
    """Which delivery of a parcel this is: 0 is the first, and then there is no reason."""

    number: int = 0
    reason: str = ""


FIRST = Attempt()


class Carrier(Protocol):
    """A way to the app: Socket Mode or signed HTTP."""

    @property
    def is_connected(self) -> bool:
        """Whether somebody is believed to listen."""
        ...

    async def carry(self, parcel: Parcel, attempt: Attempt) -> Json:
        """Deliver once and return what the acknowledgement says, which may be nothing.

        Raises:
            NotDelivered: not acknowledged.
        """
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


class Outbox:
    """Sends parcels through a carrier. `close` gives up what is still under way."""

    def __init__(self, carrier: Carrier, options: Options, clock: Clock) -> None:
        self.carrier = carrier
        self.delivered: list[Parcel] = []
        self.duplicates = 0
        self._options = options
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, parcel: Parcel) -> None:
        """Deliver an event, again and again as Slack does, without waiting."""
        copies = 1
        if self.duplicates > 0:
            self.duplicates, copies = self.duplicates - 1, 2
        for _ in range(copies):
            self._own(self._deliver(parcel))

    def redeliver(self, events: int) -> None:
        """Deliver the last events once more, as redeliveries."""
        for parcel in [known for known in self.delivered if known.is_event][-events:]:
            self._own(self._deliver(parcel, Attempt(1, "timeout")))

    async def ask(self, parcel: Parcel) -> Json:
        """Deliver a command or an interaction once, and return the acknowledgement.

        Raises:
            NotDelivered: the person sees an error.
        """
        reply = await self.carrier.carry(parcel, Attempt())
        self.delivered.append(parcel)
        return reply

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.carrier.close()

    def _own(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, parcel: Parcel, attempt: Attempt = FIRST) -> None:
        for pause in (*self._options.retry_seconds, None):
            try:
                await self.carrier.carry(parcel, attempt)
            except NotDelivered as error:
                attempt = Attempt(attempt.number + 1, error.reason)
                if pause is None or not error.may_retry:
                    logger.bind(event_id=parcel.payload.get("event_id"), reason=error.reason).warning("event given up")
                    return
                await self._clock.sleep(pause)
            else:
                self.delivered.append(parcel)
                return
