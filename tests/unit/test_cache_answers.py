import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.adapters.memory import MemoryCache
from backend.domain import Audience, Cached, Condition, Delta, Done, Question, Turn, Vectors
from backend.errors import LLMUnavailable
from backend.ports import CacheTier, Entry
from backend.query.caching.answers import Answers
from backend.query.caching.embedding import CachedEmbedder
from backend.query.caching.kept import decode_answer, decode_vectors
from backend.query.caching.keys import normalised
from backend.query.caching.tiers import CacheName, Tiers
from tests.fakes.caching import BrokenCache, CachedWorld, QuotingModel
from tests.fakes.embedder import HashEmbedder
from tests.fakes.story import TEAM, ScriptedAnswerer

BADGES = "New badges are processed every Wednesday. Bring two forms of identification."
LEAVE = "Parental leave lasts sixteen weeks. It must be requested in writing."
ASK_BADGES = Question("When are new badges processed?", TEAM)
ASK_LEAVE = Question("How many weeks does parental leave last?", TEAM)


async def world(**changes: object) -> CachedWorld:
    made = CachedWorld(**changes)  # type: ignore[arg-type]
    await made.write("badges", BADGES)
    await made.write("leave", LEAVE)
    return made


async def test_a_question_asked_again_is_told_the_same_without_asking_the_model() -> None:
    here = await world()
    first = await here.ask(ASK_BADGES, run_id="r1")
    events = [event async for event in here.cached.answer(ASK_BADGES, "r2")]
    assert isinstance(events[-1], Done)
    second = events[-1].run
    assert (first.metadata.cache, second.metadata.cache, here.model.calls) == ("miss", "l1", 1)
    assert "badges are processed" in first.answer
    assert (second.answer, second.citations, second.outcome) == (first.answer, first.citations, first.outcome)
    assert (second.metadata.model, second.metadata.prompt_hash) == ("quoting", "0" * 64)
    assert "".join(event.text for event in events if isinstance(event, Delta)) == first.answer
    assert sum(isinstance(event, Delta) for event in events) > 0
    assert here.runs.rows["r2"].answer == first.answer


@pytest.mark.parametrize(
    "variant",
    [
        replace(ASK_BADGES, text="  when are  NEW badges processed "),
        replace(ASK_BADGES, audience=Audience(channel="C1", user="U1")),
        replace(ASK_BADGES, audience=Audience(user="U2", private=True, channels=("C7",))),
        replace(ASK_BADGES, history=(Turn("user", "Hello"),)),
    ],
)
async def test_what_says_nothing_of_the_answer_does_not_keep_it_from_being_shared(variant: Question) -> None:
    here = await world()
    await here.ask(ASK_BADGES)
    assert (await here.ask(variant)).metadata.cache == "l1"


@pytest.mark.parametrize(
    "other",
    [
        replace(ASK_BADGES, text="When are old badges processed?"),
        replace(ASK_BADGES, filter=Condition("eq", "document_id", "badges")),
        replace(ASK_BADGES, text="Wann werden die badges processed, und wie ist es mit new badges?"),
    ],
)
async def test_another_question_filter_or_evidence_is_answered_anew(other: Question) -> None:
    here = await world()
    await here.ask(ASK_BADGES)
    assert (await here.ask(other)).metadata.cache == "miss"


async def test_another_prompt_model_or_recipe_is_answered_anew() -> None:
    here = await world()
    await here.ask(ASK_BADGES)
    for model, recipe in (
        (QuotingModel(prompt="answer@v2"), "recipe"),
        (QuotingModel(prompt_hash="1" * 64), "recipe"),
        (QuotingModel(model="other"), "recipe"),
        (QuotingModel(), "another verifier"),
    ):
        await _asked_of(here, model, Answers(here.tiers, recipe))
        assert model.calls == 1
    same = QuotingModel()
    await _asked_of(here, same, Answers(here.tiers, "recipe"))
    assert same.calls == 0


async def _asked_of(here: CachedWorld, model: QuotingModel, answers: Answers) -> None:
    async for _ in here.pipeline(model, answers).answer(ASK_BADGES, "r"):
        pass


@pytest.mark.parametrize("forgets", [True, False])
async def test_a_change_to_a_document_drops_its_answers_at_once_and_others_live(forgets: bool) -> None:
    here = await world()
    only = {one: replace(ASK_BADGES, filter=Condition("eq", "document_id", one)) for one in ("badges", "leave")}
    only["leave"] = replace(only["leave"], text=ASK_LEAVE.text)
    for question in only.values():
        await here.ask(question)
    await here.write("badges", BADGES.replace("Wednesday", "Friday"), forgets=forgets)
    changed, lives = await here.ask(only["badges"]), await here.ask(only["leave"])
    assert "Friday" in changed.answer
    assert (changed.metadata.cache, lives.metadata.cache) == ("miss", "l1")


