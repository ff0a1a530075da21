"""The tables of an index, in a folder and in an object store: which is live, who may change it, who follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import pytest

from backend.adapters.lance_holdings import holdings
from backend.adapters.lance_places import (
    FolderTables,
    ObjectTables,
    drop_others,
    live_table_at,
    next_table,
    tables_at,
)
from backend.adapters.lance_reader import LanceReader
from backend.adapters.lancedb import LanceIndex
from backend.adapters.postgres_replicas import BUILDING, tried, writing_beside
from backend.errors import IndexUnavailable
from tests.contract.indexes import found
from tests.fakes.corpus import DIMENSIONS, indexed_document
from tests.object_store import ObjectStore
from tests.postgres_server import PostgresServer, needs_postgres

AnyTables: TypeAlias = FolderTables | ObjectTables


@dataclass
class Place:
    """An index of this test alone; what writes to it shares `writing`, what builds beside it the right to."""

    uri: str
    storage: dict[str, str]
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    built: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def building(self) -> AsyncIterator[bool]:
        if self.built.locked():
            yield False
            return
        async with self.built:
            yield True

    @property
    def tables(self) -> AnyTables:
        tables = tables_at(self.uri, self.storage, self.writing, self.building)
        return replace(tables, slow=0.0) if isinstance(tables, ObjectTables) else tables

    @asynccontextmanager
    async def opened(self, table_name: str | None = None) -> AsyncIterator[LanceIndex]:
        writing = asyncio.Lock() if table_name else self.writing
        index = await LanceIndex.open(
            self.uri, "test", DIMENSIONS, storage=self.storage, writing=writing, building=self.building,
            table_name=table_name,
        )  # fmt: skip
        try:
            yield index
        finally:
            await index.close()


@pytest.fixture(params=["folder", "object"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Place(str(tmp_path / "index"), {})
    served = request.getfixturevalue("object_store")
    return Place(served.uri(f"index-{uuid4().hex}"), served.options)


async def test_who_searches_and_who_writes_go_over_to_the_table_that_the_pointer_names(place: Place) -> None:
    async with place.opened() as one, place.opened() as other:
        await one.replace([indexed_document("before", ["word"])])
        tables = place.tables
        assert (await tables.live(), await tables.names(), await next_table(tables)) == (
            "chunks",
            ["chunks"],
            "chunks-2",
        )
        async with place.opened("chunks-2") as new:
            await new.replace([indexed_document("rebuilt", ["word"])])
            assert await found(one) == {"before"}
            async with tables.alone():
                await tables.point_to("chunks-2")
        await other.replace([indexed_document("after", ["word"])])
        for index in (one, other):
            assert await found(index) == {"rebuilt", "after"}
        assert (await live_table_at(place.uri, place.storage), await next_table(tables)) == ("chunks-2", "chunks-3")
        assert {document_id for _, document_id in await holdings(place.uri, place.storage)} == {"rebuilt", "after"}

        async with tables.building() as alone:
            assert alone
            assert await drop_others(place.tables) == [], "somebody builds"
        assert await drop_others(tables) == ["chunks"]
        assert await drop_others(tables) == []
        assert await tables.names() == ["chunks-2"]
    async with place.opened() as again:
        assert await found(again) == {"rebuilt", "after"}


async def test_the_pointer_is_not_moved_while_somebody_commits(place: Place) -> None:
    async with place.opened():
        tables, moved = place.tables, asyncio.Event()

        async def move() -> None:
            async with tables.alone():
                moved.set()

        async with place.writing, tables.turn():
            moving = asyncio.create_task(move())
            await asyncio.sleep(0.05)
            assert not moved.is_set()
        await moving
        assert moved.is_set()


async def test_of_two_who_move_a_pointer_in_an_object_store_one_is_refused(object_store: ObjectStore) -> None:
    place = Place(object_store.uri(f"index-{uuid4().hex}"), object_store.options)
    for theirs, mine in (("chunks-2", "chunks-3"), ("chunks-4", "chunks-5")):
        tables = place.tables
        assert isinstance(tables, ObjectTables)
        overtaken = Overtaken(tables.uri, tables.store, {}, place.writing, place.building, theirs=theirs)
        with pytest.raises(IndexUnavailable):
            await overtaken.point_to(mine)
        assert await tables.live() == theirs


@dataclass
class Overtaken(ObjectTables):
    """One whom another is quicker than, just after it read the pointer."""

    theirs: str = ""

    async def _pointer(self) -> tuple[float, str, str | None]:
        read = await super()._pointer()
        await ObjectTables(self.uri, self.store, {}, self.writing, self.building).point_to(self.theirs)
        return read


async def test_a_store_that_is_not_there_is_unavailable(object_store: ObjectStore) -> None:
    place = Place("s3://no-such-bucket/index", object_store.options)
    with pytest.raises(IndexUnavailable):
        await place.tables.names()
    with pytest.raises(IndexUnavailable):
        await live_table_at(object_store.uri("index"), {"aws_nonsense": "1"})
    with pytest.raises(IndexUnavailable):
        await LanceReader.open(object_store.uri("nothing"), "chunks", object_store.options)


@needs_postgres
async def test_one_builds_at_a_time_and_who_builds_writes_in_turn_with_the_backends(postgres: PostgresServer) -> None:
    async with tried(postgres.url(), BUILDING) as mine, tried(postgres.url(), BUILDING) as yours:
        assert (mine, yours) == (True, False)
    async with tried(postgres.url(), BUILDING) as later:
        assert later
    async with writing_beside(postgres.url()) as one, writing_beside(postgres.url()) as other:
        async with one:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2), other:
                    pass
        async with other:
            pass
