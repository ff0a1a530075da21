"""A configured LLM that says what of the passages found is kept: sentences by number, or whole passages by yes or no.

It selects and never writes, so that what is kept stays the documents' own words.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from loguru import logger
from pydantic import BaseModel, ConfigDict, ValidationError

from backend.domain import Evidence, Passage, Vector
from backend.errors import LLMUnavailable
from backend.ports import LLM
from backend.prompts import Prompt
from backend.query.bearing import Bearing, bear
from backend.query.compress import bears, choose, evidence_of, room_of

DEADLINE = 4.0
"""Seconds for all passages together: longer than that, and the asker waits for what the sentence scores know well."""
MAX_ASKED = 20
"""Passages, the best of retrieval, each one call; they run at once."""


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Numbers(_Reply):
    sentences: list[int]


class _Verdict(_Reply):
    relevant: bool


class _LLMCompressor(ABC):
    """ports.Compressor that asks about each passage on its own. Where no usable reply comes before the deadline, what
    is kept of that passage is what `compress` keeps; where the replies together leave nothing, all is as it keeps."""

    _reply: ClassVar[type[_Reply]]

    def __init__(self, llm: LLM, prompt: Prompt, *, deadline: float = DEADLINE) -> None:
        self._llm = llm
        self._prompt = prompt
        self._deadline = deadline

    async def compress(
        self, question: str, vector: Vector, passages: Sequence[Passage], *, budget: int
    ) -> tuple[Evidence, ...]:
        bearing = bear(question, vector, passages)
        unasked = choose(bearing, bears(bearing), room=room_of(bearing, budget))
        allowed = unasked.copy()
        for place, chosen in (await self._ask_all(question, bearing)).items():
            own = bearing.place == place
            allowed[own] = np.isin(bearing.index[own], sorted(chosen))
        kept = choose(bearing, allowed, room=budget)
        return evidence_of(bearing, kept if kept.any() else unasked)

    async def _ask_all(self, question: str, bearing: Bearing) -> dict[int, frozenset[int]]:
        """Return the sentences chosen of each passage on which a usable reply came in time."""
        best = sorted(range(len(bearing.passages)), key=lambda place: -bearing.passages[place].score)[:MAX_ASKED]
        ends = asyncio.get_running_loop().time() + self._deadline
        async with asyncio.TaskGroup() as group:
            asked = {place: group.create_task(self._ask(question, bearing.passages[place], ends)) for place in best}
        replies = {place: task.result() for place, task in asked.items()}
        usable = {place: chosen for place, chosen in replies.items() if chosen is not None}
        if len(usable) < len(replies):
            logger.bind(asked=len(replies), usable=len(usable)).warning("llm compression incomplete")
        return usable

    async def _ask(self, question: str, passage: Passage, ends: float) -> frozenset[int] | None:
        messages = self._prompt.render(
            question=question,
            title=passage.title,
            heading=passage.heading,
            sentences=[" ".join(passage.text[start:end].split()) for start, end in passage.sentences],
            fence=secrets.token_hex(8),
        )
        try:
            async with asyncio.timeout_at(ends):
                reply = await self._llm.complete(
                    messages, max_tokens=self._prompt.max_tokens, schema=self._reply.model_json_schema()
                )
            return self._chosen(reply, len(passage.sentences))
        except (TimeoutError, LLMUnavailable, ValidationError):
            return None

    @abstractmethod
    def _chosen(self, reply: str, sentences: int) -> frozenset[int]:
        """Return the indices that a reply chooses of so many sentences. ValidationError if it has another shape."""


class LLMExtractor(_LLMCompressor):
    """Keeps the sentences that the LLM names; numbers of no sentence are passed over."""

    _reply = _Numbers

    def _chosen(self, reply: str, sentences: int) -> frozenset[int]:
        numbers = _Numbers.model_validate_json(reply).sentences
        return frozenset(number - 1 for number in numbers if 1 <= number <= sentences)


class LLMFilter(_LLMCompressor):
    """Keeps the passages that the LLM finds relevant, whole as far as the budget goes, the best sentences first."""

    _reply = _Verdict

    def _chosen(self, reply: str, sentences: int) -> frozenset[int]:
        return frozenset(range(sentences)) if _Verdict.model_validate_json(reply).relevant else frozenset()
