"""Documents from their source to their chunks in the index, and the collections that they come in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from backend.domain.audience import Visibility
from backend.domain.metadata import Metadata
from backend.domain.vectors import Span, Vector, Vectors

Status: TypeAlias = Literal["queued", "processing", "ready", "failed", "deleted"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document's bytes come from: a URL to fetch, or bytes that were handed in (`blob` is their key)."""

    url: str = ""
    blob: str = ""
    file_name: str = ""
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was last indexed of a document's source, so that a look at it later can tell whether it has changed.

    `etag` and `last_modified` are what its server said, `digest` is of the bytes, `text` of the words in them. `recipe`
    stands for everything else that the index holds of it depends on: if that changes, the same bytes are indexed anew.
    "" is unknown. `size` is in bytes. `captions` of its images are indexed, `images` of them were skipped; `addressed`
    is how many sentences of its text speak to a model rather than to a reader.
    """

    etag: str = ""
    last_modified: str = ""
    digest: str = ""
    recipe: str = ""
    text: str = ""
    size: int = 0
    captions: int = 0
    images: int = 0
    addressed: int = 0


UNSEEN = Snapshot()


@dataclass(frozen=True, slots=True)
class Document:
    """One source object as the team sees it. Key: (team, document_id).

    `stated` is what a person said of it and wins over `metadata`, which is what the index holds once it is ready.
    `revision` identifies the indexed content and metadata ("" before the first success). `reason` says, when `status`
    is failed, what a person can do. `attempt` names the work under way on the document, "" when there is none: work
    that finds another name here was superseded and stops. `stated_title` is the title that a person gave, if any.
    `by` is the user who asked for it, "" if nobody said. `checked_at` is when its source was last looked at, `due_at`
    when it will be next, None if never; `missing_since` is when the source was first found gone, as it still is.
    `same_as` names the document that is indexed in its stead, because it has the same text, and `similar_to` one that
    has nearly the same; "" is none. `size` is its source's, in bytes, 0 until it is known.
    """

    team: str
    document_id: str
    origin: Origin
    title: str
    url: str
    visibility: Visibility
    status: Status
    created_at: datetime
    updated_at: datetime
    reason: str = ""
    revision: str = ""
    stated: Metadata = Metadata()
    metadata: Metadata = Metadata()
    chunks: int = 0
    refresh_days: int | None = None
    attempt: str = ""
    stated_title: str = ""
    by: str = ""
    checked_at: datetime | None = None
    due_at: datetime | None = None
    missing_since: datetime | None = None
    snapshot: Snapshot = UNSEEN
    same_as: str = ""
    similar_to: str = ""
    size: int = 0


CollectionKind = Literal["site", "feed", "zip"]
CollectionStatus = Literal["queued", "discovering", "discovered", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Collection:
    """A site, a feed or an archive whose documents are ingested together. Key: (team, collection_id).

    `kind` is None until it is known. `limit` is how many documents are taken at most, `found` how many were so far.
    `visibility`, `stated`, `refresh_days` and `by` are those of each of its documents. `attempt` names the work under
    way: work that finds another name here was superseded and stops.
    """

    team: str
    collection_id: str
    url: str
    kind: CollectionKind | None
    limit: int
    visibility: Visibility
    status: CollectionStatus
    created_at: datetime
    updated_at: datetime
    stated: Metadata = Metadata()
    refresh_days: int | None = None
    by: str = ""
    reason: str = ""
    found: int = 0
    attempt: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A document of a collection, as far as its progress is told."""

    document_id: str
    url: str
    status: Status
    reason: str
    chunks: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the person who asked for a document is to be told of it. Key: `notice_id`."""

    notice_id: str
    team: str
    user: str
    document_id: str
    title: str
    url: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Removal:
    """That a document was removed, which outlives its being ingested again. Key: (team, document_id).

    What older runs hold of it is not shown from `removed_at` on. `erased_version` is the index version from which on no
    bytes of it are in the index, written at `erased_at`; at `purged_at` nothing older was left anywhere.
    """

    team: str
    document_id: str
    removed_at: datetime
    erased_version: int | None = None
    erased_at: datetime | None = None
    purged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """An image inside a document: a PNG, JPEG, GIF or WebP; `page` where there are pages."""

    media_type: str
    content: bytes = field(repr=False)
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Caption:
    """What a model says that image `number` (from 1) of a document shows."""

    number: int
    text: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Extracted:
    """A document's text as Markdown (headings, lists, tables, fenced code), with what was detected about it.

    `pages` maps the offset in `text` at which a page begins to its number, ascending; empty where there are no pages.
    `images` is how many images are in it, `figures` are those that may be captioned, if that was asked for. Without any
    text, `reason` says why; then only its captions can be indexed.
    """

    text: str
    title: str = ""
    metadata: Metadata = Metadata()
    pages: tuple[tuple[int, int], ...] = ()
    images: int = 0
    figures: tuple[Figure, ...] = ()
    captions: tuple[Caption, ...] = ()
    reason: str = ""


ChunkKind: TypeAlias = Literal["text", "caption"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice of a section. A section's chunks, in order, concatenate to its exact text.

    `section` is the section's position in the document, `heading` its path ("Leave › Parental leave", "" above the
    first heading), `start` the slice's offset in the section. `sentences` are trimmed spans within `text`, in order;
    a table row, a list item and a code line count as sentences. `lead` is the header row of the table within which the
    slice begins, "" elsewhere: it is embedded, searched and shown before the text, and is no part of it. A `caption` is
    a section of its own, and no words of the author's: a model wrote it of an image in the document.
    """

    position: int
    section: int
    heading: str
    start: int
    text: str
    sentences: tuple[Span, ...]
    page: int | None = None
    lead: str = ""
    kind: ChunkKind = "text"


@dataclass(frozen=True, slots=True, eq=False)
class ChunkVectors:
    """`vector` is searched, shape (d,); `sentences` has one row per sentence of the chunk, shape (n, 384)."""

    vector: Vector
    sentences: Vectors


@dataclass(frozen=True, slots=True, eq=False)
class QueryVectors:
    """A text in two spaces: `search`, shape (d,), meets chunk vectors; `sentence`, (384,), meets sentence vectors."""

    search: Vector
    sentence: Vector


@dataclass(frozen=True, slots=True, eq=False)
class IndexedDocument:
    """Everything that the index holds of one document; `chunks` and `vectors` run in parallel."""

    team: str
    document_id: str
    revision: str
    title: str
    url: str
    visibility: Visibility
    metadata: Metadata
    ingested_at: datetime
    chunks: tuple[Chunk, ...]
    vectors: tuple[ChunkVectors, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """What the index holds of a document beside what its record says; `chunks` and `vectors` run in parallel."""

    chunks: tuple[Chunk, ...]
    vectors: tuple[ChunkVectors, ...]
