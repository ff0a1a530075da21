"""What the story needs from the outside world, in its own words. Adapters implement these; only `app.py` knows which.

Every method may raise the `Unavailable` of its kind; nothing else of a vendor's gets through. Callers own deadlines.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal, Protocol

from backend.domain import (
    Audience,
    Catalogue,
    Chunk,
    ChunkVectors,
    Collection,
    Contents,
    Document,
    Evidence,
    Feedback,
    Figure,
    IndexedDocument,
    Member,
    Notice,
    Passage,
    Query,
    QueryVectors,
    Removal,
    Run,
    Snapshot,
    Status,
    Vector,
    Vectors,
    Visibility,
)


class Embedder(Protocol):
    """Text → vectors. `name` is recorded in the index, which refuses to mix embedders; `dimensions` is d."""

    name: str
    dimensions: int

    async def embed_query(self, text: str) -> QueryVectors:
        """Embed a query; text beyond the model's limit is cut."""

    async def embed_chunks(self, title: str, chunks: Sequence[Chunk]) -> list[ChunkVectors]:
        """Embed a document's chunks, each with its heading path, in order; one forward pass gives both vectors."""

    async def embed_sentences(self, texts: Sequence[str]) -> Vectors:
        """Embed sentences on their own, shape (n, 384), in the space of `ChunkVectors.sentences`."""

    def count_tokens(self, text: str) -> int:
        """Count tokens as the local tokenizer does, without special ones."""


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """`optimised_at` is when this process last compacted the index, None if it has not."""

    rows: int
    unindexed_rows: int
    version: int
    embedder: str
    optimised_at: datetime | None = None


class Index(Protocol):
    """The searchable structure over chunks. Every search admits only what `query.team`, `query.audience` and
    `query.filter` admit, decided inside the store before ranking."""

    async def search_vector(self, query: Query, vector: Vector, *, limit: int) -> list[Passage]:
        """Return at most `limit` passages, best first; `score` is the cosine similarity."""

    async def search_text(self, query: Query, text: str, *, limit: int) -> list[Passage]:
        """Return at most `limit` passages whose text, heading or title matches words of `text`, best first (BM25)."""

    async def section_passages(self, query: Query, section_ids: Sequence[str]) -> list[Passage]:
        """Return every passage of those sections that the audience may read, in document order; `score` is 0."""

    async def status(self) -> IndexStatus:
        """Return cheap figures about the index."""


class IndexWriter(Protocol):
    """The one way to change the index. Calls are serialised by the adapter."""

    async def replace(self, documents: Sequence[IndexedDocument]) -> None:
        """Replace these documents' old chunks by their new ones in one commit; searches see old or new, never half."""

    async def delete(self, team: str, document_ids: Sequence[str]) -> None:
        """Remove documents; no search that starts after this returns finds them."""

    async def contents(self, team: str, document_id: str) -> Contents | None:
        """Return what is indexed of a document, in order, None if nothing is; vectors to half precision."""

    async def optimise(self) -> None:
        """Compact, fold new rows into the indexes and drop old versions."""


@dataclass(frozen=True, slots=True)
class VersionsKept:
    """The oldest and the newest version of the index that can still be read."""

    oldest: int
    newest: int


class IndexEraser(Protocol):
    """What takes the bytes of deleted documents off the disk: a delete alone only hides them."""

    async def erase(self) -> int:
        """Write the index anew, without what was deleted; return the version from which on it holds nothing of it."""

    async def prune(self, older_than: timedelta) -> VersionsKept:
        """Drop the versions that are older, never the newest; say which are left."""


@dataclass(frozen=True, slots=True)
class DocumentPage:
    documents: tuple[Document, ...]
    cursor: str | None


class Documents(Protocol):
    """The record of documents; the truth about status and deletion."""

    async def get(self, team: str, document_id: str) -> Document | None: ...

    async def put(self, document: Document) -> None:
        """Insert or replace by (team, document_id)."""

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


class CollectionQueue(Protocol):
    """Durable work: the discovery of a collection runs at least once, also after kill -9."""

    async def collect(self, collection: Collection) -> None:
        """Discover a collection and enqueue its documents; the same attempt is one piece of work."""


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

    async def kin(self, document: Document, marks: frozenset[int], *, limit: int) -> tuple[Kin, ...]:
        """Return the other documents that share the most of these marks, the most first."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How many documents a team has that are not removed, and how many bytes their sources have."""

    documents: int
    bytes: int


class Usages(Protocol):
    """What a team uses of what it may."""

    async def of(self, team: str) -> Usage: ...

    async def pages(self, team: str, day: date) -> int:
        """Return how many documents were handed in on that day."""

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


CacheTier = Literal["l1", "l2", "l3"]
"""Where something was kept: in this process, in Redis, in the state database."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something kept: `documents` are those of `team` whose words it holds, and with which it goes."""

    value: bytes
    team: str = ""
    documents: tuple[str, ...] = ()


class CacheStore(Protocol):
    """Entries by key, bounded by itself: what is kept may be gone at any time. `tier` is its name."""

    @property
    def tier(self) -> CacheTier: ...

    async def get(self, key: str) -> Entry | None: ...

    async def put(self, key: str, entry: Entry) -> int:
        """Keep an entry, in place of one with the same key; return how many others had to go for it."""

    async def forget(self, team: str, document_ids: Sequence[str]) -> int:
        """Drop every entry that holds words of these documents; return how many there were."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used of models: tokens, read and written, and their price."""

    tokens: int = 0
    cost: float = 0.0


