"""What a question means is asked of a model once a day, and anew wherever anything that it is shown differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.adapters.memory import MemoryCache
from backend.caches import Caches
from backend.domain import Cached, Catalogue, Question, Turn
from backend.errors import LLMUnavailable
from backend.ports import CacheTier, Entry
from backend.query.caching.reading import CachedReader
from backend.query.caching.tiers import CacheName, Tiers
from backend.query.proposal import Proposal, Proposed, known_fields
from backend.query.understand import read
from tests.fakes.caching import BrokenCache
from tests.fakes.story import TEAM

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
ASKED = "And those by Ana Lima?"
HISTORY = (Turn("user", "Which proposals were rejected?"), Turn("assistant", "Two of them."))
FIELDS = {"author": ["Ana Lima"], "published_at": list[str]()}
MEANT = Proposal(
    "Which proposals by Ana Lima were rejected?", (Proposed("author", "is", ("Ana Lima",), "by Ana Lima"),)
)


@dataclass
class CountingReader:
    """query.proposal.Reader that always says the same; `fails` times it says nothing."""

    fails: int = 0
    asked: list[str] = field(default_factory=list)

    async def read(
        self, question: str, history: Sequence[Turn], fields: Mapping[str, Sequence[str]], now: datetime
    ) -> Proposal:
        self.asked.append(question)
        if len(self.asked) <= self.fails:
            raise LLMUnavailable("down")
        return MEANT


@dataclass
class Lookups:
    found: list[tuple[CacheName, Cached]] = field(default_factory=list)

    def looked_up(self, cache: CacheName, result: Cached) -> None:
        self.found.append((cache, result))

    def evicted(self, tier: CacheTier, entries: int) -> None:
        raise AssertionError

    def cache_failed(self, tier: CacheTier) -> None:
        pass


def memory() -> MemoryCache:
    return MemoryCache(100_000, 3_600)


async def test_the_same_question_is_read_once_and_counted() -> None:
    model, lookups = CountingReader(), Lookups()
    reader = CachedReader(model, Tiers((memory(),), lookups), ("m", "hash"))
    said = [await reader.read(ASKED, HISTORY, FIELDS, NOW + timedelta(hours=hour)) for hour in range(3)]
    assert said == [MEANT] * 3
    assert model.asked == [ASKED]
    assert lookups.found == [("readings", "miss"), ("readings", "l1"), ("readings", "l1")]


@pytest.mark.parametrize(
    ("question", "history", "fields", "now", "recipe"),
    [
        ("And those by Ana Lima!", HISTORY, FIELDS, NOW, ("m", "hash")),
        (ASKED, HISTORY[:1], FIELDS, NOW, ("m", "hash")),
        (ASKED, (replace(HISTORY[0], role="assistant"), HISTORY[1]), FIELDS, NOW, ("m", "hash")),
        (ASKED, HISTORY, {**FIELDS, "author": ["Ana Lima", "Bo"]}, NOW, ("m", "hash")),
        (ASKED, HISTORY, {**FIELDS, "tag": []}, NOW, ("m", "hash")),
        (ASKED, HISTORY, FIELDS, NOW + timedelta(days=1), ("m", "hash")),
        (ASKED, HISTORY, FIELDS, NOW, ("other", "hash")),
        (ASKED, HISTORY, FIELDS, NOW, ("m", "other")),
    ],
    ids=["words", "thread", "who said it", "values", "fields", "day", "model", "prompt"],
)
async def test_whatever_the_model_is_shown_makes_another_reading(
    question: str, history: Sequence[Turn], fields: Mapping[str, Sequence[str]], now: datetime, recipe: tuple[str, str]
) -> None:
    model, tiers = CountingReader(), Tiers((memory(),))
    await CachedReader(model, tiers, ("m", "hash")).read(ASKED, HISTORY, FIELDS, NOW)
    await CachedReader(model, tiers, recipe).read(question, history, fields, now)
    assert len(model.asked) == 2


async def test_what_a_model_failed_to_say_is_not_kept() -> None:
    model = CountingReader(fails=1)
    reader = CachedReader(model, Tiers((memory(),)), ())
    with pytest.raises(LLMUnavailable):
        await reader.read(ASKED, HISTORY, FIELDS, NOW)
    assert await reader.read(ASKED, HISTORY, FIELDS, NOW) == MEANT


async def test_a_cache_that_is_down_costs_a_call_and_no_more() -> None:
    model = CountingReader()
    reader = CachedReader(model, Tiers((BrokenCache(),)), ())
    assert [await reader.read(ASKED, HISTORY, FIELDS, NOW) for _ in range(2)] == [MEANT] * 2
    assert len(model.asked) == 2


@given(st.binary(max_size=60))
async def test_bytes_that_are_no_reading_are_a_miss(value: bytes) -> None:
    @dataclass
    class Littered:
        tier: CacheTier = "l1"

        async def get(self, key: str) -> Entry | None:
            return Entry(value)

        async def put(self, key: str, entry: Entry) -> int:
            return 0

        async def forget(self, team: str, document_ids: Sequence[str]) -> int:
            return 0

        async def forget_answers(self, team: str) -> int:
            return 0

    assert await CachedReader(CountingReader(), Tiers((Littered(),)), ()).read(ASKED, (), FIELDS, NOW) == MEANT


async def test_a_kept_reading_is_believed_only_as_far_as_the_catalogue_bears_it_out() -> None:
    model = CountingReader()
    reader = CachedReader(model, Tiers((memory(),)), ())
    question = Question(ASKED, TEAM, history=HISTORY)
    catalogue = Catalogue(values={"author": {"Ana Lima": 2, "Bo Berg": 1}})
    first, again = [await read(question, catalogue, NOW, reader, deadline=60) for _ in range(2)]
    assert first == again
    assert first.query.understood is not None
    assert len(model.asked) == 1
    without = Catalogue(values={"author": {"Bo Berg": 1}})
    assert known_fields(without) != known_fields(catalogue)
    assert (await read(question, without, NOW, reader, deadline=60)).query.understood is None
    assert len(model.asked) == 2


async def test_readings_are_dropped_with_the_answers_of_whoever_is_forgotten() -> None:
    model = CountingReader()
    caches = Caches(Tiers(), Tiers(), None, readings=Tiers((memory(),)))
    reader = caches.remembering_readings(model, "m", "hash")
    await reader.read(ASKED, HISTORY, FIELDS, NOW)
    await caches.forget_answers(TEAM)
    await reader.read(ASKED, HISTORY, FIELDS, NOW)
    assert len(model.asked) == 2


def test_where_nothing_is_kept_the_reader_is_left_as_it_is() -> None:
    model = CountingReader()
    assert Caches(Tiers(), Tiers(), None).remembering_readings(model, "m", "hash") is model
