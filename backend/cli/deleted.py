"""`doctor --deleted ID`: what is left of a removed document, where, and until when. It changes nothing."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from backend import app
from backend.adapters.lance_remains import remains
from backend.adapters.sql import Database
from backend.cli.doctor import MARKS, Finding
from backend.domain import Document, Removal
from backend.errors import FootnoteError
from backend.ingest.staging import owner_mark
from backend.settings import Settings


async def deleted(settings: Settings, document_id: str, team: str | None, *, now: datetime) -> int:
    """Print what each place still holds. Return 1 if something is there that should not be."""
    worst = 0
    inquiry = Inquiry(settings, app.Places.of(settings), team or settings.team, document_id, now)
    async for finding in inquiry.findings():
        remedy = f"\n    → {finding.remedy}" if finding.remedy else ""
        sys.stdout.write(f"{MARKS[finding.level]} {finding.text}{remedy}\n")
        worst |= finding.level == "bad"
    return int(worst)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Looks for one removed document in every place that may hold something of it."""

    settings: Settings
    places: app.Places
    team: str
    document_id: str
    now: datetime

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield what each place holds; an error of ours that a check meets is its finding."""
        try:
            async with app.opened_database(self.places) as database:
                document = await database.documents.get(self.team, self.document_id)
                removal = await database.removals.get(self.team, self.document_id)
                if document is None or removal is None or document.status != "deleted":
                    yield _not_removed(document)
                    return
                yield self._record(document, removal)
                yield await self._index(removal)
                yield await self._blobs(removal)
                yield await self._answers(database, removal)
                yield await self._traces(database, removal)
                yield self._verdict(removal)
        except FootnoteError as error:
            yield Finding("bad", str(error))

    def _record(self, document: Document, removal: Removal) -> Finding:
        kept = bool(document.title or document.url or document.stated_title)
        said = "still has its title and link" if kept else "keeps only its id and dates"
        return self._finding(removal, kept, f"record: removed {_at(removal.removed_at)}; {said}")

    async def _index(self, removal: Removal) -> Finding:
        left = await remains(self.places.index, self.team, self.document_id, self.places.storage)
        if left.searchable:
            remedy = "Start the backend: it finishes what was interrupted."
            return Finding("bad", f"index: {left.searchable} chunks can still be found", remedy)
        facts = [f"{left.versions} older versions hold it", f"its digest is in {len(left.files)} files"]
        written_anew = left.newest == 0 or left.only_since(removal.erased_version)
        facts.append("all that is there was written after its erasure" if written_anew else "not written anew yet")
        return self._finding(
            removal, bool(left.versions or left.files) or not written_anew, f"index: {', '.join(facts)}"
        )

    async def _blobs(self, removal: Removal) -> Finding:
        keys = await app.opened_blobs(self.places).starting([owner_mark(self.team, self.document_id)])
        return self._finding(removal, bool(keys), f"blobs: {len(keys)} are its own")

    async def _answers(self, database: Database, removal: Removal) -> Finding:
        holding = await database.cache.holding(self.team, self.document_id)
        return self._finding(removal, bool(holding), f"kept answers: {holding} hold words of it")

    async def _traces(self, database: Database, removal: Removal) -> Finding:
        holding = await database.runs.holding(self.team, self.document_id)
        words = "hold words of it, which are not shown" if holding else "hold words of it"
        return self._finding(removal, bool(holding), f"traces: {holding} {words}")

    def _verdict(self, removal: Removal) -> Finding:
        if removal.purged_at:
            return Finding("ok", f"purged {_at(removal.purged_at)}")
        if self.now <= self._deadline(removal):
            return Finding("note", f"hidden since its removal; purged by {_at(self._deadline(removal))}")
        return Finding("bad", f"not purged by {_at(self._deadline(removal))}", "Start the backend, and see its log.")

    def _finding(self, removal: Removal, holds: bool, text: str) -> Finding:
        if not holds:
            return Finding("ok", text)
        if removal.purged_at is None and self.now <= self._deadline(removal):
            return Finding("note", f"{text}, until {_at(self._deadline(removal))}")
        return Finding("bad", text, "It should be gone. Start the backend, and see its log.")

    def _deadline(self, removal: Removal) -> datetime:
        return removal.removed_at + self.settings.purge_after


def _not_removed(document: Document | None) -> Finding:
    if document is None:
        return Finding("bad", "There is no such document.", "Give its id as `/docs` or GET /documents says it.")
    return Finding("bad", f"It is not removed: it is {document.status}.", "DELETE /documents/{id} removes it.")


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
