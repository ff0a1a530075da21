"""python -m tests.evals.faults: what a reader sees for each fault of a model, before and after its first words.

Real HTTP and SSE to a scripted vendor, the real `openai` client, retries, breakers and fallbacks, and the whole query
story; only the waits are short. A fault is there to stay: each request to the faulty model meets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import product, repeat
from pathlib import Path
from time import perf_counter

from loguru import logger
from rich.console import Console
from rich.table import Table

from backend import schema
from backend.adapters.extractive import ExtractiveAnswerer
from backend.adapters.llm_answerer import LLMAnswerer
from backend.adapters.llm_fallback import FallbackLLM
from backend.adapters.minilm import MiniLM
from backend.adapters.openai import OpenAILLM
from backend.adapters.openai_endpoint import Endpoint
from backend.api import present
from backend.domain import Done, Question, Run
from backend.errors import FootnoteError
from backend.models import Model
from backend.ports import ChatMessage, Index
from backend.prompts import Prompt, load_prompts
from backend.query.pipeline import Knobs, Pipeline
from backend.query.story import INTERRUPTED
from backend.sentences import sentences
from backend.settings import PROJECT
from bot.blocks import footer
from tests.fakes.embedder import HashEmbedder
from tests.fakes.openai_server import Fault, openai_server
from tests.fakes.state import FakeDocuments, FakeRuns
from tests.fakes.story import NOW, TEAM, index_of

SETS = ("faults",)
TEXT = "KeePassXC is the recommended password manager. It can be installed from the self-service portal."
QUESTION = Question("Which password manager is recommended?", TEAM)
PIECES = (
    "KeePassXC is the ",
    "recommended password manager [1]. ",
    "It can be installed ",
    "from the self-service portal [1].",
)
WHOLE = "KeePassXC is the recommended password manager [1]. It can be installed from the self-service portal [1]."
SHOWN = "KeePassXC is the recommended password manager [1]."
PHASES = {"before the first token": 0, "after the first token": 1, "after the first sentence": 3}
STATUSES = (400, 401, 408, 409, 429, 500, 503)
ENDINGS = {
    "connection reset": "cut",
    "stall": "stall",
    "malformed JSON": "malformed",
    "ends unfinished": "end",
    "refusal": "refuse",
    "content filter": "content_filter",
    "cut at its length": "length",
    "never ends": "ever",
}
DOWN = "not there at all"
QUOTA = "429, ask in an hour"
FAULTS = (*map(str, STATUSES), QUOTA, *ENDINGS, DOWN)
SECONDS = 5.0
"""No cell may take longer, with waits as short as here."""
STALL, PATIENCE = 0.5, 4.0
"""Seconds of silence after which a model that stalls, or any other, is given up."""
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one question: the fault, how many pieces came before it, and the models that there were."""

    fault: str
    phase: str
    models: int
    run: Run | None
    seconds: float

    @property
    def seen(self) -> str:
        """What the reader sees, in a few words."""
        if self.run is None:
            return "ERROR"
        return f"{self._text()}: “{footer(self._citations, present.metadata(self.run.metadata))}”".replace(
            " · Answered from 1 document", ""
        )

    @property
    def acceptable(self) -> bool:
        """Whether it is a whole answer by whom the footer names, or ends honestly, in time, each sentence once."""
        run = self.run
        if run is None or run.outcome != "answered" or not run.citations or self.seconds > SECONDS:
            return False
        said = sentences(run.answer.removesuffix(INTERRUPTED))
        if len(said) != len(set(said)) or any("[1]" not in one for one in said):
            return False
        spared = self.phase != "after the first sentence" and self.models == 2
        honest = {
            "": run.answer == WHOLE and run.metadata.model in ("main", "spare"),
            "quoted": run.metadata.model == "extractive" and not spared,
            "interrupted": run.answer == f"{SHOWN}\n\n{INTERRUPTED}" and not spared,
        }
        return honest[run.metadata.degraded] and (not spared or run.metadata.model == "spare")

    @property
    def _citations(self) -> list[schema.Citation]:
        return [present.citation(one) for one in self.run.citations] if self.run else []

    def _text(self) -> str:
        assert self.run is not None
        return {"": "the answer", "quoted": "quotes", "interrupted": "one sentence, and that it was interrupted"}[
            self.run.metadata.degraded
        ]


