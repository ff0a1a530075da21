"""One table of an index, read whichever embedder made it. Reads only, and sees each commit at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import lancedb
import pyarrow as pa

from backend.adapters.lance_filter import documents_scope
from backend.adapters.lance_schema import CONTENTS_COLUMNS, EMBEDDER_KEY, EXTRACTION_KEY, instant, to_contents
from backend.domain import Contents
from backend.errors import IndexUnavailable
from backend.ports import Edition

COLUMNS = ["team", "document_id", "revision", "ingested_at"]
Key = tuple[str, str]
_FAULTS = (OSError, RuntimeError, ValueError, pa.ArrowException)


@dataclass(frozen=True)
class LanceReader:
    """ports.Editions. `embedder`, of so many `dimensions`, made the table; `extraction` is the version of extracting
    and splitting with which it was begun, "" where that was not written down."""

    connection: Any
    table: Any
    embedder: str
    dimensions: int
    extraction: str

    @classmethod
    async def open(cls, uri: str, name: str, storage: Mapping[str, str] | None = None) -> Self:
        """Open a table that there is, in a folder or an object store. IndexUnavailable if it cannot be read."""
        try:
            connection: Any = await lancedb.connect_async(
                uri, read_consistency_interval=timedelta(0), storage_options=dict(storage or {})
            )
            table: Any = await connection.open_table(name)
            schema: pa.Schema = await table.schema()
        except _FAULTS as error:
            raise IndexUnavailable(f"The index cannot be read ({type(error).__name__}).") from error
        said = schema.metadata or {}
        embedder, extraction = (said.get(key, b"").decode() for key in (EMBEDDER_KEY, EXTRACTION_KEY))
        return cls(connection, table, embedder, schema.field("vector").type.list_size, extraction)

    def close(self) -> None:
        self.table.close()
        self.connection.close()

    async def editions(self) -> dict[Key, Edition]:
        try:
            rows: pa.Table = await self.table.query().select(COLUMNS).to_arrow()
        except _FAULTS as error:
            raise IndexUnavailable(f"The index cannot be read ({type(error).__name__}).") from error
        found: dict[Key, Edition] = {}
        for row in rows.group_by(COLUMNS).aggregate([([], "count_all")]).to_pylist():
            moment = instant(row["ingested_at"])
            assert moment is not None
            found[row["team"], row["document_id"]] = Edition(moment, row["revision"], row["count_all"])
        return found

    async def contents(self, team: str, document_id: str) -> Contents | None:
        search = self.table.query().where(documents_scope([(team, document_id)])).select(CONTENTS_COLUMNS)
        try:
            rows: list[dict[str, Any]] = (await search.to_arrow()).to_pylist()
        except _FAULTS as error:
            raise IndexUnavailable(f"The index cannot be read ({type(error).__name__}).") from error
        return to_contents(rows) if rows else None