async def test_a_new_document_that_answers_better_is_not_hidden_by_an_older_answer() -> None:
    here = await world()
    await here.ask(ASK_LEAVE)
    await here.write("news", "Parental leave lasts twenty weeks from this year on.")
    cached, plain = await here.both(ASK_LEAVE)
    assert "twenty" in cached.answer
    assert cached.answer == plain.answer


async def test_a_removed_document_leaves_the_cache_with_the_removal() -> None:
    memory = MemoryCache(1_000_000, 3600)
    here = await world(stores=(memory,))
    await here.ask(ASK_BADGES)
    assert memory.used > 0
    await here.delete("badges")
    assert memory.used == 0
    assert "Wednesday" not in (await here.ask(ASK_BADGES)).answer


async def test_an_answer_that_was_being_written_when_a_document_went_is_not_kept() -> None:
    memory = MemoryCache(1_000_000, 3600)
    tiers = Tiers((memory,))
    began = monotonic()
    await tiers.forget("T1", ["gone"])
    await tiers.put("k", Entry(b"words", "T1", ("gone", "there")), began=began)
    assert memory.used == 0
    await tiers.put("k", Entry(b"words", "T1", ("gone",)), began=monotonic())
    assert memory.used > 0


async def test_an_abstention_of_the_model_is_kept_as_well() -> None:
    here = await world()
    llm = ScriptedAnswerer(["NO_ANSWER"])
    pipeline = replace(here.cached, answerers=(llm,))
    for _ in range(2):
        events = [event async for event in pipeline.answer(ASK_BADGES, "r")]
    assert isinstance(events[-1], Done)
    assert (events[-1].run.outcome, events[-1].run.metadata.cache, len(llm.asked)) == ("abstained", "l1", 1)
    assert "badges" in events[-1].run.answer


async def test_what_a_fault_made_of_an_answer_is_not_kept() -> None:
    here = await world()
    for pieces in (["never"], ["New badges are processed every Wednesday [1]. Then "]):
        broken = ScriptedAnswerer(pieces, fault=LLMUnavailable("down"), after=len(pieces) - 1 if pieces[1:] else 0)
        await _asked_of(here, broken, Answers(here.tiers, "r"))  # type: ignore[arg-type]
    whole = ScriptedAnswerer(["New badges are processed every Wednesday [1]."])
    await _asked_of(here, whole, Answers(here.tiers, "r"))  # type: ignore[arg-type]
    assert len(whole.asked) == 1


async def test_hanging_up_midway_keeps_nothing() -> None:
    here = await world()
    answer = here.cached.answer(ASK_BADGES, "r")
    async for event in answer:
        if isinstance(event, Delta):
            break
    assert isinstance(answer, AsyncGenerator)
    await answer.aclose()
    assert (await here.ask(ASK_BADGES)).metadata.cache == "miss"


async def test_quoting_without_a_model_is_kept_too() -> None:
    here = await world()
    for expected in ("miss", "l1"):
        events = [event async for event in here.pipeline(None, Answers(here.tiers)).answer(ASK_BADGES, "r")]
        assert isinstance(events[-1], Done)
        assert events[-1].run.metadata.cache == expected


# -------------------------------------------------------------------------------------------------------------- tiers


@dataclass
class Figures:
    lookups: list[tuple[CacheName, Cached]] = field(default_factory=list)
    failures: list[CacheTier] = field(default_factory=list)
    evictions: int = 0

    def looked_up(self, cache: CacheName, result: Cached) -> None:
        self.lookups.append((cache, result))

    def evicted(self, tier: CacheTier, entries: int) -> None:
        self.evictions += entries

    def cache_failed(self, tier: CacheTier) -> None:
        self.failures.append(tier)


@dataclass
class Far(MemoryCache):
    """A memory cache that passes for the shared one."""

    def __post_init__(self) -> None:
        self.tier = "l2"


async def test_what_a_farther_cache_holds_moves_nearer() -> None:
    near, far = MemoryCache(10_000, 60), Far(10_000, 60)
    entry = Entry(b"v", "T1", ("a",))
    await far.put("k", entry)
    tiers = Tiers((near, far))
    assert await tiers.get("k") == (entry, "l2")
    assert await tiers.get("k") == (entry, "l1")
    await tiers.forget("T1", ["a"])
    assert await tiers.get("k") is None


async def test_a_cache_that_is_down_costs_nothing_but_a_count_and_is_left_alone_for_a_while() -> None:
    figures, broken = Figures(), BrokenCache()
    tiers = Tiers((MemoryCache(10_000, 60), broken), figures)
    await tiers.put("k", Entry(b"v"), began=0.0)
    assert await tiers.get("k") == (Entry(b"v"), "l1")
    assert await tiers.get("other") is None
    assert (figures.failures, broken.calls) == (["l2"], 1)
    await tiers.forget("T1", ["a"])
    assert broken.calls == 2


