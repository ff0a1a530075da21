"""A reader that remembers: the same question in the same thread, over the same catalogue, means the same all day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from time import monotonic

import msgspec

from backend.domain import Turn
from backend.ports import Entry
from backend.query.caching.keys import reading_key
from backend.query.caching.tiers import Tiers
from backend.query.proposal import Proposal, Reader


class CachedReader:
    """query.proposal.Reader over another, which is asked once for the same things on one day of the asker's.

    `recipe` is who reads: the model and the hash of its prompt. A model that stood in for it meanwhile is taken for it.
    What is kept is checked against the catalogue and the words each time, as what the model says is.
    """

    def __init__(self, reader: Reader, tiers: Tiers, recipe: Sequence[str]) -> None:
        self._reader = reader
        self._tiers = tiers
        self._recipe = tuple(recipe)

    async def read(
        self, question: str, history: Sequence[Turn], fields: Mapping[str, Sequence[str]], now: datetime
    ) -> Proposal:
        key = reading_key(question, history, fields, now.date(), self._recipe)
        found = await self._tiers.get(key)
        known = _decoded(found[0].value) if found else None
        self._tiers.figures.looked_up("readings", found[1] if found and known else "miss")
        if known:
            return known
        began = monotonic()
        proposal = await self._reader.read(question, history, fields, now)
        await self._tiers.put(key, Entry(msgspec.msgpack.encode(proposal)), began=began)
        return proposal


def _decoded(value: bytes) -> Proposal | None:
    try:
        return msgspec.msgpack.decode(value, type=Proposal)
    except msgspec.DecodeError:
        return None
