"""A fetcher that is never at one host more than twice at once, however many documents of it are wanted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from backend.domain import Snapshot
from backend.ports import Fetched, Fetcher

AT_ONCE = 2


@dataclass(frozen=True)
class PoliteFetcher:
    """ports.Fetcher, around another one. A host's gate lives as long as somebody holds it."""

    fetcher: Fetcher
    at_once: int = AT_ONCE
    gates: WeakValueDictionary[str, asyncio.Semaphore] = field(default_factory=WeakValueDictionary)

    async def fetch(self, url: str, known: Snapshot | None = None) -> Fetched:
        gate = self._gate(url)
        async with gate:
            return await self.fetcher.fetch(url, known)

    def _gate(self, url: str) -> asyncio.Semaphore:
        try:
            host = (urlsplit(url).netloc.rpartition("@")[2]).lower()
        except ValueError:
            host = ""
        gate = self.gates.get(host)
        if gate is None:
            gate = self.gates[host] = asyncio.Semaphore(self.at_once)
        return gate
