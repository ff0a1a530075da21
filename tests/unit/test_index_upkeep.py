"""What keeps the real index fast and durable."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from backend.adapters import lance_maintenance
from backend.adapters.lance_durability import Flusher
from backend.adapters.lance_schema import ADDED_COLUMNS
from backend.adapters.lancedb import COMMITS_BETWEEN_OPTIMISING, LanceIndex
from backend.domain import Condition, Metadata, Query
from tests.fakes.corpus import DIMENSIONS, indexed_document, unit_vector


def test_only_files_that_are_new_are_flushed(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    flusher = Flusher(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "new").write_text("y")
    assert flusher.flush() == 1
    assert flusher.flush() == 0


def test_a_file_that_vanishes_is_no_error(tmp_path: Path) -> None:
    flusher = Flusher(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    assert flusher.flush() == 0


async def test_a_commit_leaves_nothing_to_flush(tmp_path: Path) -> None:
    index = await LanceIndex.open(str(tmp_path), "test", DIMENSIONS)
    await index.replace([indexed_document("d")])
    assert index._flusher is not None
    assert index._flusher.flush() == 0
    await index.close()


async def test_many_small_commits_are_folded_together_on_the_way(tmp_path: Path) -> None:
    index = await LanceIndex.open(str(tmp_path), "test", DIMENSIONS)
    for number in range(COMMITS_BETWEEN_OPTIMISING):
        await index.replace([indexed_document(f"d{number}")])
    assert (await index.status()).unindexed_rows == 0
    await index.close()


def test_the_larger_a_table_the_more_commits_are_folded_in_at_once() -> None:
    waits = [lance_maintenance.commits_between(rows, 30) for rows in (0, 100_000, 400_000, 1_000_000, 5_000_000)]
    assert waits == [30, 30, 60, 180, 180]
    assert lance_maintenance.commits_between(1_000_000, 8) == 48


async def test_a_large_table_is_not_optimised_as_often_as_a_small_one(tmp_path: Path) -> None:
    index = await LanceIndex.open(str(tmp_path), "test", DIMENSIONS)
    await index.replace([indexed_document("first", [""])])
    one: pa.Table = await index._table.to_arrow()
    await index._table.add(one.take(np.zeros(2 * lance_maintenance.ROWS_PER_PATIENCE, dtype=np.int64)))
    index._commits = COMMITS_BETWEEN_OPTIMISING
    await index.replace([indexed_document("last")])
    assert (await index.status()).optimised_at is None
    await index.close()


def test_a_relative_path_that_begins_with_db_is_a_folder(tmp_path: Path) -> None:
    async def open_and_close() -> None:
        await (await LanceIndex.open("db1", "test", DIMENSIONS)).close()

    with contextlib.chdir(tmp_path):
        asyncio.run(open_and_close())
    assert (tmp_path / "db1" / "chunks.lance").is_dir()


@pytest.fixture(scope="module")
def many() -> list[str]:
    return [f"text {number}" for number in range(lance_maintenance.ROWS_FOR_VECTOR_INDEX)]


async def test_a_large_table_gets_a_vector_index_that_loses_no_filtered_row(tmp_path: Path, many: list[str]) -> None:
    index = await LanceIndex.open(str(tmp_path), "test", DIMENSIONS)
    await index.replace(
        [
            indexed_document("many", many),
            indexed_document("few", [f"rare {n}" for n in range(30)], metadata=Metadata(source="rare")),
        ]
    )
    await index.optimise()
    await index.optimise()
    names = [entry.name for entry in await index._table.list_indices() if "vector" in entry.columns]
    assert names == [f"vector_{len(many) + 30}"]
    wanted = unit_vector("text 4321")
    [best] = await index.search_vector(Query("", "T1"), wanted, limit=1)
    assert best.text == "text 4321"
    rare = Query("", "T1", filter=Condition("eq", "source", "rare"))
    assert len(await index.search_vector(rare, wanted, limit=50)) == 30
    assert np.isclose(best.score, 1.0, atol=1e-5)
    await index.close()


async def test_a_very_large_table_is_searched_by_codes_and_compared_by_vectors(tmp_path: Path, many: list[str]) -> None:
    index = await LanceIndex.open(str(tmp_path), "test", DIMENSIONS, codes_from=len(many))
    await index.replace([indexed_document("many", many)])
    await index.optimise()
    kinds = [entry.index_type for entry in await index._table.list_indices() if "vector" in entry.columns]
    assert kinds == ["IvfRq"]
    for number in (0, 17, 4321):
        [best] = await index.search_vector(Query("", "T1"), unit_vector(f"text {number}"), limit=1)
        assert best.text == f"text {number}"
        assert np.isclose(best.score, 1.0, atol=1e-5)
    await index.replace([indexed_document("later", ["another text"])])
    await index.optimise()
    [best] = await index.search_vector(Query("", "T1"), unit_vector("another text"), limit=1)
    assert best.text == "another text"
    await index.close()


def test_an_index_is_built_anew_where_the_table_has_outgrown_it_or_its_codes_would_not_be_refined() -> None:
    assert lance_maintenance.fitting(10_000, 39_999)
    assert not lance_maintenance.fitting(10_000, 40_000)
    assert lance_maintenance.fitting(300_000, 150_000)
    assert not lance_maintenance.fitting(300_000, 149_999)
    assert lance_maintenance.fitting(299_999, 149_999)
    assert not lance_maintenance.may_be_coded(149_999)
    assert [lance_maintenance.refine_factor(limit) for limit in (1, 7, 60, 500)] == [240, 35, 4, 4]


async def test_a_trickle_of_documents_leaves_neither_parts_nor_files_behind(tmp_path: Path, many: list[str]) -> None:
    index = await LanceIndex.open(str(tmp_path), "test", DIMENSIONS)
    await index.replace([indexed_document("many", many)])
    for number in range(lance_maintenance.MOST_PARTS + 2):
        await index.replace([indexed_document(f"d{number}")])
        await index.optimise()
    [name] = [entry.name for entry in await index._table.list_indices() if "vector" in entry.columns]
    assert (await index._table.index_stats(name)).num_indices < 5
    assert (await index._table.stats())["fragment_stats"]["num_fragments"] < 5
    [best] = await index.search_vector(Query("", "T1"), unit_vector("text 4321"), limit=1)
    assert best.text == "text 4321"
    await index.close()


async def test_an_index_of_an_earlier_version_gets_the_columns_that_it_lacks(tmp_path: Path) -> None:
    index = await LanceIndex.open(str(tmp_path), "test", DIMENSIONS)
    await index.replace([indexed_document("old")])
    await index._table.drop_columns(list(ADDED_COLUMNS))
    await index.close()
    index = await LanceIndex.open(str(tmp_path), "test", DIMENSIONS)
    await index.replace([indexed_document("new")])
    passages = await index.search_vector(Query("", "T1"), unit_vector("x"), limit=9)
    assert {(one.document_id, one.lead, one.kind) for one in passages} == {("old", "", "text"), ("new", "", "text")}
    await index.close()
