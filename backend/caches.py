"""The part of the composition root that opens caches, rate limits and budgets."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from backend.adapters.memory import MemoryCache
from backend.adapters.rates import WindowRates
from backend.adapters.redis import RedisCache
from backend.adapters.sql import Database
from backend.adapters.sql_cache import SqlCache
from backend.api.limits import Budgets, Doorkeeper
from backend.pii import Blotter
from backend.ports import Embedder, Scope
from backend.query.caching.answers import Answers
from backend.query.caching.embedding import CachedEmbedder
from backend.query.caching.reading import CachedReader
from backend.query.caching.semantic import Semantic
from backend.query.caching.tiers import Tiers
from backend.query.proposal import Reader
from backend.settings import Settings
from backend.telemetry import Telemetry

VECTOR_BYTES = 16_000_000
"""Memory for the vectors of some 7,000 questions of 384 dimensions."""

READING_BYTES = 4_000_000
"""Memory for what some 4,000 questions were taken to mean."""

READING_AGE = 86_400.0
"""Seconds; what a question means may depend on the day."""

VECTOR_AGE = 3600.0
"""Seconds; a sentence of a removed document, as numbers, is in memory no longer."""


@dataclass(frozen=True)
class Caches:
    """What is kept of answers and of queries' vectors; `readings`, in this process alone, are what questions mean."""

    answers: Tiers
    vectors: Tiers
    semantic: float | None
    blot: Callable[[str], str] = str
    readings: Tiers = field(default_factory=Tiers)

    def remembering(self, embedder: Embedder) -> Embedder:
        """Return the embedder, which remembers the vectors of queries."""
        if not self.vectors.stores:
            return embedder
        return CachedEmbedder(embedder, self.vectors, MemoryCache(VECTOR_BYTES, VECTOR_AGE))

    def remembering_readings(self, reader: Reader, model: str, prompt_hash: str) -> Reader:
        """Return the reader, which remembers what questions mean to this model by this prompt."""
        return CachedReader(reader, self.readings, (model, prompt_hash)) if self.readings.stores else reader

    async def forget_answers(self, team: str) -> None:
        """Drop what is kept of a team's questions: their answers, and everybody's readings and vectors, which bear no
        name."""
        await self.answers.forget_answers(team)
        await self.readings.forget_answers("")
        await self.vectors.forget_answers("")

    def of_answers(self, embedder: Embedder, recipe: Sequence[str]) -> Answers:
        """Return the cache of answers. `recipe` names what decides on an answer beside its evidence and its answerer:
        where one of it changes, older answers are not found again."""
        digest = hashlib.sha256("\0".join((embedder.name, *recipe)).encode()).hexdigest()
        return Answers(self.answers, digest, Semantic(self.semantic, embedder) if self.semantic else None, self.blot)


@asynccontextmanager
async def opened_caches(settings: Settings, database: Database, telemetry: Telemetry) -> AsyncIterator[Caches]:
    """Open this process's cache, Redis where there is one, and the database's.

    Raises:
        CacheUnavailable: FOOTNOTE_REDIS_URL is no such URL. A server that cannot be reached is no error.
    """
    if settings.cache == "off":
        yield Caches(Tiers(), Tiers(), None)
        return
    age = settings.cache_age.total_seconds()
    async with AsyncExitStack() as stack:
        shared: list[RedisCache] = []
        if url := redis_url(settings):
            # What Redis could not be told to drop must be gone by the time at which a removal is complete.
            shared = [RedisCache.open(url, max(1, int(min(age, settings.purge_after.total_seconds()))))]
            stack.push_async_callback(shared[0].close)
        near = min(age, shared[0].age) if shared else age  # nobody tells this memory what another replica removes
        lasting = cache_of(settings, database)
        yield Caches(
            answers=Tiers((MemoryCache(settings.cache_bytes, near), *shared, lasting), telemetry),
            vectors=Tiers((MemoryCache(VECTOR_BYTES, age), *shared), telemetry),
            semantic=settings.semantic_cache,
            blot=Blotter(settings.redact, settings.redact_regions).blot if settings.redact else str,
            readings=Tiers((MemoryCache(READING_BYTES, min(age, READING_AGE)),), telemetry),
        )


def cache_of(settings: Settings, database: Database) -> SqlCache:
    """Return the database's cache, bounded as the settings say."""
    return replace(database.cache, bytes=settings.cache_disk_bytes, age=settings.cache_age)


@asynccontextmanager
async def opened_door(settings: Settings, database: Database, telemetry: Telemetry) -> AsyncIterator[Doorkeeper]:
    """Open the limits on questions: rates shared in Redis where there is one, budgets in the database."""
    rates: dict[Scope, str | None] = {
        "user": settings.rate_user, "channel": settings.rate_channel, "team": settings.rate_team,
    }  # fmt: skip
    window = WindowRates.open(rates, redis_url(settings), telemetry)
    try:
        yield Doorkeeper(window, database.spendings, budgets_of(settings), telemetry)
    finally:
        await window.close()


def budgets_of(settings: Settings) -> Budgets:
    """Return the daily budgets; 0 is no limit."""
    tokens: dict[Scope, int] = {
        "user": settings.daily_tokens_user,
        "channel": settings.daily_tokens_channel,
        "team": settings.daily_tokens_team,
    }
    cost: dict[Scope, float] = {
        "user": settings.daily_cost_user,
        "channel": settings.daily_cost_channel,
        "team": settings.daily_cost_team,
    }
    return Budgets(
        {scope: limit for scope, limit in tokens.items() if limit},
        {scope: limit for scope, limit in cost.items() if limit},
    )


def redis_url(settings: Settings) -> str | None:
    return settings.redis_url.get_secret_value() if settings.redis_url else None
