"""How large: `make bench-scale [SIZES=10000,100000,1000000]` writes so many chunks and searches them.

Each size is written in one process and searched in another, so that what a process holds is its own. The folder is
FOOTNOTE_BENCH_DIR, or the system's for temporary files. A million chunks take three quarters of an hour on two cores:
with FOOTNOTE_BENCH_KEEP=1 what was written stays in the folder, and the next run only searches it.
"""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

from tests.bench.scale_corpus import CHUNKS
from tests.bench.scale_parts import QUESTIONS, Figures, Written, search, write

SIZES = "10000,100000,1000000"
WRITTEN = "written.pickle"
"""What was measured while writing, and the true neighbours of each question."""
NEEDED_PER_CHUNK = 30 << 10
"""Bytes of disk while writing: a compaction writes the rows anew before the old ones go."""

P = ParamSpec("P")
T = TypeVar("T")


def main(sizes: Sequence[int], questions: int = QUESTIONS) -> None:
    root = Path(os.environ.get("FOOTNOTE_BENCH_DIR") or tempfile.gettempdir())
    new = [size for size in sizes if not (kept(root, size) / WRITTEN).is_file()]
    if new:
        need(max(new), root)
    measured = {}
    for size in sizes:
        print(f"{size:,} chunks …", file=sys.stderr, flush=True)
        with place(root, size) as folder:
            measured[size] = measure(folder, size // CHUNKS, questions)
        print(table(measured), flush=True)


def need(chunks: int, root: Path) -> None:
    """Say how much room the largest size takes, and end where there is less."""
    needed, free = chunks * NEEDED_PER_CHUNK, shutil.disk_usage(root).free
    said = f"{needed / 1e9:.1f} GB of disk in {root} for {chunks:,} chunks; {free / 1e9:.1f} GB are free"
    if needed > free:
        raise SystemExit(f"This needs {said}. Set FOOTNOTE_BENCH_DIR to a larger disk, or SIZES to fewer chunks.")
    print(f"Takes up to {said}.", file=sys.stderr)


def kept(root: Path, size: int) -> Path:
    return root / f"footnote-scale-{size}"


@contextmanager
def place(root: Path, size: int) -> Iterator[Path]:
    """Yield a folder for one size: a temporary one, or the one that is kept."""
    if os.environ.get("FOOTNOTE_BENCH_KEEP"):
        folder = kept(root, size)
        folder.mkdir(exist_ok=True)
        yield folder
    else:
        with tempfile.TemporaryDirectory(prefix="footnote-scale-", dir=root) as name:
            yield Path(name)


def measure(folder: Path, documents: int, questions: int) -> Figures:
    """Write it, unless that was done, then search it."""
    record = folder / WRITTEN
    if record.is_file():
        written: Written = pickle.loads(record.read_bytes())
    else:
        shutil.rmtree(folder / "index", ignore_errors=True)  # of a run that did not come to its end
        written = apart(write, str(folder / "index"), documents, questions)
        record.write_bytes(pickle.dumps(written))
    figures = apart(search, str(folder / "index"), documents, written.truth)
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
