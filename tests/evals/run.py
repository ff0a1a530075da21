"""python -m tests.evals.run [SET…]: one table, a row per set, our retrieval and answers beside the naive baselines.

The labelled sets are read from FOOTNOTE_EVALS; embeddings are cached in `<data>/evals/`. The yardsticks search plain
windows of 190 words; ours searches what ingestion makes. Everything is in process and without an LLM.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from loguru import logger
from rich.console import Console
from rich.table import Table

from backend.adapters.extractive import ExtractiveAnswerer
from backend.adapters.lancedb import LanceIndex
from backend.adapters.minilm import MiniLM
from backend.domain import Chunk, Done, Passage, Query, Question, Run
from backend.evaluate.metrics import holds_answer, mean, median, ndcg, recall
from backend.query.pipeline import Pipeline
from backend.query.retrieve import retrieve, rrf
from backend.settings import Settings, load_settings
from tests.evals.corpora import TEAM, Case, Source, embed_sources, load_cases, load_sources, split_source, windows
from tests.fakes.state import FakeDocuments, FakeRuns

SETS = ("tts_handbook", "anthropic_docs")
DEPTH = 100
OURS = 40
"""Passages asked for, so that ten documents are among them."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Means over the questions that have gold documents."""

    ndcg: float
    recall: float

    def __str__(self) -> str:
        return f"{self.ndcg:.3f} {self.recall:.3f}"


@dataclass(frozen=True, slots=True)
class Answers:
    """`recall` is the share of gold answers that the shown answer covers, `refused` of the answerable questions and
    `declined` of the unanswerable ones how many were abstained from; `ms` is the median of the whole run."""

    recall: float
    refused: float
    declined: float
    words: float
    kept: float
    ms: float


async def evaluate(name: str, embedder: MiniLM, cache: Path) -> tuple[dict[str, Retrieval], Answers]:
    """Measure one set."""
    sources, cases = load_sources(name), load_cases(name)
    plain = [windows(source.text) for source in sources]
    async with _index(sources, plain, embedder, cache) as index:
        found = await _baselines(index, embedder, cases)
    chunks = [split_source(source, embedder) for source in sources]
    async with _index(sources, chunks, embedder, cache) as index:
        ours = [(await retrieve(Query(case.question, TEAM), index, embedder, limit=OURS)).passages for case in cases]
        found = {"ours": _measure(cases, ours), **found}
        return found, await _answers(index, embedder, cases)


@asynccontextmanager
async def _index(
    sources: Sequence[Source], chunks: Sequence[Sequence[Chunk]], embedder: MiniLM, cache: Path
) -> AsyncIterator[LanceIndex]:
    documents = await embed_sources(sources, chunks, embedder, cache)
    with tempfile.TemporaryDirectory() as folder:
        index = await LanceIndex.open(folder, embedder.name, embedder.dimensions)
        try:
            await index.replace([document for document in documents if document.chunks])
            await index.optimise()
            yield index
        finally:
            await index.close()


async def _baselines(index: LanceIndex, embedder: MiniLM, cases: Sequence[Case]) -> dict[str, Retrieval]:
    by_vector, by_text = [], []
    for case in cases:
        query = Query(case.question, TEAM)
        vectors = await embedder.embed_query(case.question)
        by_vector.append(await index.search_vector(query, vectors.search, limit=DEPTH))
        by_text.append(await index.search_text(query, case.question, limit=DEPTH))
    fused = [rrf(vector, text) for vector, text in zip(by_vector, by_text, strict=True)]
    return {
        "RRF": _measure(cases, fused),
        "BM25": _measure(cases, by_text),
        "vector": _measure(cases, by_vector),
    }


def _measure(cases: Sequence[Case], rankings: Sequence[Sequence[Passage]]) -> Retrieval:
    pairs = [
        ([passage.document_id for passage in ranking], case.gold)
        for case, ranking in zip(cases, rankings, strict=True)
        if case.gold
    ]
    return Retrieval(
        mean([ndcg(ranking, gold, 10) for ranking, gold in pairs]),
        mean([recall(ranking, gold, 5) for ranking, gold in pairs]),
    )


async def _answers(index: LanceIndex, embedder: MiniLM, cases: Sequence[Case]) -> Answers:
    pipeline = Pipeline(index, embedder, FakeDocuments(), FakeRuns(), ExtractiveAnswerer())
    runs = [(case, await _run(pipeline, case)) for case in cases]
    answerable = [(case, run) for case, run in runs if case.answerable and case.answers]
    before = sum(run.metadata.tokens_before for _, run in runs)
    return Answers(
        recall=mean([run.outcome == "answered" and holds_answer(run.answer, case.answers) for case, run in answerable]),
        refused=mean([run.outcome == "abstained" for case, run in runs if case.answerable]),
        declined=mean([run.outcome == "abstained" for case, run in runs if not case.answerable]),
        words=mean([len(run.answer.split()) for _, run in answerable]),
        kept=sum(run.metadata.tokens_after for _, run in runs) / before if before else 0.0,
        ms=median([run.metadata.total_ms for _, run in runs]),
    )


async def _run(pipeline: Pipeline, case: Case) -> Run:
    events = [event async for event in pipeline.answer(Question(case.question, TEAM), case.qid)]
    assert isinstance(events[-1], Done)
    return events[-1].run


def _table(rows: Sequence[tuple[str, dict[str, Retrieval], Answers]]) -> Table:
    table = Table(title="nDCG@10 and R@5 by document; answers by quoting alone")
    headings = (
        "set",
        "ours",
        "RRF",
        "BM25",
        "vector",
        "answer recall",
        "refused",
        "declined",
        "words",
        "kept",
        "ms p50",
    )
    for heading in headings:
        table.add_column(heading)
    for name, found, answers in rows:
        table.add_row(
            name,
            *(str(found[way]) for way in ("ours", "RRF", "BM25", "vector")),
            f"{answers.recall:.3f}",
            f"{answers.refused:.3f}",
            f"{answers.declined:.3f}",
            f"{answers.words:.0f}",
            f"{answers.kept:.2f}",
            f"{answers.ms:.0f}",
        )
    return table


async def main(names: Sequence[str], settings: Settings) -> None:
    """Measure the sets and print the table."""
    cache = settings.data_dir / "evals"
    embedder = await asyncio.to_thread(MiniLM.open, settings.model_dir, cache, settings.embedding_threads)
    try:
        rows = [(name, *await evaluate(name, embedder, cache)) for name in names]
    finally:
        embedder.close()
    Console(width=150).print(_table(rows))


if __name__ == "__main__":
    logger.remove()
    asyncio.run(main(sys.argv[1:] or SETS, load_settings()))
