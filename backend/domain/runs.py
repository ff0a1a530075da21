"""A question, what was understood and found, the answer with its citations, and what the pipeline tells on its way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from backend.domain.audience import Audience
from backend.domain.documents import ChunkKind
from backend.domain.metadata import Filter
from backend.domain.vectors import Span, Vectors


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
    `replay_of` the run of which this is a replay. `language` is the name of the language that a model is to write in,
    "" is the asker's.
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
    language: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """The stand-alone text, filter and audience that are sent to the index.

    `understood` is the part of the filter that was read from the question, not the caller's own. `language` is the name
    of the language to answer in, "" is the asker's.
    """

    text: str
    team: str
    audience: Audience = Audience()
    filter: Filter | None = None
    relaxed: bool = False
    notices: tuple[str, ...] = ()
    understood: Filter | None = None
    language: str = ""


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
