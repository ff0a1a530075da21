"""One contract for the caches of all three tiers: in process, Redis and the state database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.adapters.memory import OVERHEAD, MemoryCache
from backend.adapters.redis import RedisCache
from backend.adapters.sql import Database
from backend.adapters.sql_cache import BETWEEN_TRIMS, SqlCache
from backend.domain import Question
from backend.errors import CacheUnavailable
from backend.ports import CacheStore, Entry
from tests.databases import SQL
from tests.fakes.caching import CachedWorld
from tests.fakes.story import TEAM
from tests.redis_server import RedisServer, needs_redis, running_redis

ENTRY = Entry(b"\x00answer\xff", "T1", ("a", "ü/b"))
ASK = Question("When are new badges processed?", TEAM)
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(params=SQL)
async def database(request: pytest.FixtureRequest, database_url: Callable[[str], str]) -> AsyncIterator[Database]:
    database = Database.open(database_url(request.param))
    yield database
    await database.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with running_redis(tmp_path) as server:
        yield server


@pytest.fixture(params=["memory", pytest.param("redis", marks=needs_redis), "sql"])
async def cache(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> AsyncIterator[CacheStore]:
    if request.param == "memory":
        yield MemoryCache(100_000, 60)
    elif request.param == "sql":
        yield database.cache
    else:
        async with running_redis(tmp_path) as server:
            store = RedisCache.open(server.url, 60)
            yield store
            await store.close()


async def test_what_was_kept_is_found_byte_for_byte_and_nothing_else_is(cache: CacheStore) -> None:
    await cache.put("k", ENTRY)
    assert await cache.get("k") == ENTRY
    assert await cache.get("other") is None


async def test_the_later_of_two_entries_with_one_key_counts(cache: CacheStore) -> None:
    await cache.put("k", ENTRY)
    newer = Entry(b"newer", "T1", ("c",))
    await cache.put("k", newer)
    assert await cache.get("k") == newer
    await cache.forget("T1", ["c"])
    assert await cache.get("k") is None


async def test_forgetting_a_document_drops_what_holds_its_words_and_leaves_the_rest(cache: CacheStore) -> None:
    await cache.put("of both", ENTRY)
    await cache.put("of the other", Entry(b"x", "T1", ("a",)))
    await cache.put("of another team", Entry(b"y", "T2", ("ü/b",)))
    await cache.put("of none", Entry(b"z"))
    await cache.forget("T1", ["ü/b", "unheard of"])
    left = [key for key in ("of both", "of the other", "of another team", "of none") if await cache.get(key)]
    assert left == ["of the other", "of another team", "of none"]
    await cache.forget("T1", [])
    assert await cache.get("of the other") is not None


async def test_all_answers_of_a_team_go_where_somebody_wants_to_be_forgotten(cache: CacheStore) -> None:
    await cache.put("answer:1", Entry(b"one", "T1", ("a",)))
    await cache.put("answer:2", Entry(b"two", "T1"))
    await cache.put("vectors:3", Entry(b"three"))
    assert await cache.forget_answers("T1") == 2
    assert [await cache.get(key) is not None for key in ("answer:1", "answer:2", "vectors:3")] == [False, False, True]
    assert await cache.forget_answers("") == 1
    assert await cache.get("vectors:3") is None, "what is of no team"


async def test_memory_keeps_within_its_bytes_and_drops_the_least_recently_used() -> None:
    size = OVERHEAD + 400
    cache = MemoryCache(3 * size, 60)
    for key in ("a", "b", "c"):
        await cache.put(key, Entry(b"x" * 400))
    await cache.get("a")
    assert await cache.put("d", Entry(b"x" * 400)) == 1
    assert [await cache.get(key) is not None for key in ("a", "b", "c", "d")] == [True, False, True, True]
    assert cache.used == 3 * size
    assert await cache.put("too large", Entry(b"x" * 4 * size)) == 0
    assert await cache.get("too large") is None


async def test_memory_lets_go_of_what_is_old_and_remembers_nothing_of_it() -> None:
    now = 100.0
    cache = MemoryCache(10_000, 60, clock=lambda: now)
    await cache.put("k", ENTRY)
    now = 160.0
    assert await cache.get("k") is None
    assert (cache.used, cache._holding) == (0, {})


async def test_the_database_lets_the_oldest_go_by_age_and_by_bytes(database: Database) -> None:
    now = START
    cache = SqlCache(database.engine, bytes=1_000, age=timedelta(days=1), now=lambda: now)
    await cache.put("ancient", Entry(b"x" * 10, "T1", ("a",)))
    now = START + timedelta(days=2)
    assert await cache.get("ancient") is None
    gone = 0
    for number in range(BETWEEN_TRIMS):
        now += timedelta(seconds=1)
        gone += await cache.put(str(number), Entry(b"x" * 100, "T1", ("b",)))
    kept = [number for number in range(BETWEEN_TRIMS) if await cache.get(str(number))]
    assert gone == 1 + BETWEEN_TRIMS - 10
    assert kept == list(range(BETWEEN_TRIMS - 10, BETWEEN_TRIMS))
    assert (await cache.holding("T1", "a"), await cache.holding("T1", "b")) == (0, 10)


@needs_redis
async def test_redis_forgets_after_its_age_and_says_plainly_when_it_is_gone(server: RedisServer) -> None:
    cache = RedisCache.open(server.url, 60)
    await cache.put("k", ENTRY)
    times = [await cache.client.ttl(name) for name in await cache.client.keys()]
    assert len(times) == 3
    assert all(0 < left <= 60 for left in times)
    await cache.client.set("footnote:broken", b"not ours")
    assert await cache.get("broken") is None
    await server.stop()
    for call in (cache.get("k"), cache.put("k", ENTRY), cache.forget("T1", ["a"]), cache.ping()):
        with pytest.raises(CacheUnavailable):
            await call
    await cache.close()


def test_a_url_of_no_redis_is_refused_by_the_variable_that_holds_it() -> None:
    with pytest.raises(CacheUnavailable, match="FOOTNOTE_REDIS_URL"):
        RedisCache.open("http://127.0.0.1:1", 60)


async def test_a_restart_is_warm_and_a_removal_leaves_nothing_in_the_database(database: Database) -> None:
    before = await _world((MemoryCache(100_000, 60), database.cache))
    assert (await before.ask(ASK)).metadata.cache == "miss"
    after = CachedWorld(stores=(MemoryCache(100_000, 60), database.cache), index=before.index)
    runs = [await after.ask(ASK) for _ in range(2)]
    assert [run.metadata.cache for run in runs] == ["l3", "l1"]
    assert after.model.calls == 0
    assert await database.cache.holding(TEAM, "badges") == 1
    await after.delete("badges")
    assert await database.cache.holding(TEAM, "badges") == 0
    assert "Wednesday" not in (await after.ask(ASK)).answer


@needs_redis
async def test_replicas_share_answers_until_redis_dies_and_then_go_on(server: RedisServer) -> None:
    far = RedisCache.open(server.url, 60)
    one = await _world((MemoryCache(100_000, 60), far))
    other, third = (CachedWorld(stores=(MemoryCache(100_000, 60), far), index=one.index) for _ in range(2))
    assert (await one.ask(ASK)).metadata.cache == "miss"
    assert (await other.ask(ASK)).metadata.cache == "l2"
    await server.stop()
    assert (await other.ask(ASK)).metadata.cache == "l1"
    runs = [await third.ask(ASK) for _ in range(2)]
    assert [(run.outcome, run.metadata.cache) for run in runs] == [("answered", "miss"), ("answered", "l1")]
    await third.write("badges", "New badges are processed every Friday.")
    for world in (one, other, third):
        assert "Friday" in (await world.ask(ASK)).answer


async def _world(stores: tuple[CacheStore, ...]) -> CachedWorld:
    world = CachedWorld(stores=stores)
    await world.write("badges", "New badges are processed every Wednesday. Bring two forms of identification.")
    return world
