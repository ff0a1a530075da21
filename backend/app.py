"""The composition root: it alone knows every concrete class. Opens them in order, closes them in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal
from uuid import uuid4

from backend.access import Keyring
from backend.adapters.blobs import FileBlobs
from backend.adapters.dbos import DbosIngestQueue
from backend.adapters.dbos_takeover import executors_at_work, take_over
from backend.adapters.lancedb import LanceIndex
from backend.adapters.llm_captioner import LLMCaptioner
from backend.adapters.migrate import downgrade, migrate
from backend.adapters.minilm import MiniLM
from backend.adapters.replicas import Lock, Replicas
from backend.adapters.sql import Database
from backend.adapters.sql_history import SqlHistory
from backend.api.limits import MeteredRuns
from backend.api.security import Access, Key, Keys, configured_keys, is_loopback, own_key
from backend.api.services import Limits, Services
from backend.caches import cache_of, opened_caches, opened_door
from backend.checks import checks_of
from backend.domain import Document
from backend.evaluate.looking import Insights
from backend.experiments import NO_PLAN, load_plan
from backend.ingest.caption import MAX_FIGURES, Captioning
from backend.ingest.collection import Collector
from backend.ingest.extract_pool import ExtractPool
from backend.ingest.fetch import HttpFetcher
from backend.ingest.figures import IngestFigures
from backend.ingest.limits import TeamLimits
from backend.ingest.pipeline import VERSION, Ingest
from backend.ingest.polite import PoliteFetcher
from backend.ingest.purge import Purge
from backend.ingest.refresh import Refreshing
from backend.ingest.split import split
from backend.ingest.stranded import Stranded
from backend.keeping import forgetting, people, retention, stored_feedbacks, stored_runs
from backend.lock import FolderLock
from backend.people import FORGETTING
from backend.ports import Blobs, Captioner, Embedder, IndexWriter
from backend.prompts import Prompts, load_prompts
from backend.query.caching.writing import ForgettingWriter
from backend.replicas import ROLL_CALL, RollCall, building_right, led, opened_replicas
from backend.settings import PROJECT, Settings, SettingsError
from backend.telemetry import Telemetry
from backend.upkeep import Chore, interval, kept_up
from backend.writing import Models, answers_with, opened_models, opened_pipeline

Clock = Callable[[], datetime]
PROMPTS = PROJECT / "prompts"
LOOK = timedelta(seconds=5)
"""How often the index is looked at, so that liveness can say how it is without asking it."""
CAPTION = "caption@v1"


@dataclass(frozen=True, slots=True)
class Places:
    """Where a backend with these settings keeps its state."""

    data: Path
    index: str
    database: str
    work: str
    """Database of durable work."""
    blobs_uri: str = ""
    """The object store that has the blobs; "" where the data folder has them."""
    storage: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Options of the object store."""

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
            blobs_uri=settings.blobs_uri or "",
            storage=settings.storage_options,
        )

    @property
    def together(self) -> bool:
        """Whether other backends may work beside this one: nothing that they need is in its folder."""
        return not self.database.startswith("sqlite") and "://" in self.index and bool(self.blobs_uri)

    @property
    def blobs(self) -> Path:
        return self.data / "blobs"

    @property
    def lock(self) -> Path:
        return self.data / "lock"

    @property
    def replica(self) -> Path:
        return self.data / "replica"

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
    keys = keys or Keys((Key.of(own_key(places.api_key), {"admin"}, "own"),))
    telemetry, plan = Telemetry(), load_plan(PROMPTS)
    prompts = plan.chosen_from(load_prompts(PROMPTS))
    telemetry.expect_prompts(name for name in prompts.ids() if name.startswith("answer@"))
    telemetry.watch_disk(places.data)
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(opened_models(settings, telemetry))
        await asyncio.to_thread(migrate, places.database)
        database = await stack.enter_async_context(opened_database(places))
        embedder = await stack.enter_async_context(opened_embedder(settings, places))
        replicas = await stack.enter_async_context(
            opened_replicas(places.database, places.replica, together=places.together)
        )
        index = await stack.enter_async_context(opened_index(places, embedder, replicas.writing))
        caches = await stack.enter_async_context(opened_caches(settings, database, telemetry))
        door = await stack.enter_async_context(opened_door(settings, database, telemetry))
        writer = ForgettingWriter(index, caches.answers)
        await cleared(places)
        captioner = captioner_of(models, prompts)
        ingest = await opened_ingest(
            settings, places, stack, database, embedder, writer, captioner, telemetry, replicas.records, now
        )
        collector = Collector(database.collections, ingest, ingest.fetcher, now, lock=replicas.collections)
        queue = await DbosIngestQueue.open(
            places.work, ingest, workers=settings.ingest_workers, collector=collector, executor=replicas.name
        )
        stack.push_async_callback(queue.close)
        await ingest.resume(queue)
        await collector.resume(queue)
        chores = led(replicas, _chores(settings, database, index, ingest, queue, now))
        await stack.enter_async_context(kept_up(chores, interval(settings.purge_after, settings.gone_after)))
        forget = forgetting(settings, database, caches).look
        await stack.enter_async_context(kept_up({"forgetting": forget}, FORGETTING))
        if not places.database.startswith("sqlite"):
            roll_call = _roll_call(replicas, ingest, collector, queue)
            await stack.enter_async_context(kept_up({"roll call": roll_call.look}, ROLL_CALL))
        pipeline = await stack.enter_async_context(
            opened_pipeline(
                settings,
                models,
                prompts,
                index,
                caches.remembering(embedder),
                database.documents,
                MeteredRuns(stored_runs(settings, database), database.spendings, telemetry),
                caches,
            )
        )
        opened = Services(
            pipeline=pipeline,
            ingest=ingest,
            queue=queue,
            documents=database.documents,
            runs=database.runs,
            feedbacks=stored_feedbacks(settings, database),
            removals=database.removals,
            notices=database.notices,
            collector=collector,
            collections=queue,
            index=index,
            access=Access(keys, Keyring(database.api_keys, now)),
            audit=database.audit,
            people=people(database, ingest, index, caches),
            insights=Insights(SqlHistory(database.engine), embedder, plan),
            prompts=tuple(answerer.prompt for answerer in pipeline.answerers),
            plan=plan if settings.writes_with_llm else NO_PLAN,
            team=settings.team,
            answers_with=answers_with(settings),
            telemetry=telemetry,
            door=door,
            embedder=embedder.name,
            limits=Limits(document=settings.max_bytes),
            checks=checks_of(
                places.data, places.index, places.database, index, database, models, caches.answers.stores
            ),
        )
        look = partial(opened.pulse.look, index.status)
        await stack.enter_async_context(kept_up({"look": look}, LOOK))
        yield opened


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
        await LanceIndex.discard(places.index, places.storage)
        async with services(settings, keys_of(settings)) as opened:
            yield opened, tuple(kept)


