"""The same text at two addresses is one document with two links: the first is indexed, the others point to it.

Only what was fetched and of which people stated the same is taken for one: what is handed in under an id of its own
stays its own document, and so does what carries other tags, because filters tell them apart. Where the first leaves the
index or changes, what it held is handed on to another, without fetching or embedding anything.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from backend.domain import Chunk, Contents, Document, Extracted, IndexedDocument, Snapshot
from backend.ingest.sketch import SIMILAR_FROM, similarity, sketch_of
from backend.ingest.suspect import addressing
from backend.ports import Documents, IndexWriter, Kin, Sketches

KIN = 5
"""Documents with which a sketch is compared closely: those that share the most with it."""


def text_digest(text: str) -> str:
    """Return what texts of the same words have in common, however they are spaced."""
    return sha256(" ".join(text.split()).encode("utf-8", "surrogatepass")).hexdigest()


def seen_in(extracted: Extracted, snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with what was found in the text."""
    captions = [caption.text for caption in extracted.captions]
    return replace(
        snapshot,
        text=text_digest("\n".join((extracted.text, *captions))),
        captions=len(captions),
        images=max(0, extracted.images - len(captions)),
        addressed=addressing(extracted.text),
    )


def are_twins(one: Document, other: Document) -> bool:
    """Whether two documents of the same text count as one."""
    same = (one.team, one.visibility, one.stated, one.stated_title) == (
        other.team, other.visibility, other.stated, other.stated_title,
    )  # fmt: skip
    return same and bool(one.origin.url and other.origin.url) and one.document_id != other.document_id


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A staged document that is about to be written, with its record."""

    document: Document
    indexed: IndexedDocument
    snapshot: Snapshot


def one_of_each(prepared: Sequence[Prepared]) -> tuple[list[Prepared], list[Prepared]]:
    """Part what can be written together from what may be the same as something in it."""
    seen: set[Hashable] = set()
    first: list[Prepared] = []
    later: list[Prepared] = []
    for one in prepared:
        text = (one.document.team, str(one.document.visibility), one.snapshot.text)
        (later if one.snapshot.text and text in seen else first).append(one)
        seen.add(text)
    return first, later


@dataclass(frozen=True, slots=True, eq=False)
class Inheritance:
    """What is to be written of a text that its first document gives up, and the records as they are afterwards."""

    indexed: IndexedDocument
    records: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class Twins:
    """Writes to the index for documents and for those that point to them. All of it under the lock of `Ingest`."""

    documents: Documents
    sketches: Sketches
    writer: IndexWriter
    now: Callable[[], datetime]

    async def first_of(self, document: Document) -> Document | None:
        """Return the indexed document that this one is the same as, None if it is to be indexed itself."""
        text = document.snapshot.text if document.origin.url else ""
        found = await self.documents.same_text(document.team, document.visibility, text) if text else ()
        return next((other for other in found if are_twins(document, other)), None)

    async def write(self, prepared: Sequence[Prepared]) -> None:
        """Write documents in one commit. Who pointed to one for a text that it has no more inherits the old one."""
        indexed = [one for one in prepared if one.document.chunks]  # Nobody points to what was never indexed.
        inherited = [await self._inheritance(one.document, one.snapshot.text) for one in indexed]
        handed_on = [one for one in inherited if one]
        if prepared:
            await self.writer.replace([*(one.indexed for one in prepared), *(one.indexed for one in handed_on)])
        for inheritance in handed_on:
            await self._record(inheritance)

    async def leave(self, document: Document) -> None:
        """Take a document out of the index; another of the same text takes its place."""
        inheritance = await self._inheritance(document, "")
        if inheritance:
            await self.writer.replace([inheritance.indexed])
            await self._record(inheritance)
        await self.writer.delete(document.team, [document.document_id])
        await self.sketches.put(document, frozenset())

    async def similar_to(self, written: Sequence[tuple[Document, Sequence[Chunk]]]) -> list[str]:
        """Keep the documents' sketches; return for each the id of what it is nearly the same as, "" if nothing is."""
        arrivals = [(document, sketch_of(chunks)) for document, chunks in written]
        met = await self.sketches.meet(arrivals, limit=KIN) if arrivals else []
        return [_nearest(marks, kin) for (_, marks), kin in zip(arrivals, met, strict=True)]

    async def _inheritance(self, first: Document, new_text: str) -> Inheritance | None:
        """Return what others inherit if `first` gives up its text, for a new one or for none; None if nobody does."""
        pointing = await self.documents.pointing_to(first.team, first.document_id)
        heirs = [one for one in pointing if not new_text or one.snapshot.text != new_text]
        held = await self._held(first, heirs[0]) if heirs else None
        if held is None:
            return None
        heir, *others = heirs
        pointing_on = [replace(other, same_as=heir.document_id) for other in others]
        records = (replace(heir, same_as="", chunks=len(held.chunks)), *pointing_on)
        return Inheritance(_handed_to(heir, held, self.now()), records)

    async def _held(self, first: Document, heir: Document) -> Contents | None:
        """A crash may have come between writing and recording: then the heir holds the text, and `first` another."""
        own = await self.writer.contents(heir.team, heir.document_id)
        return own or await self.writer.contents(first.team, first.document_id)

    async def _record(self, inheritance: Inheritance) -> None:
        for record in inheritance.records:
            await self.documents.put(record)
        await self.sketches.put(inheritance.records[0], sketch_of(inheritance.indexed.chunks))


def _nearest(marks: frozenset[int], kin: Sequence[Kin]) -> str:
    alike = [(similarity(one.shared, len(marks), one.size), one.document_id) for one in kin]
    nearest, document_id = max(alike, default=(0.0, ""))
    return document_id if nearest >= SIMILAR_FROM else ""


def _handed_to(heir: Document, held: Contents, now: datetime) -> IndexedDocument:
    return IndexedDocument(
        team=heir.team,
        document_id=heir.document_id,
        revision=heir.revision,
        title=heir.title,
        url=heir.url,
        visibility=heir.visibility,
        metadata=heir.metadata,
        ingested_at=now,
        chunks=held.chunks,
        vectors=held.vectors,
    )
