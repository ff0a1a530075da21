"""The record of documents in the state database."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import lru_cache

import msgspec
from sqlalchemy import ColumnElement, RowMapping, Select, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.dml import ReturningInsert

from backend.adapters.sql_catalogue import CatalogueCache
from backend.adapters.sql_common import inserting, translated, upsert
from backend.adapters.sql_tables import document_changes, from_microseconds, to_microseconds
from backend.adapters.sql_tables import documents as table
from backend.codec import metadata_from_json, metadata_to_json, origin_from_json, origin_to_json
from backend.domain import Audience, Catalogue, Document, Snapshot, Status, Visibility
from backend.errors import BadInput
from backend.ports import DocumentPage

_ONE = select(table).where(table.c.team == bindparam("of"), table.c.document_id == bindparam("id"))
_SEVERAL = select(table).where(
    table.c.team == bindparam("of"), table.c.document_id.in_(bindparam("ids", expanding=True))
)
_BEGIN = (
    update(table)
    .where(table.c.team == bindparam("of"), table.c.document_id == bindparam("id"))
    .where(table.c.attempt == bindparam("now"), table.c.status != "deleted")
    .values(status="processing")
    .returning(*table.c)
)
"""Made once: to make a statement over all these columns costs more than to run it."""


@dataclass(frozen=True, slots=True)
class SqlDocuments:
    """ports.Documents."""

    engine: AsyncEngine
    cache: CatalogueCache = field(default_factory=CatalogueCache)

    async def get(self, team: str, document_id: str) -> Document | None:
        with translated():
            async with self.engine.connect() as connection:
                rows = (await connection.execute(_ONE, {"of": team, "id": document_id})).mappings().all()
        return _document(rows[0]) if rows else None

    async def several(self, team: str, document_ids: Sequence[str]) -> dict[str, Document]:
        with translated():
            async with self.engine.connect() as connection:
                rows = (await connection.execute(_SEVERAL, {"of": team, "ids": list(document_ids)})).mappings().all()
        return {row["document_id"]: _document(row) for row in rows}

    async def put(self, document: Document) -> None:
        await self.put_all([document])

    async def put_all(self, documents: Sequence[Document]) -> None:
        with translated():
            async with self.engine.begin() as connection:
                for document in documents:
                    change = await _next_change(connection, document.team)
                    await upsert(connection, table, {**_values(document), "change": change})

    async def begin(self, team: str, document_id: str, attempt: str) -> Document | None:
        # Its number among the changes stays as it is: nothing that the catalogue counts has changed.
        with translated():
            async with self.engine.begin() as connection:
                given = {"of": team, "id": document_id, "now": attempt}
                rows = (await connection.execute(_BEGIN, given)).mappings().all()
        return _document(rows[0]) if rows else None

    async def put_if(self, document: Document, *, revision: str) -> bool:
        """Replace the record if it still names this revision and no work is under way on it; return whether it did."""
        same = (table.c.team == document.team) & (table.c.document_id == document.document_id)
        still = same & (table.c.revision == revision) & (table.c.attempt == "")
        with translated():
            async with self.engine.begin() as connection:
                done = await connection.execute(update(table).where(still).values(**_values(document)))
                return bool(done.rowcount)

    async def list(
        self,
        team: str,
        *,
        status: Status | None = None,
        text: str = "",
        visibilities: frozenset[str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> DocumentPage:
        wanted = [table.c.team == team, table.c.status == status if status else table.c.status != "deleted"]
        if text:
            wanted.append(table.c.search_text.contains(text.lower(), autoescape=True))
        if visibilities is not None:
            wanted.append(table.c.visibility.in_(sorted(visibilities)))
        if cursor is not None:
            wanted.append(_after(cursor))
        order = (table.c.updated_at.desc(), table.c.document_id.desc())
        rows = await self._read(select(table).where(*wanted).order_by(*order).limit(limit + 1))
        page = tuple(_document(row) for row in rows[:limit])
        return DocumentPage(page, write_cursor(page[-1]) if len(rows) > limit and page else None)

    async def unfinished(self) -> tuple[Document, ...]:
        rows = await self._read(select(table).where(table.c.attempt != "").order_by(table.c.updated_at))
        return tuple(_document(row) for row in rows)

    async def due(self, moment: datetime, *, limit: int) -> tuple[Document, ...]:
        wanted = (table.c.due_at <= moment, table.c.attempt == "", table.c.status != "deleted")
        order = (table.c.due_at, table.c.team, table.c.document_id)
        rows = await self._read(select(table).where(*wanted).order_by(*order).limit(limit))
        return tuple(_document(row) for row in rows)

    async def same_text(self, team: str, visibility: Visibility, text: str) -> tuple[Document, ...]:
        same = (table.c.team == team) & (table.c.text_digest == text) & (table.c.visibility == str(visibility))
        wanted = select(table).where(same, table.c.chunks > 0, table.c.same_as == "", table.c.status != "deleted")
        rows = await self._read(wanted.order_by(table.c.created_at, table.c.document_id))
        return tuple(_document(row) for row in rows)

    async def pointing_to(self, team: str, document_id: str) -> tuple[Document, ...]:
        pointing = (table.c.team == team) & (table.c.same_as == document_id)
        rows = await self._read(select(table).where(pointing).order_by(table.c.created_at, table.c.document_id))
        return tuple(_document(row) for row in rows)

    async def kept(self) -> tuple[Document, ...]:
        rows = await self._read(select(table).where(table.c.status != "deleted").order_by(table.c.updated_at))
        return tuple(_document(row) for row in rows)

    async def all(self) -> tuple[Document, ...]:
        """Return every record of all teams, of removed documents too."""
        rows = await self._read(select(table))
        return tuple(_document(row) for row in rows)

    async def catalogue(self, team: str, audience: Audience) -> Catalogue:
        with translated():
            return await self.cache.read(self.engine, team, audience)

    async def counts(self) -> dict[str, int]:
        rows = await self._read(select(table.c.status, func.count().label("number")).group_by(table.c.status))
        return {row["status"]: row["number"] for row in rows}

    async def _read(self, statement: Select[*tuple[object, ...]]) -> Sequence[RowMapping]:
        with translated():
            async with self.engine.connect() as connection:
                return (await connection.execute(statement)).mappings().all()


# ------------------------------------------------------------------------------------------------------------- cursor

CHECK = 6
"""Bytes of checksum: enough to tell a cursor from a typing error. What a cursor can reach is decided by the query."""


def write_cursor(last: Document) -> str:
    """Return an opaque name for the place in a listing behind this document."""
    place = msgspec.msgpack.encode((to_microseconds(last.updated_at), last.document_id))
    return base64.urlsafe_b64encode(_check(place) + place).rstrip(b"=").decode()


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """Return update time and id of the last document that was listed. BadInput if no listing returned this cursor."""
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        if packed[:CHECK] == _check(packed[CHECK:]):
            microseconds, document_id = msgspec.msgpack.decode(packed[CHECK:], type=tuple[int, str])
            return from_microseconds(microseconds), document_id
    except (ValueError, msgspec.DecodeError):
        pass
    raise BadInput("The cursor is not one that a listing returned; start without it.")


def _check(place: bytes) -> bytes:
    return hashlib.blake2s(place, digest_size=CHECK).digest()


def _after(cursor: str) -> ColumnElement[bool]:
    updated_at, document_id = read_cursor(cursor)
    earlier = table.c.updated_at < updated_at
    return or_(earlier, (table.c.updated_at == updated_at) & (table.c.document_id < document_id))


# --------------------------------------------------------------------------------------------------------------- rows


async def _next_change(connection: AsyncConnection, team: str) -> int:
    """Take the team's next number; its row stays locked until the commit, so numbers are seen in their order."""
    return int(await connection.scalar(_take_number(connection.dialect.name), {"team": team, "last": 1}) or 0)