async def cleared(places: Places) -> None:
    """Delete what a crash left half-written; the folder is this backend's alone."""
    blobs = opened_blobs(places)
    if isinstance(blobs, FileBlobs):
        await blobs.clear_unfinished()


def opened_blobs(places: Places) -> Blobs:
    """Return where files that were handed in are kept; there is nothing to close."""
    if not places.blobs_uri:
        return FileBlobs(places.blobs)
    from backend.adapters.object_blobs import ObjectBlobs  # half a second of importing that few need

    return ObjectBlobs.open(places.blobs_uri, places.storage)


@asynccontextmanager
async def opened_database(places: Places) -> AsyncIterator[Database]:
    database = Database.open(places.database)
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def opened_index(places: Places, embedder: Embedder, writing: Lock | None = None) -> AsyncIterator[LanceIndex]:
    """Open the index. `writing` is held by whoever writes, where several backends do."""
    index = await LanceIndex.open(
        places.index,
        embedder.name,
        embedder.dimensions,
        storage=places.storage,
        writing=writing,
        building=building_right(places.database, places.data),
    )
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
        from backend.adapters.openai_embedder import OpenAIEmbedder  # a second of importing that few need

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


async def opened_ingest(
    settings: Settings,
    places: Places,
    stack: AsyncExitStack,
    database: Database,
    embedder: Embedder,
    writer: IndexWriter,
    captioner: Captioner | None,
    counts: IngestFigures,
    lock: Lock,
    now: Clock,
) -> Ingest:
    fetcher = HttpFetcher(allow=settings.fetch_allow, max_bytes=settings.max_bytes, timeout=settings.fetch_timeout)
    blobs = opened_blobs(places)
    figures = MAX_FIGURES if captioner else 0
    pool = ExtractPool(
        workers=settings.ingest_workers,
        timeout=settings.extract_timeout,
        figures=figures,
        ocr_languages=settings.ocr_languages,
    )
    extract = (await stack.enter_async_context(pool)).extract
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
        extract=Captioning(extract, captioner) if captioner else extract,
        split=partial(split, count_tokens=embedder.count_tokens),
        embedder=embedder,
        writer=writer,
        version=f"{VERSION}/{captioner.name}" if captioner else VERSION,
        figures=counts,
        now=now,
        lock=lock,
    )


def captioner_of(models: Models, prompts: Prompts) -> Captioner | None:
    """Return what describes images, None where no model that sees is configured."""
    llm = models.for_role("caption")
    return LLMCaptioner(llm, prompts.get(CAPTION)) if llm else None


def _chores(
    settings: Settings, database: Database, index: LanceIndex, ingest: Ingest, queue: DbosIngestQueue, now: Clock
) -> dict[str, Chore]:
    """Return what the backend does without being asked."""
    refreshing = Refreshing(database.documents, ingest, queue, now)
    kept = cache_of(settings, database)
    purge = Purge(database.removals, index, ingest, database.runs, database.flush, kept, settings.purge_after, now)
    return {
        "refresh": refreshing.run,
        "purge": purge.run,
        "stranded": Stranded(ingest, queue).look,
        "retention": retention(settings, database, now).run,
    }


def _roll_call(replicas: Replicas, ingest: Ingest, collector: Collector, queue: DbosIngestQueue) -> RollCall:
    async def resume() -> None:
        await ingest.resume(queue)
        await collector.resume(queue)

    return RollCall(replicas, executors_at_work, take_over, resume)


def _secret(settings: Settings) -> str | None:
    return settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
