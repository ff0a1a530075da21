"""The index in LanceDB: one table of chunks, searched under a prefilter, written by one writer at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import lancedb
import pyarrow as pa
from loguru import logger

from backend.adapters.lance_durability import Flusher
from backend.adapters.lance_filter import documents_scope, prefilter, sections_scope
from backend.adapters.lance_maintenance import (
    ROWS_FOR_CODES,
    build_vector_index,
    commits_between,
    compact,
    drop_versions,
    may_be_coded,
    prepare_indexes,
    refine_factor,
    rewrite,
    unindexed_rows,
)
from backend.adapters.lance_places import UNMOVING, Building, FolderTables, Stamp, Tables, drop_others, tables_at
from backend.adapters.lance_schema import (
    CONTENTS_COLUMNS,
    EMBEDDER_KEY,
    PASSAGE_COLUMNS,
    chunk_rows,
    chunks_schema,
    document_order,
    to_contents,
    to_passages,
)
from backend.adapters.lance_versions import upgrade
from backend.adapters.replicas import Lock
from backend.domain import Contents, IndexedDocument, Passage, Query, Vector
from backend.errors import IndexUnavailable
from backend.ports import IndexStatus, VersionsKept

Table: TypeAlias = Any
"""lancedb.AsyncTable and its query builders, which carry no types."""

INDEX_CACHE_BYTES = 512 << 20
METADATA_CACHE_BYTES = 128 << 20
COMMITS_BETWEEN_OPTIMISING = 30
"""A hundred small fragments make a search six times slower; folding them in takes about half a second. More of them
wait in a large table: `commits_between`."""
COMMITS_IN_A_STORE = 8
"""The same where each fragment is two requests of every search, and each of several processes counts its own commits:
after 29 commits a search makes 50 requests, after optimising 4."""


class LanceIndex:
    """ports.Index and ports.IndexWriter over one LanceDB table.

    Reads see every commit at once, other processes' included. Writes queue up behind one another, those of several
    processes where they are given a lock that they share. The table is the one that the pointer names
    (`lance_places`): it is followed before every search and every write.
    """

    def __init__(
        self,
        connection: Any,
        table: Table,
        embedder: str,
        flusher: Flusher | None,
        writing: Lock,
        tables: Tables,
        followed: Stamp = UNMOVING,
        codes_from: int = ROWS_FOR_CODES,
    ) -> None:
        self._codes_from = codes_from
        self._tables = tables
        self._followed = followed
        self._following = asyncio.Lock()
        self._connection = connection
        self._opened: Table | None = table
        self._embedder = embedder
        self._flusher = flusher
        self._writing = writing
        self._commits = 0
        self._optimised_at: datetime | None = None

    @classmethod
    async def open(
        cls,
        uri: str,
        embedder_name: str,
        dimensions: int,
        *,
        storage: Mapping[str, str] | None = None,
        writing: Lock | None = None,
        building: Building | None = None,
        table_name: str | None = None,
        codes_from: int = ROWS_FOR_CODES,
    ) -> LanceIndex:
        """Open the index at a path or an object store's URI, making it if there is none.

        Args:
            storage: options of the object store, such as its endpoint; else the environment's.
            writing: held by whoever writes; where several processes do, one that they share.
            building: the right to have other tables beside the live one, where it is in an object store.
            table_name: this table, whichever is the live one.
            codes_from: rows from which the vector index holds codes in place of vectors.

        Raises:
            IndexUnavailable: it cannot be reached, or another embedder made it.
        """
        writing = writing or asyncio.Lock()
        with _translated("opened"):
            location = await asyncio.to_thread(_location, uri)
            connection = await lancedb.connect_async(
                location,
                read_consistency_interval=timedelta(0),
                session=lancedb.Session(INDEX_CACHE_BYTES, METADATA_CACHE_BYTES),
                storage_options=dict(storage or {}),
            )
            tables = tables_at(location, storage or {}, writing, building)
            followed = UNMOVING if table_name else await tables.stamp(sure=True)
            name = table_name or await tables.live()
            async with writing:  # several processes may start at once
                table = await _open_table(connection, chunks_schema(embedder_name, dimensions), name)
                await prepare_indexes(table)
            flusher = await _flusher(tables, name)
        return cls(connection, table, embedder_name, flusher, writing, tables, followed, codes_from)

    @staticmethod
    async def discard(uri: str, storage: Mapping[str, str] | None = None) -> None:
        """Drop the index at a path or URI, whichever embedder made it. IndexUnavailable if it cannot be reached."""
        with _translated("dropped"):
            connection: Any = await lancedb.connect_async(
                await asyncio.to_thread(_location, uri), storage_options=dict(storage or {})
            )
            for name in (await connection.list_tables()).tables:
                await connection.drop_table(name, ignore_missing=True)
            connection.close()

    async def close(self) -> None:
        """Wait for the write that is going on, then let go of the store."""
        async with self._writing:
            self._table.close()
            self._connection.close()
            self._opened = None

    @property
    def _table(self) -> Table:
        """The open table; LanceDB itself panics when a closed one is used."""
        if self._opened is None:
            raise IndexUnavailable("The index is closed.")
        return self._opened

    async def _looked(self, *, sure: bool = False) -> None:
        with _translated("opened"):
            if self._followed != UNMOVING and await self._tables.stamp(sure=sure) != self._followed:
                await self._follow()

    async def _follow(self) -> None:
        """Go over to another table if the pointer says so; searches under way end on the one they began with."""
        async with self._following:
            followed = await self._tables.stamp(sure=True)
            if followed == self._followed:
                return
            name, present = await self._tables.live(), await self._table.schema()
            table = await self._connection.open_table(name)
            _check_embedder(await table.schema(), present)
            self._flusher = await _flusher(self._tables, name)
            self._opened, self._followed = table, followed
            logger.bind(table=name).info("index followed")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Hold the right to write, to the live table."""
        async with self._writing:
            if self._followed == UNMOVING:
                yield
                return
            async with self._tables.turn():
                await self._looked(sure=True)
                yield

    # ------------------------------------------------------------------------------------------------------- searching

    async def search_vector(self, query: Query, vector: Vector, *, limit: int) -> list[Passage]:
        """Return the nearest passages by cosine. `maximum_nprobes(0)`: else a filtered search silently loses rows."""
        if limit < 1:
            return []
        await self._looked()
        search = self._table.query().nearest_to(vector).distance_type("cosine").maximum_nprobes(0)
        if await self._may_be_coded():
            search = search.refine_factor(refine_factor(limit))
        rows = await self._rows(query, search.select([*PASSAGE_COLUMNS, "_distance"]).limit(limit))
        return _ranked(to_passages(rows, [1.0 - row["_distance"] for row in rows]))

    async def _may_be_coded(self) -> bool:
        with _translated("searched"):
            return may_be_coded(await self._table.count_rows(), self._codes_from)

    async def search_text(self, query: Query, text: str, *, limit: int) -> list[Passage]:
        """Return the best passages by BM25 over title, heading and text. `text` is words, never a query language."""
        if limit < 1 or not text.strip():
            return []
        await self._looked()
        search = self._table.query().nearest_to_text(text, columns=["search_text"])
        rows = await self._rows(query, search.select([*PASSAGE_COLUMNS, "_score"]).limit(limit))
        return _ranked(to_passages(rows, [row["_score"] for row in rows]))

    async def section_passages(self, query: Query, section_ids: Sequence[str]) -> list[Passage]:
        """Return those sections' passages. A filter speaks of documents, so it never cuts a section."""
        if not section_ids:
            return []
        await self._looked()
        search = self._table.query().where(sections_scope(section_ids))
        rows = await self._rows(query, search.select(PASSAGE_COLUMNS))
        return document_order(to_passages(rows, [0.0] * len(rows)))

    async def status(self) -> IndexStatus:
        await self._looked()
        with _translated("read"):
            rows, version = await self._table.count_rows(), await self._table.version()
            unindexed = await unindexed_rows(self._table)
            return IndexStatus(rows, unindexed, version, self._embedder, self._optimised_at)

    async def _rows(self, query: Query, search: Any) -> list[dict[str, Any]]:
        """Run a search: every one goes through here, and so under the access rule."""
        search = search.where(prefilter(query))
        with _translated("searched"):
            found: list[dict[str, Any]] = (await search.to_arrow()).to_pylist()
            return found

    # --------------------------------------------------------------------------------------------------------- writing

    async def replace(self, documents: Sequence[IndexedDocument]) -> None:
        """Replace documents in one commit; of two with the same key, the later counts."""
        latest = {(document.team, document.document_id): document for document in documents}
        if not latest:
            return
        async with self._turn():
            with _translated("written"):
                rows = await asyncio.to_thread(chunk_rows, latest.values(), await self._table.schema())
                await self._merge(rows, documents_scope(latest))
                await self._committed()

    async def _merge(self, rows: pa.Table, scope: str) -> None:
        """`use_index(False)`: through an index on the key, concurrent writers leave duplicates (LanceDB 0.40)."""
        merge = self._table.merge_insert("key").use_index(False).when_matched_update_all()
        await merge.when_not_matched_insert_all().when_not_matched_by_source_delete(scope).execute(rows)

    async def delete(self, team: str, document_ids: Sequence[str]) -> None:
        if not document_ids:
            return
        async with self._turn():
            with _translated("written"):
                await self._table.delete(documents_scope((team, document_id) for document_id in document_ids))
                await self._committed()

    async def contents(self, team: str, document_id: str) -> Contents | None:
        await self._looked()
        search = self._table.query().where(documents_scope([(team, document_id)])).select(CONTENTS_COLUMNS)
        with _translated("read"):
            rows: list[dict[str, Any]] = (await search.to_arrow()).to_pylist()
        return to_contents(rows) if rows else None

    async def optimise(self) -> None:
        async with self._turn():
            with _translated("optimised"):
                await self._optimise()

    async def erase(self) -> int:
        async with self._turn():
            with _translated("erased"):
                await rewrite(self._table)
                await self._flush()
                version: int = await self._table.version()
                return version

    async def prune(self, older_than: timedelta) -> VersionsKept:
        """A local index has one owner, so what no version names is left over from a crash, and goes as well; so does an
        index that was kept to go back to, as it may hold what was removed."""
        async with self._turn():
            with _translated("pruned"):
                await drop_others(self._tables)
                await drop_versions(self._table, older_than, orphans=self._flusher is not None)
                await self._flush()
                numbers = [int(version["version"]) for version in await self._table.list_versions()]
                return VersionsKept(min(numbers), max(numbers))

    async def _committed(self) -> None:
        await self._flush()
        self._commits += 1
        least = COMMITS_BETWEEN_OPTIMISING if self._flusher else COMMITS_IN_A_STORE
        if self._commits >= least:
            await self._try_optimise(least)

    async def _try_optimise(self, least: int) -> None:
        """A commit stands though what tidies up after it fails: the next one tries again."""
        try:
            with _translated("optimised"):
                if self._commits >= commits_between(await self._table.count_rows(), least):
                    await self._optimise()
        except IndexUnavailable as error:
            logger.bind(error=str(error)).warning("index not optimised")

    async def _optimise(self) -> None:
        await compact(self._table)
        await build_vector_index(self._table, self._codes_from)
        await self._flush()
        self._commits = 0
        self._optimised_at = datetime.now(UTC)

    async def _flush(self) -> None:
        if self._flusher is not None:
            await asyncio.to_thread(self._flusher.flush)


