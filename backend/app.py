"""The composition root: it alone knows every concrete class. Opens them in order, closes them in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal
from uuid import uuid4

from backend.adapters.blobs import FileBlobs
from backend.adapters.dbos import DbosIngestQueue
from backend.adapters.extractive import ExtractiveAnswerer
from backend.adapters.lancedb import LanceIndex
from backend.adapters.llm_answerer import LLMAnswerer, LLMReader
from backend.adapters.llm_compressor import LLMExtractor, LLMFilter
from backend.adapters.llm_expander import LLMHyde, LLMMultiQuery
from backend.adapters.llm_opinion import LLMSecondOpinion
from backend.adapters.migrate import downgrade, migrate
from backend.adapters.minilm import MiniLM
from backend.adapters.rerank import HttpReranker
from backend.adapters.sql import Database
from backend.api.security import Key, Keys, configured_keys, is_loopback, own_key
from backend.api.services import Limits, Services
from backend.domain import Document
from backend.ingest.collection import Collector
from backend.ingest.extract_pool import ExtractPool
from backend.ingest.fetch import HttpFetcher
from backend.ingest.limits import TeamLimits
from backend.ingest.pipeline import Ingest
from backend.ingest.polite import PoliteFetcher
from backend.ingest.purge import Purge
from backend.ingest.refresh import Refreshing
from backend.ingest.split import split
from backend.lock import FolderLock
from backend.ports import LLM, Compressor, Embedder, Reranker
from backend.prompts import Prompts, load_prompts
from backend.query.compress import SentenceCompressor
from backend.query.expand import Expander
from backend.query.pipeline import Knobs, Pipeline
from backend.query.retrieve import NO_EXTRAS, Extras
from backend.settings import PROJECT, Settings, SettingsError
from backend.upkeep import Chore, interval, kept_up

Clock = Callable[[], datetime]
PROMPTS = PROJECT / "prompts"
ANSWER = "answer"
READ = "understand@v2"
VERIFY = "verify@v1"
EXTRACT = "compress@v1"
FILTER = "compress_filter@v1"
HYDE = "hyde@v1"
MULTI_QUERY = "multi_query@v1"


@dataclass(frozen=True, slots=True)
class Places:
    """Where a backend with these settings keeps its state."""

    data: Path
    index: str
    database: str
    work: str
    """Database of durable work."""

    @classmethod
    def of(cls, settings: Settings) -> Places:
        data = settings.data_dir.resolve()
        database = settings.database_url or f"sqlite:///{data / 'footnote.db'}"
        shared = not database.startswith("sqlite")
        return cls(
            data=data,
            index=settings.index_uri or str(data / "index"),
            database=database,
            work=database if shared else f"sqlite:///{data / 'work.db'}",
        )

    @property
    def blobs(self) -> Path:
        return self.data / "blobs"

    @property
    def lock(self) -> Path:
        return self.data / "lock"

    @property
    def api_key(self) -> Path:
        return self.data / "api-key"


def utc_now() -> datetime:
    return datetime.now(UTC)


def keys_of(settings: Settings) -> Keys | None:
    """Return the configured keys, None where there are none. SettingsError where they cannot be meant."""
    secret = settings.api_key.get_secret_value() if settings.api_key else None
    try:
        keys = configured_keys(secret, settings.api_keys)
    except ValueError as error:
        raise SettingsError(f"FOOTNOTE_API_KEY or FOOTNOTE_API_KEYS: {error}") from None
    if keys is None and not is_loopback(settings.host):
        raise SettingsError(
            f"FOOTNOTE_HOST: {settings.host} can be reached from elsewhere; set FOOTNOTE_API_KEY first."
        )
    return keys


@asynccontextmanager
async def services(settings: Settings, keys: Keys | None = None, now: Clock = utc_now) -> AsyncIterator[Services]:
    """Open everything that a backend needs, for as long as the block lasts. The caller holds the folder's lock. `now`
    is the clock by which documents are refreshed and purged.

    Raises:
        FootnoteError: something cannot be opened; the message says what, and how to mend it.
    """
    places = Places.of(settings)
    keys = keys or Keys((Key.of(own_key(places.api_key), {"admin"}),))
    async with AsyncExitStack() as stack:
        await asyncio.to_thread(migrate, places.database)
        database = await stack.enter_async_context(opened_database(places))
        embedder = await stack.enter_async_context(opened_embedder(settings, places))
        index = await stack.enter_async_context(opened_index(places, embedder))
        ingest = await _ingest(settings, places, stack, database, embedder, index, now)
        collector = Collector(database.collections, ingest, ingest.fetcher, now)
        queue = await DbosIngestQueue.open(places.work, ingest, workers=settings.ingest_workers, collector=collector)
        stack.push_async_callback(queue.close)
        await ingest.resume(queue)
        await collector.resume(queue)
        chores = _chores(settings, database, index, ingest, queue, now)
        await stack.enter_async_context(kept_up(chores, interval(settings.purge_after, settings.gone_after)))
        pipeline = await _pipeline(settings, stack, database, embedder, index)
        yield Services(
            pipeline=pipeline,
            ingest=ingest,
            queue=queue,
            documents=database.documents,
            runs=database.runs,
            feedbacks=database.feedbacks,
            removals=database.removals,
            notices=database.notices,
            collector=collector,
            collections=queue,
            index=index,
            keys=keys,
            team=settings.team,
            answers_with=settings.openai_model if settings.writes_with_llm else "extractive",
            embedder=embedder.name,
            limits=Limits(document=settings.max_bytes),
        )


def migrate_database(settings: Settings, direction: Literal["up", "down"], revision: str | None) -> None:
    """Bring the database to a revision: up to the newest, or down by one, where none is named."""
    places = Places.of(settings)
    with FolderLock(places.lock):
        if direction == "up":
            migrate(places.database, revision or "head")
        else:
            downgrade(places.database, revision or "-1")


@asynccontextmanager
async def rebuilding(settings: Settings) -> AsyncIterator[tuple[Services, tuple[Document, ...]]]:
    """Drop the index and open the backend, which ingests every document anew; yield it with those documents.

    What is to be done is recorded before the index is dropped: should this be interrupted, the next start goes on.
    """
    places = Places.of(settings)
    with FolderLock(places.lock):
        await asyncio.to_thread(migrate, places.database)
        async with opened_database(places) as database:
            kept = [
                replace(one, status="queued", reason="", revision="", chunks=0, same_as="", attempt=uuid4().hex)
                for one in await database.documents.kept()
            ]
            for document in kept:
                await database.documents.put(document)
        await LanceIndex.discard(places.index)
        async with services(settings, keys_of(settings)) as opened:
            yield opened, tuple(kept)


@asynccontextmanager
async def opened_database(places: Places) -> AsyncIterator[Database]:
    database = Database.open(places.database)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def opened_index(places: Places, embedder: Embedder) -> AsyncIterator[LanceIndex]:
    index = await LanceIndex.open(places.index, embedder.name, embedder.dimensions)
    try:
        yield index
    finally:
        await index.close()


@asynccontextmanager
async def opened_embedder(settings: Settings, places: Places) -> AsyncIterator[Embedder]:
    """Open the embedder. The local one is always there: sentences are embedded locally whoever embeds the rest."""
    async with AsyncExitStack() as stack:
        local = await asyncio.to_thread(
            MiniLM.open, settings.model_dir, places.data / "models", settings.embedding_threads
        )
        stack.callback(local.close)
        if settings.embedder == "minilm":
            yield local
            return
        from backend.adapters.openai import OpenAIEmbedder  # a second of importing that few need

        remote = OpenAIEmbedder.open(
            settings.openai_base_url,
            _secret(settings),
            settings.embedding_model,
            dimensions=settings.embedding_dimensions,
            timeout=settings.llm_timeout,
            local=local,
        )
        stack.push_async_callback(remote.close)
        yield remote


async def _ingest(
    settings: Settings,
    places: Places,
    stack: AsyncExitStack,
    database: Database,
    embedder: Embedder,
    index: LanceIndex,
    now: Clock,
) -> Ingest:
    fetcher = HttpFetcher(allow=settings.fetch_allow, max_bytes=settings.max_bytes, timeout=settings.fetch_timeout)
    blobs = FileBlobs(places.blobs)
    await blobs.clear_unfinished()
    pool = ExtractPool(workers=settings.ingest_workers, timeout=settings.extract_timeout)
    return Ingest(
        documents=database.documents,
        removals=database.removals,
        notices=database.notices,
        sketches=database.sketches,
        usages=database.usages,
        limits=TeamLimits(settings.max_documents, settings.max_team_bytes, settings.max_pages_a_day),
        gone_after=settings.gone_after,
        blobs=blobs,
        fetcher=PoliteFetcher(await stack.enter_async_context(fetcher)),
        extract=(await stack.enter_async_context(pool)).extract,
        split=partial(split, count_tokens=embedder.count_tokens),
        embedder=embedder,
        writer=index,
        now=now,
    )


def _chores(
    settings: Settings, database: Database, index: LanceIndex, ingest: Ingest, queue: DbosIngestQueue, now: Clock
) -> dict[str, Chore]:
    """Return what the backend does without being asked."""
    refreshing = Refreshing(database.documents, ingest, queue, now)
    purge = Purge(database.removals, index, ingest, database.runs, database.flush, settings.purge_after, now)
    return {"refresh": refreshing.run, "purge": purge.run}


async def _pipeline(
    settings: Settings, stack: AsyncExitStack, database: Database, embedder: Embedder, index: LanceIndex
) -> Pipeline:
    prompts = load_prompts(PROMPTS)
    llm: LLM | None = None
    if settings.writes_with_llm:
        from backend.adapters.openai import OpenAILLM

        llm = opened = OpenAILLM.open(
            settings.openai_base_url, _secret(settings), settings.openai_model, timeout=settings.llm_timeout
        )
        stack.push_async_callback(opened.close)
    return Pipeline(
        index=index,
        embedder=embedder,
        documents=database.documents,
        runs=database.runs,
        extractive=ExtractiveAnswerer(),
        answerers=_answerers(prompts, llm, settings.answer_prompt) if llm else (),
        reader=LLMReader(llm, prompts.get(READ)) if llm else None,
        opinion=LLMSecondOpinion(llm, prompts.get(VERIFY)) if llm else None,
        compressor=_compressor(settings, prompts, llm),
        extras=Extras(_expander(settings, prompts, llm), await _reranker(settings, stack)),
        knobs=Knobs(token_budget=settings.token_budget, draft_timeout=settings.llm_timeout),
    )


def _answerers(prompts: Prompts, llm: LLM, default: str) -> tuple[LLMAnswerer, ...]:
    """Return one answerer per version of the answer prompt, the default first."""
    first = prompts.get(default)
    others = [prompts.get(name) for name in prompts.ids() if name.startswith(f"{ANSWER}@") and name != default]
    return tuple(LLMAnswerer(llm, prompt) for prompt in (first, *others))


def _compressor(settings: Settings, prompts: Prompts, llm: LLM | None) -> Compressor:
    if llm is None or settings.compress == "sentences":
        return SentenceCompressor()
    if settings.compress == "llm-extract":
        return LLMExtractor(llm, prompts.get(EXTRACT))
    return LLMFilter(llm, prompts.get(FILTER))


def _expander(settings: Settings, prompts: Prompts, llm: LLM | None) -> Expander | None:
    if llm is None or settings.expand == "off":
        return None
    return (
        LLMHyde(llm, prompts.get(HYDE)) if settings.expand == "hyde" else LLMMultiQuery(llm, prompts.get(MULTI_QUERY))
    )


async def _reranker(settings: Settings, stack: AsyncExitStack) -> Reranker | None:
    if settings.rerank_url is None:
        return None
    key = settings.rerank_key.get_secret_value() if settings.rerank_key else None
    reranker = HttpReranker(settings.rerank_url, settings.rerank_model, key, timeout=NO_EXTRAS.rerank_timeout)
    return await stack.enter_async_context(reranker)


def _secret(settings: Settings) -> str | None:
    return settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
