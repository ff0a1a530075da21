"""How soon the first verified sentence leaves after its last token: `python -m tests.bench.bench_first_sentence`.

A scripted model on loopback streams an answer word by word, and says when it sent each; the whole query story reads it
with the real `openai` client and the local embedder. The floor is that client alone: until the same token is in our
hands. Both in turns. A model that goes on writing shows with its next token that the sentence is whole; one that pauses
does not, and the sentence leaves when the pause is long enough to tell. To reach: 100 ms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import numpy as np
from loguru import logger

from backend.adapters.extractive import ExtractiveAnswerer
from backend.adapters.llm_answerer import LLMAnswerer
from backend.adapters.llm_fallback import FallbackLLM
from backend.adapters.minilm import MiniLM
from backend.adapters.openai import OpenAILLM
from backend.domain import Delta, Question
from backend.ports import ChatMessage
from backend.prompts import load_prompts
from backend.query.pipeline import Knobs, Pipeline
from backend.settings import PROJECT, load_settings
from tests.fakes.index import FakeIndex
from tests.fakes.openai_server import Journal, openai_server
from tests.fakes.state import FakeDocuments, FakeRuns
from tests.fakes.story import NOW, TEAM, index_of

TIMES = 60
TOKEN = 0.02
"""Seconds between two tokens: fifty a second."""
PAUSE = 0.6
TEXTS = {
    "Passwords": "KeePassXC is the recommended password manager. It can be installed from the self-service portal.",
    "Leave": "Everyone has 25 days of paid leave. Requests go to Ana Lima in the people team.",
    "Parking": "Visitors park on level two. The barrier opens at seven in the morning.",
}
ASKED = "Which password manager is recommended?"
FIRST = ("KeePassXC", " is", " the", " recommended", " password", " manager", " [1].")
REST = (" It", " can", " be", " installed", " from", " the", " self-service", " portal", " [1].")


def said(pause: float) -> list[str | float]:
    """Return what the model sends: a pause after the first sentence, and the usual one between tokens."""
    return [part for token in FIRST for part in (TOKEN, token)] + [pause] + [p for one in REST for p in (one, TOKEN)]


def sent_at(journal: Journal) -> float:
    """Return when the last token of the first sentence was sent, by the loop's clock."""
    return next(at for token, at in reversed(journal.sent) if token == FIRST[-1])


async def through_the_story(llm: OpenAILLM, journal: Journal, index: FakeIndex, embedder: MiniLM) -> float:
    """Return the seconds from the sentence's last token to the event that shows the sentence."""
    prompt = load_prompts(PROJECT / "prompts").current("answer")
    pipeline = Pipeline(
        index=index,
        embedder=embedder,
        documents=FakeDocuments(),
        runs=FakeRuns(),
        extractive=ExtractiveAnswerer(),
        answerers=(LLMAnswerer(FallbackLLM([llm], "answer"), prompt),),
        knobs=Knobs(),
        clock=lambda: NOW,
    )
    async with aclosing(pipeline.answer(Question(ASKED, TEAM), "bench")) as events:
        async for event in events:
            if isinstance(event, Delta):
                assert event.text.startswith("KeePassXC"), event.text
                return asyncio.get_running_loop().time() - sent_at(journal)
    raise AssertionError("no sentence came")


async def in_our_hands(llm: OpenAILLM, journal: Journal) -> float:
    """Return the seconds from the sentence's last token to the client's having it."""
    async with aclosing(llm.stream([ChatMessage("user", ASKED)], max_tokens=100)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            if piece == FIRST[-1]:
                return asyncio.get_running_loop().time() - sent_at(journal)
    raise AssertionError("no token came")


async def measure(pause: float, embedder: MiniLM) -> tuple[list[float], list[float]]:
    """Return the milliseconds of both, in turns, after three rounds that are not counted."""
    journal, index = Journal(), await index_of(TEXTS, embedder=embedder)
    ours: list[float] = []
    floor: list[float] = []
    async with openai_server(lambda _: said(pause), journal=journal) as url:
        llm = OpenAILLM.open(url, "key", "m", timeout=10)
        for _ in range(TIMES + 3):
            ours.append(1e3 * await through_the_story(llm, journal, index, embedder))
            floor.append(1e3 * await in_our_hands(llm, journal))
        await llm.close()
    return ours[3:], floor[3:]


def row(name: str, milliseconds: Sequence[float]) -> str:
    p50, p99 = np.percentile(milliseconds, (50, 99))
    return f"  {name:44}{p50:>9.1f}{p99:>9.1f}"


def main() -> None:
    logger.remove()
    settings = load_settings()
    embedder = MiniLM.open(settings.model_dir, settings.data_dir / "bench", settings.embedding_threads)
    try:
        print(f"first verified sentence after its last token, ms, {TIMES} times (to reach: 100)")
        print(f"{'':46}{'p50':>9}{'p99':>9}")
        for name, pause in (("the model goes on", TOKEN), (f"the model pauses {PAUSE} s", PAUSE)):
            ours, floor = asyncio.run(measure(pause, embedder))
            print(row(f"{name}: shown", ours))
            print(row(f"{name}: token received (floor)", floor))
    finally:
        embedder.close()


if __name__ == "__main__":
    main()
