"""Retrieval on labelled sets: what the story retrieves beside plain RRF, BM25 and vectors, alone and in one index.

The yardsticks search plain windows of 190 words with their titles, the first 100 of each side; ours searches what
ingestion makes. In the mixed index the questions of every set meet the documents of all. Without an LLM or a reranker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rich.table import Table

from backend.adapters.lancedb import LanceIndex
from backend.adapters.minilm import MiniLM
from backend.domain import IndexedDocument, Passage, Query, QueryVectors
from backend.evaluate.metrics import mean, ndcg, recall
from backend.query.fuse import rrf
from backend.query.retrieve import retrieve
from tests.evals.corpora import TEAM, Case, embed_sources, index_of, load_cases, load_sources, split_source, windows
from tests.fakes.embedder import HashEmbedder

SETS = (
    "scifact", "2wiki_multihop", "anthropic_docs", "tts_handbook", "xquad_en", "clapnq", "mtrag_un",
    "enterprise_rag_bench", "wixqa_sample", "lihua_chat", "workplace",
)  # fmt: skip
SAMPLE = 150
"""Questions of a set, evenly spaced, where several sets are measured; one alone is measured in full."""
DEPTH = 100
OURS = 40
"""Passages asked for, so that ten documents are among them."""
WAYS = ("ours", "RRF", "BM25", "vector")
PUBLISHED = {
    "scifact": "other split: BM25 .692, RRF .716, BM25+bge-reranker .731, bge-base .741",
    "anthropic_docs": "other split: BM25 .798, MiniLM .733, RRF .822",
    "tts_handbook": "other split: BM25 .856, MiniLM .858, RRF .948",
}
"""nDCG@10, for orientation: larger splits, so more distractors."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Means over the questions that have gold documents; `stale` over those that have superseded ones too: how often
    one of these stands above the first gold one (None where a set names none)."""

    ndcg: float
    recall: float
    stale: float | None = None

    def __str__(self) -> str:
        return f"{self.ndcg:.3f} {self.recall:.3f}"


Found: TypeAlias = dict[str, Retrieval]
"""Way → what it found."""


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """One set, embedded: as ingestion cuts it, and in windows."""

    name: str
    cases: Sequence[Case]
    vectors: Sequence[QueryVectors]
    split: Sequence[IndexedDocument]
    windows: Sequence[IndexedDocument]


async def report(names: Sequence[str], embedder: MiniLM, cache: Path) -> list[Table]:
    """Measure each set in an index of its own, then all in one."""
    sample = None if len(names) == 1 else SAMPLE
    corpora = [await load(name, embedder, cache, sample) for name in names]
    alone = {corpus.name: (await measure([corpus], embedder))[corpus.name] for corpus in corpora}
    tables = [_table("Retrieve: nDCG@10 and R@5 by document, each set alone", alone)]
    if len(corpora) > 1:
        tables.append(_table("Retrieve: the same, all sets in one index", await measure(corpora, embedder)))
    return tables


async def load(name: str, embedder: MiniLM, cache: Path, sample: int | None) -> Corpus:
    """Read a set and embed it; at most `sample` of its questions that have gold documents."""
    sources = load_sources(name)
    cases = [case for case in load_cases(name) if case.gold]
    if sample is not None and len(cases) > sample:
        cases = [cases[place * len(cases) // sample] for place in range(sample)]
    return Corpus(
        name,
        cases,
        [await embedder.embed_query(case.question) for case in cases],
        await embed_sources(sources, [split_source(one, embedder) for one in sources], embedder, cache),
        await embed_sources(sources, [windows(one.text) for one in sources], embedder, cache),
    )


async def measure(corpora: Sequence[Corpus], embedder: MiniLM) -> dict[str, Found]:
    """Put these sets into one index and ask the questions of each."""
    async with index_of([one for corpus in corpora for one in corpus.windows], embedder) as index:
        found = {corpus.name: await _baselines(index, corpus) for corpus in corpora}
    async with index_of([one for corpus in corpora for one in corpus.split], embedder) as index:
        return {
            corpus.name: {"ours": _measure(corpus.cases, await _ours(index, corpus)), **found[corpus.name]}
            for corpus in corpora
        }


async def _ours(index: LanceIndex, corpus: Corpus) -> list[Sequence[Passage]]:
    known = Known({case.question: own for case, own in zip(corpus.cases, corpus.vectors, strict=True)})
    return [
        (await retrieve(Query(case.question, TEAM), index, known, limit=OURS, budget=0)).passages
        for case in corpus.cases
    ]


async def _baselines(index: LanceIndex, corpus: Corpus) -> Found:
    by_vector, by_text = [], []
    for case, vectors in zip(corpus.cases, corpus.vectors, strict=True):
        query = Query(case.question, TEAM)
        by_vector.append(await index.search_vector(query, vectors.search, limit=DEPTH))
        by_text.append(await index.search_text(query, case.question, limit=DEPTH))
    fused = [rrf(vector, text) for vector, text in zip(by_vector, by_text, strict=True)]
    return {
        "RRF": _measure(corpus.cases, fused),
        "BM25": _measure(corpus.cases, by_text),
        "vector": _measure(corpus.cases, by_vector),
    }


def _measure(cases: Sequence[Case], rankings: Sequence[Sequence[Passage]]) -> Retrieval:
    pairs = [
        ([passage.document_id for passage in ranking], case) for case, ranking in zip(cases, rankings, strict=True)
    ]
    superseded = [_stale_first(ranking, case) for ranking, case in pairs if case.stale]
    return Retrieval(
        ndcg=mean([ndcg(ranking, case.gold, 10) for ranking, case in pairs]),
        recall=mean([recall(ranking, case.gold, 5) for ranking, case in pairs]),
        stale=mean(superseded) if superseded else None,
    )


def _stale_first(ranking: Sequence[str], case: Case) -> bool:
    first = next((one for one in ranking if one in case.gold or one in case.stale), "")
    return first in case.stale


class Known(HashEmbedder):
    """ports.Embedder that knows the vectors of its questions already."""

    def __init__(self, vectors: Mapping[str, QueryVectors]) -> None:
        super().__init__()
        self._known = vectors

    async def embed_query(self, text: str) -> QueryVectors:
        return self._known[text]


def thresholds() -> dict[str, float]:
    """Return floors of nDCG@10, a little under what is shipped, for small sets that CI measures, and of the mean lead
    over plain RRF."""
    return {"anthropic_docs": 0.82, "xquad_en": 0.96, "workplace": 0.84, "wixqa_sample": 0.99, "ahead": 0.015}


def _table(title: str, rows: Mapping[str, Found]) -> Table:
    table = Table("set", *WAYS, "ours - RRF", "superseded first", "published", title=title)
    for name, found in rows.items():
        table.add_row(name, *_cells(found), _stale(found), PUBLISHED.get(name, ""))
    if len(rows) > 1:
        table.add_section()
        table.add_row("mean", *_cells({way: _mean([found[way] for found in rows.values()]) for way in WAYS}), "", "")
    return table


def _cells(found: Found) -> list[str]:
    return [*(str(found[way]) for way in WAYS), f"{ahead(found):+.3f}"]


def _stale(found: Found) -> str:
    ours, plain = found["ours"].stale, found["RRF"].stale
    return "" if ours is None or plain is None else f"{ours:.2f} (RRF {plain:.2f})"


def ahead(found: Found) -> float:
    """Return by how much ours leads plain RRF in nDCG@10."""
    return found["ours"].ndcg - found["RRF"].ndcg


def _mean(found: Sequence[Retrieval]) -> Retrieval:
    return Retrieval(mean([one.ndcg for one in found]), mean([one.recall for one in found]))
