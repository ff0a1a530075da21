"""Who and where, as Slack knows it, remembered for a short while. What cannot be looked up is None: closed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from loguru import logger

from bot.audience import Channel, Person
from bot.slack import SlackRefused

Found = TypeVar("Found")

TTL = 300.0
"""Seconds for which a channel or a person is taken to be what it was."""
MEMBERSHIP_TTL = 60.0
"""Seconds for which somebody who has left a channel may still be answered from its documents, in private."""
MAX_REMEMBERED = 5_000


class SlackLookups(Protocol):
    """See bot.slack.Slack for the contracts."""

    async def channel(self, channel: str) -> Channel: ...
    async def person(self, user: str) -> Person: ...
    async def channels_of(self, user: str) -> tuple[str, ...]: ...


class Directory:
    """SlackUnavailable passes through: that is worth a retry."""

    def __init__(self, slack: SlackLookups, clock: Callable[[], float] = time.monotonic) -> None:
        self._slack = slack
        self._channels: Remembered[Channel] = Remembered(TTL, clock)
        self._people: Remembered[Person] = Remembered(TTL, clock)
        self._memberships: Remembered[tuple[str, ...]] = Remembered(MEMBERSHIP_TTL, clock)

    async def channel(self, channel: str) -> Channel | None:
        return await self._channels.get(channel, self._slack.channel)

    async def person(self, user: str) -> Person | None:
        return await self._people.get(user, self._slack.person)

    async def channels_of(self, user: str) -> tuple[str, ...]:
        return await self._memberships.get(user, self._slack.channels_of) or ()


class Remembered(Generic[Found]):
    """A cache with an age limit. A refusal is not remembered."""

    def __init__(self, ttl: float, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._clock = clock
        self._found: dict[str, tuple[float, Found]] = {}

    async def get(self, key: str, look_up: Callable[[str], Awaitable[Found]]) -> Found | None:
        known = self._found.get(key)
        if known is not None and self._clock() - known[0] < self._ttl:
            return known[1]
        try:
            found = await look_up(key)
        except SlackRefused as error:
            logger.bind(code=error.code).warning("slack lookup refused")
            return None
        if len(self._found) >= MAX_REMEMBERED:
            self._found.clear()
        self._found[key] = (self._clock(), found)
        return found
