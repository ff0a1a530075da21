"""What is measured of one size: writing it, and searching it. Each runs in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import numpy as np

from backend.adapters.lancedb import LanceIndex
from backend.domain import Chunk, ChunkVectors, Passage, Query, QueryVectors, Vector, Vectors
from backend.query.retrieve import LEG, retrieve
from tests.bench.scale_corpus import CHUNKS, DIMENSIONS, FILTERED, MINE, THEIRS, Corpus, Nearest, Question

QUESTIONS = 200
WARM = 20
BATCH = 100
"""Documents of one commit while a size is made; a backend makes commits of one to sixteen."""
REPLACED = 25
"""Documents replaced one by one at the end: fewer than make the index optimise itself."""
AT_ONCE = 8
MIB = 1 << 20
Figures: TypeAlias = dict[str, float | str]
Truth: TypeAlias = dict[str, list[frozenset[int]]]
QUERIES = {"all of a team": MINE, "filter": FILTERED, "small team": THEIRS}


@dataclass(frozen=True, slots=True)
class Written:
    figures: Figures
    truth: Truth


def write(folder: str, documents: int, questions: int = QUESTIONS) -> Written:
    """Make an index of so many documents; the truth is what exact search finds for each of so many questions."""
    return asyncio.run(_write(Path(folder), documents, questions))


def search(folder: str, documents: int, truth: Truth) -> Figures:
    """Ask it every question in each way."""
    return asyncio.run(_search(Path(folder), documents, truth))


# ------------------------------------------------------------------------------------------------------------- writing


async def _write(folder: Path, documents: int, questions: int) -> Written:
    corpus = Corpus()
    asked = corpus.questions(documents, questions)
    nearest = {name: Nearest(query, asked) for name, query in QUERIES.items()}
    index = await LanceIndex.open(str(folder), "bench", DIMENSIONS)
    took, largest = [], 0
    for start in range(0, documents, BATCH):
        numbers = range(start, min(start + BATCH, documents))
        for one in nearest.values():
            one.see(numbers, corpus)
        took.append(await _replaced(index, corpus, numbers))
        largest = max(largest, sum(disk(folder).values()))
    last = await _seconds(index.optimise())
    single = [await _replaced(index, corpus, [number % documents]) for number in range(REPLACED)]
    folded = await _seconds(index.optimise())
    figures: Figures = {
        "write, s": sum(took),
        "write, longest commit of 100 documents, s": max(took),
        "optimise at the end, s": last,
        "replace a document, p50 ms": float(np.median(single)) * 1e3,
        f"optimise after {REPLACED} such, s": folded,
        "disk while writing, at most, MiB": max(largest, sum(disk(folder).values())) / MIB,
        "memory of the writer, at most, MiB": memory("VmHWM"),
    }
    await index.prune(timedelta(0))
    await index.close()
    return Written(figures | _sizes(folder, documents), {name: one.found() for name, one in nearest.items()})


async def _replaced(index: LanceIndex, corpus: Corpus, numbers: Sequence[int]) -> float:
    made = [corpus.document(number) for number in numbers]
    return await _seconds(index.replace(made))


def disk(folder: Path) -> Counter[str]:
    """Return bytes by what they are for: an index's kind shows in the names of its files."""
    sizes: Counter[str] = Counter()
    for parent, _, names in os.walk(folder):
        part = _part(parent, names)
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # LanceDB's temporary files
                sizes[part] += (Path(parent) / name).stat().st_size
    return sizes


def _part(parent: str, names: Sequence[str]) -> str:
    if "_indices" not in parent:
        return "rows" if parent.endswith("data") else "versions"
    if "auxiliary.idx" in names:
        return "vector index"
    return "text index" if any("part_" in name or name.startswith("metadata") for name in names) else "other indexes"


def _sizes(folder: Path, documents: int) -> Figures:
    sizes = disk(folder)
    parts = {
        f"disk, {name}, MiB": sizes[name] / MIB for name in ("rows", "vector index", "text index", "other indexes")
    }
    total = sum(sizes.values())
    return {"disk, MiB": total / MIB, "disk per chunk, KiB": total / 1024 / (documents * CHUNKS), **parts}


