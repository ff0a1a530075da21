"""The nearest cache: least recently used entries of this process go first, by bytes and by age."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from backend.ports import CacheTier, Entry

OVERHEAD = 600
"""Bytes that an entry takes beside its value: key, names, and its places in two dictionaries."""


@dataclass
class MemoryCache:
    """ports.CacheStore in a dictionary; `age` is in seconds."""

    bytes: int
    age: float
    clock: Callable[[], float] = monotonic
    tier: CacheTier = field(default="l1", init=False)
    used: int = field(default=0, init=False)
    _entries: OrderedDict[str, tuple[Entry, float]] = field(default_factory=OrderedDict, init=False)
    _holding: dict[tuple[str, str], set[str]] = field(default_factory=dict, init=False)
    """Keys of entries by team and document."""

    async def get(self, key: str) -> Entry | None:
        entry, expires = self._entries.get(key, (None, 0.0))
        if entry is None or expires <= self.clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry

    async def put(self, key: str, entry: Entry) -> int:
        self._drop(key)
        if _size(entry) > self.bytes:
            return 0
        self._entries[key] = entry, self.clock() + self.age
        self.used += _size(entry)
        for document_id in entry.documents:
            self._holding.setdefault((entry.team, document_id), set()).add(key)
        gone = 0
        while self.used > self.bytes:
            self._drop(next(iter(self._entries)))
            gone += 1
        return gone

    async def forget(self, team: str, document_ids: Sequence[str]) -> int:
        keys = set[str]().union(*(self._holding.get((team, one), set()) for one in document_ids))
        for key in keys:
            self._drop(key)
        return len(keys)

    async def forget_answers(self, team: str) -> int:
        keys = [key for key, (entry, _) in self._entries.items() if entry.team == team]
        for key in keys:
            self._drop(key)
        return len(keys)

    def _drop(self, key: str) -> None:
        entry, _ = self._entries.pop(key, (None, 0.0))
        if entry is None:
            return
        self.used -= _size(entry)
        for document_id in entry.documents:
            keys = self._holding[entry.team, document_id]
            keys.discard(key)
            if not keys:
                del self._holding[entry.team, document_id]


def _size(entry: Entry) -> int:
    return OVERHEAD + len(entry.value) + sum(map(len, entry.documents))
