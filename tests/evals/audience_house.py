"""The real thing in process: LanceDB, state database, pipeline and caches; and ways to break it on purpose."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from backend.adapters.extractive import ExtractiveAnswerer
from backend.adapters.lancedb import LanceIndex
from backend.adapters.memory import MemoryCache
from backend.adapters.migrate import migrate
from backend.adapters.sql import Database
from backend.domain import (
    Audience,
    Chunk,
    Document,
    IndexedDocument,
    Metadata,
    Origin,
    Passage,
    Query,
    Vector,
    Visibility,
)
from backend.errors import IndexUnavailable
from backend.ports import Answerer, IndexStatus
from backend.query.caching.answers import Answers, Write
from backend.query.caching.embedding import CachedEmbedder
from backend.query.caching.keys import normalised
from backend.query.caching.semantic import Semantic
from backend.query.caching.tiers import Tiers
from backend.query.caching.writing import ForgettingWriter
from backend.query.cite import Citations
from backend.query.pipeline import Pipeline
from backend.query.story import Story
from backend.sentences import sentence_spans
from tests.evals.audience_world import Paper
from tests.fakes.caching import QuotingModel
from tests.fakes.embedder import HashEmbedder
from tests.fakes.story import NOW

Break: TypeAlias = Literal["nothing", "filter", "cache", "membership", "place"]
"""What is broken on purpose: the index's access rule, the cache's key, what happens when somebody leaves, and the
difference between a channel and a private answer."""


@dataclass
class WatchedIndex:
    """ports.Index over LanceDB. `down` fails the next search; `leaky` drops the access rule: every audience reads all
    that anybody in the world may read."""

    index: LanceIndex
    leaky: bool = False
    down: bool = False
    everything: tuple[str, ...] = ()

    def _seen(self, query: Query) -> Query:
        if self.down:
            self.down = False
            raise IndexUnavailable("The index could not be searched.")
        if not self.leaky:
            return query
        channels = tuple(one.removeprefix("channel:") for one in self.everything if one.startswith("channel:"))
        return replace(query, audience=Audience(user=query.audience.user, private=True, channels=channels))

    async def search_vector(self, query: Query, vector: Vector, *, limit: int) -> list[Passage]:
        return await self.index.search_vector(self._seen(query), vector, limit=limit)

    async def search_text(self, query: Query, text: str, *, limit: int) -> list[Passage]:
        return await self.index.search_text(self._seen(query), text, limit=limit)

    async def section_passages(self, query: Query, section_ids: Sequence[str]) -> list[Passage]:
        return await self.index.section_passages(self._seen(query), section_ids)

    async def status(self) -> IndexStatus:
        return await self.index.status()


@dataclass(frozen=True)
class CarelessAnswers(Answers):
    """A cache that knows an answer by its question alone."""

    known: dict[tuple[str, str], tuple[tuple[str, ...], Citations]] = field(default_factory=dict)

    async def told(self, story: Story, answerer: Answerer, write: Write) -> AsyncGenerator[str, None]:
        key = story.query.team, normalised(story.query.text)
        if key in self.known:
            pieces, story.citations = self.known[key]
            story.cache = "l1"
            for piece in pieces:
                yield story.said(piece)
            return
        told = []
        async for piece in write():
            told.append(piece)
            yield piece
        self.known[key] = tuple(told), story.citations


@dataclass
class House:
    """A backend without its HTTP."""

    index: WatchedIndex
    writer: ForgettingWriter
    database: Database
    embedder: CachedEmbedder
    pipeline: Pipeline

    async def put(self, papers: Sequence[Paper], revision: str) -> None:
        """Write documents as ingestion does: the record first, then the index."""
        for paper in papers:
            await self.database.documents.put(_record(paper, revision))
        await self.writer.replace([await _indexed(paper, revision) for paper in papers])

    async def remove(self, paper: Paper) -> None:
        await self.database.documents.put(replace(_record(paper, ""), status="deleted", chunks=0))
        await self.writer.delete(paper.team, [paper.id])


@asynccontextmanager
async def opened_house(folder: Path, broken: Break = "nothing") -> AsyncIterator[House]:
    url = f"sqlite:///{folder}/footnote.db"
    migrate(url)
    database = Database.open(url)
    lance = await LanceIndex.open(str(folder / "index"), HashEmbedder.name, HashEmbedder.dimensions)
    try:
        yield _house(database, WatchedIndex(lance, leaky=broken == "filter"), lance, broken)
    finally:
        await lance.close()
        await database.close()


def _house(database: Database, index: WatchedIndex, lance: LanceIndex, broken: Break) -> House:
    tiers = Tiers((MemoryCache(64_000_000, 1e9),))
    vectors = Tiers((MemoryCache(64_000_000, 1e9),))
    embedder = CachedEmbedder(HashEmbedder(), vectors, MemoryCache(64_000_000, 1e9))
    semantic = Semantic(0.8, embedder)
    pipeline = Pipeline(
        index=index,
        embedder=embedder,
        documents=database.documents,
        runs=database.runs,
        extractive=ExtractiveAnswerer(),
        answerers=(QuotingModel(),),
        answers=CarelessAnswers() if broken == "cache" else Answers(tiers, "audience", semantic),
    )
    return House(index, ForgettingWriter(lance, tiers), database, embedder, pipeline)


def _metadata(paper: Paper) -> Metadata:
    return Metadata(author=(f"Author {paper.word}",), source=f"source-{paper.word}", tags=paper.tags)


def _record(paper: Paper, revision: str) -> Document:
    return Document(
        team=paper.team,
        document_id=paper.id,
        origin=Origin(),
        title=paper.title,
        url=f"https://docs.example/{paper.word}",
        visibility=Visibility.parse(paper.visibility),
        status="ready",
        created_at=NOW,
        updated_at=NOW,
        revision=revision,
        metadata=_metadata(paper),
        chunks=1,
    )


async def _indexed(paper: Paper, revision: str) -> IndexedDocument:
    chunks = (Chunk(0, 0, f"About {paper.word}", 0, paper.text, tuple(sentence_spans(paper.text))),)
    return IndexedDocument(
        team=paper.team,
        document_id=paper.id,
        revision=revision,
        title=paper.title,
        url=f"https://docs.example/{paper.word}",
        visibility=Visibility.parse(paper.visibility),
        metadata=_metadata(paper),
        ingested_at=NOW,
        chunks=chunks,
        vectors=tuple(await HashEmbedder().embed_chunks(paper.title, chunks)),
    )
