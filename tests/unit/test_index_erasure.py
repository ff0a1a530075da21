"""What a delete leaves on the disk, and that erasing and pruning leave nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from backend.adapters import lance_maintenance
from backend.adapters.lance_remains import Remains, remains
from backend.adapters.lancedb import LanceIndex
from backend.domain import Query
from tests.fakes.corpus import DIMENSIONS, indexed_document, unit_vector

NOW_AT_ONCE = timedelta(0)
SECRET = "xylophone quartz seven"


async def filled(folder: Path) -> LanceIndex:
    """Open an index of thirty documents in which `secret` was compacted with the others, then deleted."""
    index = await LanceIndex.open(str(folder), "test", DIMENSIONS)
    documents = [indexed_document(f"document-{number}", ["One.", "Two."]) for number in range(30)]
    await index.replace([*documents, indexed_document("secret-document", [SECRET, "Three."])])
    await index.optimise()
    await index.delete("T1", ["secret-document"])
    return index


def files_with(folder: Path, mark: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and mark in path.read_bytes()]


async def test_a_delete_alone_leaves_the_bytes_and_compaction_leaves_them_too(tmp_path: Path) -> None:
    index = await filled(tmp_path)
    await index.optimise()
    left = await remains(str(tmp_path), "T1", "secret-document")
    assert files_with(tmp_path, b"secret-document")
    await index.close()
    assert left.searchable == 0
    assert left.versions > 0
    assert left.marked == 2
    assert not left.only_since(None)


async def test_erasing_and_pruning_leave_no_byte_and_every_other_document(tmp_path: Path) -> None:
    index = await filled(tmp_path)
    version = await index.erase()
    kept = await index.prune(NOW_AT_ONCE)
    assert kept.oldest >= version
    left = await remains(str(tmp_path), "T1", "secret-document")
    assert (left.searchable, left.versions, left.marked, left.files) == (0, 0, 0, ())
    assert left.only_since(version)
    assert files_with(tmp_path, b"secret-document") == []
    assert await index.search_text(Query("", "T1"), "xylophone", limit=5) == []
    assert len(await index.search_text(Query("", "T1"), "two", limit=50)) == 30
    assert len(await index.search_vector(Query("", "T1"), unit_vector("One."), limit=100)) == 60
    assert (await index.status()).unindexed_rows == 0
    await index.close()


async def test_versions_that_are_young_are_kept_for_their_readers(tmp_path: Path) -> None:
    index = await filled(tmp_path)
    version = await index.erase()
    kept = await index.prune(timedelta(hours=1))
    assert kept.oldest < version <= kept.newest
    assert (await remains(str(tmp_path), "T1", "secret-document")).versions > 0
    await index.close()


async def test_files_that_a_crash_left_behind_are_dropped(tmp_path: Path) -> None:
    index = await filled(tmp_path)
    orphan = next((tmp_path / "chunks.lance" / "data").iterdir()).with_name("orphan.lance")
    orphan.write_bytes(b"secret-document")
    await index.erase()
    await index.prune(NOW_AT_ONCE)
    await index.close()
    assert not orphan.exists()


async def test_an_index_without_documents_can_be_erased(tmp_path: Path) -> None:
    index = await LanceIndex.open(str(tmp_path), "test", DIMENSIONS)
    await index.replace([indexed_document("only")])
    await index.delete("T1", ["only"])
    await index.erase()
    await index.prune(NOW_AT_ONCE)
    assert (await remains(str(tmp_path), "T1", "only")).marked == 0
    await index.replace([indexed_document("next")])
    assert (await index.status()).rows == 1
    await index.close()


async def test_the_vector_index_is_built_anew_as_well(tmp_path: Path) -> None:
    rows = lance_maintenance.ROWS_FOR_VECTOR_INDEX
    index = await LanceIndex.open(str(tmp_path), "test", DIMENSIONS)
    await index.replace([indexed_document("many", [f"text {n}" for n in range(rows)]), indexed_document("secret")])
    await index.optimise()
    await index.delete("T1", ["secret"])
    before = {path.name for path in (tmp_path / "chunks.lance" / "_indices").iterdir()}
    await index.erase()
    await index.prune(NOW_AT_ONCE)
    after = {path.name for path in (tmp_path / "chunks.lance" / "_indices").iterdir()}
    names = [entry.name for entry in await index._table.list_indices() if "vector" in entry.columns]
    await index.close()
    assert names == [f"vector_{rows}"]
    assert not before & after


@pytest.mark.parametrize("name", ["", "nowhere"])
async def test_where_there_is_no_index_nothing_remains(tmp_path: Path, name: str) -> None:
    assert await remains(str(tmp_path / name), "T1", "any") == Remains()
