"""The index's schema: every earlier version is brought up with what is in it, taken back, and a newer one refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from backend.adapters.lance_versions import ADDED, NEWEST, downgrade, version_of
from backend.adapters.lancedb import LanceIndex
from backend.domain import Query
from backend.errors import IndexUnavailable
from tests.fakes.corpus import DIMENSIONS, indexed_document, unit_vector


async def opened(folder: Path) -> LanceIndex:
    return await LanceIndex.open(str(folder), "test", DIMENSIONS)


async def columns(index: LanceIndex) -> list[str]:
    schema: pa.Schema = await index._table.schema()
    return list(schema.names)


@pytest.mark.parametrize("version", range(1, NEWEST + 1))
async def test_an_index_goes_back_to_each_version_and_up_again_with_what_is_in_it(tmp_path: Path, version: int) -> None:
    index = await opened(tmp_path)
    await index.replace([indexed_document("old", ["One.", "Two."])])
    await index.close()

    assert await downgrade(str(tmp_path), version) == version
    index = await opened(tmp_path)
    assert version_of(await columns(index)) == NEWEST
    await index.replace([indexed_document("new")])
    passages = await index.search_vector(Query("", "T1"), unit_vector("One."), limit=9)
    assert sorted((one.document_id, one.text, one.kind) for one in passages) == [
        ("new", "One sentence.", "text"), ("old", "One.", "text"), ("old", "Two.", "text"),
    ]  # fmt: skip
    await index.close()


async def test_an_index_of_a_newer_program_is_refused_in_words(tmp_path: Path) -> None:
    index = await opened(tmp_path)
    await index._table.add_columns({"mood": "'fine'"})
    await index.close()
    with pytest.raises(IndexUnavailable, match=r"newer Footnote .*mood.*--index"):
        await opened(tmp_path)


@pytest.mark.parametrize("version", [0, NEWEST + 1])
async def test_a_version_that_there_is_not_is_refused(tmp_path: Path, version: int) -> None:
    await (await opened(tmp_path)).close()
    with pytest.raises(IndexUnavailable, match="it can be taken back"):
        await downgrade(str(tmp_path), version)


def test_a_version_counts_only_with_all_of_its_columns() -> None:
    assert version_of([]) == 1
    assert version_of(list(ADDED[0])[:1]) == 1
    assert version_of(list(ADDED[0])) == 2
