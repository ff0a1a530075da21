"""The cache that replicas share, in Redis or Valkey. Their errors become CacheUnavailable; callers go on without it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
from redis import asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from backend.errors import CacheUnavailable
from backend.ports import CacheTier, Entry

PREFIX = "footnote:"
TIMEOUT = 0.25
"""Seconds for connecting and for each reply: a cache that is slower than the work it saves is none."""
CONNECTIONS = 32
ANSWERS, VECTORS = "answer:", "vectors:"
"""How the keys of what is kept of questions begin (`backend.query.caching.keys`)."""


@dataclass(frozen=True, slots=True)
class RedisCache:
    """ports.CacheStore in Redis; `age` is in seconds. What goes when memory is short is the server's own policy.

    Beside each entry stand sets, one per document that it holds words of, with the keys to be dropped with it.
    """

    client: redis.Redis
    age: int
    tier: CacheTier = field(default="l2", init=False)

    @classmethod
    def open(cls, url: str, age: int) -> RedisCache:
        """Open `redis://…`, `rediss://…` or `unix://…`; connections are made when they are needed.

        Raises:
            CacheUnavailable: the URL is none of these.
        """
        try:
            client = redis.Redis.from_url(
                url,
                socket_timeout=TIMEOUT,
                socket_connect_timeout=TIMEOUT,
                max_connections=CONNECTIONS,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError:
            raise CacheUnavailable("FOOTNOTE_REDIS_URL must begin with redis://, rediss:// or unix://.") from None
        return cls(client, age)

    async def close(self) -> None:
        with translated():
            await self.client.aclose()

    async def get(self, key: str) -> Entry | None:
        with translated():
            packed = await self.client.get(PREFIX + key)
        return _unpacked(packed) if isinstance(packed, bytes) else None

    async def put(self, key: str, entry: Entry) -> int:
        packed = msgspec.msgpack.encode((entry.value, entry.team, entry.documents))
        with translated():
            async with self.client.pipeline(transaction=True) as batch:
                batch.set(PREFIX + key, packed, ex=self.age)
                for name in _sets(entry.team, entry.documents):
                    batch.sadd(name, key)
                    batch.expire(name, self.age)
                await batch.execute()
        return 0

    async def forget(self, team: str, document_ids: Sequence[str]) -> int:
        if not document_ids:
            return 0
        names = _sets(team, document_ids)
        with translated():
            found = await self.client.sunion(names)
            keys = [PREFIX + (key.decode() if isinstance(key, bytes) else key) for key in found]
            return int(await self.client.delete(*keys, *names)) if keys else 0

    async def forget_answers(self, team: str) -> int:
        """Drop the answers of all teams: an entry's key does not say whose it is, and this is rarely wanted. What is of
        no team are the vectors of questions."""
        gone = 0
        with translated():
            async for key in self.client.scan_iter(match=f"{PREFIX}{ANSWERS if team else VECTORS}*", count=500):
                gone += int(await self.client.delete(key))
        return gone

    async def ping(self) -> None:
        """Return if the server answers. CacheUnavailable otherwise."""
        with translated():
            await self.client.ping()


def _sets(team: str, document_ids: Sequence[str]) -> list[str]:
    """Return the names of the sets of these documents: digests, as ids may be of any length and characters."""
    digests = (hashlib.sha256(f"{len(team)}:{team}{one}".encode()).hexdigest() for one in document_ids)
    return [f"{PREFIX}of:{digest}" for digest in digests]


def _unpacked(packed: bytes) -> Entry | None:
    try:
        return Entry(*msgspec.msgpack.decode(packed, type=tuple[bytes, str, tuple[str, ...]]))
    except msgspec.DecodeError:
        return None


@contextmanager
def translated() -> Iterator[None]:
    """Raise CacheUnavailable for whatever Redis or the connection raises."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise CacheUnavailable("Redis cannot be reached.") from error
