"""The product's words as frozen values. Nothing here does I/O; everything else speaks in these.

Shapes: a vector is float32 of unit length; `d` is the embedder's dimension (384 for the local one), sentence vectors
are always the local embedder's. Offsets are Python string indices, half open. Datetimes are aware and in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float32]
"""Shape (d,), unit length."""
Vectors: TypeAlias = NDArray[np.float32]
"""Shape (n, d), rows of unit length."""
Span: TypeAlias = tuple[int, int]

# ---------------------------------------------------------------------------------------------------------- audience

SUBJECT = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
"""What a team, channel or user id may look like."""


@dataclass(frozen=True, slots=True)
class Visibility:
    """Who may read a document: its whole team, the members of one channel, or one user."""

    kind: Literal["team", "channel", "user"] = "team"
    subject: str = ""

    @classmethod
    def parse(cls, text: str) -> Visibility:
        """Read `team`, `channel:C1` or `user:U1`; raise ValueError for anything else."""
        if text == "team":
            return cls()
        kind, _, subject = text.partition(":")
        if SUBJECT.match(subject):
            if kind == "channel":
                return cls("channel", subject)
            if kind == "user":
                return cls("user", subject)
        raise ValueError(f"visibility must be team, channel:ID or user:ID, not {text[:80]!r}")

    def __str__(self) -> str:
        return self.kind if self.kind == "team" else f"{self.kind}:{self.subject}"


@dataclass(frozen=True, slots=True)
class Audience:
    """Who will be able to read the answer.

    `private` is true when only `user` will; `channels` are those that the user is known to be in, and count only then.
    Where `only_tags` is not empty, readers from outside are among them: of what is visible, only documents that carry
    one of these tags count.
    """

    channel: str | None = None
    user: str | None = None
    private: bool = False
    channels: tuple[str, ...] = ()
    only_tags: tuple[str, ...] = ()

    def visibilities(self) -> frozenset[str]:
        """Return the visibilities that every reader of the answer may read: the whole access rule, failing closed."""
        admitted = {"team"}
        if self.channel:
            admitted.add(f"channel:{self.channel}")
        if self.private:
            if self.user:
                admitted.add(f"user:{self.user}")
            admitted.update(f"channel:{channel}" for channel in self.channels)
        return frozenset(admitted)


# ---------------------------------------------------------------------------------------------------------- metadata

FieldValue: TypeAlias = str | float | datetime
"""One value of a metadata field."""

BUILT_IN_FIELDS = (
    "source", "author", "doc_type", "tags", "title", "language", "published_at", "ingested_at", "document_id",
)  # fmt: skip
"""The fields that every document has; any other name in a filter is a custom field."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known about a document beside its text. Empty means unknown."""

    author: tuple[str, ...] = ()
    source: str = ""
    doc_type: str = ""
    language: str = ""
    published_at: datetime | None = None
    tags: tuple[str, ...] = ()
    custom: Mapping[str, tuple[FieldValue, ...]] = field(default_factory=dict)

    def over(self, detected: Metadata) -> Metadata:
        """Return these values where they are known, the detected ones elsewhere."""
        return Metadata(
            author=self.author or detected.author,
            source=self.source or detected.source,
            doc_type=self.doc_type or detected.doc_type,
            language=self.language or detected.language,
            published_at=self.published_at or detected.published_at,
            tags=self.tags or detected.tags,
            custom={**detected.custom, **self.custom},
        )


# ------------------------------------------------------------------------------------------------------------ filter

Operator: TypeAlias = Literal["eq", "ne", "in", "gte", "lt", "contains"]


@dataclass(frozen=True, slots=True)
class Condition:
    """`field op value`. `value` is a tuple for `in`; a datetime is an instant and date ranges are half open."""

    op: Operator
    field: str
    value: FieldValue | tuple[FieldValue, ...]


@dataclass(frozen=True, slots=True)
class And:
    items: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    items: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    item: Filter


