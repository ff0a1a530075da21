"""The wire types of the HTTP contract, shared with the bot: the only backend module that the bot may import.

Request structs check shape and bounds; their meaning is parsed at the edge of the backend. Unknown fields in a request
are an error, so that a misspelt one is noticed. Dates travel as ISO 8601.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

MAX_QUESTION = 4_000
"""Characters of one question; Slack's own messages stop being readable long before."""
MAX_HISTORY = 40
MAX_LIMIT = 50
MAX_TEXT = 5_000_000
"""Characters of a document handed in as text."""
MAX_COLLECTION = 500
"""Documents of one site, feed or archive."""

Outcome: TypeAlias = Literal["answered", "abstained", "failed"]
CollectionKind: TypeAlias = Literal["site", "feed", "zip"]
CollectionStatus: TypeAlias = Literal["queued", "discovering", "discovered", "failed", "cancelled"]
Status: TypeAlias = Literal["queued", "processing", "ready", "failed", "deleted"]
FilterJSON: TypeAlias = dict[str, object]
MetadataValue: TypeAlias = str | int | float | list[str]

Identifier = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
TimeZone = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_+/\-]{1,64}$")]
QuestionText = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_QUESTION)]


class Audience(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    channel: Identifier | None = None
    user: Identifier | None = None
    private: bool = False
    channels: Annotated[tuple[Identifier, ...], msgspec.Meta(max_length=5_000)] = ()
    only_tags: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=16)] = ()
    """Readers from outside are among them: only documents that carry one of these tags may be used."""


class HistoryTurn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["user", "assistant"]
    text: Annotated[str, msgspec.Meta(max_length=20_000)]


class SearchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    question: QuestionText
    team: Identifier | None = None
    audience: Audience | None = None
    filter: FilterJSON | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = 8
    stream: bool = False
    """Accepted so that one body serves both endpoints; a search is never streamed."""
    understand: bool = True
    """False: no condition is read from the question; `filter` alone limits the documents."""
    time_zone: TimeZone | None = None
    """The asker's, an IANA name such as `Europe/Berlin`: what "yesterday" and "in March" mean."""


class QueryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    question: QuestionText
    team: Identifier | None = None
    audience: Audience | None = None
    history: Annotated[tuple[HistoryTurn, ...], msgspec.Meta(max_length=MAX_HISTORY)] = ()
    filter: FilterJSON | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = 8
    stream: bool = False
    prompt: str | None = None
    understand: bool = True
    """False: no condition is read from the question; `filter` alone limits the documents."""
    time_zone: TimeZone | None = None
    """The asker's, an IANA name such as `Europe/Berlin`: what "yesterday" and "in March" mean."""
    thread: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:\-]{1,200}$")] | None = None
    """What the messages of a thread have in common: one thread sees one version of a prompt while two are compared."""


class Citation(msgspec.Struct, frozen=True):
    n: int
    document_id: str
    title: str
    url: str
    quote: str
    heading: str = ""
    page: int | None = None
    author: str | None = None
    published_at: str | None = None
    chunk_id: str = ""
    kind: Literal["text", "caption"] = "text"
    """`caption`: the quote was written by a model of an image in the document, not by its author."""


class Understood(msgspec.Struct, frozen=True):
    """`query` of the contract: what the question was taken to mean.

    `described` says for a person which conditions were read from the question ("author Ana · since 1 Mar 2026"), "" if
    none: the caller's own filter is not among them. Ask again with `understand` false to be answered without them.
    """

    text: str
    filter: FilterJSON | None = None
    relaxed: bool = False
    notices: tuple[str, ...] = ()
    described: str = ""


class Passage(msgspec.Struct, frozen=True):
    chunk_id: str
    document_id: str
    title: str
    url: str
    text: str
    score: float
    heading: str = ""
    page: int | None = None
    compressed: str | None = None
    lead: str = ""
    """The header row of the table that `text` goes on with."""
    kind: Literal["text", "caption"] = "text"


