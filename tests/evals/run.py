"""python -m tests.evals.run [SET…]: one table per step of the story, our figures beside the naive and the published.

Each step's module says which labelled sets it can measure (`SETS`) and measures them (`report`). The sets are read from
FOOTNOTE_EVALS; embeddings are cached in `<data>/evals/`. Everything is in process and without an LLM. Tables go to
standard output; what is being done, and the seconds that it took, to standard error as well.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from typing import Protocol, cast

from loguru import logger
from rich.console import Console
from rich.table import Table

from backend.adapters.minilm import MiniLM
from backend.settings import Settings, load_settings

STEPS = (
    "ingest_gold",
    "bad_inputs",
    "splitting",
    "understand",
    "retrieve",
    "compress",
    "verify",
    "answers",
    "faults",
    "injections",
    "cache",
    "audience",
)
"""Modules beside this one, in the order of the story."""


class Step(Protocol):
    """What each step's module offers."""

    SETS: tuple[str, ...]

    async def report(self, names: Sequence[str], embedder: MiniLM, cache: Path) -> list[Table]:
        """Measure these sets, all of which are among `SETS`."""


def steps() -> list[Step]:
    """Return the steps' modules."""
    paths = [f"tests.evals.{name}" for name in STEPS]
    return [cast(Step, import_module(path)) for path in paths if find_spec(path)]


def unknown(names: Sequence[str]) -> list[str]:
    """Return those names that no step can measure."""
    known = {name for step in steps() for name in step.SETS}
    return [name for name in names if name not in known]


async def main(names: Sequence[str], settings: Settings) -> None:
    """Measure the named sets, or all, and print each step's tables as soon as they are there."""
    cache, console, began = settings.data_dir / "evals", Console(width=160), perf_counter()
    embedder = await asyncio.to_thread(MiniLM.open, settings.model_dir, cache, settings.embedding_threads)
    try:
        for step in steps():
            wanted = [name for name in step.SETS if not names or name in names]
            if wanted:
                await _print(step, wanted, embedder, cache, console)
    finally:
        embedder.close()
    console.print(f"{perf_counter() - began:.0f} s in all, {process_time():.0f} s of processor time", style="dim")


async def _print(step: Step, names: Sequence[str], embedder: MiniLM, cache: Path, console: Console) -> None:
    began, busy = perf_counter(), process_time()
    for table in await step.report(names, embedder, cache):
        console.print(table)
    took = f"{perf_counter() - began:.0f} s, {process_time() - busy:.0f} s of processor time"
    console.print(f"{', '.join(names)}: {took}\n", style="dim")


if __name__ == "__main__":
    logger.remove()
    if strangers := unknown(sys.argv[1:]):
        sys.exit(f"No step measures {', '.join(strangers)}.")
    asyncio.run(main(sys.argv[1:], load_settings()))
