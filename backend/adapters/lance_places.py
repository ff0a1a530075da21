"""Which of an index's tables is the live one, in a folder or in an object store, and the right to change that.

In an object store the pointer is a small object, written only over what was read of it. To ask for it costs a request,
so searches ask now and then: who changes it lets nobody write until everybody has asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, TypeAlias

import lancedb
import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore

from backend.adapters import lance_tables
from backend.adapters.lance_tables import NEXT, POINTER, TABLE
from backend.adapters.object_blobs import ObjectBlobs
from backend.adapters.replicas import Lock
from backend.errors import IndexUnavailable, Unavailable

FOLLOWED = 2.0
"""Seconds for which what was read of a pointer in an object store is taken for what it says."""
SLOW = 1.0
"""Seconds more until who changed it takes it that everybody has read it."""

Stamp: TypeAlias = tuple[object, ...]
"""What tells one state of the pointer from another."""
UNMOVING: Stamp = ("unmoving",)
"""The stamp of who follows no pointer."""
Building: TypeAlias = Callable[[], AbstractAsyncContextManager[bool]]
"""The right to have tables beside the live one: a context that says whether nobody else has it."""


class Tables(Protocol):
    """The tables of an index. IndexUnavailable where they cannot be reached."""

    async def live(self) -> str:
        """Return the name of the table that is searched and written."""

    async def stamp(self, *, sure: bool) -> Stamp:
        """Return what changes when the pointer does; what it was up to `FOLLOWED` ago, unless it must be `sure`."""

    async def names(self) -> list[str]:
        """Return the tables that there are, the oldest first."""

    async def point_to(self, table: str) -> None:
        """Make a table the live one; within `alone`."""

    async def drop(self, table: str) -> None: ...

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Hold the pointer as it is, with others that commit."""

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Hold it alone, when commits under way have ended; at the end everybody follows it."""

    def building(self) -> AbstractAsyncContextManager[bool]:
        """Hold the right to have tables beside the live one; yield whether nobody else has it."""


def tables_at(
    uri: str, storage: Mapping[str, str], writing: Lock, building: Building | None = None
) -> FolderTables | ObjectTables:
    """Return the tables in a folder or under an object store's URI. IndexUnavailable where that cannot be meant.

    Args:
        writing: held by whoever writes to the index.
        building: the right to have other tables; a folder has its own.
    """
    if "://" not in uri:
        return FolderTables(Path(uri))
    try:
        store = ObjectBlobs.open(uri, storage).store
    except Unavailable:
        raise IndexUnavailable("FOOTNOTE_INDEX_URI or FOOTNOTE_STORAGE_OPTIONS cannot be used.") from None
    return ObjectTables(uri, store, storage, writing, building or nobody)


async def live_table_at(uri: str, storage: Mapping[str, str]) -> str:
    """Return the name of the live table of an index."""
    return await tables_at(uri, storage, asyncio.Lock()).live()


async def next_table(tables: Tables) -> str:
    """Return a name that no table has had beside those that there are."""
    return f"{TABLE}-{max(map(number_of, [*await tables.names(), await tables.live()])) + 1}"


async def drop_others(tables: Tables) -> list[str]:
    """Delete every table but the live one, unless one is being built; return their names."""
    if not await others_in(tables):
        return []
    async with tables.building() as alone:
        others = await others_in(tables) if alone else []
        for name in others:
            await tables.drop(name)
    return others


async def others_in(tables: Tables) -> list[str]:
    """Return the tables that are not the live one, the oldest first."""
    live = await tables.live()
    return [name for name in await tables.names() if name != live]


def number_of(table: str) -> int:
    return int(table.partition("-")[2] or 1)


@asynccontextmanager
async def nobody() -> AsyncIterator[bool]:
    """The right to have other tables where nobody can say who has it."""
    yield False


@dataclass(frozen=True)
class FolderTables:
    """Tables in a folder, whose files are the locks."""

    folder: Path

    async def live(self) -> str:
        return lance_tables.live_table(self.folder)

    async def stamp(self, *, sure: bool) -> Stamp:  # noqa: ARG002 - a look costs some microseconds
        return lance_tables.stamp(self.folder)

    async def names(self) -> list[str]:
        return await asyncio.to_thread(lance_tables.tables_in, self.folder)

    async def point_to(self, table: str) -> None:
        lance_tables.point_to(self.folder, table)

    async def drop(self, table: str) -> None:
        await asyncio.to_thread(lance_tables.drop, self.folder, table)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        async with self._turn(alone=False):
            yield

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._turn(alone=True):
            yield

    @asynccontextmanager
    async def _turn(self, *, alone: bool) -> AsyncIterator[None]:
        """A commit under way is waited for in another thread, so that the loop goes on."""
        held = lance_tables.turn(self.folder, alone=alone)
        await asyncio.to_thread(held.__enter__)
        try:
            yield
        finally:
            held.__exit__(None, None, None)

    @asynccontextmanager
    async def building(self) -> AsyncIterator[bool]:
        with lance_tables.building(self.folder) as alone:
            yield alone


@dataclass
class ObjectTables:
    """Tables under a prefix of an object store."""

    uri: str
    store: ObjectStore
    storage: Mapping[str, str]
    writing: Lock
    building: Building
    clock: Callable[[], float] = monotonic
    slow: float = SLOW
    _read: tuple[float, str, str | None] | None = field(default=None, init=False)
    """When the pointer was read, what it said, and its tag, None where there was none."""
    _moved: bool = field(default=False, init=False)

    async def live(self) -> str:
        return (await self._pointer())[1]

    async def stamp(self, *, sure: bool) -> Stamp:
        known = self._read
        if sure or known is None or known[0] + FOLLOWED <= self.clock():
            known = await self._pointer()
        return known[1:]

    async def _pointer(self) -> tuple[float, str, str | None]:
        asked = self.clock()
        with _translated():
            try:
                got = await obstore.get_async(self.store, POINTER)
                name = bytes(await got.bytes_async()).decode().strip() or TABLE
                self._read = asked, name, got.meta["e_tag"]
            except (NotFoundError, FileNotFoundError):
                self._read = asked, TABLE, None
        return self._read

    async def names(self) -> list[str]:
        with _translated():
            listed = await obstore.list_with_delimiter_async(self.store)
        found = (NEXT.fullmatch(prefix) for prefix in listed["common_prefixes"])
        return [f"{TABLE}-{number}" if number else TABLE for number in sorted(int(one[1] or 0) for one in found if one)]

    async def point_to(self, table: str) -> None:
        """IndexUnavailable where somebody else wrote the pointer meanwhile."""
        _, _, tag = await self._pointer()
        self._moved = True
        with _translated():
            await obstore.put_async(self.store, POINTER, table.encode(), mode={"e_tag": tag} if tag else "create")

    async def drop(self, table: str) -> None:
        with _translated():
            connection: Any = await lancedb.connect_async(self.uri, storage_options=dict(self.storage))
            await connection.drop_table(table, ignore_missing=True)
            connection.close()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Whoever writes holds `writing` already, and so does whoever moves the pointer."""
        yield

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self.writing:
            self._moved = False
            try:
                yield
            finally:
                if self._moved:
                    await asyncio.sleep(FOLLOWED + self.slow)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError, RuntimeError, ValueError) as error:
        raise IndexUnavailable(f"The index's object store does not oblige ({type(error).__name__}).") from error
