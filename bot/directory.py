"""Who and where, as Slack knows it, remembered for a short while. What cannot be looked up is None: closed.

Slack's events say what changed meanwhile (see bot.listeners_audience); the age limits are for events that never came.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

import msgspec
from loguru import logger

from bot.audience import Channel, Person
from bot.slack import SlackRefused

Found = TypeVar("Found")

TTL = 300.0
"""Seconds for which a channel or a person is taken to be what it was."""
MEMBERSHIP_TTL = 60.0
"""Seconds for which somebody who has left a channel may be answered from its documents, should Slack not tell us."""
GUESTS_TTL = 1800.0
"""Seconds for which the list of guests counts: reading it is one call per thousand people."""
MAX_REMEMBERED = 5_000
LOOKS = 3
"""How often something is looked up anew that changed while it was being looked up."""


class SlackLookups(Protocol):
    """See bot.slack.Slack for the contracts."""

    async def channel(self, channel: str) -> Channel: ...
    async def person(self, user: str) -> Person: ...
    async def channels_of(self, user: str) -> tuple[str, ...]: ...
    async def members(self, channel: str) -> frozenset[str]: ...
    async def guests(self) -> frozenset[str]: ...


class Directory:
    """SlackUnavailable passes through: that is worth a retry."""

    def __init__(self, slack: SlackLookups, clock: Callable[[], float] = time.monotonic) -> None:
        self._slack = slack
        self._channels: Remembered[Channel] = Remembered(TTL, clock)
        self._people: Remembered[Person] = Remembered(TTL, clock)
        self._memberships: Remembered[tuple[str, ...]] = Remembered(MEMBERSHIP_TTL, clock)
        self._members: Remembered[frozenset[str]] = Remembered(MEMBERSHIP_TTL, clock)
        self._guests: Remembered[frozenset[str]] = Remembered(GUESTS_TTL, clock)

    async def person(self, user: str) -> Person | None:
        return await self._people.get(user, self._slack.person)

    async def channel(self, channel: str) -> Channel | None:
        """Return a channel, or None where it is not known whether guests read it."""
        found = await self._channels.get(channel, self._slack.channel)
        if found is None or found.shared:
            return found
        guests = await self._guests.get("", lambda _: self._slack.guests())
        if guests is None:
            return None
        members = await self._members.get(channel, self._slack.members) if guests else frozenset()
        return None if members is None else msgspec.structs.replace(found, guests=not guests.isdisjoint(members))

    async def channels_of(self, user: str) -> tuple[str, ...]:
        """Return the channels that both the user and we are in: of those alone Slack tells us who leaves."""
        theirs, ours = await asyncio.gather(
            self._memberships.get(user, self._slack.channels_of), self._memberships.get("", self._slack.channels_of)
        )
        return tuple(channel for channel in theirs or () if channel in (ours or ()))

    # ----------------------------------------------------------------------------------------- what events told us

    def forget_membership(self, user: str, channel: str) -> None:
        """Somebody joined or left a channel; that may have been us."""
        self._members.forget(channel)
        self._memberships.forget(user)
        self._memberships.forget("")

    def forget_channel(self, channel: str) -> None:
        """A channel was archived, deleted, shared or otherwise changed: nobody is known to be in it."""
        self._channels.forget(channel)
        self._members.forget(channel)
        self._memberships.clear()

    def forget_person(self, user: str) -> None:
        """Somebody came, went, or became a guest."""
        self._people.forget(user)
        self._memberships.forget(user)
        self._guests.clear()

    def forget_all(self) -> None:
        """Something may have changed that we were not told."""
        for remembered in (self._channels, self._people, self._memberships, self._members, self._guests):
            remembered.clear()


class Remembered(Generic[Found]):
    """A cache with an age limit. A refusal is not remembered."""

    def __init__(self, ttl: float, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._clock = clock
        self._found: dict[str, tuple[float, Found]] = {}
        self._changes = 0

    async def get(self, key: str, look_up: Callable[[str], Awaitable[Found]]) -> Found | None:
        """Return what is remembered, else what is found; None where Slack does not tell, or it changes all the time."""
        for _ in range(LOOKS):
            known = self._found.get(key)
            if known is not None and self._clock() - known[0] < self._ttl:
                return known[1]
            changes = self._changes
            try:
                found = await look_up(key)
            except SlackRefused as error:
                logger.bind(code=error.code).warning("slack lookup refused")
                return None
            if changes == self._changes:
                self._keep(key, found)
                return found
        return None

    def forget(self, key: str) -> None:
        """Drop a key; what is being looked up at this moment may be of before, and is looked up again."""
        self._found.pop(key, None)
        self._changes += 1

    def clear(self) -> None:
        self._found.clear()
        self._changes += 1

    def _keep(self, key: str, found: Found) -> None:
        if len(self._found) >= MAX_REMEMBERED:
            self._found.clear()
        self._found[key] = (self._clock(), found)
