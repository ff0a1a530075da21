"""How long a question takes without a model: `python -m tests.bench.bench_query [rows …]`.

Retrieving (both searches side by side, fusing, versions, sections) beside its parts, over random documents whose words
follow Zipf's law; compressing 20 passages beside only counting which words of the question their sentences hold. All
calls are interleaved, so that a busy machine slows each alike. `bench_embed` times embedding the question.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping

import numpy as np

from backend.adapters.lancedb import LanceIndex
from backend.domain import Query, QueryVectors
from backend.query.compress import compress
from backend.query.fuse import fuse
from backend.query.retrieve import LEG, retrieve
from backend.query.words import content_words, stems
from tests.bench.bench_index import CHUNKS_PER_DOCUMENT, DIMENSIONS, WORDS, make_document, unit_rows
from tests.fakes.embedder import HashEmbedder

TIMES = 50
WARM = 5
PASSAGES = 20
BUDGET = 1500

Call = Callable[[int], Awaitable[object]]


class Given(HashEmbedder):
    """ports.Embedder that takes no time."""

    def __init__(self, vectors: QueryVectors) -> None:
        super().__init__()
        self._given = vectors

    async def embed_query(self, text: str) -> QueryVectors:
        return self._given


async def interleaved(calls: Mapping[str, Call]) -> dict[str, float]:
    """Return the median milliseconds of each call, made in turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(TIMES + WARM):
        for name, call in calls.items():
            began = time.perf_counter()
            await call(number)
            taken[name].append((time.perf_counter() - began) * 1e3)
    return {name: statistics.median(times[WARM:]) for name, times in taken.items()}


async def measure(rows: int, folder: str) -> dict[str, float]:
    """Fill an index with `rows` chunks and time the steps between question and evidence."""
    generator = np.random.default_rng(7)
    vectors = unit_rows(generator, rows)
    index = await LanceIndex.open(folder, "bench", DIMENSIONS)
    starts = range(0, rows, CHUNKS_PER_DOCUMENT)
    documents = [
        make_document(number, vectors[start : start + CHUNKS_PER_DOCUMENT], generator)
        for number, start in enumerate(starts)
    ]
    await index.replace(documents)
    await index.optimise()
    try:
        return await interleaved(await steps(index, generator))
    finally:
        await index.close()


async def steps(index: LanceIndex, generator: np.random.Generator) -> dict[str, Call]:
    """Return what is timed."""
    asked = unit_rows(generator, TIMES + WARM)
    texts = [" ".join(WORDS[(number * 7 + step * 13) % 400] for step in range(8)) for number in range(TIMES + WARM)]
    query = Query("", "T1")
    near = await index.search_vector(query, asked[0], limit=LEG)
    worded = await index.search_text(query, texts[0], limit=LEG)

    async def searches(number: int) -> object:
        return await asyncio.gather(
            index.search_vector(query, asked[number], limit=LEG), index.search_text(query, texts[number], limit=LEG)
        )

    async def whole(number: int) -> object:
        given = Given(QueryVectors(asked[number], asked[number]))
        return await retrieve(Query(texts[number], "T1"), index, given, limit=8)

    async def fused(number: int) -> object:
        return fuse(texts[number], asked[number], [near], [worded], full=LEG)

    async def compressed(number: int) -> object:
        return compress(texts[number], asked[number], near[:PASSAGES], budget=BUDGET)

    async def counted(number: int) -> object:
        words = content_words(texts[number])
        return [len(words & stems(one.text[start:end])) for one in near[:PASSAGES] for start, end in one.sentences]

    return {
        f"both searches, {LEG} passages each": searches,
        "fuse them": fused,
        "retrieve: searches, fusion, versions, sections": whole,
        f"compress {PASSAGES} passages (to reach: 2)": compressed,
        f"only count the question's words in {PASSAGES} passages": counted,
    }


def main(sizes: list[int]) -> None:
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{rows} chunks, p50 ms")
            for name, milliseconds in asyncio.run(measure(rows, folder)).items():
                print(f"  {name:56} {milliseconds:9.2f}")


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [10_000])
