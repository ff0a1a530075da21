"""Shared by the suites over indexes."""

from __future__ import annotations

from typing import TypeAlias

from backend.adapters.lancedb import LanceIndex
from backend.domain import Audience, Filter, Query
from tests.fakes.corpus import unit_vector
from tests.fakes.index import FakeIndex

AnyIndex: TypeAlias = LanceIndex | FakeIndex
EVERYONE = Audience()


async def found(
    index: AnyIndex, condition: Filter | None = None, *, team: str = "T1", audience: Audience = EVERYONE
) -> set[str]:
    """Return the ids of all documents that a search admits."""
    query = Query("", team, audience, condition)
    passages = await index.search_vector(query, unit_vector("anything"), limit=1000)
    return {passage.document_id for passage in passages}
