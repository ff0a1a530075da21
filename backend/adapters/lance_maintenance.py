"""What keeps the table fast: its indexes, compaction and the removal of old versions. Called by the one writer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeAlias

from lancedb.index import FTS, Bitmap, BTree, IvfFlat, IvfRq, LabelList
from loguru import logger
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

Table: TypeAlias = Any

KEY = "key"
PRIMARY_KEY_METADATA = b"lance-schema:unenforced-primary-key"
ROWS_FOR_VECTOR_INDEX = 10_000
"""From here IVF_FLAT is three times as fast as comparing every row, at the same recall."""
ROWS_FOR_CODES = 300_000
"""From here the index holds a code of one bit per dimension in place of each vector (IVF_RQ): the vectors themselves
would be more than what LanceDB keeps in memory, and be read anew for each search. Measured at a million rows of 384
dimensions: 613 ms became 47 ms, and 1.5 GB became 62 MB."""
REFINED = 240
"""Where the index holds codes, so many rows at least are compared by their vectors, and four times as many as wanted.
Of the ten nearest of 319,000 vectors of MiniLM this finds all, also with a filter that passes one row in twenty;
without it .85 and .82 (`tests.bench.bench_codes`)."""
REBUILD_GROWTH = 4
"""Partitions are counted out when the index is built: it is built anew once the table is so many times larger."""
MOST_PARTS = 16
"""Each compaction adds a part to the vector index and a file of rows, which are never merged while their parts differ:
with thirty of each, a search takes twice as long. Built anew it is one part, and the next compaction makes one file."""
ROWS_PER_PATIENCE = 150_000
MOST_PATIENCE = 6
VERSIONS_KEPT = timedelta(minutes=10)
"""Other processes may still be reading a version for as long as a search takes."""
_INSTANT = timedelta(milliseconds=1)

_SCALAR_INDEXES = {
    "access": Bitmap, "labels": LabelList, "section_id": BTree, "published_at": BTree, "ingested_at": BTree,
}  # fmt: skip
"""None on the key: with one, concurrent upserts leave duplicates (LanceDB 0.40)."""
_VECTOR_INDEX = "vector_{rows}"


async def prepare_indexes(table: Table) -> None:
    """Make the primary key and the indexes that are missing; an index may be made on an empty table."""
    if not _has_primary_key(await table.schema()):
        await table.set_unenforced_primary_key(KEY)
    present = {column for index in await table.list_indices() for column in index.columns}
    for column, kind in _SCALAR_INDEXES.items():
        if column not in present:
            await table.create_index(column, config=kind())
    if "search_text" not in present:
        await table.create_index("search_text", config=FTS())


def _has_primary_key(schema: Any) -> bool:
    metadata = schema.field(KEY).metadata or {}
    return any(name.startswith(PRIMARY_KEY_METADATA) for name in metadata)


async def rewrite(table: Table) -> None:
    """Write every row and every index anew, so that nothing of deleted rows is in the newest version.

    A delete only marks rows. Compaction leaves a file alone while less than a tenth of it is marked, and an index that
    is merged keeps words and labels of deleted rows. Measured: 10,000 chunks take a quarter of a second.
    """
    await table.update(updates_sql={"title": "title"})
    await table.create_index("search_text", config=FTS())
    for column, kind in _SCALAR_INDEXES.items():
        await table.create_index(column, config=kind())
    for name in await _vector_indexes(table):
        await table.drop_index(name)
    await build_vector_index(table)


async def drop_versions(table: Table, older_than: timedelta, *, orphans: bool) -> None:
    """Drop versions that are older, and with `orphans` the files that a crash left behind: only for a sole owner."""
    async for attempt in _tries():
        with attempt:  # LanceDB warns of exactly nothing
            await table.optimize(cleanup_older_than=max(older_than, _INSTANT), delete_unverified=orphans)


def commits_between(rows: int, least: int) -> int:
    """Return after how many commits to compact a table of so many rows.

    Compacting takes a second at 10,000 rows and twenty at a million, as the text index is merged whole, and who writes
    waits for it. So the more it costs the more commits are folded in at once, up to where searches feel them.
    """
    return least * min(max(rows // ROWS_PER_PATIENCE, 1), MOST_PATIENCE)


async def compact(table: Table) -> None:
    """Merge small files, fold new rows into the indexes, drop old versions; another process's commit is waited out."""
    await drop_versions(table, VERSIONS_KEPT, orphans=False)


def _tries() -> AsyncRetrying:
    return AsyncRetrying(
        stop=stop_after_attempt(5),
        wait=wait_random_exponential(multiplier=0.05, max=1),
        retry=retry_if_exception(_is_conflict),
        reraise=True,
    )


def _is_conflict(error: BaseException) -> bool:
    return isinstance(error, RuntimeError | OSError) and "Retryable commit conflict" in str(error)


async def build_vector_index(table: Table, codes_from: int = ROWS_FOR_CODES) -> None:
    """Make the vector index once it pays, and anew when the table has outgrown it, or it is in too many parts. Its name
    says how large the table was, and so whether it holds vectors or codes."""
    rows = await table.count_rows()
    built = await _vector_indexes(table)
    fits = any(fitting(size, rows, codes_from) for size in built.values())
    if rows < ROWS_FOR_VECTOR_INDEX or (fits and await _parts(table, built) <= MOST_PARTS):
        return
    name = _VECTOR_INDEX.format(rows=rows)
    kind = IvfRq if rows >= codes_from and await _is_of_bytes(table) else IvfFlat
    await table.create_index("vector", config=kind(distance_type="cosine"), name=name)
    for old in built.keys() - {name}:
        await table.drop_index(old)
    logger.bind(rows=rows).info("vector index built")


def fitting(built: int, rows: int, codes_from: int = ROWS_FOR_CODES) -> bool:
    """Whether an index that was built over so many rows still fits a table of so many: codes need `refine_factor`."""
    return rows < REBUILD_GROWTH * built and (built < codes_from or may_be_coded(rows, codes_from))


def may_be_coded(rows: int, codes_from: int = ROWS_FOR_CODES) -> bool:
    """Whether the index of a table of so many rows may hold codes. To refine costs little where it holds vectors."""
    return 2 * rows >= codes_from


def refine_factor(limit: int) -> int:
    """Return how many times as many rows as the wanted ones a search of codes compares by their vectors."""
    return max(4, -(-REFINED // limit))


async def _is_of_bytes(table: Table) -> bool:
    """Codes are made of whole bytes."""
    return bool((await table.schema()).field("vector").type.list_size % 8 == 0)


async def _parts(table: Table, built: Iterable[str]) -> int:
    statistics = [await table.index_stats(name) for name in built]
    return max((int(one.num_indices or 0) for one in statistics if one is not None), default=0)


async def _vector_indexes(table: Table) -> dict[str, int]:
    """Return each vector index's name with the rows that it was built over."""
    names = [index.name for index in await table.list_indices() if "vector" in index.columns]
    return {name: int(name.rpartition("_")[2]) for name in names}


async def unindexed_rows(table: Table) -> int:
    """Return how many rows full text has to scan, because the index does not hold them yet."""
    statistics = await table.index_stats("search_text_idx")
    return 0 if statistics is None else int(statistics.num_unindexed_rows)