Scope = Literal["user", "channel", "team"]
"""Whom a limit is for."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Whose limit is reached, and in how many seconds there is room again."""

    scope: Scope
    seconds: int


class Rates(Protocol):
    """How often each team, channel and user may ask."""

    async def take(self, team: str, subjects: Mapping[Scope, str]) -> Wait | None:
        """Count one question for each of these; a channel or user is named within its team. Return None, or the first
        limit that is reached, for which nothing is counted. Never fails."""


class Spendings(Protocol):
    """What each team, channel and user has spent per day; a channel or user is named within its team."""

    async def of(self, team: str, day: date, subjects: Mapping[Scope, str]) -> dict[Scope, Spent]:
        """Return what these have spent on that day."""

    async def add(self, team: str, day: date, subjects: Mapping[Scope, str], spent: Spent) -> None:
        """Add to what each of these has spent on that day; days long gone are forgotten."""


class Feedbacks(Protocol):
    async def put(self, feedback: Feedback) -> None:
        """Insert or replace by (run_id, user, kind). NotFound if there is no such run."""

    async def delete(self, run_id: str, user: str, kind: Literal["reaction", "button"]) -> bool:
        """Remove one; return whether there was one."""


BLOB_START = 8192
"""Bytes at the beginning of a blob in which its owner is named."""


class Blobs(Protocol):
    """Bytes handed in or fetched, kept until they are indexed; the key is their sha256 in hex."""

    async def put(self, content: bytes) -> str: ...

    async def get(self, key: str) -> bytes:
        """NotFound if there is none."""

    async def delete(self, key: str) -> None: ...

    async def starting(self, marks: Sequence[bytes]) -> tuple[str, ...]:
        """Return the keys of the blobs that hold any of these among their first `BLOB_START` bytes."""


class IngestQueue(Protocol):
    """Durable work: what is enqueued runs at least once, also after kill -9."""

    async def enqueue(self, team: str, document_id: str, attempt: str) -> None:
        """Ingest a document; the same (team, document_id, attempt) is one piece of work."""

    async def wait(self, team: str, document_id: str, attempt: str) -> None:
        """Return when that work has ended, whatever came of it."""

    async def depth(self) -> int:
        """Return how many pieces of work have not ended."""

    async def oldest(self) -> datetime | None:
        """Return when the oldest of them was enqueued, None where there are none."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """`url` is where redirects led. `unchanged` means that the server says so, and sent no content; `etag` and
    `last_modified` are its words for what it sent."""

    content: bytes
    url: str
    media_type: str
    file_name: str = ""
    etag: str = ""
    last_modified: str = ""
    unchanged: bool = False


class Fetcher(Protocol):
    async def fetch(self, url: str, known: Snapshot | None = None) -> Fetched:
        """Fetch over http(s) from a public or allow-listed address, or learn that nothing has changed since `known`.

        FetchRefused, FetchFailed or TooLarge otherwise.
        """


class Reranker(Protocol):
    """A model that reads a question and a passage together. `name` is the model's."""

    name: str

    async def rerank(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return one score per text, in their order; higher is better. RerankerUnavailable on failure."""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture for a model that sees, such as `image/png`."""

    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """`images` stand behind the text of a user's message."""

    role: Literal["system", "user", "assistant"]
    content: str
    images: tuple[Image, ...] = ()


class Captioner(Protocol):
    """A model that sees. `name` is the model's."""

    name: str

    async def caption(self, figure: Figure, title: str) -> str:
        """Say what an image in the document of this title shows, "" if nothing worth finding. LLMUnavailable on
        failure."""


class LLM(Protocol):
    """A configured model that completes and streams. `name` is the model's."""

    name: str

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> AsyncIterator[str]:
        """Yield pieces of the completion; closing the iterator cancels the call. LLMUnavailable on failure,
        LLMInterrupted where pieces had been yielded: calling again asks a model that has not failed in this run."""

    async def complete(
        self, messages: Sequence[ChatMessage], *, max_tokens: int, schema: dict[str, object] | None = None
    ) -> str:
        """Return the whole completion, JSON that follows `schema` where one is given."""


class Compressor(Protocol):
    """Passages → evidence within a budget. What it keeps are sentences of the passages, word for word."""

    async def compress(
        self, question: str, vector: Vector, passages: Sequence[Passage], *, budget: int
    ) -> tuple[Evidence, ...]:
        """Return what bears on `question`, numbered from 1, best passage first, in at most about `budget` tokens.

        `vector` is the question in the space of sentence vectors. Never fails: where a model does, or takes too long,
        what is kept is decided without it.
        """


class Answerer(Protocol):
    """Writes the draft of an answer from evidence, with `[n]` markers; the verifier decides what of it is shown."""

    @property
    def model(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def prompt_hash(self) -> str: ...

    def draft(
        self, question: str, query: Query, vectors: QueryVectors, evidence: Sequence[Evidence]
    ) -> AsyncIterator[str]:
        """Yield text in pieces of any size. Nothing yielded means: the evidence does not answer."""
