"""Ports of caches, rates and budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

CacheTier = Literal["l1", "l2", "l3"]
"""Where something was kept: in this process, in Redis, in the state database."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something kept: `documents` are those of `team` whose words it holds, and with which it goes."""

    value: bytes
    team: str = ""
    documents: tuple[str, ...] = ()


class CacheStore(Protocol):
    """Entries by key, bounded by itself: what is kept may be gone at any time. `tier` is its name."""

    @property
    def tier(self) -> CacheTier: ...

    async def get(self, key: str) -> Entry | None: ...

    async def put(self, key: str, entry: Entry) -> int:
        """Keep an entry, in place of one with the same key; return how many others had to go for it."""

    async def forget(self, team: str, document_ids: Sequence[str]) -> int:
        """Drop every entry that holds words of these documents; return how many there were."""

    async def forget_answers(self, team: str) -> int:
        """Drop every answer that is kept for a team, and perhaps for others; return how many there were."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used of models: tokens, read and written, and their price."""

    tokens: int = 0
    cost: float = 0.0


Scope = Literal["user", "channel", "team"]
"""Whom a limit is for."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Whose limit is reached, and in how many seconds there is room again."""

    scope: Scope
    seconds: int


class Rates(Protocol):
    """How often each team, channel and user may ask."""

    async def take(self, team: str, subjects: Mapping[Scope, str]) -> Wait | None:
        """Count one question for each of these; a channel or user is named within its team. Return None, or the first
        limit that is reached, for which nothing is counted. Never fails."""


class Spendings(Protocol):
    """What each team, channel and user has spent per day; a channel or user is named within its team."""

    async def of(self, team: str, day: date, subjects: Mapping[Scope, str]) -> dict[Scope, Spent]:
        """Return what these have spent on that day."""

    async def add(self, team: str, day: date, subjects: Mapping[Scope, str], spent: Spent) -> None:
        """Add to what each of these has spent on that day."""
