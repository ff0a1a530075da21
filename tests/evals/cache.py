"""Caches on a realistic mix: how often an answer is known, and that it is never stale and never another audience's.

The pipeline is the real one, understanding, retrieval, compression and verification included, over the local embedder;
the index is in memory and the model copies. What the cached pipeline says is compared with what one without a cache
says at that moment; that each quote stands in a document that the asker may read now is checked for every request.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from rich.table import Table

from backend.adapters.extractive import ExtractiveAnswerer
from backend.adapters.memory import MemoryCache
from backend.adapters.minilm import MiniLM
from backend.domain import Audience, Done, Question, Run
from backend.ports import Embedder
from backend.query.caching.answers import Answers
from backend.query.caching.embedding import CachedEmbedder
from backend.query.caching.semantic import Semantic
from backend.query.caching.tiers import Tiers
from backend.query.caching.writing import ForgettingWriter
from backend.query.pipeline import Pipeline
from tests.evals import cache_pairs
from tests.evals.cached_world import QuickIndex, add, move, remove, rewrite, shown_to
from tests.evals.corpora import TEAM, embed_sources, load_cases, load_sources, split_source
from tests.fakes.caching import QuotingModel
from tests.fakes.state import FakeDocuments, FakeRuns

SETS = ("cache",)
SOURCES = ("xquad_en", "clapnq", "chunk_spans")
QUESTIONS = 1_000
REQUESTS = 20_000
SHORT = 2_000
"""Requests where all sets are measured."""
CHANGES = 40
"""Documents that are rewritten, moved, added or removed meanwhile."""
RATES = (10, CHANGES, 160)
"""Changes in REQUESTS for which the hit rate is told where this set alone is asked for. None of them is the right one:
20,000 requests are a month of a busy team, in which the 417 documents here may hardly change, or a third of them may.
Each change costs the answers that drew on that document, and those for which it is among the passages found now; the
more change, the fewer hits, and the table shows how fast."""
EARLY = 5_000
"""Requests after which the rates are compared: nearly all time goes to the pipeline itself, so only the usual rate of
change is followed to REQUESTS, where fewer questions are new and the hit rate is higher."""
CHECKED = 20
"""One request in so many is computed anew without a cache."""
AUDIENCES = (
    (Audience(channel="C0", user="U2"), 0.5),
    (Audience(channel="C1", user="U3"), 0.2),
    (Audience(channel="C2", user="U4"), 0.15),
    (Audience(user="U1", private=True, channels=("C0", "C1")), 0.1),
    (Audience(), 0.05),
)
VARIANTS = (str, str, str, str.lower, lambda text: f"  {text.rstrip('?')} ?")
"""How people write the same question."""


@dataclass
class Mix:
    """What was asked, and what came of it."""

    requests: int = 0
    results: Counter[str] = field(default_factory=Counter)
    model_calls: int = 0
    stale: int = 0
    foreign: int = 0
    checked: int = 0
    different: int = 0
    evictions: int = 0
    miss_ms: list[float] = field(default_factory=list)
    hit_ms: list[float] = field(default_factory=list)
    early: float = 0.0
    """Hit rate after the first EARLY requests."""

    @property
    def hit_rate(self) -> float:
        return self.results["l1"] / max(1, self.asked)

    @property
    def asked(self) -> int:
        """Requests that needed an answer: the others were abstained from before a model would be asked."""
        return sum(self.results.values()) - self.results["none"]


@dataclass
class World:
    """The pipeline with a cache, and the same without."""

    index: QuickIndex
    embedder: Embedder
    tiers: Tiers = field(default_factory=lambda: Tiers((MemoryCache(64_000_000, 1e9),)))
    semantic: Semantic | None = None
    model: QuotingModel = field(default_factory=QuotingModel)
    plain: QuotingModel = field(default_factory=QuotingModel)

    async def ask(self, question: Question, *, cached: bool = True) -> Run:
        answers = Answers(self.tiers, "eval", self.semantic) if cached else Answers()
        pipeline = Pipeline(
            index=self.index,
            embedder=self.embedder,
            documents=FakeDocuments(),
            runs=FakeRuns(),
            extractive=ExtractiveAnswerer(),
            answerers=(self.model if cached else self.plain,),
            answers=answers,
        )
        events = [event async for event in pipeline.answer(question, "r")]
        assert isinstance(events[-1], Done)
        return events[-1].run


async def opened_world(embedder: MiniLM, cache: Path, names: Sequence[str] = SOURCES) -> tuple[World, list[str]]:
    """Return a world of the labelled documents, and their questions."""
    documents, questions = [], []
    for name in names:
        sources = load_sources(name)
        chunks = [split_source(source, embedder) for source in sources]
        documents += await embed_sources(sources, chunks, embedder, cache)
        questions += [case.question for case in load_cases(name)]
    held = {one.document_id: replace(one, visibility=shown_to(one.document_id)) for one in documents}
    vectors = Tiers((MemoryCache(64_000_000, 1e9),))
    return World(QuickIndex(held), CachedEmbedder(embedder, vectors, MemoryCache(64_000_000, 1e9))), questions[
        :QUESTIONS
    ]


async def replay(
    world: World, questions: Sequence[str], requests: int, *, seed: int = 7, changes: int = CHANGES
) -> Mix:
    """Ask `requests` questions, the n-th most popular one n times as rarely as the first, while documents change."""
    chance, mix = random.Random(seed), Mix(requests=requests)
    ranked = chance.sample(list(questions), len(questions))
    texts = chance.choices(ranked, [1 / rank for rank in range(1, len(ranked) + 1)], k=requests)
    who = chance.choices([one for one, _ in AUDIENCES], [share for _, share in AUDIENCES], k=requests)
    writer = ForgettingWriter(world.index, world.tiers)  # type: ignore[arg-type]  # it needs replace and delete only
    every = max(1, requests // changes)
    for number, (text, audience) in enumerate(zip(texts, who, strict=True), start=1):
        if number % every == 0:
            new, gone = chance.choice((rewrite, rewrite, move, add, remove))(world.index, chance, number)
            await writer.replace(new)
            await writer.delete(TEAM, gone)
        await _request(world, mix, Question(chance.choice(VARIANTS)(text), TEAM, audience), check=number % CHECKED == 0)
        if number == EARLY:
            mix.early = mix.hit_rate
    mix.model_calls = world.model.calls
    return mix


async def _request(world: World, mix: Mix, question: Question, *, check: bool) -> None:
    calls, began = world.model.calls, perf_counter()
    run = await world.ask(question)
    took = (perf_counter() - began) * 1000
    hit = run.metadata.cache != "miss"
    (mix.hit_ms if hit else mix.miss_ms).append(took)
    mix.results[run.metadata.cache if hit or world.model.calls > calls else "none"] += 1
    for citation in run.citations:
        now = world.index.documents.get(citation.document_id)
        mix.stale += now is None or not any(citation.quote in chunk.text for chunk in now.chunks)
        mix.foreign += now is not None and str(now.visibility) not in question.audience.visibilities()
    if check:
        plain = await world.ask(question, cached=False)
        mix.checked += 1
        mix.different += (run.answer, run.citations) != (plain.answer, plain.citations)


async def report(names: Sequence[str], embedder: MiniLM, cache: Path) -> list[Table]:
    """Replay the mix, shortened unless it alone is asked for, and compare the two semantic caches."""
    world, questions = await opened_world(embedder, cache)
    tables = await by_rate(world, questions, REQUESTS, RATES) if alone() else await by_rate(world, questions, SHORT)
    return [*tables, await _pairs_table(embedder, cache)]


async def by_rate(
    world: World, questions: Sequence[str], requests: int, rates: Sequence[int] = (CHANGES,)
) -> list[Table]:
    """Replay the mix once for each number of changes in so many requests, each time from the same documents and with
    nothing kept but the vectors of texts; return the whole story of the usual number, and what becomes of the hits as
    the number grows."""
    mixes: dict[int, Mix] = {}
    for rate in rates:
        count = requests if rate == CHANGES else min(requests, EARLY)
        index, tiers = QuickIndex(dict(world.index.documents)), Tiers((MemoryCache(64_000_000, 1e9),))
        fresh = replace(world, index=index, tiers=tiers, model=QuotingModel(), plain=QuotingModel())
        mixes[rate] = await replay(fresh, questions, count, changes=max(1, rate * count // requests))
    tables = [_mix_table(mixes[CHANGES], len(questions))] if CHANGES in mixes else []
    return [*tables, *([_rates_table(mixes, requests)] if len(mixes) > 1 else [])]


def _rates_table(mixes: Mapping[int, Mix], requests: int) -> Table:
    table = Table(f"changes in {requests:,}", f"hit rate after {EARLY:,}", "requests", "hit rate then", "model calls",
                  "stale", "foreign", "unlike an uncached answer",
                  title="Answer cache by how often documents change")  # fmt: skip
    for rate, mix in mixes.items():
        shares = f"{mix.early:.1%}", f"{mix.requests:,}", f"{mix.hit_rate:.1%}"
        unlike = f"{mix.different} of {mix.checked:,}"
        table.add_row(str(rate), *shares, f"{mix.model_calls:,}", str(mix.stale), str(mix.foreign), unlike)
    return table


def alone() -> bool:
    """Whether this set was asked for by its name."""
    return "cache" in sys.argv[1:]


def _mix_table(mix: Mix, questions: int) -> Table:
    title = f"Answer cache: {mix.requests:,} requests over {questions:,} questions (Zipf), {CHANGES} documents changing"
    table = Table("", "figure", title=f"{title}, {datetime.now(UTC):%Y-%m-%d}")
    for name, value in (
        ("hit rate, of requests that need an answer", f"{mix.hit_rate:.1%}"),
        ("abstained before a model would be asked", f"{mix.results['none'] / mix.requests:.1%}"),
        ("model calls", f"{mix.model_calls:,}"),
        ("stale quotes, every request checked", str(mix.stale)),
        ("quotes that the asker may not read, every request checked", str(mix.foreign)),
        ("answers unlike those computed without a cache", f"{mix.different} of {mix.checked:,}"),
        ("ms per hit, per miss (retrieval runs in both)", f"{_mean(mix.hit_ms):.1f}, {_mean(mix.miss_ms):.1f}"),
    ):
        table.add_row(name, value)
    return table


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))


async def _pairs_table(embedder: MiniLM, cache: Path) -> Table:
    """Serve an answer to one question to another that is like it: rightly to a paraphrase, falsely to a near miss."""
    world, _ = await opened_world(embedder, cache)
    pairs = cache_pairs.build(SOURCES[0], questions=100 if alone() else 30)
    tried = [await _tried(world, pair) for pair in pairs]
    table = Table(
        "least cosine", "plain: right hits", "plain: false hits", "verified: right hits", "verified: false hits",
        title=f"Semantic cache on {len(pairs)} pairs of {SOURCES[0]}",
    )  # fmt: skip
    for threshold in (0.7, 0.75, 0.8, 0.85, 0.9, 0.95):
        rates = [_rate(tried, threshold, same=same, verified=how) for how in (False, True) for same in (True, False)]
        table.add_row(f"{threshold:.2f}", *rates)
    return table


@dataclass(frozen=True, slots=True)
class _Tried:
    pair: cache_pairs.Pair
    cosine: float
    served: bool


async def _tried(world: World, pair: cache_pairs.Pair) -> _Tried:
    """Ask the first question of a pair with empty caches, then the second."""
    tiers = Tiers((MemoryCache(1_000_000, 1e9),))
    here = replace(world, tiers=tiers, semantic=Semantic(0.0, world.embedder), model=QuotingModel())
    everyone = Audience(user="U1", private=True, channels=("C1", "C2"))
    for text in (pair.asked, pair.then):
        run = await here.ask(Question(text, TEAM, everyone, understand=False))
    one, other = [await world.embedder.embed_query(text) for text in (pair.asked, pair.then)]
    return _Tried(pair, float(one.sentence @ other.sentence), run.metadata.cache == "semantic")


def _rate(tried: Sequence[_Tried], threshold: float, *, same: bool, verified: bool) -> str:
    of_kind = [one for one in tried if one.pair.same == same]
    hits = sum(one.cosine >= threshold and (one.served or not verified) for one in of_kind)
    return f"{hits / max(1, len(of_kind)):.1%} ({hits}/{len(of_kind)})"