async def _flusher(tables: Tables, name: str) -> Flusher | None:
    """Return what brings a table to the disk; an object store needs none."""
    if isinstance(tables, FolderTables):
        return await asyncio.to_thread(Flusher, tables.folder / f"{name}.lance")
    return None


def _ranked(passages: list[Passage]) -> list[Passage]:
    """Best first; ties in document order, so that the same search gives the same list."""
    return sorted(passages, key=lambda passage: (-passage.score, passage.document_id, passage.position))


def _location(uri: str) -> str:
    """Return a URI as it is and a path absolute: LanceDB takes a relative one that begins with `db` for its cloud."""
    if "://" in uri:
        return uri
    path = Path(uri).expanduser().resolve()
    path.mkdir(parents=True, exist_ok=True)
    return str(path)


async def _open_table(connection: Any, schema: pa.Schema, name: str) -> Table:
    if name not in (await connection.list_tables()).tables:
        return await connection.create_table(name, schema=schema)
    table = await connection.open_table(name)
    present = await table.schema()
    _check_embedder(present, schema)
    await upgrade(table, schema)
    return table


def _check_embedder(present: pa.Schema, wanted: pa.Schema) -> None:
    maker, embedder = _maker(present), _maker(wanted)
    if maker != embedder:
        raise IndexUnavailable(
            f"The index was made with the embedder {maker!r}, but {embedder!r} is configured: vectors of two embedders"
            " cannot be compared. Set the embedder back, or build the index anew with `python -m backend reindex`."
        )


def _maker(schema: pa.Schema) -> str:
    name = (schema.metadata or {}).get(EMBEDDER_KEY, b"?").decode()
    return f"{name} ({schema.field('vector').type.list_size} dimensions)"


@contextmanager
def _translated(done: str) -> Iterator[None]:
    """Turn what LanceDB and Arrow raise into IndexUnavailable. Their messages may quote a filter, so ours does not."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, TypeError, pa.ArrowException) as error:
        raise IndexUnavailable(f"The index could not be {done} ({type(error).__name__}).") from error
