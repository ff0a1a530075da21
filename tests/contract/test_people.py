"""What is kept of people, for how long, and that nothing is left of whoever wants to be forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import func, select, text

from backend.access import ApiKey, Deed, deed_id
from backend.adapters.memory import MemoryCache
from backend.adapters.redis import RedisCache
from backend.adapters.sql import Database
from backend.adapters.sql_people import SqlPeople
from backend.adapters.sql_retention import BATCH, SqlRetention
from backend.adapters.sql_tables import feedback, runs, tables
from backend.caches import Caches
from backend.domain import (
    Audience,
    Document,
    Feedback,
    Notice,
    Origin,
    Query,
    Question,
    Removal,
    Run,
    RunMetadata,
    Turn,
    Visibility,
)
from backend.errors import NotFound
from backend.evaluate.history import PastRun
from backend.evaluate.insights import is_gap
from backend.people import Forgetting, People
from backend.ports import Entry, Spent
from backend.query.caching.tiers import Tiers
from backend.redact import WITHHELD, folded, has_words, stripped, without_words
from backend.retention import EVERY, Retention, Terms
from tests.fakes.access import NoWords
from tests.fakes.server import CITATION, PASSAGE
from tests.postgres_server import needs_postgres
from tests.redis_server import needs_redis, running_redis

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CANARY = "Is my xylophone lesson tax-deductible?"
OTHER = "What about lunch?"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
async def database(request: pytest.FixtureRequest, database_url: Callable[[str], str]) -> AsyncIterator[Database]:
    opened = Database.open(database_url(request.param))
    yield opened
    await opened.close()


def run(run_id: str, user: str = "U1", words: str = CANARY, at: datetime = NOW, **more: object) -> Run:
    asked = Question(words, "T1", Audience(channel="C1", user=user))
    whole = Run(
        run_id=run_id,
        question=asked,
        outcome="answered",
        query=Query(words, "T1", asked.audience, None),
        passages=(PASSAGE,),
        answer="Everyone has 25 days of leave. [1]",
        citations=(CITATION,),
        metadata=RunMetadata(total_ms=12.0, prompt="answer@v1"),
        created_at=at,
    )
    return replace(whole, **more)  # type: ignore[arg-type]


def follow_up(run_id: str, user: str = "U2") -> Run:
    """What somebody else asks in the thread of the canary, which was read together with it."""
    history = (Turn("user", f" {CANARY}\n"), Turn("assistant", "The xylophone is not mentioned."), Turn("user", "Hm."))
    asked = Question(OTHER, "T1", Audience(channel="C1", user=user), history=history)
    return run(
        run_id, user, question=asked, query=Query("Is lunch or a xylophone lesson deductible?", "T1", asked.audience)
    )


# ---------------------------------------------------------------------------------------------------------- forgetting


@dataclass
class Removes:
    database: Database

    async def remove(self, team: str, document_id: str) -> None:
        old = await self.database.documents.get(team, document_id)
        if old is None:
            raise NotFound("There is no such document.")
        await self.database.documents.put(replace(old, status="deleted", title="", url=""))
        await self.database.removals.put(Removal(team, document_id, NOW))


def people(database: Database, *stores: MemoryCache) -> People:
    kept = Tiers((*stores, database.cache))
    belonging = SqlPeople(database.engine)
    return People(belonging, database.documents, Removes(database), NoWords(), kept, database.flush)


async def lived_in(database: Database) -> None:
    """Let U1 leave something in every table that can hold something of a person; U2, and U1 of T2, as well."""
    for n, user, words in ((1, "U1", CANARY), (2, "U2", OTHER)):
        await database.runs.put(run(f"of-{n}", user, words))
        private = Document("T1", f"of-{n}", Origin(), "A note", "", Visibility("user", user), "ready", NOW, NOW)
        await database.documents.put(replace(private, by=user))
        shared = Document("T1", f"by-{n}", Origin(), "Shared", "", Visibility(), "ready", NOW, NOW)
        await database.documents.put(replace(shared, by=user))
        await database.notices.put(Notice(f"n-{n}", "T1", user, "d", "Title", "", "gone", NOW))
        await database.spendings.add("T1", NOW.date(), {"user": user, "team": "T1"}, Spent(5, 0.1))
    await database.runs.put(follow_up("later"))
    await database.feedbacks.put(Feedback("of-2", "U1", -1, "button", f"wrong: {CANARY}", NOW))
    await database.feedbacks.put(Feedback("of-1", "U2", 1, "button", "fine", NOW))
    await database.cache.put("answer:1", Entry(folded(CANARY).encode(), "T1", ("handbook",)))
    await database.cache.put("answer:2", Entry(b"other team's", "T2"))
    elsewhere = Question("Other workspace", "T2", Audience(user="U1"))
    await database.runs.put(run("elsewhere", question=elsewhere, query=Query("q", "T2", elsewhere.audience)))


async def rows_with(database: Database, word: str) -> dict[str, int]:
    """Return in how many rows of which tables a word stands, whatever the column."""
    found = {}
    async with database.engine.connect() as connection:
        for name in tables.tables:
            rows = await connection.execute(text(f'SELECT * FROM "{name}"'))
            said = [b" ".join(one if isinstance(one, bytes) else str(one).encode() for one in row) for row in rows]
            if count := sum(word.casefold().encode() in row.lower() for row in said):
                found[name] = count
    return found


def in_files(folder: Path, word: bytes) -> list[str]:
    """Return the files of a folder that hold a word, in whatever place."""
    return [file.name for file in folder.iterdir() if word in file.read_bytes()]


async def test_nothing_of_a_person_is_left_in_any_table_file_or_cache(database: Database, tmp_path: Path) -> None:
    await lived_in(database)
    memory = MemoryCache(10_000, 3600)
    await memory.put("answer:1", Entry(b"xylophone", "T1"))
    assert set(await rows_with(database, "xylophone")) == {"runs", "feedback", "cached"}
    gone = await people(database, memory).delete("T1", "U1")
    counted = (gone.runs, gone.feedback, gone.notices, gone.spendings, gone.brought, gone.mentions, gone.documents)
    assert counted == (1, 1, 1, 1, 2, 1, 1)
    assert await rows_with(database, "xylophone") == {}
    assert await rows_with(database, "U1") == {"runs": 1, "forgotten": 1}, "that of another team, and that it was done"
    assert await rows_with(database, "user:U1") == {}
    assert await memory.get("answer:1") is None
    assert not in_files(tmp_path, b"xylophone")


async def test_what_is_others_stays(database: Database) -> None:
    await lived_in(database)
    await people(database).delete("T1", "U1")
    kept = await database.runs.get("later")
    assert kept
    assert kept["question"]["history"] == [{"role": "user", "text": "Hm."}]  # type: ignore[index]
    assert kept["query"]["text"] == OTHER  # type: ignore[index]
    assert (await database.runs.get("of-2")) is not None
    assert (await database.runs.get("elsewhere")) is not None
    assert [notice.user for notice in await database.notices.list("T1")] == ["U2"]
    assert (await database.spendings.of("T1", NOW.date(), {"user": "U1", "team": "T1"}))["team"].tokens == 10
    shared = await database.documents.get("T1", "by-1")
    assert shared is not None
    assert (shared.status, shared.by) == ("ready", "")
    assert await database.cache.get("answer:2")


async def test_what_is_told_is_all_there_is_and_only_theirs(database: Database) -> None:
    await lived_in(database)
    told = await people(database).export("T1", "U1")
    assert [one["run_id"] for one in told["runs"]] == ["of-1"]  # type: ignore[attr-defined]
    assert [one["comment"] for one in told["feedback"]] == [f"wrong: {CANARY}"]  # type: ignore[attr-defined]
    assert told["brought"] == ("by-1", "of-1")
    assert [one["text"] for one in told["documents"]] == ["the words of of-1"]  # type: ignore[attr-defined]
    assert len(told["notices"]) == len(told["spendings"]) == 1  # type: ignore[arg-type]
    nobody = await people(database).export("T1", "U9")
    assert not any(value for name, value in nobody.items() if name not in ("team", "user"))


async def test_deleting_twice_does_no_harm(database: Database) -> None:
    await lived_in(database)
    await people(database).delete("T1", "U1")
    gone = await people(database).delete("T1", "U1")
    assert (gone.runs, gone.documents, gone.brought) == (0, 0, 0)


# ------------------------------------------------------------------------------------------ forgetting in every backend


@dataclass
class Replica:
    """The caches of one backend over the database that it shares, and over Redis where there is one."""

    database: Database
    shared: tuple[RedisCache, ...]
    now: datetime = NOW

    def __post_init__(self) -> None:
        memory = MemoryCache(10_000, 3600)
        vectors = Tiers((MemoryCache(10_000, 3600), *self.shared))
        readings = Tiers((MemoryCache(10_000, 3600),))
        self.caches = Caches(Tiers((memory, *self.shared, self.database.cache)), vectors, None, readings=readings)
        self.belonging = SqlPeople(self.database.engine, lambda: self.now)
        self.chore = Forgetting(self.belonging, self.caches, timedelta(days=7), lambda: self.now)

    @property
    def people(self) -> People:
        database = self.database
        return People(self.belonging, database.documents, Removes(database), NoWords(), self.caches, database.flush)

    @property
    def tiers(self) -> tuple[tuple[Tiers, Entry], ...]:
        """What is kept of a question, and where."""
        answer, bare = Entry(folded(CANARY).encode(), "T1"), Entry(folded(CANARY).encode())
        return (self.caches.answers, answer), (self.caches.vectors, bare), (self.caches.readings, bare)

    async def keep(self, began: float) -> None:
        for tiers, entry in self.tiers:
            await tiers.put(KEYS[tiers is self.caches.vectors], entry, began=began)

    async def kept(self) -> list[bool]:
        """Whether anything is found of it: as an answer, as vectors, as a reading."""
        return [await tiers.get(KEYS[tiers is self.caches.vectors]) is not None for tiers, _ in self.tiers]


KEYS = ("answer:1", "vectors:1")


@pytest.fixture(params=["alone", pytest.param("redis", marks=needs_redis)])
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[RedisCache, ...]]:
    if request.param == "alone":
        yield ()
        return
    async with running_redis(tmp_path) as server:
        cache = RedisCache.open(server.url, 60)
        yield (cache,)
        await cache.close()


async def test_what_one_backend_is_told_to_forget_the_others_forget_at_their_next_look(
    database: Database, shared: tuple[RedisCache, ...]
) -> None:
    one, other = Replica(database, shared), Replica(database, shared)
    await lived_in(database)
    for replica in (one, other):
        await replica.chore.look()
        await replica.keep(monotonic())
    began = monotonic()  # of a question that is being answered meanwhile
    await one.people.delete("T1", "U1")
    assert (await one.kept())[0] is False
    assert any(await other.kept()), "in its own memory"
    await other.keep(began)
    await other.chore.look()
    assert await other.kept() == [False] * 3
    await other.keep(began)
    assert await other.kept() == [False] * 3, "what was asked before is not kept after"
    assert await rows_with(database, "xylophone") == {}
    await one.chore.look()
    assert await one.kept() == [False] * 3

    await other.keep(monotonic())
    await other.chore.look()
    assert await other.kept() == [True] * 3, "once is enough"


async def test_a_run_that_had_begun_before_is_gone_after_it_ended(database: Database) -> None:
    replica = Replica(database, ())
    await replica.people.delete("T1", "U1")
    await database.runs.put(run("late", at=NOW - timedelta(seconds=20)))
    await database.runs.put(run("after", at=NOW + timedelta(seconds=1)))
    await database.runs.put(run("other", "U2", at=NOW - timedelta(seconds=20)))
    await replica.chore.look()
    found = [await database.runs.get(name) is not None for name in ("late", "after", "other")]
    assert found == [False, True, True]


async def test_that_somebody_was_forgotten_is_itself_forgotten_when_no_memory_is_as_old(database: Database) -> None:
    replica = Replica(database, ())
    await replica.people.delete("T1", "U1")
    replica.now += timedelta(days=7)
    await replica.chore.look()
    assert [one.user for one in await replica.belonging.forgotten()] == ["U1"]
    replica.now += timedelta(seconds=1)
    await replica.chore.look()
    assert await replica.belonging.forgotten() == ()


def test_a_trace_without_these_words_is_the_same_trace() -> None:
    trace: dict[str, object] = {"question": {"text": "q", "history": [{"role": "user", "text": "Hm."}]}, "query": {}}
    assert without_words(trace, frozenset({folded(CANARY)})) is trace


# ----------------------------------------------------------------------------------------------------------- retention


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


async def flush() -> None:
    return None


async def count(database: Database, table: object) -> int:
    async with database.engine.connect() as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)  # type: ignore[arg-type]


async def test_each_is_kept_for_its_own_time_and_not_a_day_longer(database: Database) -> None:
    for days in (1, 9, 11, 31):
        await database.runs.put(run(f"r{days}", at=NOW - days * DAY))
        await database.feedbacks.put(Feedback(f"r{days}", "U2", 1, "button", "", NOW - days * DAY))
        await database.spendings.add("T1", (NOW - days * DAY).date(), {"user": "U1"}, Spent(1, 0.0))
        at = NOW - days * DAY
        await database.audit.add(Deed(deed_id(at), at, "boss", "key.create", "done"))
        await database.api_keys.add(ApiKey(f"k{days}", "k", frozenset({"ask"}), at - DAY, revoked_at=at))
    terms = Terms(runs=30, traces=10, feedback=5, spendings=8, audit=20)
    await Retention(SqlRetention(database.engine), database.cache, terms, flush, Clock()).run()

    words = {name: has_words(trace) for name in ("r1", "r9", "r11") if (trace := await database.runs.get(name))}
    assert words == {"r1": True, "r9": True, "r11": False}
    assert await database.runs.get("r31") is None
    assert (await count(database, runs), await count(database, feedback)) == (3, 1)
    assert len((await database.audit.page()).deeds) == 3
    assert {key.key_id for key in await database.api_keys.list()} == {"k1", "k9", "k11"}
    assert await count(database, tables.tables["spendings"]) == 1


async def test_nothing_is_deleted_that_is_kept_for_ever(database: Database) -> None:
    await database.runs.put(run("old", at=NOW - 4000 * DAY))
    terms = Terms(runs=0, traces=0, feedback=0, spendings=0, audit=0)
    await Retention(SqlRetention(database.engine), database.cache, terms, flush, Clock()).run()
    assert has_words(await database.runs.get("old") or {"question": {"text": WITHHELD}})


async def test_more_than_one_batch_goes_at_once_and_the_chore_rests_for_an_hour(database: Database) -> None:
    clock = Clock()
    retention = Retention(SqlRetention(database.engine), database.cache, Terms(runs=1, audit=1), flush, clock)
    old = NOW - 9 * DAY
    for _ in range(BATCH + 3):
        await database.audit.add(Deed(deed_id(old), old, "boss", "key.create", "done"))
    await retention.run()
    assert (await database.audit.page()).deeds == ()
    await database.runs.put(run("late", at=old))
    await retention.run()
    assert await count(database, runs) == 1
    clock.now += EVERY
    await retention.run()
    assert await count(database, runs) == 0


async def test_answers_that_were_kept_too_long_go_though_nobody_asks(database: Database) -> None:
    clock = Clock()
    cache = replace(database.cache, age=DAY, now=clock)
    await cache.put("answer:1", Entry(b"xylophone", "T1"))
    clock.now += 2 * DAY
    await Retention(SqlRetention(database.engine), cache, Terms(), flush, clock).run()
    assert await count(database, tables.tables["cached"]) == 0


def test_of_a_stripped_trace_the_figures_are_left_and_no_gap_is_read_from_it() -> None:
    from backend.codec import run_to_json

    trace = stripped(run_to_json(follow_up("later")))
    said = str(trace)
    assert not any(word in said for word in ("xylophone", "lunch", "leave", "Handbook", "25 days"))
    assert trace["metadata"]["prompt"] == "answer@v1"  # type: ignore[index]
    assert not is_gap(PastRun("r", NOW, "abstained", WITHHELD))
    assert is_gap(PastRun("r", NOW, "abstained", "a question"))