@lru_cache(maxsize=2)
def _take_number(dialect: str) -> ReturningInsert[int]:
    first = inserting(dialect, document_changes)
    taken = first.on_conflict_do_update(index_elements=["team"], set_={"last": document_changes.c.last + 1})
    return taken.returning(document_changes.c.last)


def _values(document: Document) -> Mapping[str, object]:
    return {
        "team": document.team,
        "document_id": document.document_id,
        "origin": origin_to_json(document.origin),
        "title": document.title,
        "url": document.url,
        "search_text": f"{document.title}\n{document.url}".lower(),
        "visibility": str(document.visibility),
        "status": document.status,
        "reason": document.reason,
        "revision": document.revision,
        "stated": metadata_to_json(document.stated),
        "metadata": metadata_to_json(document.metadata),
        "chunks": document.chunks,
        "refresh_days": document.refresh_days,
        "attempt": document.attempt,
        "stated_title": document.stated_title,
        "created_at": document.created_at,
        "updated_at": document.updated_at,
        "by": document.by,
        "checked_at": document.checked_at,
        "due_at": document.due_at,
        "missing_since": document.missing_since,
        "snapshot": asdict(document.snapshot),
        "text_digest": document.snapshot.text,
        "same_as": document.same_as,
        "similar_to": document.similar_to,
        "size": document.size,
    }


def _document(row: RowMapping) -> Document:
    return Document(
        team=row["team"],
        document_id=row["document_id"],
        origin=origin_from_json(row["origin"]),
        title=row["title"],
        url=row["url"],
        visibility=Visibility.parse(row["visibility"]),
        status=row["status"],
        reason=row["reason"],
        revision=row["revision"],
        stated=metadata_from_json(row["stated"]),
        metadata=metadata_from_json(row["metadata"]),
        chunks=row["chunks"],
        refresh_days=row["refresh_days"],
        attempt=row["attempt"],
        stated_title=row["stated_title"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        by=row["by"],
        checked_at=row["checked_at"],
        due_at=row["due_at"],
        missing_since=row["missing_since"],
        snapshot=Snapshot(**row["snapshot"]),
        same_as=row["same_as"],
        similar_to=row["similar_to"],
        size=row["size"],
    )