async def test_a_cache_that_hangs_is_not_waited_for() -> None:
    class Stuck(BrokenCache):
        async def get(self, key: str) -> Entry | None:
            await asyncio.Event().wait()
            raise AssertionError

    figures, began = Figures(), monotonic()
    assert await Tiers((Stuck(),), figures).get("k") is None
    assert monotonic() - began < 1
    assert figures.failures == ["l2"]


async def test_the_answer_is_told_though_every_cache_is_down() -> None:
    here = await world(stores=(BrokenCache(),))
    runs = [await here.ask(ASK_BADGES) for _ in range(2)]
    assert {run.outcome for run in runs} == {"answered"}
    assert {run.metadata.cache for run in runs} == {"miss"}


async def test_vectors_of_a_query_are_remembered_exactly_and_by_its_very_words() -> None:
    @dataclass
    class Counting(HashEmbedder):
        asked: list[str] = field(default_factory=list)

        async def embed_query(self, text: str):  # type: ignore[no-untyped-def]
            self.asked.append(text)
            return await super().embed_query(text)

    embedder, figures = Counting(), Figures()
    cached = CachedEmbedder(embedder, Tiers((MemoryCache(100_000, 60),), figures), MemoryCache(100_000, 60))
    first, again, other = [await cached.embed_query(text) for text in ("Leave?", "Leave?", "leave?")]
    assert embedder.asked == ["Leave?", "leave?"]
    assert (again.search == first.search).all()
    assert (again.sentence == first.sentence).all()
    assert other.search.shape == (384,)
    assert [result for _, result in figures.lookups] == ["miss", "l1", "miss"]


@given(st.binary(max_size=200))
def test_bytes_that_are_not_ours_are_a_miss(value: bytes) -> None:
    assert decode_vectors(value, 384) is None
    decoded = decode_answer(value)
    assert decoded is None


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


async def test_each_sentence_is_embedded_once_and_comes_back_in_its_place() -> None:
    @dataclass
    class Counting(HashEmbedder):
        asked: list[str] = field(default_factory=list)

        async def embed_sentences(self, texts: Sequence[str]) -> Vectors:
            self.asked += texts
            return await super().embed_sentences(texts)

    embedder = Counting()
    cached = CachedEmbedder(embedder, Tiers(), MemoryCache(100_000, 60))
    await cached.embed_sentences(["One.", "Two."])
    rows = await cached.embed_sentences(["Two.", "Three.", "One.", "Three."])
    assert embedder.asked == ["One.", "Two.", "Three."]
    assert (rows == await HashEmbedder().embed_sentences(["Two.", "Three.", "One.", "Three."])).all()
    assert (await cached.embed_sentences([])).shape == (0, 384)


# ------------------------------------------------------------------------------------- never stale, never another's

TOPICS = ("new badges are processed", "new badges are printed")
QUESTIONS = ("When are new badges processed?", "When are new badges printed?")
WHEN = ("every Wednesday", "sixteen weeks", "each third year", "on request only")
VISIBILITIES = ("team", "team", "channel:C1", "user:U1")
AUDIENCES = (
    Audience(),
    Audience(channel="C1", user="U1"),
    Audience(channel="C2", user="U2"),
    Audience(user="U1", private=True, channels=("C1", "C2")),
)
DOCUMENTS = ("a", "b", "c", "d")

writes = st.tuples(
    st.just("write"), st.sampled_from(DOCUMENTS), st.sampled_from(TOPICS), st.sampled_from(WHEN),
    st.sampled_from(VISIBILITIES), st.booleans(),
)  # fmt: skip
deletes = st.tuples(st.just("delete"), st.sampled_from(DOCUMENTS), st.booleans())
asks = st.tuples(st.just("ask"), st.sampled_from(QUESTIONS), st.sampled_from(AUDIENCES))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(writes, asks, asks, deletes), min_size=8, max_size=30), st.booleans())
async def test_whatever_changes_and_whoever_asks_the_answer_is_that_of_now_for_them(
    steps: Sequence[tuple[object, ...]], semantic: bool
) -> None:
    here = CachedWorld(semantic=0.5 if semantic else None)
    held: dict[str, tuple[str, str]] = {}
    steps = [("write", "a", TOPICS[0], WHEN[0], "team", True), *steps]
    for step in steps:
        match step:
            case ("write", str(document_id), str(topic), str(when), str(visibility), bool(forgets)):
                held[document_id] = (f"All {topic} {when}.", visibility)
                await here.write(document_id, *held[document_id], forgets=forgets)
            case ("delete", str(document_id), bool(forgets)):
                held.pop(document_id, None)
                await here.delete(document_id, forgets=forgets)
            case ("ask", str(text), Audience() as audience):
                cached, plain = await here.both(Question(text, TEAM, audience))
                for citation in cached.citations:
                    text_now, visibility = held[citation.document_id]
                    assert visibility in audience.visibilities()
                    assert citation.quote in text_now
                if cached.metadata.cache != "semantic":
                    assert (cached.answer, cached.citations) == (plain.answer, plain.citations)
