"""What an index of codes finds of real vectors, beside one of the vectors: `python -m tests.bench.bench_codes [rows]`.

The vectors are those of chunks and sentences that `make eval` has kept in the data folder, each once. A question is one
of them that is left out; its ten nearest are found by comparing all.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import Bitmap, IvfFlat, IvfRq
from numpy.typing import NDArray

from backend.adapters.lance_maintenance import refine_factor
from backend.domain import Vectors
from backend.query.retrieve import LEG
from backend.settings import load_settings

ROWS = 319_000
QUESTIONS = 150
NEAREST = 10
SHARE = 20
"""The filter passes one row in so many."""
WAYS = (("vectors (IVF_FLAT)", IvfFlat, None), ("codes", IvfRq, None), ("codes, refined", IvfRq, refine_factor(LEG)))


def kept(folder: Path, rows: int) -> Vectors:
    """Return so many of the vectors that are kept, in a random order that is always the same; none where none are."""
    found = [np.zeros((0, 1), np.float32)]
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as saved:
            found += [saved[name].astype(np.float32) for name in ("chunks", "sentences") if name in saved]
    vectors: Vectors = np.unique(np.round(np.concatenate(found[1:] or found), 4), axis=0)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    np.random.default_rng(0).shuffle(vectors)
    return vectors[:rows]


def nearest(asked: Vectors, vectors: Vectors, passed: NDArray[np.bool_]) -> list[set[int]]:
    """Return for each question the rows nearest to it among those that pass."""
    scores = np.where(passed, asked @ vectors.T, -2.0)
    return [set(row.tolist()) for row in np.argpartition(-scores, NEAREST, axis=1)[:, :NEAREST]]


async def main(rows: int) -> None:
    folder = load_settings().data_dir / "evals"
    vectors = await asyncio.to_thread(kept, folder, rows + QUESTIONS)
    if len(vectors) <= QUESTIONS:
        print(f"no vectors are kept in {folder}: run `make eval` first")
        return
    asked, vectors = vectors[:QUESTIONS], np.ascontiguousarray(vectors[QUESTIONS:])
    share = np.random.default_rng(1).integers(SHARE, size=len(vectors))
    truth = {where: nearest(asked, vectors, share < most) for where, most in (("", SHARE), ("share = 0", 1))}
    print(f"{len(vectors):,} vectors, {QUESTIONS} questions, {LEG} rows wanted, recall of the ten nearest\n")
    print("| index | build, s | recall | p50 ms | with a filter | p50 ms |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        columns = {"id": np.arange(len(vectors)), "share": share}
        flat = pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1])
        table = await (await lancedb.connect_async(place)).create_table("t", pa.table({**columns, "vector": flat}))
        await table.create_index("share", config=Bitmap())
        for name, kind, factor in WAYS:
            began = time.perf_counter()
            await table.create_index("vector", config=kind(distance_type="cosine"), name="vector")
            cells = [f"{time.perf_counter() - began:.0f}"]
            for where, true in truth.items():
                cells += await measured(table, asked, where, true, factor)
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


async def measured(
    table: lancedb.AsyncTable, asked: Vectors, where: str, truth: Sequence[set[int]], factor: int | None
) -> list[str]:
    hits, took = 0, []
    for vector, true in zip(asked, truth, strict=True):
        search = table.query().nearest_to(vector).distance_type("cosine").maximum_nprobes(0)
        search = search.refine_factor(factor) if factor else search
        search = search.where(where) if where else search
        began = time.perf_counter()
        found = (await search.select(["id", "_distance"]).limit(LEG).to_arrow()).to_pylist()
        took.append(time.perf_counter() - began)
        best = sorted(found, key=lambda row: float(row["_distance"]))[:NEAREST]
        hits += len({int(row["id"]) for row in best} & true)
    return [f"{hits / len(asked) / NEAREST:.3f}", f"{np.median(took) * 1e3:.0f}"]


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else ROWS))