def memory(name: str) -> float:
    """Return VmRSS, what this process holds, or VmHWM, the most that it held, in MiB. Linux only."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


# ----------------------------------------------------------------------------------------------------------- searching


@dataclass
class Known:
    """ports.Embedder for questions whose vectors are known."""

    vectors: dict[str, Vector]
    name: str = "bench"
    dimensions: int = DIMENSIONS

    async def embed_query(self, text: str) -> QueryVectors:
        return QueryVectors(self.vectors[text], self.vectors[text])

    async def embed_chunks(self, title: str, chunks: Sequence[Chunk]) -> list[ChunkVectors]:
        raise NotImplementedError

    async def embed_sentences(self, texts: Sequence[str]) -> Vectors:
        raise NotImplementedError

    def count_tokens(self, text: str) -> int:
        return len(text.split()) * 2


async def _search(folder: Path, documents: int, truth: Truth) -> Figures:
    questions = Corpus().questions(documents, len(next(iter(truth.values()))))
    before = memory("VmRSS")
    index = await LanceIndex.open(str(folder), "bench", DIMENSIONS)
    opened = memory("VmRSS")
    found = await _found(index, questions)
    times = await _times(index, questions)
    figures: Figures = {
        "vector index": await vector_index(index),
        "memory before opening, MiB": before,
        "memory once open, MiB": opened,
        "memory after searching, MiB": memory("VmRSS"),
        "memory, at most, MiB": memory("VmHWM"),
        **{f"recall@10, {name}": recall(found[name], truth[name]) for name in QUERIES},
        **times,
        "vector, every row compared, p50 ms": await _brute(index, questions[:10]),
    }
    await index.close()
    return figures


async def _found(index: LanceIndex, questions: Sequence[Question]) -> dict[str, list[set[int]]]:
    async def ten(query: Query, question: Question) -> set[int]:
        return {place(one) for one in await index.search_vector(query, question.vector, limit=10)}

    return {name: [await ten(query, one) for one in questions] for name, query in QUERIES.items()}


def place(passage: Passage) -> int:
    return int(passage.document_id[1:]) * CHUNKS + passage.position


def recall(found: Sequence[set[int]], truth: Sequence[frozenset[int]]) -> float:
    """Return which share of the nearest was found, over all questions together."""
    return sum(len(one & true) for one, true in zip(found, truth, strict=True)) / max(1, sum(map(len, truth)))


async def _times(index: LanceIndex, questions: Sequence[Question]) -> Figures:
    embedder = Known({one.text: one.vector for one in questions})

    def vector(query: Query) -> Callable[[Question], Awaitable[object]]:
        return lambda one: index.search_vector(query, one.vector, limit=LEG)

    def hybrid(query: Query) -> Callable[[Question], Awaitable[object]]:
        return lambda one: retrieve(replace(query, text=one.text), index, embedder, limit=8)

    ways = {
        "vector": vector(MINE),
        "vector, filter": vector(FILTERED),
        "vector, small team": vector(THEIRS),
        "text": lambda one: index.search_text(MINE, one.text, limit=LEG),
        "text, filter": lambda one: index.search_text(FILTERED, one.text, limit=LEG),
        "hybrid": hybrid(MINE),
        "hybrid, filter": hybrid(FILTERED),
    }
    figures: Figures = {}
    for name, way in ways.items():
        figures |= await _quantiles(name, way, questions)
    return figures | {f"hybrid, {AT_ONCE} at once, a second": await _rate(hybrid(MINE), questions)}


async def _quantiles(name: str, way: Callable[[Question], Awaitable[object]], questions: Sequence[Question]) -> Figures:
    for question in questions[:WARM]:
        await way(question)
    took = [await _seconds(way(question)) * 1e3 for question in questions]
    return {f"{name}, p50 ms": float(np.percentile(took, 50)), f"{name}, p99 ms": float(np.percentile(took, 99))}


async def _rate(way: Callable[[Question], Awaitable[object]], questions: Sequence[Question]) -> float:
    waiting = list(questions)

    async def ask() -> None:
        while waiting:
            await way(waiting.pop())

    return len(questions) / await _seconds(asyncio.gather(*(ask() for _ in range(AT_ONCE))))


async def _brute(index: LanceIndex, questions: Sequence[Question]) -> float:
    """What a vector search would take without its index; the product never does this to a large table."""
    table = index._table

    async def search(question: Question) -> object:
        ids = table.query().nearest_to(question.vector).distance_type("cosine").bypass_vector_index()
        return await ids.select(["chunk_id", "_distance"]).limit(LEG).to_arrow()

    await search(questions[0])
    return float(np.median([await _seconds(search(question)) for question in questions])) * 1e3


async def vector_index(index: LanceIndex) -> str:
    """Return its kind, and over how many parts it is spread; what is in none of them is compared row by row."""
    for one in await index._table.list_indices():
        if "vector" in one.columns:
            return f"{one.index_type}, {one.name}"
    return "none"


async def _seconds(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began
