"""`doctor --mend`, and what `doctor` says of records, index and stored documents that disagree."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from backend import app
from backend.adapters.blobs import KEY
from backend.adapters.dbos_ended import ended_work
from backend.adapters.lance_holdings import holdings
from backend.adapters.lance_places import others_in, tables_at
from backend.adapters.migrate import migrate
from backend.adapters.sql import Database
from backend.domain import Document
from backend.files import UNFINISHED
from backend.ingest.mending import SAID, Fault, faults, lost, queued_anew, strays
from backend.lock import FolderLock
from backend.settings import Settings

SETTLING = 2.0
"""Seconds between two looks at what is in use: what only one of them sees was on its way."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found: `lost` are documents whose stored bytes are gone, `strays` stored bytes that nobody names,
    `unfinished` files of a crash, `tables` of an index that is not the live one."""

    documents: int
    faults: tuple[Fault, ...]
    lost: tuple[Document, ...]
    strays: tuple[str, ...]
    unfinished: tuple[Path, ...]
    tables: tuple[str, ...]

    def lines(self) -> list[str]:
        """Say what is wrong, a line for each kind; what is kept for a purpose is not wrong."""
        counted = Counter(fault.kind for fault in self.faults)
        said = [f"{count} {SAID[kind]}" for kind, count in sorted(counted.items())]
        said += [f"{len(self.strays)} stored without a record"] if self.strays else []
        said += [f"{len(self.unfinished)} half-written by a crash"] if self.unfinished else []
        return said


async def look(places: app.Places, database: Database) -> Seen:
    """Compare records, index and stored documents. FootnoteError where one of them cannot be read."""
    documents = await database.documents.all()
    held = await holdings(places.index, places.storage)
    work = [(one.team, one.document_id, one.attempt) for one in documents if one.attempt]
    ended = await asyncio.to_thread(ended_work, places.work, work) if work else frozenset()
    blobs, unfinished = (set[str](), []) if places.blobs_uri else await asyncio.to_thread(_stored, places.blobs)
    return Seen(
        documents=len(documents),
        faults=tuple(faults(documents, held, ended)),
        lost=() if places.blobs_uri else tuple(lost(documents, blobs)),
        strays=tuple(strays(documents, blobs)),
        unfinished=tuple(unfinished),
        tables=tuple(await others_in(tables_at(places.index, places.storage, asyncio.Lock()))),
    )


async def looked_twice(places: app.Places, database: Database, *, in_use: bool) -> Seen:
    """Look again where something is wrong while a backend is at work; return what both looks saw."""
    seen = await look(places, database)
    if not in_use or not seen.lines():
        return seen
    await asyncio.sleep(SETTLING)
    again = await look(places, database)
    return Seen(
        documents=again.documents,
        faults=tuple(one for one in again.faults if one in seen.faults),
        lost=again.lost,
        strays=tuple(one for one in again.strays if one in seen.strays),
        unfinished=tuple(one for one in again.unfinished if one in seen.unfinished),
        tables=again.tables,
    )


async def mend(settings: Settings) -> int:
    """Mend what can be mended, and say so. Documents to be ingested anew wait for the next start. Locked where a
    backend is running."""
    places = app.Places.of(settings)
    with FolderLock(places.lock):
        await asyncio.to_thread(migrate, places.database)
        async with app.opened_database(places) as database:
            seen = await look(places, database)
            await _take_out(settings, places, [fault for fault in seen.faults if fault.delete])
            for fault in seen.faults:
                if fault.ingest:
                    await _queue(database, fault)
        blobs = app.opened_blobs(places)
        for key in seen.strays:
            await blobs.delete(key)
        for path in seen.unfinished:
            await asyncio.to_thread(path.unlink, missing_ok=True)
    told(seen)
    return 0


def told(seen: Seen) -> None:
    for fault in seen.faults:
        then = "ingested at the next start" if fault.ingest else "taken out"
        sys.stdout.write(f"✓ {fault.document_id}: {SAID[fault.kind]}; {then}\n")
    if seen.strays or seen.unfinished:
        sys.stdout.write(f"✓ {len(seen.strays) + len(seen.unfinished)} stored files deleted\n")
    if not seen.lines():
        sys.stdout.write("✓ nothing to mend\n")


async def _take_out(settings: Settings, places: app.Places, faulty: Sequence[Fault]) -> None:
    if not faulty:
        return
    async with (
        app.opened_embedder(settings, places) as embedder,
        app.opened_index(places, embedder) as index,
    ):
        for team in sorted({fault.team for fault in faulty}):
            await index.delete(team, [fault.document_id for fault in faulty if fault.team == team])


async def _queue(database: Database, fault: Fault) -> None:
    document = await database.documents.get(fault.team, fault.document_id)
    if document is not None:
        await database.documents.put(queued_anew(document, uuid4().hex))


def _stored(folder: Path) -> tuple[set[str], list[Path]]:
    paths = list(folder.glob("??/*"))
    keys = {path.name for path in paths if KEY.match(path.name)}
    return keys, sorted(path for path in paths if path.name.startswith(UNFINISHED))