class RunMetadata(msgspec.Struct, frozen=True):
    understand_ms: float = 0
    embedding_ms: float = 0
    search_ms: float = 0
    compress_ms: float = 0
    generation_ms: float = 0
    verify_ms: float = 0
    total_ms: float = 0
    tokens_before: int = 0
    tokens_after: int = 0
    dropped_sentences: int = 0
    prompt: str = ""
    prompt_hash: str = ""
    """SHA-256 of the prompt's file."""
    model: str = "extractive"
    cache: Literal["miss", "l1", "l2", "l3", "semantic"] = "miss"
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0
    degraded: Literal["", "interrupted", "quoted"] = ""


class QueryReply(msgspec.Struct, frozen=True):
    run_id: str
    outcome: Outcome
    answer: str
    citations: tuple[Citation, ...]
    query: Understood
    passages: tuple[Passage, ...]
    metadata: RunMetadata


class SearchReply(msgspec.Struct, frozen=True):
    query: Understood
    passages: tuple[Passage, ...]
    metadata: RunMetadata


LIMIT_REACHED = "urn:footnote:limit-reached"
"""`type` of the problem that the team has handed in as much as it may today: trying again at once is no use."""


TOO_FAST = "urn:footnote:too-many-questions"
BUDGET_SPENT = "urn:footnote:budget-spent"
LIMITS = frozenset({LIMIT_REACHED, TOO_FAST, BUDGET_SPENT})
"""Types of problems that say when to come back: `detail` in words, `Retry-After` in seconds."""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457 problem details, `application/problem+json`."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    run_id: str | None = None
    request_id: str | None = None


# ------------------------------------------------------------- server-sent events of a streamed query, by event name


class StatusEvent(msgspec.Struct, frozen=True, tag_field="event", tag="status"):
    stage: Literal["understand", "retrieve", "generate"]


class QueryEvent(msgspec.Struct, frozen=True, tag_field="event", tag="query"):
    query: Understood


class PassagesEvent(msgspec.Struct, frozen=True, tag_field="event", tag="passages"):
    passages: tuple[Passage, ...]


class DeltaEvent(msgspec.Struct, frozen=True, tag_field="event", tag="delta"):
    text: str


class CitationsEvent(msgspec.Struct, frozen=True, tag_field="event", tag="citations"):
    citations: tuple[Citation, ...]


class DoneEvent(msgspec.Struct, frozen=True, tag_field="event", tag="done"):
    run_id: str
    outcome: Outcome
    metadata: RunMetadata


class FailedEvent(msgspec.Struct, frozen=True, tag_field="event", tag="failed"):
    problem: Problem


QueryStreamEvent: TypeAlias = (
    StatusEvent | QueryEvent | PassagesEvent | DeltaEvent | CitationsEvent | DoneEvent | FailedEvent
)


# --------------------------------------------------------------------------------------------------------- documents


class IngestMetadata(msgspec.Struct, frozen=True):
    """The known fields; any other key of `metadata` is a custom field and is parsed beside this."""

    author: str | list[str] | None = None
    source: str | None = None
    published_at: str | None = None
    tags: str | list[str] | None = None
    url: str | None = None


class IngestRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either `url`, or `title` and `text`."""

    url: Annotated[str, msgspec.Meta(max_length=2_048)] | None = None
    title: Annotated[str, msgspec.Meta(max_length=1_000)] | None = None
    text: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)] | None = None
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=512)] | None = None
    team: Identifier | None = None
    visibility: str = "team"
    metadata: dict[str, MetadataValue | None] = {}
    refresh_days: Annotated[int, msgspec.Meta(ge=1, le=365)] | None = None
    by: Identifier | None = None
    """The user who asks for it, to be told (`GET /notices`) if it is gone one day."""


class IngestReply(msgspec.Struct, frozen=True):
    document_id: str
    status: Status


class Document(msgspec.Struct, frozen=True):
    document_id: str
    team: str
    title: str
    url: str
    visibility: str
    status: Status
    reason: str
    chunks: int
    created_at: str
    updated_at: str
    metadata: dict[str, object]
    refresh_days: int | None = None
    by: str = ""
    checked_at: str | None = None
    """When its source was last looked at; null for what was handed in."""
    same_as: str = ""
    """The document of the same text that is found and cited in its stead."""
    same_as_title: str = ""
    similar_to: str = ""
    """A document that shares most sentences with it."""
    similar_to_title: str = ""
    notices: tuple[str, ...] = ()
    """What a person should know of what is indexed of it: images that were skipped or described by a model, sentences
    that speak to an AI."""


class DocumentsReply(msgspec.Struct, frozen=True):
    documents: tuple[Document, ...]
    cursor: str | None = None


class CollectionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A site, a feed or a zip of Markdown and HTML files; without `kind` it is found out. The rest as in
    `IngestRequest`, for each of its documents."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2_048)]
    kind: CollectionKind | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_COLLECTION)] = 50
    team: Identifier | None = None
    visibility: str = "team"
    metadata: dict[str, MetadataValue | None] = {}
    refresh_days: Annotated[int, msgspec.Meta(ge=1, le=365)] | None = None
    by: Identifier | None = None


class CollectionReply(msgspec.Struct, frozen=True):
    collection_id: str
    status: CollectionStatus


class CollectionFailure(msgspec.Struct, frozen=True):
    document_id: str
    url: str
    reason: str


class Collection(msgspec.Struct, frozen=True):
    """`found` grows until `status` is `discovered`; `counts` says how many of its documents have each status."""

    collection_id: str
    team: str
    url: str
    kind: CollectionKind | None
    limit: int
    visibility: str
    status: CollectionStatus
    reason: str
    found: int
    counts: dict[str, int]
    failures: tuple[CollectionFailure, ...]
    """At most 50 of them."""
    created_at: str
    updated_at: str


class Notice(msgspec.Struct, frozen=True):
    """What `user` is to be told of a document: it is gone from where it was, and out of the answers."""

    notice_id: str
    user: str
    document_id: str
    title: str
    url: str
    reason: str
    created_at: str


class NoticesReply(msgspec.Struct, frozen=True):
    notices: tuple[Notice, ...]


# ---------------------------------------------------------------------------------------------------------- feedback


class FeedbackRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    run_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    user: Identifier
    rating: Literal[1, -1]
    kind: Literal["reaction", "button"] = "button"
    comment: Annotated[str, msgspec.Meta(max_length=4_000)] = ""


class FeedbackReply(msgspec.Struct, frozen=True):
    run_id: str
    recorded: bool


class HealthReply(msgspec.Struct, frozen=True):
    status: Literal["ok"]
    uptime: float
    api_version: str
    index_connected: bool


# ------------------------------------------------------------------------- one server-sent event, to and from the wire


def encode_event(event: QueryStreamEvent) -> tuple[str, bytes]:
    """Return the event's name and its `data`, which is one line of JSON without the name.

    `query` carries the understood query itself and `failed` the problem details themselves.
    """
    name = str(event.__struct_config__.tag)
    match event:
        case QueryEvent():
            return name, msgspec.json.encode(event.query)
        case FailedEvent():
            return name, msgspec.json.encode(event.problem)
        case _:
            fields = {field: getattr(event, field) for field in event.__struct_fields__}
            return name, msgspec.json.encode(fields)


def decode_event(name: str, data: bytes | str) -> QueryStreamEvent:
    """Read what `encode_event` wrote; raise ValueError for an unknown name or data that is not of its shape."""
    try:
        match name:
            case "query":
                return QueryEvent(msgspec.json.decode(data, type=Understood))
            case "failed":
                return FailedEvent(msgspec.json.decode(data, type=Problem))
            case _:
                return msgspec.json.decode(data, type=_PLAIN_EVENTS[name])
    except KeyError:
        raise ValueError(f"unknown event {name[:40]!r}") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"event {name}: {error}") from None


_PlainEvent: TypeAlias = StatusEvent | PassagesEvent | DeltaEvent | CitationsEvent | DoneEvent
_PLAIN_EVENTS: dict[str, type[_PlainEvent]] = {
    "status": StatusEvent,
    "passages": PassagesEvent,
    "delta": DeltaEvent,
    "citations": CitationsEvent,
    "done": DoneEvent,
}
