"""How long a search takes, beside brute force in numpy in one run: `python -m tests.bench.bench_index [rows …]`."""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable

import numpy as np

from backend.adapters.lancedb import LanceIndex
from backend.domain import And, Chunk, ChunkVectors, Condition, IndexedDocument, Metadata, Query, Vectors
from tests.fakes.corpus import EVERYONE, INGESTED, custom

DIMENSIONS = 384
CHUNKS_PER_DOCUMENT = 20
SENTENCES = 8
WORDS = [f"word{number}" for number in range(5_000)]
FILTER = And((Condition("eq", "tags", "tag3"), Condition("gte", "cost", 10.0)))


def unit_rows(generator: np.random.Generator, rows: int) -> Vectors:
    drawn = generator.standard_normal((rows, DIMENSIONS), dtype=np.float32)
    norms: Vectors = np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn / norms


def make_document(number: int, vectors: Vectors, generator: np.random.Generator) -> IndexedDocument:
    chunks, stored = [], []
    for position, vector in enumerate(vectors):
        words = [WORDS[int(rank) % len(WORDS)] for rank in generator.zipf(1.3, 190)]
        text = " ".join(words)
        spans = tuple((start, start + 20) for start in range(0, SENTENCES * 21, 21))
        chunks.append(Chunk(position, position // 4, "Heading", 0, text, spans))
        stored.append(ChunkVectors(vector, unit_rows(generator, SENTENCES)))
    known = Metadata(tags=(f"tag{number % 10}",), source="bench", custom=custom(cost=float(number)))
    return IndexedDocument(
        "T1", f"d{number}", "r", f"Title {number}", "", EVERYONE, known, INGESTED, tuple(chunks), tuple(stored)
    )


async def p50(call: Callable[[int], Awaitable[object]], times: int = 60) -> float:
    """Return the median milliseconds of `call`, after five calls to warm up."""
    taken = []
    for number in range(times + 5):
        began = time.perf_counter()
        await call(number)
        taken.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken[5:])


async def measure(rows: int, folder: str) -> list[tuple[str, float]]:
    generator = np.random.default_rng(7)
    vectors = unit_rows(generator, rows)
    documents = [
        make_document(number, vectors[start : start + CHUNKS_PER_DOCUMENT], generator)
        for number, start in enumerate(range(0, rows, CHUNKS_PER_DOCUMENT))
    ]
    index = await LanceIndex.open(folder, "bench", DIMENSIONS)
    began = time.perf_counter()
    for start in range(0, len(documents), 100):
        await index.replace(documents[start : start + 100])
    written = (time.perf_counter() - began) * 1e3
    await index.optimise()
    figures = await searches(index, vectors, unit_rows(generator, 70), documents)
    await index.close()
    return [("write everything, batches of 100 documents", written), *figures]


async def searches(
    index: LanceIndex, vectors: Vectors, asked: Vectors, documents: list[IndexedDocument]
) -> list[tuple[str, float]]:
    query, filtered = Query("", "T1"), Query("", "T1", filter=FILTER)
    texts = [" ".join(WORDS[(number * 7 + step * 13) % 400] for step in range(8)) for number in range(70)]

    async def brute(number: int) -> object:
        return np.argpartition(vectors @ asked[number], -50)[-50:]

    async def both(number: int) -> object:
        return await asyncio.gather(
            index.search_vector(query, asked[number], limit=50), index.search_text(query, texts[number], limit=50)
        )

    sections = [p.section_id for p in await index.search_vector(query, asked[0], limit=8)]
    return [
        ("numpy brute force, ids only", await p50(brute)),
        ("vector, 50 passages", await p50(lambda n: index.search_vector(query, asked[n], limit=50))),
        ("vector, 8 passages", await p50(lambda n: index.search_vector(query, asked[n], limit=8))),
        ("vector, filtered", await p50(lambda n: index.search_vector(filtered, asked[n], limit=50))),
        ("text, 50 passages", await p50(lambda n: index.search_text(query, texts[n], limit=50))),
        ("both legs together", await p50(both)),
        ("sections of 8 passages", await p50(lambda n: index.section_passages(query, sections))),
        ("replace one document", await p50(lambda n: index.replace([documents[n % len(documents)]]), 25)),
    ]


def main(sizes: list[int]) -> None:
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{rows} chunks, p50 ms")
            for name, milliseconds in asyncio.run(measure(rows, folder)):
                print(f"  {name:44} {milliseconds:9.2f}")


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [1_000, 10_000])
