"""What several backends agree on: who writes, who does the chores, who lives."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

Lock: TypeAlias = AbstractAsyncContextManager[object]
"""Held by one task at a time, of all backends. DatabaseUnavailable where nobody can say who holds it."""


class Replicas(Protocol):
    """The backends over one database. `name` is this one's, and stays the same over its restarts."""

    @property
    def name(self) -> str: ...
    @property
    def records(self) -> Lock:
        """Under it documents are accepted, committed and removed."""

    @property
    def collections(self) -> Lock:
        """Under it the record of a collection changes."""

    @property
    def writing(self) -> Lock:
        """Under it the index is written."""

    async def leads(self) -> bool:
        """Return whether this backend does the chores; where nobody does, it begins to."""

    async def living(self) -> frozenset[str]:
        """Return what stands for each backend that runs. DatabaseUnavailable if that cannot be said."""

    def gone(self, names: Collection[str], living: Collection[str]) -> list[str]:
        """Return those of the names that are not among the living."""


@dataclass(frozen=True)
class OneBackend:
    """Replicas where there is one: its data folder has one owner."""

    name: str = "local"
    records: Lock = field(default_factory=asyncio.Lock)
    collections: Lock = field(default_factory=asyncio.Lock)
    writing: Lock = field(default_factory=asyncio.Lock)

    async def leads(self) -> bool:
        return True

    async def living(self) -> frozenset[str]:
        return frozenset({self.name})

    def gone(self, names: Collection[str], living: Collection[str]) -> list[str]:
        return [name for name in names if name not in living]
