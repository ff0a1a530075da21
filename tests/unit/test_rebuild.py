"""An index beside the live one: what a pass does, who follows the pointer, and what the records say afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.adapters.lance_places import FolderTables, drop_others
from backend.adapters.lance_reader import LanceReader
from backend.adapters.lance_tables import building, live_table, point_to, tables_in, turn
from backend.adapters.lancedb import LanceIndex
from backend.adapters.migrate import migrate
from backend.adapters.sql import Database
from backend.app import Places
from backend.cli.reindex import Work
from backend.domain import Chunk, Document, IndexedDocument, Origin, Query, Snapshot, Visibility
from backend.errors import FetchFailed, IndexUnavailable
from backend.ingest.rebuild import Difference, Rebuild, difference, rebuilt_revision, recorded
from backend.lock import FolderLock
from backend.ports import Edition
from tests.fakes.corpus import INGESTED, indexed_document
from tests.fakes.embedder import HashEmbedder

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)


def record(document_id: str, revision: str = "r1") -> Document:
    return Document(
        "T1", document_id, Origin(url="https://e.org"), document_id, "", Visibility(), "ready", NOW, NOW,
        revision=revision, chunks=1, snapshot=Snapshot(digest="d", recipe="old"),
    )  # fmt: skip


def test_a_pass_writes_what_is_new_or_newer_and_deletes_what_is_gone() -> None:
    live = {
        ("T1", "same"): Edition(NOW, "r", 1),
        ("T1", "newer"): Edition(LATER, "r", 1),
        ("T1", "new"): Edition(NOW, "r", 1),
    }
    new = {
        ("T1", "same"): Edition(NOW, "x", 2),
        ("T1", "newer"): Edition(NOW, "r", 1),
        ("T1", "gone"): Edition(NOW, "r", 1),
    }
    assert difference(live, new) == Difference((("T1", "new"), ("T1", "newer")), (("T1", "gone"),))
    assert difference(live, live) == Difference((), ())


def test_a_record_says_what_took_the_place_of_what_it_said() -> None:
    before, after = Edition(NOW, "r1", 1), Edition(NOW, rebuilt_revision("r1", "v3"), 4)
    made = recorded(record("d"), before, after, "v3", unknown=False)
    assert made is not None
    assert (made.revision, made.chunks, made.snapshot.recipe not in ("", "old")) == (after.revision, 4, True)
    back = recorded(made, after, before, "v3", unknown=True)
    assert back is not None
    assert (back.revision, back.chunks, back.snapshot.recipe) == ("r1", 1, "")


@pytest.mark.parametrize(
    "document",
    [record("d", "other"), replace(record("d"), attempt="a"), replace(record("d"), status="deleted"), record("d", "")],
)
def test_a_record_that_says_something_else_is_left_alone(document: Document) -> None:
    assert recorded(document, Edition(NOW, "r1", 1), Edition(NOW, "r1", 2), "v3", unknown=False) is None
    assert recorded(record("d"), Edition(NOW, "r1", 1), Edition(LATER, "r1", 2), "v3", unknown=False) is None


# ---------------------------------------------------------------------------------------------------- on real tables


@asynccontextmanager
async def rebuilding(folder: Path, embedder: HashEmbedder) -> AsyncIterator[tuple[LanceIndex, Work]]:
    """Open an index of two documents, and the work of building it anew as `chunks-2` with another embedder."""
    places = Places(folder, str(folder / "index"), f"sqlite:///{folder}/state.db", "")
    migrate(places.database)
    database = Database.open(places.database)
    for name in "abcd":
        await database.documents.put(record(name))
    index = await LanceIndex.open(str(folder / "index"), HashEmbedder.name, HashEmbedder.dimensions)
    await index.replace([written("a"), written("b")])
    new = await LanceIndex.open(str(folder / "index"), embedder.name, embedder.dimensions, table_name="chunks-2")
    live, built = [await LanceReader.open(str(folder / "index"), name) for name in ("chunks", "chunks-2")]
    rebuild = Rebuild(database.documents, live, built, new, embedder, "v3")
    try:
        tables = FolderTables(folder / "index")
        yield index, Work(places, tables, database, live, new, "chunks-2", rebuild, back=False)
    finally:
        for opened in (index, new):
            await opened.close()
        for reader in (live, built):
            reader.close()
        await database.close()


def written(document_id: str) -> IndexedDocument:
    return indexed_document(document_id, dimensions=HashEmbedder.dimensions)


class OtherEmbedder(HashEmbedder):
    name = "other/384"


async def ids(index: LanceIndex) -> set[str]:
    passages = await index.search_text(Query("", "T1"), "sentence", limit=20)
    return {passage.document_id for passage in passages}


async def test_an_open_index_goes_over_with_the_pointer_and_writes_where_it_leads(tmp_path: Path) -> None:
    async with rebuilding(tmp_path, HashEmbedder()) as (index, work):
        await index.delete("T1", ["b"])
        await index.replace([written("c")])
        assert await work.run() == 0
        assert live_table(tmp_path / "index") == "chunks-2"
        assert await ids(index) == {"a", "c"}
        await index.replace([written("d")])
        assert await ids(index) == {"a", "c", "d"}
        assert set(await work.live.editions()) == {("T1", "a"), ("T1", "c")}
        assert (await work.rebuild.built.editions())["T1", "a"].ingested_at == INGESTED
        said = await work.database.documents.get("T1", "a")
        assert said is not None
        assert (said.revision, said.snapshot.recipe == "old") == ("r1", False)
        await index.prune(timedelta(0))
        assert tables_in(tmp_path / "index") == ["chunks-2"]


async def test_what_another_embedder_made_goes_live_only_with_the_backend_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with rebuilding(tmp_path, OtherEmbedder()) as (index, work):
        with FolderLock(work.places.lock):
            assert await work.run() == 1
        assert "stop it" in capsys.readouterr().out
        assert (live_table(tmp_path / "index"), await ids(index)) == ("chunks", {"a", "b"})
        assert await work.run() == 0
        with pytest.raises(IndexUnavailable, match="reindex"):
            await ids(index)
        assert set(await work.rebuild.built.editions()) == {("T1", "a"), ("T1", "b")}


async def test_in_an_object_store_a_backend_that_agrees_with_nobody_has_to_be_stopped(tmp_path: Path) -> None:
    async with rebuilding(tmp_path, HashEmbedder()) as (_, work):
        there = replace(work, places=replace(work.places, index="s3://bucket/index"))
        with FolderLock(work.places.lock):
            assert await there.run() == 1
        assert live_table(tmp_path / "index") == "chunks"
        assert await there.run() == 0
        assert live_table(tmp_path / "index") == "chunks-2"


async def test_a_change_of_the_pointer_waits_for_the_commits_under_way(tmp_path: Path) -> None:
    async with rebuilding(tmp_path, HashEmbedder()) as (index, work):
        with turn(tmp_path / "index", alone=False):
            waiting = asyncio.create_task(work.run())
            await asyncio.sleep(0.3)
            assert (waiting.done(), live_table(tmp_path / "index")) == (False, "chunks")
            await index.replace([written("c")])
        assert await waiting == 0
        assert await ids(index) == {"a", "b", "c"}


async def test_documents_are_split_anew_from_their_source_where_it_can_be_had(tmp_path: Path) -> None:
    async def chunks(document: Document) -> tuple[Chunk, ...]:
        if document.document_id == "b":
            raise FetchFailed("The server answered 500.")
        return tuple(Chunk(place, 0, "", 0, text, ((0, len(text)),)) for place, text in enumerate(("One.", "Two.")))

    async with rebuilding(tmp_path, HashEmbedder()) as (_, work):
        await replace(work.rebuild, chunks=chunks).catch_up()
        editions = await work.rebuild.built.editions()
    assert editions["T1", "a"] == Edition(INGESTED, rebuilt_revision("r1", "v3"), 2)
    assert editions["T1", "b"] == Edition(INGESTED, "r1", 1)


async def test_old_tables_stay_while_one_is_being_built(tmp_path: Path) -> None:
    for name in ("chunks.lance", "chunks-2.lance"):
        (tmp_path / name).mkdir()
    point_to(tmp_path, "chunks-2")
    with building(tmp_path) as alone, building(tmp_path) as second:
        assert (alone, second, await drop_others(FolderTables(tmp_path))) == (True, False, [])
    assert await drop_others(FolderTables(tmp_path)) == ["chunks"]
