"""Nobody reads what they may not: random workspaces whose people and documents move, asked thousands of questions.

The bot's own directory, listeners and rules decide who reads; the real pipeline answers over LanceDB and the state
database, with its caches on. Whatever then leaves is searched for the words of documents that some reader of the place
may not read at that moment. The same is run over a Footnote that is broken on purpose: there it must find leaks.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from itertools import count
from math import inf
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from rich.table import Table

from backend.adapters.minilm import MiniLM
from bot.audience import REFUSE, External
from tests.evals.audience_house import Break, House, opened_house
from tests.evals.audience_life import SURFACES, Life, Tally
from tests.evals.audience_steps import STARTS, STEPS, Ask, Start, Step, furnished
from tests.evals.audience_world import POLICY_TAG
from tests.evals.corpora import asked_for

SETS = ("audience",)
QUESTIONS = 5_000
BROKEN: tuple[Break, ...] = ("filter", "cache", "membership", "place")
BROKEN_QUESTIONS = 600
SHORT = (500, 150)
"""Questions with everything in order, and with one thing broken, where all sets are measured."""

# --------------------------------------------------------------------------------------------------------- many worlds


async def lived(house: House, start: Start, steps: Sequence[Step], tally: Tally, broken: Break = "nothing") -> None:
    """Let one workspace live through its steps."""
    external = External("tag", POLICY_TAG) if start.tagged else REFUSE
    life = Life(house, furnished(start), tally, external, broken)
    await house.put(list(life.world.papers.values()), "r0")
    for step in steps:
        if isinstance(step, Ask):
            await life.ask(step)
        else:
            await life.move(step)
    await life.looked_back()
    tally.worlds += 1


def explored(questions: int, broken: Break = "nothing", *, leaks: float = inf) -> Tally:
    """Let hypothesis make workspaces until so many questions are asked, or so many leaks found. What leaks is counted
    where something is broken on purpose, and else raises AssertionError, with the smallest such story that hypothesis
    finds."""
    tally = Tally()
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        opening = opened_house(Path(folder), broken)
        house = runner.run(opening.__aenter__())
        try:
            _explore(runner, house, tally, lambda: tally.asked >= questions or tally.leaked >= leaks, broken)
        finally:
            runner.run(opening.__aexit__(None, None, None))
    return tally


def _explore(runner: asyncio.Runner, house: House, tally: Tally, is_done: Callable[[], bool], broken: Break) -> None:
    phases = [Phase.generate] if broken != "nothing" else [Phase.generate, Phase.shrink]
    quietly = settings(
        max_examples=25, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck)
    )

    @quietly
    @given(STARTS, STEPS)
    def story(start: Start, steps: list[Step]) -> None:
        if is_done():
            return
        before = tally.leaked
        runner.run(lived(house, start, steps, tally, broken))
        assert broken != "nothing" or tally.leaked == before, tally.examples[-1]

    numbers = count(1)
    while not is_done():
        seed(next(numbers))(story)()


async def report(_names: Sequence[str], _embedder: MiniLM, _cache: Path) -> list[Table]:
    """Explore with everything in order, then with each thing broken; shortened unless it is asked for by name."""
    table = Table(title="audience: what a reader met of documents that they may not read", title_justify="left")
    names = ("", "nothing broken", *(f"broken {one}" for one in BROKEN))
    for name in names:
        table.add_column(name, justify="right" if name else "left")
    whole, broken = (QUESTIONS, BROKEN_QUESTIONS) if asked_for("audience") else SHORT
    tallies = [await asyncio.to_thread(explored, whole)]
    tallies += [await asyncio.to_thread(explored, broken, one) for one in BROKEN]
    for label, *figures in zip(ROWS, *map(figures_of, tallies), strict=True):
        table.add_row(label, *(f"{figure:,}" for figure in figures))
    return [table]


ROWS = (
    "workspaces", "people, channels and documents moved", "questions", "· answered", "· abstained", "· refused",
    "· failed", "· answered from a cache", "texts searched", *(f"leaks in: {name}" for name in SURFACES),
    "leaks, all", "· of cache hits",
)  # fmt: skip


def figures_of(tally: Tally) -> list[int]:
    """Return the figures of one column, in the order of ROWS."""
    outcomes = [tally.outcomes[name] for name in ("answered", "abstained", "refused", "failed")]
    asked = [tally.worlds, tally.moves, tally.asked, *outcomes, tally.hits, tally.searched.total()]
    return [*asked, *(tally.leaks[name] for name in SURFACES), tally.leaked, tally.hits_leaked]
