"""python -m tests.evals.run [SET…]: one table per step of the story, our figures beside the naive and the published.

Each step's module says which labelled sets it can measure (`SETS`) and measures them (`report`). The sets are read from
FOOTNOTE_EVALS; embeddings are cached in `<data>/evals/`. Everything is in process and without an LLM. Tables go to
standard output; what is being done, and the seconds that it took, to standard error as well. Without names all steps
are measured, two at a time in processes of their own, and those with a long form (`SET=cache`, `SET=audience`) in their
short one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
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
AT_ONCE = 2
STEP = "step:"
"""How a child of this program is told which step is its own."""


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
    """Measure the named sets and print each step's tables as soon as they are there."""
    console = Console(width=160)
    chosen = [(step, [name for name in step.SETS if name in names]) for step in steps()]
    await _measured([(step, wanted) for step, wanted in chosen if wanted], settings, console)


async def all_steps() -> None:
    """Measure every step in a process of its own, `AT_ONCE` at a time, and print them in the order of the story."""
    began, free = perf_counter(), asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_in_child(name, free)) for name in STEPS]
        for output in running:
            print(await output, flush=True)
    used = getrusage(RUSAGE_CHILDREN)
    print(f"{perf_counter() - began:.0f} s in all, {used.ru_utime + used.ru_stime:.0f} s of processor time")


async def _in_child(name: str, free: asyncio.Semaphore) -> str:
    async with free:
        command = (sys.executable, "-m", __spec__.name, STEP + name)
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await child.communicate()
    return output.decode() if child.returncode == 0 else f"{name} failed; what it had printed:\n{output.decode()}"


async def one_step(name: str, settings: Settings) -> None:
    """Measure one step over all its sets."""
    step = cast(Step, import_module(f"tests.evals.{name}"))
    await _measured([(step, list(step.SETS))], settings, Console(width=160))


async def _measured(chosen: Sequence[tuple[Step, Sequence[str]]], settings: Settings, console: Console) -> None:
    cache = settings.data_dir / "evals"
    embedder = await asyncio.to_thread(MiniLM.open, settings.model_dir, cache, settings.embedding_threads)
    try:
        for step, names in chosen:
            await _print(step, names, embedder, cache, console)
    finally:
        embedder.close()


async def _print(step: Step, names: Sequence[str], embedder: MiniLM, cache: Path, console: Console) -> None:
    began, busy = perf_counter(), process_time()
    for table in await step.report(names, embedder, cache):
        console.print(table)
    took = f"{perf_counter() - began:.0f} s, {process_time() - busy:.0f} s of processor time"
    console.print(f"{', '.join(names)}: {took}\n", style="dim")


if __name__ == "__main__":
    logger.remove()
    if sys.argv[1:] and sys.argv[1].startswith(STEP):
        sys.exit(asyncio.run(one_step(sys.argv[1].removeprefix(STEP), load_settings())))
    if strangers := unknown(sys.argv[1:]):
        sys.exit(f"No step measures {', '.join(strangers)}.")
    if sys.argv[1:]:
        asyncio.run(main(sys.argv[1:], load_settings()))
    else:
        asyncio.run(all_steps())
