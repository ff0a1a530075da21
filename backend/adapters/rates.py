"""Rate limits over moving windows, by the library `limits`: shared in Redis, or in this process.

Where Redis fails, this process counts on its own for a while: limits are for fairness, and nobody is refused, or let
through without any limit, because a cache server is down.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Protocol

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from loguru import logger
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from backend.adapters.redis import PREFIX, TIMEOUT
from backend.errors import CacheUnavailable
from backend.ports import Scope, Wait

PAUSE = 5.0
"""Seconds for which a Redis that failed is left alone."""
DEADLINE = 0.5
"""Seconds for one look at Redis, connecting included."""


class Failures(Protocol):
    """Counts limits that could not be looked up where they are shared."""

    def limit_failed(self, limit: str) -> None: ...


@dataclass
class WindowRates:
    """ports.Rates. `rates` are like `30/minute`; a scope that has none is not limited."""

    rates: Mapping[Scope, RateLimitItem]
    failures: Failures
    shared: MovingWindowRateLimiter | None = None
    own: MovingWindowRateLimiter = field(default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()))
    _client: Redis | None = None
    _resumes: float = 0.0

    @classmethod
    def open(cls, rates: Mapping[Scope, str | None], redis_url: str | None, failures: Failures) -> WindowRates:
        """Count in Redis where there is one. CacheUnavailable where the URL is none of Redis's."""
        items = {scope: parse(rate) for scope, rate in rates.items() if rate}
        if redis_url is None:
            return cls(items, failures)
        options = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT, "retry": Retry(NoBackoff(), 0)}
        try:
            client = Redis.from_url(redis_url, **options)  # type: ignore[arg-type]
        except ValueError:
            raise CacheUnavailable("FOOTNOTE_REDIS_URL must begin with redis://, rediss:// or unix://.") from None
        storage = RedisStorage(
            "redis://",
            implementation="redispy",
            key_prefix=f"{PREFIX}rate",
            connection_pool=client.connection_pool,  # type: ignore[arg-type]
        )
        return cls(items, failures, MovingWindowRateLimiter(storage), _client=client)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def take(self, team: str, subjects: Mapping[Scope, str]) -> Wait | None:
        """The narrowest limit is asked first: who hammers uses up their own share only."""
        for scope in ("user", "channel", "team"):
            item = self.rates.get(scope)
            if item is None or scope not in subjects:
                continue
            seconds = await self._take(item, f"{team}/{scope}/{subjects[scope]}")
            if seconds is not None:
                return Wait(scope, seconds)
        return None

    async def _take(self, item: RateLimitItem, key: str) -> int | None:
        if self.shared and self._resumes <= monotonic():
            try:
                async with asyncio.timeout(DEADLINE):
                    return await _taken(self.shared, item, key)
            except (RedisError, OSError, TimeoutError) as error:
                self._resumes = monotonic() + PAUSE
                self.failures.limit_failed("rate")
                logger.bind(error=type(error).__name__).warning("rate limits not shared")
        return await _taken(self.own, item, key)


async def _taken(limiter: MovingWindowRateLimiter, item: RateLimitItem, key: str) -> int | None:
    """Take one of a limit; None if there was one left, else the seconds until there is."""
    if await limiter.hit(item, key):
        return None
    reset, _ = await limiter.get_window_stats(item, key)
    return max(1, math.ceil(reset - time()))