Filter: TypeAlias = Condition | And | Or | Not


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Which values each field takes in the documents that an audience may read: field → value → document count."""

    values: Mapping[str, Mapping[FieldValue, int]] = field(default_factory=dict)


# --------------------------------------------------------------------------------------------------------- documents

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


# ------------------------------------------------------------------------------------------------------------- query


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of the thread."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What the user wrote, with its history, and who will read the answer.

    `filter` is the caller's own and is always applied; understanding may add to it, never loosen it, and adds nothing
    where `understand` is false. `time_zone` is the asker's, an IANA name, where it is known. `thread` is what its
    messages have in common; `experiment` names the comparison of prompts that chose `prompt`, "" if none did;
    `replay_of` the run of which this is a replay.
    """

    text: str
    team: str
    audience: Audience = Audience()
    history: tuple[Turn, ...] = ()
    filter: Filter | None = None
    limit: int = 8
    prompt: str | None = None
    understand: bool = True
    time_zone: str | None = None
    thread: str | None = None
    experiment: str = ""
    replay_of: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """The stand-alone text, filter and audience that are sent to the index.

    `understood` is the part of the filter that was read from the question, not the caller's own.
    """

    text: str
    team: str
    audience: Audience = Audience()
    filter: Filter | None = None
    relaxed: bool = False
    notices: tuple[str, ...] = ()
    understood: Filter | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Passage:
    """A chunk as retrieved for one query, with the facts of its document that a citation shows. `lead` and `kind` are
    the chunk's."""

    chunk_id: str
    document_id: str
    section_id: str
    position: int
    title: str
    url: str
    heading: str
    text: str
    sentences: tuple[Span, ...]
    sentence_vectors: Vectors
    page: int | None = None
    author: str | None = None
    source: str = ""
    published_at: datetime | None = None
    ingested_at: datetime | None = None
    score: float = 0.0
    lead: str = ""
    kind: ChunkKind = "text"
    visibility: str = ""
    """Its document's, as in `str(Visibility)`; "" where it is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """A passage after compression, numbered `n` from 1 as markers cite it.

    `kept` are indices into `passage.sentences`, ascending; `text` is what remains, in the passage's order.
    """

    n: int
    passage: Passage
    kept: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Citation:
    """The link from marker `[n]` to a passage, with the passage's exact words that support the sentence. Those of a
    `caption` are not the author's."""

    n: int
    document_id: str
    chunk_id: str
    title: str
    url: str
    quote: str
    heading: str = ""
    page: int | None = None
    author: str | None = None
    published_at: datetime | None = None
    kind: ChunkKind = "text"


Outcome: TypeAlias = Literal["answered", "abstained", "failed"]


Cached: TypeAlias = Literal["miss", "l1", "l2", "l3", "semantic"]
"""Where an answer was kept: in this process, in Redis, in the state database, or under another question like it."""
Degraded: TypeAlias = Literal["", "interrupted", "quoted"]
"""What faults of the models did to an answer: it ends early, at what was verified by then; or it quotes, as no model
could be reached. Such an answer is not worth keeping."""


@dataclass(frozen=True, slots=True)
class RunMetadata:
    """What one run cost. Times in milliseconds; tokens, before and after compression, are estimates
    that come within 4 % of the local tokenizer's counts. `calls` are those to models; `tokens_in` and `tokens_out` are
    their providers' counts (estimated where they give none), `cost` what they are priced at in the settings' currency.
    """

    understand_ms: float = 0.0
    embedding_ms: float = 0.0
    search_ms: float = 0.0
    compress_ms: float = 0.0
    generation_ms: float = 0.0
    verify_ms: float = 0.0
    total_ms: float = 0.0
    tokens_before: int = 0
    tokens_after: int = 0
    dropped_sentences: int = 0
    prompt: str = ""
    prompt_hash: str = ""
    model: str = "extractive"
    cache: Cached = "miss"
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    degraded: Degraded = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One pass of the pipeline, kept as a trace."""

    run_id: str
    question: Question
    outcome: Outcome
    query: Query
    passages: tuple[Passage, ...]
    answer: str
    citations: tuple[Citation, ...]
    metadata: RunMetadata
    created_at: datetime
    error: str = ""


@dataclass(frozen=True, slots=True)
class Feedback:
    """A person's rating of a run; one per (run_id, user, kind)."""

    run_id: str
    user: str
    rating: Literal[1, -1]
    kind: Literal["reaction", "button"]
    comment: str = ""
    created_at: datetime | None = None


# ----------------------------------------------------------------------------------- what the pipeline tells, in order


@dataclass(frozen=True, slots=True)
class Began:
    """A stage began; `stage` is `understand`, `retrieve`, `generate`."""

    stage: Literal["understand", "retrieve", "generate"]


@dataclass(frozen=True, slots=True)
class Understood:
    query: Query


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """A whole verified sentence or more, with markers, ready to be appended as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Done:
    run: Run


Event: TypeAlias = Began | Understood | Found | Delta | Cited | Done
