"""The catalogue of what is indexed, kept in memory per team and brought up to date by the change numbers of its rows.

A read costs one primary-key lookup while nothing changed, and reads only the changed documents when something did.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import RowMapping, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backend.adapters.sql_tables import document_changes
from backend.adapters.sql_tables import documents as table
from backend.codec import metadata_from_json
from backend.domain import Audience, Catalogue, FieldValue, Metadata
from backend.labels import label

Pairs = frozenset[tuple[str, FieldValue]]
"""(field, value) of one document."""
MAX_MERGED = 64
"""Merged catalogues kept per team; audiences differ mostly in the channels of a private question."""


def field_values(title: str, known: Metadata) -> Pairs:
    """Return what a document counts for. A custom field cannot stand in for a built-in one."""
    fields: Mapping[str, Iterable[FieldValue]] = {
        **known.custom,
        "source": (known.source,),
        "author": known.author,
        "doc_type": (known.doc_type,),
        "tags": known.tags,
        "language": (known.language,),
        "title": (title,),
    }
    return frozenset((name, value) for name, values in fields.items() for value in values if value != "")


@dataclass(slots=True)
class TeamCatalogue:
    """One team's counts by visibility, up to change number `seen`."""

    seen: int = 0
    documents: dict[str, tuple[str, Pairs]] = field(default_factory=dict)
    counts: dict[str, Counter[tuple[str, FieldValue]]] = field(default_factory=lambda: defaultdict(Counter))
    merged: dict[tuple[frozenset[str], frozenset[str]], Catalogue] = field(default_factory=dict)

    def apply(self, rows: Iterable[RowMapping]) -> None:
        """Take in changed documents, in any order; each row is the newest state of its document."""
        for row in rows:
            self._forget(row["document_id"])
            searchable = row["status"] == "ready" or (row["chunks"] and row["status"] != "deleted")
            if searchable and not row["same_as"]:
                pairs = field_values(row["title"], metadata_from_json(row["metadata"]))
                self.documents[row["document_id"]] = row["visibility"], pairs
                self.counts[row["visibility"]].update(pairs)
            self.seen = max(self.seen, row["change"])
            self.merged.clear()

    def merge(self, audience: Audience) -> Catalogue:
        present = audience.visibilities().intersection(self.counts)
        tags = frozenset(label("tags", tag) for tag in audience.only_tags)
        key = present, tags
        if key not in self.merged:
            if len(self.merged) >= MAX_MERGED:
                self.merged.clear()
            self.merged[key] = self._tagged(present, tags) if tags else self._merge(present)
        return self.merged[key]

    def _tagged(self, present: frozenset[str], tags: frozenset[str]) -> Catalogue:
        """Count the documents that carry one of the tags, which are labels."""
        values: dict[str, Counter[FieldValue]] = defaultdict(Counter)
        for visibility, pairs in self.documents.values():
            if visibility in present and any(name == "tags" and label(name, value) in tags for name, value in pairs):
                for name, value in pairs:
                    values[name][value] += 1
        return Catalogue({name: dict(counts) for name, counts in values.items()})

    def _merge(self, present: frozenset[str]) -> Catalogue:
        values: dict[str, dict[FieldValue, int]] = defaultdict(dict)
        for visibility in present:
            for (name, value), count in self.counts[visibility].items():
                values[name][value] = values[name].get(value, 0) + count
        return Catalogue(dict(values))

    def _forget(self, document_id: str) -> None:
        visibility, pairs = self.documents.pop(document_id, ("", frozenset()))
        if pairs:
            counts = self.counts[visibility]
            counts.subtract(pairs)
            for pair in pairs:
                if not counts[pair]:
                    del counts[pair]


@dataclass(frozen=True, slots=True)
class CatalogueCache:
    """One reader at a time, so that no older state of a document is taken in after a newer one."""

    teams: dict[str, TeamCatalogue] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self, engine: AsyncEngine, team: str, audience: Audience) -> Catalogue:
        async with self.lock, engine.connect() as connection:
            known = self.teams.setdefault(team, TeamCatalogue())
            last = await connection.scalar(select(document_changes.c.last).where(document_changes.c.team == team))
            if (last or 0) != known.seen:
                known.apply(await _changed(connection, team, known.seen))
            return known.merge(audience)


async def _changed(connection: AsyncConnection, team: str, seen: int) -> Iterable[RowMapping]:
    columns = (table.c.document_id, table.c.title, table.c.visibility, table.c.status)
    statement = select(*columns, table.c.chunks, table.c.same_as, table.c.metadata, table.c.change)
    rows = await connection.execute(statement.where(table.c.team == team, table.c.change > seen))
    return rows.mappings().all()
