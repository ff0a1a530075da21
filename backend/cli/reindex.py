"""`reindex`: the index built anew beside the live one, which answers meanwhile; then the two change places."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from backend import app
from backend.adapters.lance_reader import LanceReader
from backend.adapters.lance_tables import building, drop_others, live_table, next_table, point_to, tables_in, turn
from backend.adapters.lancedb import LanceIndex
from backend.adapters.migrate import migrate
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
    folder = _folder(app.Places.of(settings))
    if wanted.drop_old:
        dropped = await asyncio.to_thread(drop_others, folder)
        _say(f"dropped: {', '.join(dropped) or 'nothing'}; live: {live_table(folder)}")
        return 0
    with building(folder) as alone:
        if not alone:
            raise Unavailable("Another reindex is at work on this index.")
        async with _opened(settings, back=wanted.rollback, from_source=wanted.from_source) as work:
            return await work.run()


@dataclass(frozen=True)
class Work:
    """One reindex. `target` is the table that becomes the live one, read as `rebuild.built` and written as `index`."""

    folder: Path
    lock: Path
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
            with self._owned():
                async with _nobody_writes(self.folder):
                    last = await self.rebuild.catch_up()
                    if deleted or last.delete:  # so that no bytes of removed documents come along
                        await self.index.erase()
                        await self.index.prune(timedelta(0))
                    point_to(self.folder, self.target)
        except Locked:
            _say("The index is built. The running backend has another embedder: stop it, run this again (it does only"
                 " what is left), and start it with the new settings.")  # fmt: skip
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

    @contextmanager
    def _owned(self) -> Iterator[None]:
        """A running backend goes over to a table of its own embedder; one of another it must not find."""
        if (self.live.embedder, self.live.dimensions) == (self.rebuild.embedder.name, self.rebuild.embedder.dimensions):
            yield
        else:
            with FolderLock(self.lock):
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
async def _nobody_writes(folder: Path) -> AsyncIterator[None]:
    """Hold the pointer alone. A commit under way is waited for in another thread, so that the loop goes on."""
    held = turn(folder, alone=True)
    await asyncio.to_thread(held.__enter__)
    try:
        yield
    finally:
        held.__exit__(None, None, None)


@asynccontextmanager
async def _opened(settings: Settings, *, back: bool, from_source: bool) -> AsyncIterator[Work]:
    places = app.Places.of(settings)
    folder, live_name = _folder(places), live_table(_folder(places))
    with suppress(Locked), FolderLock(places.lock):
        await asyncio.to_thread(migrate, places.database)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(app.opened_database(places))
        embedder = await stack.enter_async_context(app.opened_embedder(settings, places))
        live = await LanceReader.open(str(folder), live_name)
        stack.callback(live.close)
        target = await _earlier(folder, live_name, embedder) if back else await _later(folder, live_name, embedder)
        index = await LanceIndex.open(str(folder), embedder.name, embedder.dimensions, table_name=target)
        stack.push_async_callback(index.close)
        built = await LanceReader.open(str(folder), target)
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
        yield Work(folder, places.lock, database, live, index, target, rebuild, back)


async def _later(folder: Path, live: str, embedder: Embedder) -> str:
    """Return the table that an interrupted reindex began, else a new name."""
    for name in reversed(tables_in(folder)):
        if _number(name) > _number(live) and await _made_by(folder, name, embedder, extraction=VERSION):
            return name
    return next_table(folder)


async def _earlier(folder: Path, live: str, embedder: Embedder) -> str:
    """Return the table to go back to. BadInput where none is kept that this embedder made."""
    for name in reversed(tables_in(folder)):
        if name != live and await _made_by(folder, name, embedder):
            return name
    raise BadInput(f"No other index made with {embedder.name} is kept: set the earlier embedder, or there is none.")


async def _made_by(folder: Path, name: str, embedder: Embedder, extraction: str = "") -> bool:
    reader = await LanceReader.open(str(folder), name)
    reader.close()
    same = (reader.embedder, reader.dimensions) == (embedder.name, embedder.dimensions)
    return same and (not extraction or reader.extraction == extraction)


def _number(name: str) -> int:
    return int(name.partition("-")[2] or 1)


def _folder(places: app.Places) -> Path:
    if "://" in places.index:
        raise BadInput(f"The index is at {places.index}: stop every backend and run `reindex --anew`.")
    folder = Path(places.index)
    if not (folder / f"{live_table(folder)}.lance").is_dir():
        raise BadInput("There is no index yet: it is made at the first start.")
    return folder


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
