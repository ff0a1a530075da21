"""A world for caches: documents that change under a pipeline that keeps its answers, beside one that keeps none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from backend.adapters.extractive import ExtractiveAnswerer
from backend.adapters.memory import MemoryCache
from backend.domain import (
    Chunk,
    Done,
    Evidence,
    IndexedDocument,
    Metadata,
    Query,
    QueryVectors,
    Question,
    Run,
    Visibility,
)
from backend.errors import CacheUnavailable
from backend.ports import CacheStore, CacheTier, Embedder, Entry
from backend.query.caching.answers import Answers
from backend.query.caching.semantic import Semantic
from backend.query.caching.tiers import Tiers
from backend.query.caching.writing import ForgettingWriter
from backend.query.pipeline import Pipeline
from backend.sentences import sentence_spans
from tests.fakes.embedder import HashEmbedder
from tests.fakes.index import FakeIndex
from tests.fakes.state import FakeDocuments, FakeRuns
from tests.fakes.story import NOW, TEAM


@dataclass
class QuotingModel:
    """ports.Answerer as a model that copies the first sentence of every source; `calls` are counted."""

    model: str = "quoting"
    prompt: str = "answer@v1"
    prompt_hash: str = "0" * 64
    calls: int = 0

    async def draft(
        self, question: str, query: Query, vectors: QueryVectors, evidence: Sequence[Evidence]
    ) -> AsyncIterator[str]:
        self.calls += 1
        for one in evidence:
            start, end = one.passage.sentences[one.kept[0]]
            yield f"{one.passage.text[start:end].rstrip('.')} [{one.n}]. "


@dataclass
class BrokenCache:
    """ports.CacheStore of a server that is down."""

    tier: CacheTier = "l2"
    calls: int = 0

    async def get(self, key: str) -> Entry | None:
        self._fail()

    async def put(self, key: str, entry: Entry) -> int:
        self._fail()

    async def forget(self, team: str, document_ids: Sequence[str]) -> int:
        self._fail()

    async def forget_answers(self, team: str) -> int:
        self._fail()

    def _fail(self) -> NoReturn:
        self.calls += 1
        raise CacheUnavailable("down")


@dataclass
class CachedWorld:
    """`model` writes for the pipeline that keeps answers, `plain` for the one that does not."""

    stores: Sequence[CacheStore] = field(default_factory=lambda: (MemoryCache(10_000_000, 3600),))
    embedder: Embedder = field(default_factory=HashEmbedder)
    semantic: float | None = None
    model: QuotingModel = field(default_factory=QuotingModel)
    plain: QuotingModel = field(default_factory=QuotingModel)
    index: FakeIndex = field(default_factory=FakeIndex)
    runs: FakeRuns = field(default_factory=FakeRuns)
    revisions: int = 0

    def __post_init__(self) -> None:
        self.tiers = Tiers(self.stores, pause=0.0)
        self.writer = ForgettingWriter(self.index, self.tiers)
        semantic = Semantic(self.semantic, self.embedder) if self.semantic else None
        self.cached = self.pipeline(self.model, Answers(self.tiers, "recipe", semantic))
        self.uncached = self.pipeline(self.plain, Answers())

    def pipeline(self, model: QuotingModel | None, answers: Answers) -> Pipeline:
        return Pipeline(
            index=self.index,
            embedder=self.embedder,
            documents=FakeDocuments(),
            runs=self.runs,
            extractive=ExtractiveAnswerer(),
            answerers=(model,) if model else (),
            answers=answers,
            clock=lambda: NOW,
        )

    async def write(self, document_id: str, text: str, visibility: str = "team", *, forgets: bool = True) -> None:
        """Put a document into the index, in a new revision; `forgets` says whether the caches are told."""
        self.revisions += 1
        chunks = (Chunk(0, 0, "", 0, text, tuple(sentence_spans(text))),)
        document = IndexedDocument(
            team=TEAM,
            document_id=document_id,
            revision=f"r{self.revisions}",
            title=f"Title of {document_id}",
            url=f"https://docs.example/{document_id}",
            visibility=Visibility.parse(visibility),
            metadata=Metadata(),
            ingested_at=NOW,
            chunks=chunks,
            vectors=tuple(await self.embedder.embed_chunks(document_id, chunks)),
        )
        await (self.writer if forgets else self.index).replace([document])

    async def delete(self, document_id: str, *, forgets: bool = True) -> None:
        await (self.writer if forgets else self.index).delete(TEAM, [document_id])

    async def ask(self, question: Question, *, cached: bool = True, run_id: str = "r") -> Run:
        pipeline = self.cached if cached else self.uncached
        events = [event async for event in pipeline.answer(question, run_id)]
        (done,) = [event for event in events if isinstance(event, Done)]
        return done.run

    async def both(self, question: Question) -> tuple[Run, Run]:
        """Return what the pipeline that keeps answers says, and what is computed without."""
        return await self.ask(question), await self.ask(replace(question), cached=False)
