"""How large: `make bench-scale [SIZES=10000,100000,1000000]` writes so many chunks and searches them.

Each size is written in one process and searched in another, so that what a process holds is its own. The folder is
FOOTNOTE_BENCH_DIR, or the system's for temporary files. A million chunks take three quarters of an hour on two cores.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

from tests.bench.scale_corpus import CHUNKS
from tests.bench.scale_parts import Figures, search, write

SIZES = "10000,100000,1000000"
NEEDED_PER_CHUNK = 30 << 10
"""Bytes of disk while writing: a compaction writes the rows anew before the old ones go."""

P = ParamSpec("P")
T = TypeVar("T")


def main(sizes: Sequence[int]) -> None:
    root = Path(os.environ.get("FOOTNOTE_BENCH_DIR") or tempfile.gettempdir())
    need(max(sizes), root)
    measured = {}
    for size in sizes:
        print(f"{size:,} chunks …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="footnote-scale-", dir=root) as folder:
            measured[size] = measure(folder, size // CHUNKS)
        print(table(measured), flush=True)


def need(chunks: int, root: Path) -> None:
    """Say how much room the largest size takes, and end where there is less."""
    needed, free = chunks * NEEDED_PER_CHUNK, shutil.disk_usage(root).free
    said = f"{needed / 1e9:.1f} GB of disk in {root} for {chunks:,} chunks; {free / 1e9:.1f} GB are free"
    if needed > free:
        raise SystemExit(f"This needs {said}. Set FOOTNOTE_BENCH_DIR to a larger disk, or SIZES to fewer chunks.")
    print(f"Takes up to {said}.", file=sys.stderr)


def measure(folder: str, documents: int) -> Figures:
    written = apart(write, folder, documents)
    figures = apart(search, folder, documents, written.truth)
    return {"documents": float(documents), **written.figures, **figures}


def apart(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it in a new process, which ends with it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(work, *args, **kwargs).result()


def table(measured: dict[int, Figures]) -> str:
    """Return the figures as Markdown, a column for each size."""
    names = list(next(iter(measured.values())))
    head = "| chunks | " + " | ".join(f"{size:,}" for size in measured) + " |"
    lines = [f"| {name} | " + " | ".join(shown(one[name]) for one in measured.values()) + " |" for name in names]
    return "\n".join([head, "|---|" + "---|" * len(measured), *lines])


def shown(figure: float | str) -> str:
    if isinstance(figure, str):
        return figure
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


if __name__ == "__main__":
    main([int(text) for text in (os.environ.get("SIZES") or SIZES).split(",")])
