"""Stand-ins for the query story: a corpus from plain texts, and answerers that say what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from backend.domain import (
    Chunk,
    Evidence,
    IndexedDocument,
    Metadata,
    Passage,
    Query,
    QueryVectors,
    Turn,
    Vector,
    Visibility,
)
from backend.errors import LLMUnavailable
from backend.ports import Embedder
from backend.query.proposal import Proposal
from backend.sentences import sentence_spans
from tests.fakes.embedder import HashEmbedder
from tests.fakes.index import FakeIndex

TEAM = "T1"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


async def index_of(
    texts: Mapping[str, str],
    *,
    visibility: Mapping[str, Visibility] | None = None,
    metadata: Mapping[str, Metadata] | None = None,
    embedder: Embedder | None = None,
) -> FakeIndex:
    """Return an index with one document per title, each one chunk; the hash embedder's vectors, unless told else."""
    embedder, index = embedder or HashEmbedder(), FakeIndex()
    documents = []
    for title, text in texts.items():
        chunks = (Chunk(0, 0, title, 0, text, tuple(sentence_spans(text))),)
        documents.append(
            IndexedDocument(
                team=TEAM,
                document_id=title,
                revision="r1",
                title=title,
                url=f"https://docs.example/{title}",
                visibility=(visibility or {}).get(title, Visibility()),
                metadata=(metadata or {}).get(title, Metadata()),
                ingested_at=NOW,
                chunks=chunks,
                vectors=tuple(await embedder.embed_chunks(title, chunks)),
            )
        )
    await index.replace(documents)
    return index


def passage_of(text: str, *, title: str = "Guide", chunk_id: str = "c1", score: float = 1.0) -> Passage:
    """Return a passage of one text, with vectors of the hash embedder."""
    spans = tuple(sentence_spans(text))
    return Passage(
        chunk_id=chunk_id,
        document_id=f"d-{chunk_id}",
        section_id=f"s-{chunk_id}",
        position=0,
        title=title,
        url=f"https://docs.example/{chunk_id}",
        heading="",
        text=text,
        sentences=spans,
        sentence_vectors=np.array([vector_of(text[a:b]) for a, b in spans], np.float32).reshape(-1, 384),
        score=score,
    )


def evidence_of(*texts: str) -> tuple[Evidence, ...]:
    """Return one evidence per text, numbered from 1, with every sentence kept."""
    passages = [passage_of(text, chunk_id=f"c{n}") for n, text in enumerate(texts, start=1)]
    return tuple(
        Evidence(n, passage, tuple(range(len(passage.sentences))), passage.text)
        for n, passage in enumerate(passages, start=1)
    )


def vector_of(text: str) -> Vector:
    """Return the vector of a text as the hash embedder makes it."""
    return HashEmbedder()._vector(text)


@dataclass
class ScriptedAnswerer:
    """Drafts the given pieces; `gate`, where set, is waited for before the last; `fault` is raised after `after`."""

    pieces: Sequence[str]
    model: str = "scripted"
    prompt: str = "answer@v1"
    prompt_hash: str = "0" * 64
    gate: asyncio.Event | None = None
    fault: LLMUnavailable | None = None
    after: int = 0
    closed: bool = False
    asked: list[str] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def draft(
        self, question: str, query: Query, vectors: QueryVectors, evidence: Sequence[Evidence]
    ) -> AsyncIterator[str]:
        self.asked.append(query.text)
        self.begun.set()
        try:
            for place, piece in enumerate(self.pieces):
                if self.fault and place == self.after:
                    raise self.fault
                if self.gate and place == len(self.pieces) - 1:
                    await self.gate.wait()
                yield piece
            if self.fault and self.after >= len(self.pieces):
                raise self.fault
        finally:
            self.closed = True


@dataclass
class ScriptedReader:
    """Reads every question as `proposal`; waits forever where `stuck`."""

    proposal: Proposal = field(default_factory=lambda: Proposal(""))
    stuck: bool = False
    fault: LLMUnavailable | None = None
    asked: list[str] = field(default_factory=list)

    async def read(
        self, question: str, history: Sequence[Turn], fields: Mapping[str, Sequence[str]], now: datetime
    ) -> Proposal:
        self.asked.append(question)
        if self.stuck:
            await asyncio.Event().wait()
        if self.fault:
            raise self.fault
        return self.proposal
