"""Questions, searches and what comes back."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from backend.schema.common import Identifier, Tag, TimeZone

MAX_QUESTION = 4_000
"""Characters of one question; Slack's own messages stop being readable long before."""
MAX_HISTORY = 40
MAX_LIMIT = 50
Outcome: TypeAlias = Literal["answered", "abstained", "failed"]
FilterJSON: TypeAlias = dict[str, object]
QuestionText = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_QUESTION)]


ANSWER_LANGUAGES: dict[str, str] = {
    "en": "English", "ar": "Arabic", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "es": "Spanish",
    "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian",
    "it": "Italian", "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "no": "Norwegian", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""Languages in which answers can be asked for, by their ISO 639-1 codes."""


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
    language: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}$")] | None = None
    """What a model is to write in, an ISO 639-1 code among `ANSWER_LANGUAGES`; none is the asker's."""


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
