"""The index on an object store: what other suites prove of a folder, where several processes write and read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from backend.adapters.lance_remains import remains
from backend.adapters.lancedb import LanceIndex
from backend.adapters.object_blobs import ObjectBlobs
from backend.errors import NotFound, Unavailable
from tests.contract.indexes import found
from tests.fakes.corpus import DIMENSIONS, indexed_document
from tests.object_store import ObjectStore


@asynccontextmanager
async def opened(store: ObjectStore, uri: str, writing: asyncio.Lock) -> AsyncIterator[LanceIndex]:
    index = await LanceIndex.open(uri, "test", DIMENSIONS, storage=store.options, writing=writing)
    try:
        yield index
    finally:
        await index.close()


async def test_two_that_start_at_once_write_in_turn_and_see_each_others_commits_at_once(
    object_store: ObjectStore,
) -> None:
    uri, writing = object_store.uri(f"index-{uuid4().hex}"), asyncio.Lock()
    async with AsyncExitStack() as stack:
        one, other = await asyncio.gather(
            *(stack.enter_async_context(opened(object_store, uri, writing)) for _ in range(2))
        )
        for number in range(3):
            await one.replace([indexed_document(f"a{number}", ["word"])])
            assert f"a{number}" in await found(other)
        await asyncio.gather(
            *(index.replace([indexed_document("same", ["first", "second"])]) for index in (one, other)),
            one.replace([indexed_document("b", ["word"])]),
            other.optimise(),
        )
        assert (await one.status()).rows == 3 + 2 + 1

        await other.delete("T1", ["same"])
        assert "same" not in await found(one)
        version = await one.erase()
        await one.prune(timedelta(0))
        left = await remains(uri, "T1", "same", object_store.options)
        assert (left.searchable, left.versions, left.only_since(version)) == (0, 0, True)
        assert await found(other) == {"a0", "a1", "a2", "b"}


async def test_a_store_that_is_not_there_is_unavailable(object_store: ObjectStore) -> None:
    with pytest.raises(Unavailable):
        await ObjectBlobs.open("s3://no-such-bucket/blobs", object_store.options).put(b"content")
    with pytest.raises(Unavailable):
        ObjectBlobs.open("nowhere://bucket/blobs", object_store.options)
    with pytest.raises(Unavailable):
        ObjectBlobs.open(object_store.uri("blobs"), {"aws_nonsense": "1"})
    with pytest.raises(NotFound):
        await ObjectBlobs.open(object_store.uri("blobs"), object_store.options).get("../index")
