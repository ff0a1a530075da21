"""`reindex`: the index built anew beside the live one, which answers meanwhile; then the two change places."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console

from backend import app
from backend.adapters.lance_places import Tables, drop_others, next_table, number_of, tables_at
from backend.adapters.lance_reader import LanceReader
from backend.adapters.lancedb import LanceIndex
from backend.adapters.migrate import migrate
from backend.adapters.postgres_replicas import INDEX, tried, writing_beside
from backend.adapters.replicas import OneBackend
from backend.adapters.sql import Database
from backend.cli.ingest import Summary, bar, told
from backend.errors import BadInput, Unavailable
from backend.ingest.figures import UNCOUNTED
from backend.ingest.pipeline import VERSION
from backend.ingest.rebuild import Rebuild, chunks_by, recorded
from backend.lock import FolderLock, Locked
from backend.ports import Embedder
from backend.prompts import load_prompts
from backend.replicas import building_right
from backend.settings import Settings
from backend.telemetry import Telemetry
from backend.writing import opened_models

FIRST_NAMED = "2"
"""The version of extraction before indexes named theirs."""
PASSES = 5
FEW = 8
"""Documents that the last pass may have to do, for which new ones have to wait."""


async def reindex(settings: Settings, wanted: argparse.Namespace) -> int:
    """Do what is wanted. Return 1 if a document failed, or the change has to wait until the backend is stopped."""
    if wanted.anew:
        return await _anew(settings)
    places = app.Places.of(settings)
    async with _tables(places) as tables:
        if wanted.drop_old:
            dropped = await drop_others(tables)
            _say(f"dropped: {', '.join(dropped) or 'nothing'}; live: {await tables.live()}")
            return 0
        async with tables.building() as alone:
            if not alone:
                raise Unavailable("Another reindex is at work on this index.")
            async with _opened(settings, tables, back=wanted.rollback, from_source=wanted.from_source) as work:
                return await work.run()


@dataclass(frozen=True)
class Work:
    """One reindex. `target` is the table that becomes the live one, read as `rebuild.built` and written as `index`."""

    places: app.Places
    tables: Tables
    database: Database
    live: LanceReader
    index: LanceIndex
    target: str
    rebuild: Rebuild
    back: bool

    async def run(self) -> int:
        deleted = await self._caught_up()
        await self.index.optimise()
        try:
            async with self._owned(), self.tables.alone():
                last = await self.rebuild.catch_up()
                if deleted or last.delete:  # so that no bytes of removed documents come along
                    await self.index.erase()
                    await self.index.prune(timedelta(0))
                await self.tables.point_to(self.target)
        except Locked:
            _say("The index is built. The running backend cannot go over to it by itself: stop it, run this again (it"
                 " does only what is left), and start it with the new settings.")  # fmt: skip
            return 1
        await self._record()
        _say(f"live: {self.target}; {len(await self.rebuild.built.editions())} documents")
        return 0

    async def _caught_up(self) -> bool:
        """Make passes until little is left; return whether anything was deleted."""
        deleted = False
        for _ in range(PASSES):
            done = await self.rebuild.catch_up()
            deleted |= bool(done.delete)
            if len(done.write) <= FEW:
                break
        return deleted

    @asynccontextmanager
    async def _owned(self) -> AsyncIterator[None]:
        """A running backend goes over to a table of its own embedder; one of another it must not find. Locked where one
        runs that cannot go over."""
        new, apart = self.rebuild.embedder, _apart(self.places)
        same = (self.live.embedder, self.live.dimensions) == (new.name, new.dimensions)
        if same and (apart or "://" not in self.places.index):
            yield
        elif apart:
            async with tried(self.places.database, INDEX) as alone:
                if not alone:
                    raise Locked(self.places.lock, "")
                yield
        else:
            with FolderLock(self.places.lock):
                yield

    async def _record(self) -> None:
        """Say in the records what the index holds now; what changed meanwhile is left to whoever changed it."""
        before = await self.rebuild.live.editions()
        for key, edition in (await self.rebuild.built.editions()).items():
            document = await self.database.documents.get(*key)
            if document is None or key not in before:
                continue
            kept = self.rebuild.chunks is not None and edition.revision == before[key].revision
            after = recorded(document, before[key], edition, self.rebuild.made_by, unknown=self.back or kept)
            if after and after != document:
                await self.database.documents.put_if(after, revision=document.revision)


@asynccontextmanager
async def _tables(places: app.Places) -> AsyncIterator[Tables]:
    """Open the tables of the index, with the rights that its backends have. BadInput where there is no index."""
    async with AsyncExitStack() as stack:
        beside = _apart(places)
        writing = await stack.enter_async_context(writing_beside(places.database)) if beside else asyncio.Lock()
        tables = tables_at(places.index, places.storage, writing, building_right(places.database, places.data))
        if await tables.live() not in await tables.names():
            raise BadInput("There is no index yet: it is made at the first start.")
        yield tables


def _apart(places: app.Places) -> bool:
    """Whether backends on other machines may use this index: they agree through PostgreSQL."""
    return "://" in places.index and not places.database.startswith("sqlite")


@asynccontextmanager
async def _opened(settings: Settings, tables: Tables, *, back: bool, from_source: bool) -> AsyncIterator[Work]:
    places, live_name = app.Places.of(settings), await tables.live()
    with suppress(Locked), FolderLock(places.lock):
        await asyncio.to_thread(migrate, places.database)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(app.opened_database(places))
        embedder = await stack.enter_async_context(app.opened_embedder(settings, places))
        live = await LanceReader.open(places.index, live_name, places.storage)
        stack.callback(live.close)
        beside = await (_earlier if back else _later)(places, tables, embedder)
        target = beside or await next_table(tables)
        index = await LanceIndex.open(
            places.index, embedder.name, embedder.dimensions, storage=places.storage, table_name=target
        )
        stack.push_async_callback(index.close)
        built = await LanceReader.open(places.index, target, places.storage)
        stack.callback(built.close)
        telemetry = Telemetry()
        models = await stack.enter_async_context(opened_models(settings, telemetry))
        captioner = app.captioner_of(models, load_prompts(app.PROMPTS))
        ingest = await app.opened_ingest(
            settings, places, stack, database, embedder, index, captioner, UNCOUNTED, OneBackend().records, app.utc_now
        )
        anew = from_source or (not back and (live.extraction or FIRST_NAMED) != VERSION)
        progress = stack.enter_context(bar(Console(stderr=True, highlight=False)))
        task = progress.add_task("reindexing", total=None)
        rebuild = Rebuild(
            database.documents, live, built, index, embedder, f"{ingest.version}/{embedder.name}",
            chunks_by(ingest) if anew else None,
            lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
        yield Work(places, tables, database, live, index, target, rebuild, back)


async def _later(places: app.Places, tables: Tables, embedder: Embedder) -> str | None:
    """Return the table that an interrupted reindex began, None where there is none."""
    live = await tables.live()
    for name in reversed(await tables.names()):
        if number_of(name) > number_of(live) and await _made_by(places, name, embedder, extraction=VERSION):
            return name
    return None


async def _earlier(places: app.Places, tables: Tables, embedder: Embedder) -> str | None:
    """Return the table to go back to. BadInput where none is kept that this embedder made."""
    live = await tables.live()
    for name in reversed(await tables.names()):
        if name != live and await _made_by(places, name, embedder):
            return name
    raise BadInput(f"No other index made with {embedder.name} is kept: set the earlier embedder, or there is none.")


async def _made_by(places: app.Places, name: str, embedder: Embedder, extraction: str = "") -> bool:
    reader = await LanceReader.open(places.index, name, places.storage)
    reader.close()
    same = (reader.embedder, reader.dimensions) == (embedder.name, embedder.dimensions)
    return same and (not extraction or reader.extraction == extraction)


async def _anew(settings: Settings) -> int:
    """Drop the index and ingest every document again, with no backend running: for an index that cannot be read."""
    console, summary = Console(stderr=True, highlight=False), Summary()
    async with app.rebuilding(settings) as (opened, documents):
        with bar(console) as progress:
            task = progress.add_task("reindexing", total=len(documents))
            for one in documents:
                await opened.queue.wait(one.team, one.document_id, one.attempt)
                after = await opened.documents.get(one.team, one.document_id)
                if after and after.status == "ready":
                    summary.ready += 1
                else:
                    summary.failures.append((one.title, after.reason if after else "removed meanwhile"))
                progress.advance(task)
    return told(console, summary)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
