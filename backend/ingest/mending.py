"""Where records, index and stored documents disagree, and what would mend it: pure, over what was read of each.

The record is the truth about whether a document is there and who may read it; the index about what can be found. What
is under way (`attempt` is set) may differ, as long as its work has not ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from backend.domain import Document
from backend.ports import Holding

Key = tuple[str, str]
"""(team, document_id)."""
Kind = Literal["orphan", "missing", "doubled", "drifted", "stuck", "dangling"]
SAID: Mapping[Kind, str] = {
    "orphan": "in the index without a record",
    "missing": "ready, but not in the index",
    "doubled": "in the index more than once",
    "drifted": "in the index otherwise than in its record",
    "stuck": "queued or processing, with nobody at work on it",
    "dangling": "pointing to a document that is not there",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One document with which something is wrong. Mending deletes what the index holds of it, has it ingested anew, or
    both."""

    kind: Kind
    team: str
    document_id: str
    delete: bool
    ingest: bool


def faults(
    documents: Sequence[Document], held: Mapping[Key, Holding], ended: Collection[tuple[str, str, str]]
) -> list[Fault]:
    """Return what is wrong, by document.

    Args:
        documents: every record, of removed documents too.
        held: what the index holds.
        ended: the work that has ended, as (team, document_id, attempt).
    """
    by_key = {(one.team, one.document_id): one for one in documents}
    found = [_orphan(*key) for key in held if key not in by_key]
    for key, document in by_key.items():
        fault = _fault_of(document, held.get(key), by_key, ended)
        if fault:
            found.append(fault)
    return sorted(found, key=lambda fault: (fault.kind, fault.team, fault.document_id))


def _fault_of(
    document: Document,
    held: Holding | None,
    by_key: Mapping[Key, Document],
    ended: Collection[tuple[str, str, str]],
) -> Fault | None:
    team, document_id = document.team, document.document_id
    if document.attempt:
        over = document.status != "deleted" and (team, document_id, document.attempt) in ended
        return _anew("stuck", document) if over else None
    if document.status == "deleted":
        return _orphan(team, document_id) if held else None
    if document.status in ("queued", "processing"):
        return _anew("stuck", document)
    if document.same_as:
        first = by_key.get((team, document.same_as))
        there = first is not None and first.status != "deleted" and not first.same_as
        return (_orphan(team, document_id) if held else None) if there else _anew("dangling", document)
    if held is None:
        return _anew("missing", document) if document.status == "ready" or document.chunks else None
    return _disagreement(document, held)


def _disagreement(document: Document, held: Holding) -> Fault | None:
    if not document.chunks:
        return _orphan(document.team, document.document_id)
    if held.rows > held.positions:
        return _anew("doubled", document, delete=True)
    if held.visibilities != {str(document.visibility)}:
        return _anew("drifted", document, delete=True)
    other = bool(document.revision) and held.revisions != {document.revision}
    return _anew("drifted", document) if other or held.rows != document.chunks else None


def _orphan(team: str, document_id: str) -> Fault:
    return Fault("orphan", team, document_id, delete=True, ingest=False)


def _anew(kind: Kind, document: Document, *, delete: bool = False) -> Fault:
    return Fault(kind, document.team, document.document_id, delete=delete, ingest=True)


def queued_anew(document: Document, attempt: str) -> Document:
    """Return the record of a document that is to be ingested again, whatever is known of it."""
    return replace(document, status="queued", reason="", revision="", same_as="", attempt=attempt)


def strays(documents: Iterable[Document], blobs: Iterable[str]) -> list[str]:
    """Return the keys of stored documents that no record names."""
    named = {document.origin.blob for document in documents if document.status != "deleted"}
    return sorted(set(blobs) - named)


def lost(documents: Iterable[Document], blobs: Collection[str]) -> list[Document]:
    """Return the documents whose stored bytes are gone: they can be answered from, but not indexed anew."""
    return [one for one in documents if one.status != "deleted" and one.origin.blob and one.origin.blob not in blobs]
