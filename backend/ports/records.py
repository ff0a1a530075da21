"""Ports of the records: documents, collections, traces and ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

from backend.domain import (
    Audience,
    Catalogue,
    Collection,
    Document,
    Feedback,
    Member,
    Notice,
    Removal,
    Run,
    Status,
    Visibility,
)


@dataclass(frozen=True, slots=True)
class DocumentPage:
    documents: tuple[Document, ...]
    cursor: str | None


class Documents(Protocol):
    """The record of documents; the truth about status and deletion."""

    async def get(self, team: str, document_id: str) -> Document | None: ...

    async def several(self, team: str, document_ids: Sequence[str]) -> dict[str, Document]:
        """Return the records of those of these that there are, by id."""

    async def put(self, document: Document) -> None:
        """Insert or replace by (team, document_id)."""

    async def put_all(self, documents: Sequence[Document]) -> None:
        """Put all of these, or none."""

    async def begin(self, team: str, document_id: str, attempt: str) -> Document | None:
        """Mark a document as being worked on and return its record; None if its attempt is another one, or over."""

    async def list(
        self,
        team: str,
        *,
        status: Status | None = None,
        text: str = "",
        visibilities: frozenset[str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> DocumentPage:
        """Newest update first; without `status`, all but deleted; `text` matches title or URL, case-insensitively;
        `visibilities` of None means all. A malformed cursor is BadInput."""

    async def catalogue(self, team: str, audience: Audience) -> Catalogue:
        """Return the field values of ready documents that the audience may read."""

    async def unfinished(self) -> tuple[Document, ...]:
        """Return the documents of all teams on which work is under way (`attempt` is set), to be taken up at start."""

    async def due(self, moment: datetime, *, limit: int) -> tuple[Document, ...]:
        """Return the documents of all teams whose source is to be looked at by then, and on which no work is under way;
        the longest overdue first."""

    async def same_text(self, team: str, visibility: Visibility, text: str) -> tuple[Document, ...]:
        """Return the documents of this visibility that are indexed with that text (`Snapshot.text`), oldest first."""

    async def pointing_to(self, team: str, document_id: str) -> tuple[Document, ...]:
        """Return the documents that are the same as this one (`same_as`), oldest first."""

    async def kept(self) -> tuple[Document, ...]:
        """Return the documents of all teams that are not deleted, least recently updated first."""

    async def counts(self) -> dict[str, int]:
        """Return how many documents have each status, over all teams."""


class Collections(Protocol):
    """The record of collections and of which documents belong to them."""

    async def get(self, team: str, collection_id: str) -> Collection | None: ...

    async def put(self, collection: Collection) -> None:
        """Insert or replace by (team, collection_id)."""

    async def add(self, team: str, collection_id: str, document_id: str) -> None:
        """Note that a document belongs to a collection; once more changes nothing."""

    async def members(self, team: str, collection_id: str) -> tuple[Member, ...]:
        """Return its documents as they are now, deleted ones included, by id."""

    async def unfinished(self) -> tuple[Collection, ...]:
        """Return the collections of all teams that are queued or being discovered, to be taken up at start."""


class Removals(Protocol):
    """Which documents were removed, and how far their bytes are gone."""

    async def put(self, removal: Removal) -> None:
        """Insert or replace by (team, document_id)."""

    async def advance(self, removal: Removal) -> None:
        """Record how far its bytes are gone, unless the document was removed anew meanwhile: then nothing changes."""

    async def get(self, team: str, document_id: str) -> Removal | None: ...

    async def since(self, team: str, moment: datetime) -> frozenset[str]:
        """Return the ids of the team's documents that were removed at that moment or later."""

    async def unpurged(self) -> tuple[Removal, ...]:
        """Return the removals of all teams whose bytes may not be gone yet, the earliest first."""


@dataclass(frozen=True, slots=True)
class Kin:
    """A document that shares marks with a sketch, how many, and how many it has."""

    document_id: str
    shared: int
    size: int


class Sketches(Protocol):
    """Sketches of documents (`backend.ingest.sketch`), compared within one team and visibility."""

    async def put(self, document: Document, marks: frozenset[int]) -> None:
        """Replace the document's sketch; no marks remove it."""

    async def meet(self, arrivals: Sequence[tuple[Document, frozenset[int]]], *, limit: int) -> list[tuple[Kin, ...]]:
        """Put the sketches one after the other; return for each the other documents, among those that were there, that
        share the most of its marks, the most first."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How many documents a team has that are not removed, how many bytes their sources have, and how many documents
    were handed in on a day."""

    documents: int
    bytes: int
    pages: int


class Usages(Protocol):
    """What a team uses of what it may."""

    async def of(self, team: str, day: date) -> Usage: ...

    async def add_page(self, team: str, day: date) -> None:
        """Count one more; earlier days are forgotten."""


class Notices(Protocol):
    """What people are to be told, until whoever tells them says that it is done."""

    async def put(self, notice: Notice) -> None:
        """Insert or replace by `notice_id`."""

    async def list(self, team: str, *, limit: int = 50) -> tuple[Notice, ...]:
        """Return the team's notices, the oldest first."""

    async def delete(self, team: str, notice_id: str) -> bool:
        """Remove one; return whether there was one."""

    async def delete_of(self, team: str, document_id: str) -> None:
        """Remove all of one document."""


class Runs(Protocol):
    async def put(self, run: Run) -> None: ...

    async def get(self, run_id: str) -> dict[str, object] | None:
        """Return the stored trace as JSON-ready values, with its feedback, or None."""

    async def redact(self, team: str, removed: Mapping[str, datetime]) -> int:
        """Take out of the team's traces what they hold of documents removed since, by id and moment of removal
        (`backend.redact`); return how many traces were changed."""

    async def holding(self, team: str, document_id: str) -> int:
        """Return how many stored traces name this document with text of it."""


class Feedbacks(Protocol):
    async def put(self, feedback: Feedback) -> None:
        """Insert or replace by (run_id, user, kind). NotFound if there is no such run."""

    async def delete(self, run_id: str, user: str, kind: Literal["reaction", "button"]) -> bool:
        """Remove one; return whether there was one."""