def cells() -> list[tuple[str, str, int]]:
    """Return every fault × phase × number of models that can be."""
    everything = product(FAULTS, PHASES, (1, 2))
    early = "before the first token"
    return [one for one in everything if one[0] not in (DOWN, QUOTA) or one[1] == early]


async def matrix() -> list[Cell]:
    """Try every cell."""
    limit = asyncio.Semaphore(AT_ONCE)
    index, prompt = await index_of({"Passwords": TEXT}), load_prompts(PROJECT / "prompts").get("answer@v1")

    async def tried(fault: str, phase: str, models: int) -> Cell:
        async with limit:
            return await try_cell(fault, phase, models, index, prompt)

    return list(await asyncio.gather(*(tried(*one) for one in cells())))


async def try_cell(fault: str, phase: str, models: int, index: Index, prompt: Prompt) -> Cell:
    """Ask one question of a story whose first model is faulty."""
    begun = perf_counter()
    run: Run | None = None
    try:
        async with _answerer(fault_of(fault, PHASES[phase]), models, prompt) as answerer:
            pipeline = Pipeline(
                index=index,
                embedder=HashEmbedder(),
                documents=FakeDocuments(),
                runs=FakeRuns(),
                extractive=ExtractiveAnswerer(),
                answerers=(answerer,),
                knobs=Knobs(draft_timeout=5),
                clock=lambda: NOW,
            )
            begun = perf_counter()
            async for event in pipeline.answer(QUESTION, "r1"):
                run = event.run if isinstance(event, Done) else run
    except FootnoteError:
        pass
    return Cell(fault, phase, models, run, perf_counter() - begun)


def fault_of(name: str, pieces: int) -> Fault | None:
    """Return what the server does; None where there is no server."""
    if name == DOWN:
        return None
    if name == QUOTA:
        return Fault(429, headers=(("Retry-After", "3600"),))
    if name in ENDINGS:
        return Fault(then=ENDINGS[name], pieces=pieces)
    return Fault(int(name), then="error" if pieces else "", pieces=pieces)


def _writes(messages: list[ChatMessage]) -> Sequence[str]:
    return PIECES


@asynccontextmanager
async def _answerer(fault: Fault | None, models: int, prompt: Prompt) -> AsyncIterator[LLMAnswerer]:
    async with AsyncExitStack() as stack:
        urls = ["http://127.0.0.1:9/v1"]
        if fault is not None:
            urls = [await stack.enter_async_context(openai_server(_writes, faults=repeat(fault)))]
        if models == 2:
            urls.append(await stack.enter_async_context(openai_server(_writes)))
        patience = STALL if fault and fault.then == "stall" else PATIENCE
        opened = [_opened(urls[0], "main", patience), *(_opened(url, "spare", PATIENCE) for url in urls[1:])]
        for model in opened:
            stack.push_async_callback(model.close)
        asked = [*(model.hurried() for model in opened[:-1]), opened[-1]]
        yield LLMAnswerer(FallbackLLM(asked, "answer"), prompt)


def _opened(url: str, name: str, patience: float) -> OpenAILLM:
    model = Model(name=name, first_token=patience, silence=patience, timeout=PATIENCE)
    return OpenAILLM(Endpoint.open(url, "key", PATIENCE, 0.005), model)


def table(tried: Sequence[Cell]) -> Table:
    """Return the matrix: one row per fault, one column per phase and number of models."""
    columns = [f"{phase}, {count} model{'s' * (count > 1)}" for phase in PHASES for count in (1, 2)]
    shown = Table("fault", *columns, title="What a reader sees when a model fails", show_lines=True)
    by_place = {(cell.fault, cell.phase, cell.models): cell for cell in tried}
    for fault in FAULTS:
        row = [by_place.get((fault, phase, count)) for phase in PHASES for count in (1, 2)]
        shown.add_row(fault, *(_shown(cell) for cell in row))
    bad = sum(not cell.acceptable for cell in tried)
    shown.caption = f"{len(tried)} cells, {bad} not acceptable; the slowest took {max(c.seconds for c in tried):.1f} s"
    return shown


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    return cell.seen if cell.acceptable else f"[red]NOT ACCEPTABLE[/red] {cell.seen}"


async def report(names: Sequence[str], embedder: MiniLM, cache: Path) -> list[Table]:
    """Measure for `make eval`."""
    return [table(await matrix())]


if __name__ == "__main__":
    logger.remove()
    Console(width=200).print(table(asyncio.run(matrix())))
